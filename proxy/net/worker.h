/* One data-plane thread: its own event_base, client and server connections, sessions, metrics shard.
 * Control starts it, gives it accepted sockets and directives, and reads shared.h and its metrics.
 * All functions here are the control thread's; they only push messages and never wait (but join). */
#ifndef PROXY_NET_WORKER_H
#define PROXY_NET_WORKER_H

#include <stdint.h>

#include "proxy/net/directive.h"
#include "proxy/net/mailbox.h"
#include "proxy/net/metrics.h"
#include "proxy/net/msg.h"
#include "proxy/net/shared.h"
#include "zkproto/err.h"

struct px_worker;

struct px_worker_options {
    uint32_t index;             /* < shared->worker_count */
    struct px_shared *shared;   /* borrowed until px_worker_free */
    struct px_mailbox *control; /* borrowed until px_worker_free: KICK_PROBE, WORD, SESSIONS go there */
    uint32_t slow_threshold_ms; /* replies slower than this count as slow; 0 = 100 */
    uint32_t pulse_ms; /* a server that says nothing for so long is asked for a sign of life; 0 = 400 */
};

/* Starts the thread. Start all workers before the first px_worker_adopt: they talk to each other through
 * shared->mailboxes. The worker routes nobody before its first directive. */
enum rc px_worker_start(const struct px_worker_options *options, struct px_worker **ret_worker,
                        struct err *err) RC_MUST_CHECK;
/* Gives it an accepted socket; closes the descriptor when out of memory. */
void px_worker_adopt(struct px_worker *worker, const struct px_adopt *take_adopt);
/* Takes one reference of the directive. The latest published one wins. */
void px_worker_publish(struct px_worker *worker, struct px_directive *take_directive);
/* Asks for its sessions: a PX_MSG_SESSIONS with request_id comes to the control mailbox, unless deadline_ms
 * (CLOCK_MONOTONIC) passes first. The caller drops answers whose id it does not wait for. */
void px_worker_list(struct px_worker *worker, uint64_t request_id, int64_t deadline_ms);
/* Closes all connections at once and ends the thread. For an orderly end publish `stop` first and wait
 * until shared session counts are 0. */
void px_worker_stop(struct px_worker *worker);
/* Waits for the thread; after px_worker_stop. Join all workers before freeing the first. */
void px_worker_join(struct px_worker *worker);
void px_worker_free(struct px_worker *worker); /* NULL is fine */

/* Its shard, valid until px_worker_free; read with px_metrics_* (relaxed loads). */
const struct px_metrics *px_worker_metrics(const struct px_worker *worker);

#endif
