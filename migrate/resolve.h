/* Host names to numeric addresses, on the helper thread: neither the control loop nor the ZooKeeper client
 * library (stack.md §1: it resolves inside its calls) ever waits for DNS. Called in the control loop. */
#ifndef MIGRATE_RESOLVE_H
#define MIGRATE_RESOLVE_H

#include <stdint.h>
#include <sys/socket.h>

#include "migrate/helper.h"
#include "zkproto/server.h"

/* A numeric address ready to connect to. length 0 = none. */
struct mig_address {
    struct sockaddr_storage storage;
    socklen_t length;
};

/* Numeric host (IPv4 or IPv6, no brackets): at once, no DNS. RC_NOT_FOUND when it is a name. */
enum rc mig_address_numeric(const char *host, uint16_t port, struct mig_address *ret_address) RC_MUST_CHECK;
/* "10.0.0.1:2181", "[::1]:2181"; brackets = false gives the ZooKeeper client's "::1:2181". Returns the
 * length, 0 when it does not fit or there is no address. */
uint32_t mig_address_print(const struct mig_address *address, bool brackets, char *buf, uint32_t capacity);

/* rc RC_OK: address is set. RC_NOT_FOUND, RC_IO: text says why; RC_FULL: nobody was asked, because this host
 * had no descriptor or memory for it. Borrowed for the call. */
typedef void mig_resolved_fn(void *context, enum rc rc, const struct mig_address *address, const char *text);

/* fn is called exactly once, later, from the loop, also when the helper is freed; there is no cancel, so a
 * caller that may die first puts an id into context. The first address of getaddrinfo is taken. */
enum rc mig_resolve(struct mig_helper *helper, const char *host, uint16_t port, mig_resolved_fn *fn,
                    void *context) RC_MUST_CHECK;

#endif
