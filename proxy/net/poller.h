/* The descriptors that a worker waits for: an epoll set with one call per ready descriptor. Elsewhere
 * libevent does this; here an event on its way through libevent's tables was more work than all that a
 * request needs of us, and 180 bytes per connection. Deadlines are the worker's tick. Worker thread. */
#ifndef PROXY_NET_POLLER_H
#define PROXY_NET_POLLER_H

#include <stdint.h>
#include <sys/epoll.h>

#include "zkproto/err.h"

#define PX_POLLER_BATCH 256 /* descriptors per epoll_wait: what is ready beyond comes first in the next */

struct px_polled;
/* `what`: those of the armed EPOLL* events that came. After an error or a hang-up all of them: whatever is
 * tried then shows what happened. */
typedef void px_polled_fn(struct px_polled *polled, uint32_t what);

/* Embedded in what owns the descriptor. */
struct px_polled {
    px_polled_fn *fn;
    uint32_t armed; /* EPOLL* events it is in the set for; 0 = it is not in it */
};

struct px_poller {
    int epoll_fd;
    int ready_count;
    int ready_at; /* ready[ready_at .. ready_count) have not had their call yet */
    struct epoll_event ready[PX_POLLER_BATCH];
};

/* RC_IO: no descriptor. */
enum rc px_poller_init(struct px_poller *poller) RC_MUST_CHECK;
/* Of one that was never initialised, epoll_fd -1: nothing. */
void px_poller_done(struct px_poller *poller);
/* Waits for `events` from now on; what is ready already comes, also with EPOLLET and if nothing has changed.
 * RC_IO: out of kernel memory, it is as it was. */
enum rc px_poller_set(struct px_poller *poller, struct px_polled *polled, int fd,
                      uint32_t events) RC_MUST_CHECK;
/* No call any more, not even one that is due in this turn. Before its descriptor is closed. */
void px_poller_remove(struct px_poller *poller, struct px_polled *polled, int fd);
/* Waits until something is ready, for at most timeout_ms. */
void px_poller_wait(struct px_poller *poller, int timeout_ms);
/* Makes the calls for what was ready then. They may set, remove and free each other. */
void px_poller_call(struct px_poller *poller);

#endif
