/* See network.h. */
#include "conf/network.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool address_parse(const char *text, struct conf_network *network)
{
    if (inet_pton(AF_INET, text, network->bytes) == 1)
        network->length = 4;
    else if (inet_pton(AF_INET6, text, network->bytes) == 1)
        network->length = 16;
    return network->length > 0;
}

/* At most three digits, so that it can't overflow. */
static bool prefix_parse(const char *text, struct conf_network *network)
{
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 3 || text[digits] != '\0' || atoi(text) > 8 * network->length)
        return false;
    network->prefix = (uint8_t)atoi(text);
    return true;
}

static uint8_t mask_at(uint32_t prefix, uint32_t index)
{
    if (prefix >= 8 * (index + 1))
        return 0xff;
    if (prefix <= 8 * index)
        return 0;
    return (uint8_t)(0xffu << (8 * (index + 1) - prefix));
}

static bool is_within(const struct conf_network *network, const uint8_t *bytes)
{
    for (uint32_t i = 0; i < network->length; i++)
        if ((bytes[i] & mask_at(network->prefix, i)) != network->bytes[i])
            return false;
    return true;
}

bool conf_network_parse(const char *text, struct conf_network *ret_network)
{
    struct conf_network network = {.length = 0};
    char host[CONF_NETWORK_TEXT_MAX];
    size_t host_len = strcspn(text, "/");

    if (host_len >= sizeof(host))
        return false;
    memcpy(host, text, host_len);
    host[host_len] = '\0';
    if (!address_parse(host, &network))
        return false;
    network.prefix = (uint8_t)(8 * network.length);
    if (text[host_len] == '/' && !prefix_parse(text + host_len + 1, &network))
        return false;
    if (!is_within(&network, network.bytes))
        return false;
    *ret_network = network;
    return true;
}

void conf_network_format(const struct conf_network *network, char buf[static CONF_NETWORK_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "";

    (void)inet_ntop(network->length == 4 ? AF_INET : AF_INET6, network->bytes, host, sizeof(host));
    (void)snprintf(buf, CONF_NETWORK_TEXT_MAX, "%s/%u", host, (unsigned)network->prefix);
}

uint8_t conf_address_bytes(const struct sockaddr *address, uint8_t bytes[static 16])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;

    if (address->sa_family == AF_INET) {
        memcpy(&v4, address, sizeof(v4));
        memcpy(bytes, &v4.sin_addr, 4);
        return 4;
    }
    if (address->sa_family != AF_INET6)
        return 0;
    memcpy(&v6, address, sizeof(v6));
    bool is_mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
    memcpy(bytes, v6.sin6_addr.s6_addr + (is_mapped ? 12 : 0), is_mapped ? 4 : 16);
    return is_mapped ? 4 : 16;
}

bool conf_networks_have(const struct conf_networks *networks, const struct sockaddr *address)
{
    uint8_t bytes[16] = {0};
    uint8_t length = conf_address_bytes(address, bytes);

    for (uint32_t i = 0; i < networks->count; i++)
        if (networks->items[i].length == length && is_within(&networks->items[i], bytes))
            return true;
    return false;
}
