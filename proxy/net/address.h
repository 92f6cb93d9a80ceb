/* Socket addresses as people write them. Pure. */
#ifndef PROXY_NET_ADDRESS_H
#define PROXY_NET_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

#define PX_ADDRESS_TEXT_MAX 64u

/* "127.0.0.1:2181" or "[::1]:2181"; "?" for other families. Returns buf. */
const char *px_address_text(const struct sockaddr *address, char *buf, uint32_t capacity);
uint16_t px_address_port(const struct sockaddr *address);

#endif
