/* A worker's thread: loop, clock, messages, sweep; and the calls that control makes from its own thread.
 * Not here: what directives and time do to sessions (worker_orders.c). */
#include "proxy/net/worker.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/net/linger.h"
#include "proxy/net/switches.h"
#include "proxy/net/worker_int.h"
#include "zkproto/assert.h"
#include "zkproto/connect.h"
#include "zkproto/frame.h"

#define ADOPT_DESCRIPTORS                                                                                    \
    2 /* until it is a client that everybody counts: its own, and its server's to come */

#define PX_STALL_US 2500000 /* of the test switch: each new client holds up the loop */

void px_worker_clock(struct px_worker *worker)
{
    struct timespec now;

    if (!worker->is_clock_stale)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    worker->now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    worker->now_us = (uint32_t)((uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u);
    worker->is_clock_stale = false;
}

void px_worker_kick_probe(struct px_worker *worker, int64_t pause_ms)
{
    struct px_msg *msg;

    if (worker->now_ms - worker->kick_ms < pause_ms)
        return;
    worker->kick_ms = worker->now_ms;
    msg = px_msg_new(PX_MSG_KICK_PROBE);
    if (msg == NULL)
        return;
    msg->worker = worker->options.index;
    px_mailbox_push(worker->options.control, msg);
}

static uint32_t worker_link_count(const struct px_worker *worker)
{
    uint32_t count = 0;

    for (uint32_t state = 0; state < PX_SESSION_DEAD; state++)
        count += worker->link_counts[state];
    return count;
}

static void fill_rows(struct px_worker *worker, struct px_session_row *rows, uint32_t room,
                      uint32_t *ret_count)
{
    const struct px_link *link;
    uint32_t count = 0;

    for (uint32_t state = 0; state < PX_SESSION_DEAD; state++)
        TAILQ_FOREACH(link, &worker->links[state], entry)
    if (count < room)
        px_link_row(link, &rows[count++]);
    *ret_count = count;
}

static void answer_list(struct px_worker *worker, const struct px_msg *request)
{
    uint32_t room = worker_link_count(worker);
    struct px_msg *msg;

    if (worker->now_ms >= request->list.deadline_ms)
        return;
    msg = px_msg_new(PX_MSG_SESSIONS);
    if (msg == NULL)
        return;
    msg->worker = worker->options.index;
    msg->sessions.request_id = request->list.request_id;
    if (room > 0)
        msg->sessions.rows = calloc(room, sizeof(*msg->sessions.rows));
    if (msg->sessions.rows != NULL)
        fill_rows(worker, msg->sessions.rows, room, &msg->sessions.count);
    px_mailbox_push(worker->options.control, msg);
}

static void take_adopt(struct px_worker *worker, struct px_msg *msg)
{
    px_shared_descriptors_add(worker->shared, -ADOPT_DESCRIPTORS);
    if (worker->stalls)
        usleep(PX_STALL_US);
    if (worker->is_stopping || (worker->directive != NULL && worker->directive->stop))
        return; /* the message closes it */
    px_link_adopt(worker, &msg->adopt);
    msg->adopt.fd = -1;
    msg->adopt.origin = NULL;
}

static void worker_on_msg(void *context, struct px_msg *take_msg)
{
    struct px_worker *worker = context;

    px_worker_clock(worker);
    switch (take_msg->kind) {
    case PX_MSG_DIRECTIVE:
        px_worker_apply(worker, take_msg->directive);
        take_msg->directive = NULL;
        break;
    case PX_MSG_ADOPT:
        take_adopt(worker, take_msg);
        break;
    case PX_MSG_LIST:
        answer_list(worker, take_msg);
        break;
    case PX_MSG_STOP:
        px_worker_stop_all(worker);
        worker->is_stopping = true;
        break;
    case PX_MSG_RELEASE:
        px_owner_on_release(worker, take_msg);
        break;
    case PX_MSG_RELEASED:
        px_owner_on_released(worker, take_msg);
        break;
    case PX_MSG_KICK_PROBE: /* control's */
    case PX_MSG_WORD:
    case PX_MSG_SESSIONS:
    case PX_MSG_COUNT:
        break;
    }
    px_msg_free(take_msg);
}

static void worker_sweep(struct px_worker *worker)
{
    struct px_link *link;

    while ((link = TAILQ_FIRST(&worker->links[PX_SESSION_DEAD])) != NULL)
        px_link_free(link);
}

static void publish_watches(struct px_worker *worker)
{
    const uint32_t *totals = worker->watch_space.totals;

    px_metric_set(worker->metrics, PX_METRIC_WATCHES_DATA,
                  (uint64_t)totals[ZKP_LIST_DATA] + totals[ZKP_LIST_EXIST]);
    px_metric_set(worker->metrics, PX_METRIC_WATCHES_CHILD, totals[ZKP_LIST_CHILD]);
    px_metric_set(worker->metrics, PX_METRIC_WATCHES_PERSISTENT, totals[ZKP_LIST_PERSISTENT]);
    px_metric_set(worker->metrics, PX_METRIC_WATCHES_RECURSIVE, totals[ZKP_LIST_RECURSIVE]);
    px_metric_set(worker->metrics, PX_METRIC_WATCH_OVERFLOW, worker->watch_space.overflow_count);
}

static uint32_t established_count(const struct px_worker *worker)
{
    uint32_t count = 0;

    for (uint32_t state = PX_SESSION_ACTIVE; state < PX_SESSION_DEAD; state++)
        count += worker->link_counts[state];
    return count;
}

static void publish_counts(struct px_worker *worker)
{
    struct px_shared_worker *row = &worker->shared->workers[worker->options.index];

    atomic_store_explicit(&row->session_count, established_count(worker), memory_order_relaxed);
    atomic_store_explicit(&row->client_count, worker_link_count(worker), memory_order_relaxed);
    atomic_store_explicit(&row->waiting_count, worker->link_counts[PX_SESSION_WAITING], memory_order_relaxed);
    px_metric_set(worker->metrics, PX_METRIC_HELD_BYTES, worker->held_bytes);
    px_worker_publish_hold(worker);
}

static void set_tick(struct px_worker *worker)
{
    int32_t wanted_ms = px_worker_is_busy(worker) ? PX_TICK_MS : PX_SLOW_TICK_MS;

    if (wanted_ms == worker->tick_ms)
        return;
    worker->tick_ms = wanted_ms;
    worker->tick_at_ms = worker->now_ms + wanted_ms;
}

static void tick_if_due(struct px_worker *worker)
{
    if (worker->now_ms < worker->tick_at_ms)
        return;
    worker->tick_at_ms = worker->now_ms + worker->tick_ms;
    px_worker_tick(worker);
}

static int tick_left_ms(const struct px_worker *worker)
{
    int64_t left_ms = worker->tick_at_ms - worker->now_ms;

    return left_ms > 0 ? (int)left_ms : 0;
}

static void worker_on_wake(struct px_polled *polled, uint32_t what)
{
    struct px_worker *worker = (struct px_worker *)((char *)polled - offsetof(struct px_worker, wake));

    (void)what;
    px_mailbox_deliver(worker->box, worker_on_msg, worker);
}

/* A turn begins or ends: the control thread sees whether this one still turns. */
static void publish_turn(struct px_worker *worker)
{
    _Atomic(uint32_t) *turn = &worker->shared->workers[worker->options.index].turn;

    atomic_store_explicit(turn, atomic_load_explicit(turn, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void *worker_main(void *arg)
{
    struct px_worker *worker = arg;

    /* Without a ring the lines are written directly: slower, not worse. */
    (void)!px_log_ring_attach();
    while (!worker->is_stopping) {
        worker->is_clock_stale = true;
        px_poller_wait(&worker->poller, tick_left_ms(worker));
        publish_turn(worker);
        px_poller_call(&worker->poller);
        px_worker_clock(worker);
        tick_if_due(worker);
        px_worker_turn_leave(worker);
        px_worker_route_waiting(worker, false);
        worker_sweep(worker);
        publish_counts(worker);
        publish_watches(worker);
        set_tick(worker);
        publish_turn(worker);
    }
    px_log_ring_detach();
    return NULL;
}

/* Without the kernel's random numbers a clock must do: only how well paths are spread depends on it. */
static uint64_t random_seed(void)
{
    uint64_t seed;
    struct timespec now;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed))
        return seed;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec;
}

static enum rc worker_init(struct px_worker *worker, struct err *err)
{
    for (uint32_t state = 0; state < PX_SESSION_STATE_COUNT; state++)
        TAILQ_INIT(&worker->links[state]);
    TAILQ_INIT(&worker->lingers);
    worker->last_token = (uint64_t)worker->options.index << PX_TOKEN_WORKER_SHIFT;
    worker->is_clock_stale = true;
    px_worker_clock(worker);
    worker->slow_us =
        (worker->options.slow_threshold_ms == 0 ? 100 : worker->options.slow_threshold_ms) * 1000;
    worker->skips_drain = px_switch("no_drain");
    worker->ignores_zxid = px_switch("no_zxid_routing");
    worker->skips_move_drain = px_switch("no_move_drain");
    worker->skips_auth = px_switch("no_auth_replay");
    worker->skips_pacing = px_switch("no_pacing");
    worker->stalls = px_switch("stall");
    worker->greeting_max = px_switch("long_greetings") ? ZKP_CLIENT_FRAME_MAX : ZKP_CONNECT_REQUEST_MAX;
    worker->scratch = malloc(PX_SCRATCH_SIZE);
    worker->metrics = aligned_alloc(alignof(struct px_metrics), sizeof(*worker->metrics));
    if (worker->scratch == NULL || worker->metrics == NULL ||
        px_watch_space_init(&worker->watch_space, random_seed()) != RC_OK)
        return err_set(err, RC_NOMEM, "worker: out of memory");
    memset(worker->metrics, 0, sizeof(*worker->metrics));
    set_tick(worker);
    if (px_mailbox_new(&worker->box, err) != RC_OK)
        return RC_IO;
    worker->wake.fn = worker_on_wake;
    if (px_poller_init(&worker->poller) != RC_OK ||
        px_poller_set(&worker->poller, &worker->wake, px_mailbox_fd(worker->box), EPOLLIN) != RC_OK)
        return err_set(err, RC_IO, "worker: epoll: %s", strerror(errno));
    return RC_OK;
}

enum rc px_worker_start(const struct px_worker_options *options, struct px_worker **ret_worker,
                        struct err *err)
{
    struct px_worker *worker = calloc(1, sizeof(*worker));
    enum rc rc;

    ASSERT(options->index < options->shared->worker_count);
    if (worker == NULL)
        return err_set(err, RC_NOMEM, "worker: out of memory");
    worker->poller.epoll_fd = -1;
    worker->options = *options;
    worker->shared = options->shared;
    rc = worker_init(worker, err);
    if (rc == RC_OK && pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
        rc = err_set(err, RC_IO, "worker: no thread");
    if (rc != RC_OK) {
        px_worker_free(worker);
        return rc;
    }
    options->shared->mailboxes[options->index] = worker->box;
    *ret_worker = worker;
    return RC_OK;
}

void px_worker_adopt(struct px_worker *worker, const struct px_adopt *take_adopt)
{
    struct px_msg *msg = px_msg_new(PX_MSG_ADOPT);

    if (msg == NULL) {
        close(take_adopt->fd);
        px_origin_leave(take_adopt->origin);
        return;
    }
    msg->adopt = *take_adopt;
    px_shared_descriptors_add(worker->shared, ADOPT_DESCRIPTORS);
    px_mailbox_push(worker->box, msg);
}

void px_worker_publish(struct px_worker *worker, struct px_directive *take_directive)
{
    struct px_msg *msg = px_msg_new(PX_MSG_DIRECTIVE);

    if (msg == NULL) {
        px_directive_unref(take_directive); /* shared.h keeps showing the old version */
        return;
    }
    msg->directive = take_directive;
    px_mailbox_push(worker->box, msg);
}

void px_worker_list(struct px_worker *worker, uint64_t request_id, int64_t deadline_ms)
{
    struct px_msg *msg = px_msg_new(PX_MSG_LIST);

    if (msg == NULL)
        return; /* the request's deadline tells */
    msg->list.request_id = request_id;
    msg->list.deadline_ms = deadline_ms;
    px_mailbox_push(worker->box, msg);
}

void px_worker_stop(struct px_worker *worker)
{
    struct px_msg *msg = px_msg_new(PX_MSG_STOP);

    ASSERT(msg != NULL); /* the process ends; without the message it never would */
    px_mailbox_push(worker->box, msg);
}

void px_worker_join(struct px_worker *worker)
{
    pthread_join(worker->thread, NULL);
}

void px_worker_free(struct px_worker *worker)
{
    if (worker == NULL)
        return;
    px_mailbox_free(worker->box);
    px_poller_done(&worker->poller);
    px_directive_unref(worker->directive);
    px_watch_space_done(&worker->watch_space);
    free(worker->metrics);
    free(worker->scratch);
    free(worker);
}

const struct px_metrics *px_worker_metrics(const struct px_worker *worker)
{
    return worker->metrics;
}
