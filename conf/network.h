/* Networks of clients ("10.1.0.0/16", "fd00::/8", "10.0.0.7"): parse, print, contains. Pure, any thread. */
#ifndef CONF_NETWORK_H
#define CONF_NETWORK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define CONF_NETWORKS_MAX     16u
#define CONF_NETWORK_TEXT_MAX 64u

/* Bits beyond the prefix are 0, so that equal networks are equal bytes. */
struct conf_network {
    uint8_t bytes[16]; /* IPv4: the first four */
    uint8_t length;    /* 4 or 16 */
    uint8_t prefix;    /* bits, <= 8 * length */
};

struct conf_networks {
    uint32_t count;
    struct conf_network items[CONF_NETWORKS_MAX];
};

/* A bare address is a network of one. False: not understood, or bits are set beyond the prefix. */
bool conf_network_parse(const char *text, struct conf_network *ret_network);
void conf_network_format(const struct conf_network *network, char buf[static CONF_NETWORK_TEXT_MAX]);
/* Its bytes in network order; how many there are, 0 = of another family. IPv4 mapped into IPv6 is IPv4. */
uint8_t conf_address_bytes(const struct sockaddr *address, uint8_t ret_bytes[static 16]);
/* IPv4 addresses mapped into IPv6, as sockets of both families show them, count as IPv4. Other families are
 * in no network. */
bool conf_networks_have(const struct conf_networks *networks, const struct sockaddr *address);

#endif
