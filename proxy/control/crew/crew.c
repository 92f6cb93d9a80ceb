/* See crew.h. */
#include "proxy/control/crew/crew.h"

#include <stdlib.h>

#include "zkproto/assert.h"

#define LISTS_MAX       16u /* cons and /v1/sessions under way at once; more are told to come again */
#define LIST_TIMEOUT_MS 2000
#define REFUSED_TOLD_MS 10000 /* what was seen so long ago says nothing */

struct list {
    uint64_t request_id; /* 0 = free */
    int64_t deadline_ms;
    uint32_t missing; /* workers that have not answered */
    px_crew_list_fn *fn;
    void *context;
    struct px_session_row *rows;
    uint32_t count;
};

struct px_crew {
    struct px_shared *shared;
    uint32_t count;
    struct px_worker *workers[PX_WORKERS_MAX];
    uint32_t next_worker; /* of those with as many clients; descriptors repeat */
    uint64_t last_request_id;
    struct list lists[LISTS_MAX];
};

static void set(_Atomic(uint32_t) *value, int32_t to)
{
    atomic_store_explicit(value, (uint32_t)to, memory_order_relaxed);
}

void px_crew_set_limits(struct px_crew *crew, const struct conf *conf)
{
    struct px_shared_limits *limits = &crew->shared->limits;
    set(&limits->sessions_max, conf->session_max);
    set(&limits->silent_max, conf->silent_max);
    set(&limits->silent_per_address, conf->per_address.silent);
    set(&limits->client_buffer_max, conf->client_buffer_max);
    atomic_store_explicit(&limits->handshake_timeout_ms, conf->handshake_timeout_ms, memory_order_relaxed);
}

enum rc px_crew_start(const struct conf *conf, struct px_mailbox *control, struct px_crew **ret_crew,
                      struct err *err)
{
    struct px_crew *crew = calloc(1, sizeof *crew);
    uint32_t count = (uint32_t)conf->workers > PX_WORKERS_MAX ? PX_WORKERS_MAX : (uint32_t)conf->workers;
    if (crew)
        crew->shared = px_shared_new(count);
    if (!crew || !crew->shared) {
        px_crew_free(crew);
        return err_set(err, RC_NOMEM, "workers");
    }
    px_crew_set_limits(crew, conf);
    for (uint32_t i = 0; i < count; i++) {
        struct px_worker_options options = {
            .index = i,
            .shared = crew->shared,
            .control = control,
        };
        enum rc rc = px_worker_start(&options, &crew->workers[i], err);
        if (rc != RC_OK) {
            px_crew_free(crew);
            return err_wrap(err, "worker %u", i);
        }
        crew->count = i + 1;
    }
    *ret_crew = crew;
    return RC_OK;
}

void px_crew_free(struct px_crew *crew)
{
    if (!crew)
        return;
    for (uint32_t i = 0; i < crew->count; i++)
        px_worker_stop(crew->workers[i]);
    for (uint32_t i = 0; i < crew->count; i++)
        px_worker_join(crew->workers[i]);
    for (uint32_t i = 0; i < crew->count; i++)
        px_worker_free(crew->workers[i]);
    for (uint32_t i = 0; i < LISTS_MAX; i++)
        free(crew->lists[i].rows);
    px_shared_free(crew->shared);
    free(crew);
}

static uint32_t load(const _Atomic(uint32_t) *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

/* Sockets still in a mailbox are not counted yet, so equal counts rotate instead of piling up on one. */
void px_crew_adopt(struct px_crew *crew, const struct px_adopt *take_adopt)
{
    uint32_t start = crew->next_worker++ % crew->count;
    uint32_t best = start;
    for (uint32_t i = 1; i < crew->count; i++) {
        uint32_t other = (start + i) % crew->count;
        if (load(&crew->shared->workers[other].client_count) <
            load(&crew->shared->workers[best].client_count))
            best = other;
    }
    px_worker_adopt(crew->workers[best], take_adopt);
}

void px_crew_publish(struct px_crew *crew, struct px_directive *directive)
{
    for (uint32_t i = 0; i < crew->count; i++)
        px_worker_publish(crew->workers[i], px_directive_ref(directive));
}

struct px_crew_totals px_crew_totals(const struct px_crew *crew)
{
    struct px_crew_totals totals = {.placed = load(&crew->shared->placed_count)};
    for (uint32_t i = 0; i < crew->count; i++) {
        const struct px_shared_worker *worker = &crew->shared->workers[i];
        totals.clients += load(&worker->client_count);
        totals.sessions += load(&worker->session_count);
        totals.waiting += load(&worker->waiting_count);
        totals.moving += load(&worker->moving_count);
        totals.detached += load(&worker->detached_count);
    }
    return totals;
}

static int64_t load_ms(const _Atomic(int64_t) *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

int64_t px_crew_refused_for_ms(const struct px_crew *crew, int64_t now_ms)
{
    int64_t granted_ms = 0;
    int64_t longest_ms = 0;
    for (uint32_t i = 0; i < crew->count; i++) {
        int64_t at_ms = load_ms(&crew->shared->workers[i].granted_ms);
        granted_ms = at_ms > granted_ms ? at_ms : granted_ms;
    }
    for (uint32_t i = 0; i < crew->count; i++) {
        const struct px_shared_worker *worker = &crew->shared->workers[i];
        int64_t since_ms = load_ms(&worker->refused_since_ms);
        int64_t last_ms = load_ms(&worker->refused_ms);
        int64_t from_ms = since_ms > granted_ms ? since_ms : granted_ms;
        if (since_ms != 0 && now_ms - last_ms < REFUSED_TOLD_MS && last_ms - from_ms > longest_ms)
            longest_ms = last_ms - from_ms;
    }
    return longest_ms;
}

bool px_crew_is_elsewhere(const struct px_crew *crew, int64_t now_ms)
{
    for (uint32_t i = 0; i < crew->count; i++) {
        const struct px_shared_worker *worker = &crew->shared->workers[i];
        int64_t last_ms = load_ms(&worker->elsewhere_ms);
        if (load_ms(&worker->shut_since_ms) != 0 && last_ms != 0 && now_ms - last_ms < REFUSED_TOLD_MS)
            return true;
    }
    return false;
}

struct px_crew_hold px_crew_hold(const struct px_crew *crew, uint64_t hold_id)
{
    struct px_crew_hold hold = {.is_held = true};
    for (uint32_t i = 0; i < crew->count; i++) {
        const struct px_shared_worker *worker = &crew->shared->workers[i];
        if (atomic_load_explicit(&worker->hold_id, memory_order_acquire) != hold_id)
            return (struct px_crew_hold){.is_held = false, .unquiesced = -1};
        hold.unquiesced += load(&worker->unquiesced_count);
    }
    return hold;
}

uint64_t px_crew_metric(const struct px_crew *crew, enum px_metric metric)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < crew->count; i++)
        sum += px_metric_get(px_worker_metrics(crew->workers[i]), metric);
    return sum;
}

uint32_t px_crew_count(const struct px_crew *crew)
{
    return crew->count;
}

const struct px_metrics *px_crew_metrics(const struct px_crew *crew, uint32_t worker)
{
    ASSERT(worker < crew->count);
    return px_worker_metrics(crew->workers[worker]);
}

struct px_shared *px_crew_shared(struct px_crew *crew)
{
    return crew->shared;
}

enum rc px_crew_list(struct px_crew *crew, int64_t now_ms, px_crew_list_fn *fn, void *context)
{
    struct list *list = NULL;
    for (uint32_t i = 0; i < LISTS_MAX && !list; i++)
        if (crew->lists[i].request_id == 0)
            list = &crew->lists[i];
    if (!list)
        return RC_FULL;
    *list = (struct list){.request_id = ++crew->last_request_id,
                          .deadline_ms = now_ms + LIST_TIMEOUT_MS,
                          .missing = crew->count,
                          .fn = fn,
                          .context = context};
    for (uint32_t i = 0; i < crew->count; i++)
        px_worker_list(crew->workers[i], list->request_id, list->deadline_ms);
    return RC_OK;
}

/* The place is free before fn runs, so that fn may ask for the next list. */
static void list_finish(struct list *list, bool is_complete)
{
    struct list done = *list;
    *list = (struct list){0};
    done.fn(done.context, done.rows, done.count, is_complete);
    free(done.rows);
}

void px_crew_sessions(struct px_crew *crew, const struct px_msg *msg)
{
    struct list *list = NULL;
    for (uint32_t i = 0; i < LISTS_MAX && !list; i++)
        if (crew->lists[i].request_id == msg->sessions.request_id)
            list = &crew->lists[i];
    if (!list)
        return; /* late: the deadline has passed */
    uint32_t count = list->count + msg->sessions.count;
    struct px_session_row *rows = count ? realloc(list->rows, count * sizeof *rows) : NULL;
    if (count && !rows) {
        list_finish(list, false);
        return;
    }
    if (msg->sessions.count)
        memcpy(rows + list->count, msg->sessions.rows, msg->sessions.count * sizeof *rows);
    list->rows = rows;
    list->count = count;
    if (--list->missing == 0)
        list_finish(list, true);
}

void px_crew_tick(struct px_crew *crew, int64_t now_ms)
{
    for (uint32_t i = 0; i < LISTS_MAX; i++)
        if (crew->lists[i].request_id != 0 && now_ms >= crew->lists[i].deadline_ms)
            list_finish(&crew->lists[i], false);
}
