/* Addresses that this host binds: always numeric, since a name that resolves to two addresses, or to
 * another one tomorrow, is no place to listen. "localhost" is taken as 127.0.0.1. Any thread; pure but for
 * conf_host_is_here and conf_host_is_absent, which ask the kernel. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conf/conf_int.h"

bool conf_host_numeric(const char *host, char *buf, uint32_t capacity)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return inet_ntop(AF_INET, &v4, buf, capacity) != NULL;
    if (inet_pton(AF_INET6, host, &v6) == 1)
        return inet_ntop(AF_INET6, &v6, buf, capacity) != NULL;
    return false;
}

bool conf_host_is_loopback(const char *numeric_host)
{
    return strncmp(numeric_host, "127.", 4) == 0 || strcmp(numeric_host, "::1") == 0;
}

/* 0 when a socket can be bound there, else an errno: nobody else's address can be. A datagram socket disturbs
 * no listener. */
static int bind_fault(const char *numeric_host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_v4 = inet_pton(AF_INET, numeric_host, &v4.sin_addr) == 1;

    if (!is_v4 && inet_pton(AF_INET6, numeric_host, &v6.sin6_addr) != 1)
        return EINVAL;
    int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    const struct sockaddr *address = is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;
    int fault = bind(fd, address, is_v4 ? sizeof(v4) : sizeof(v6)) == 0 ? 0 : errno;
    close(fd);
    return fault;
}

bool conf_host_is_here(const char *numeric_host)
{
    return bind_fault(numeric_host) == 0;
}

bool conf_host_is_absent(const char *numeric_host)
{
    int fault = bind_fault(numeric_host);

    return fault == EADDRNOTAVAIL || fault == EAFNOSUPPORT;
}

static bool port_parse(const char *text, uint16_t *ret_port)
{
    size_t len = strspn(text, "0123456789");

    if (len == 0 || len > 5 || text[len] != '\0' || strtoul(text, NULL, 10) > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)strtoul(text, NULL, 10);
    return true;
}

/* Copies the host part without brackets and returns what follows the colon; NULL = not HOST:PORT. */
static const char *host_cut(const char *text, char host[ZKP_HOST_MAX], const char **ret_why)
{
    bool is_bracketed = text[0] == '[';
    const char *begin = is_bracketed ? text + 1 : text;
    const char *end = is_bracketed ? strchr(text, ']') : strrchr(text, ':');

    *ret_why = "is not HOST:PORT";
    if (end == NULL || end == begin || (size_t)(end - begin) >= ZKP_HOST_MAX)
        return NULL;
    if (is_bracketed && end[1] != ':')
        return NULL;
    (void)snprintf(host, ZKP_HOST_MAX, "%.*s", (int)(end - begin), begin);
    if (!is_bracketed && strchr(host, ':') != NULL) {
        *ret_why = "needs brackets around its IPv6 address";
        return NULL;
    }
    return is_bracketed ? end + 2 : end + 1;
}

bool conf_address_parse(const char *text, struct conf_address *ret_address, const char **ret_why)
{
    struct conf_address address = {0};
    char host[ZKP_HOST_MAX];
    const char *port = host_cut(text, host, ret_why);

    if (port == NULL)
        return false;
    if (!conf_host_numeric(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, address.host,
                           sizeof(address.host))) {
        *ret_why = "has no numeric host";
        return false;
    }
    if (!port_parse(port, &address.port)) {
        *ret_why = "has no port from 0 to 65535";
        return false;
    }
    *ret_address = address;
    return true;
}

bool conf_address_overlaps(const struct conf_address *a, const struct conf_address *b)
{
    bool is_same_family = (strchr(a->host, ':') != NULL) == (strchr(b->host, ':') != NULL);

    if (a->port == 0 || a->port != b->port)
        return false;
    return zkp_host_eq(a->host, b->host) || /* ::ffff:10.0.0.1 is 10.0.0.1 */
           (is_same_family && (zkp_host_is_wildcard(a->host) || zkp_host_is_wildcard(b->host)));
}
