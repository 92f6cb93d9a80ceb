/* See address.h. */
#include "proxy/net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

const char *px_address_text(const struct sockaddr *address, char *buf, uint32_t capacity)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(buf, capacity, "%s:%u", host, (unsigned)ntohs(v4->sin_port));
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(buf, capacity, "[%s]:%u", host, (unsigned)ntohs(v6->sin6_port));
    } else {
        snprintf(buf, capacity, "?");
    }
    return buf;
}

/* The port stands at the same place in both families. */
uint16_t px_address_port(const struct sockaddr *address)
{
    const struct sockaddr_in *any = (const void *)address;
    return ntohs(any->sin_port);
}
