/* The door of the comparison: options, asking within the limits, answers to their places, findings. */
#include "migrate/verify/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/text.h"
#include "migrate/verify/verify_int.h"
#include "zkproto/assert.h"

/* An answer that says nothing (torn by writes, refused, too late) so often in a row is one of the node. */
#define FAILURES_MAX 8u

/* --- life --- */

static enum rc copy_path(const char *path, char buf[MIG_VERIFY_PATH_MAX], struct err *err)
{
    size_t length = strlen(path);
    if (path[0] != '/' || length >= MIG_VERIFY_PATH_MAX || (length > 1 && path[length - 1] == '/'))
        return err_set(err, RC_INVALID, "%.80s: not a znode's path of at most %u bytes", path,
                       MIG_VERIFY_PATH_MAX - 1);
    snprintf(buf, MIG_VERIFY_PATH_MAX, "%s", path);
    return RC_OK;
}

static enum rc copy_options(struct mig_verify *v, const struct mig_verify_options *options, struct err *err)
{
    enum rc rc = RC_OK;
    ASSERT(options->server_count >= 2 && options->server_count <= MIG_SERVERS_MAX);
    v->server_count = options->server_count;
    for (uint32_t i = 0; i < MIG_VERIFY_SKIPS_MAX && options->skips[i] && rc == RC_OK; i++)
        rc = copy_path(options->skips[i], v->skips[v->skip_count++], err);
    if (rc == RC_OK && options->from[0])
        rc = copy_path(options->from, v->from, err);
    return rc;
}

enum rc mig_verify_new(const struct mig_verify_options *options, struct mig_verify **ret_verify,
                       struct err *err)
{
    struct mig_verify *v = calloc(1, sizeof *v);
    if (!v)
        return err_set(err, RC_NOMEM, "verify: %s", rc_text(RC_NOMEM));
    enum rc rc = copy_options(v, options, err);
    if (rc != RC_OK) {
        mig_verify_free(v);
        return rc;
    }
    for (uint32_t s = 0; s < v->server_count; s++)
        v->active |= verify_bit(s);
    v->report.server_count = v->server_count;
    v->report.servers = v->servers;
    for (int kind = 0; kind < MIG_VERIFY_KIND_COUNT; kind++)
        v->report.findings[kind] = v->findings[kind];
    *ret_verify = v;
    return RC_OK;
}

void mig_verify_free(struct mig_verify *v)
{
    if (!v)
        return;
    for (uint32_t i = 0; i < VERIFY_JOBS; i++)
        verify_job_drop(v, &v->jobs[i]);
    verify_walk_free(v);
    for (int kind = 0; kind < MIG_VERIFY_KIND_COUNT; kind++)
        for (uint32_t i = 0; i < v->report.listed[kind]; i++)
            free(v->findings[kind][i].path);
    free(v);
}

void verify_stop(struct mig_verify *v, const char *why)
{
    if (!v->why[0])
        mig_text_set(v->why, sizeof v->why, "%s", why);
}

void verify_finding(struct mig_verify *v, enum mig_verify_kind kind, uint32_t server, const char *path,
                    const char *what)
{
    uint32_t *listed = &v->report.listed[kind];
    v->report.totals[kind]++;
    if (*listed == MIG_VERIFY_LISTED_MAX)
        return;
    struct mig_verify_finding *finding = &v->findings[kind][*listed];
    *finding = (struct mig_verify_finding){.server = server, .path = strdup(path)};
    mig_text_set(finding->what, sizeof finding->what, "%s", what);
    if (finding->path)
        (*listed)++;
    else
        verify_stop(v, "out of memory");
}

/* --- asking --- */

static void start_jobs(struct mig_verify *v)
{
    char *path;
    uint32_t servers;
    while (v->job_count < VERIFY_JOBS && verify_walk_next(v, &path, &servers))
        verify_job_start(v, path, servers);
}

static void wake_jobs(struct mig_verify *v, int64_t now_ms)
{
    for (uint32_t i = 0; i < VERIFY_JOBS; i++)
        if (v->jobs[i].stage == JOB_PAUSED && now_ms >= v->jobs[i].due_ms)
            verify_job_wake(v, &v->jobs[i], now_ms);
}

static bool ask_for(struct mig_verify *v, uint32_t index, struct mig_verify_ask *ret_ask)
{
    struct verify_job *job = &v->jobs[index];
    for (uint32_t s = 0; s < v->server_count && job->waiting > 0; s++) {
        struct verify_slot *slot = &job->slots[s];
        if (slot->state != SLOT_WANTED || !v->is_up[s] || v->in_flight[s] >= MIG_VERIFY_IN_FLIGHT_MAX)
            continue;
        slot->state = SLOT_ASKED;
        slot->ticket = ++v->serial << 16 | index << 8 | s;
        v->in_flight[s]++;
        *ret_ask =
            (struct mig_verify_ask){.ticket = slot->ticket, .server = s, .op = slot->op, .path = job->path};
        return true;
    }
    return false;
}

bool mig_verify_next(struct mig_verify *v, int64_t now_ms, struct mig_verify_ask *ret_ask)
{
    if (mig_verify_is_over(v))
        return false;
    start_jobs(v);
    wake_jobs(v, now_ms);
    for (uint32_t i = 0; i < VERIFY_JOBS; i++) {
        uint32_t index = (v->turn + i) % VERIFY_JOBS;
        if (v->jobs[index].stage != JOB_FREE && ask_for(v, index, ret_ask)) {
            v->turn = index;
            return true;
        }
    }
    return false;
}

int64_t mig_verify_due_ms(const struct mig_verify *v)
{
    int64_t due_ms = INT64_MAX;
    for (uint32_t i = 0; i < VERIFY_JOBS; i++)
        if (v->jobs[i].stage == JOB_PAUSED && v->jobs[i].due_ms < due_ms)
            due_ms = v->jobs[i].due_ms;
    return due_ms;
}

/* --- answers --- */

/* The job whose server's answer this is; its slot is not ASKED any more. NULL: it came too late. */
static struct verify_job *take_ticket(struct mig_verify *v, uint64_t ticket, struct verify_slot **ret_slot)
{
    uint32_t index = (uint32_t)(ticket >> 8 & 0xff);
    uint32_t server = (uint32_t)(ticket & 0xff);
    if (index >= VERIFY_JOBS || server >= v->server_count || v->jobs[index].stage == JOB_FREE)
        return NULL;
    struct verify_slot *slot = &v->jobs[index].slots[server];
    if (slot->state != SLOT_ASKED || slot->ticket != ticket)
        return NULL;
    v->in_flight[server]--;
    *ret_slot = slot;
    return &v->jobs[index];
}

static void slot_done(struct mig_verify *v, struct verify_job *job, struct verify_slot *slot, int64_t now_ms)
{
    slot->state = SLOT_DONE;
    if (--job->waiting == 0)
        verify_job_advance(v, job, now_ms);
}

void mig_verify_node(struct mig_verify *v, uint64_t ticket, const struct mig_node *node, int64_t now_ms)
{
    struct verify_slot *slot;
    struct verify_job *job = take_ticket(v, ticket, &slot);
    if (!job)
        return;
    ASSERT(slot->op != MIG_VERIFY_CHILDREN);
    slot->node = *node;
    slot_done(v, job, slot, now_ms);
}

void mig_verify_children(struct mig_verify *v, uint64_t ticket, const struct mig_names *names, int64_t now_ms)
{
    struct verify_slot *slot;
    struct verify_job *job = take_ticket(v, ticket, &slot);
    if (!job)
        return;
    ASSERT(slot->op == MIG_VERIFY_CHILDREN);
    verify_walk_add(v, job, names);
    slot_done(v, job, slot, now_ms);
}

void mig_verify_failed(struct mig_verify *v, uint64_t ticket, bool is_hopeless, int64_t now_ms)
{
    struct verify_slot *slot;
    struct verify_job *job = take_ticket(v, ticket, &slot);
    if (!job)
        return;
    slot->state = SLOT_WANTED;
    slot->failures += is_hopeless;
    if (slot->failures < FAILURES_MAX)
        return;
    if (slot->op == MIG_VERIFY_CHILDREN)
        verify_finding(v, MIG_VERIFY_UNREADABLE, (uint32_t)(ticket & 0xff), job->path,
                       "the server did not list its children");
    else
        slot->node = (struct mig_node){.kind = MIG_NODE_UNREADABLE};
    slot_done(v, job, slot, now_ms);
}

/* --- servers --- */

void mig_verify_server_is_up(struct mig_verify *v, uint32_t server, bool is_up)
{
    ASSERT(server < v->server_count);
    v->is_up[server] = is_up;
}

static void leave_job(struct mig_verify *v, struct verify_job *job, uint32_t server, int64_t now_ms)
{
    struct verify_slot *slot = &job->slots[server];
    bool is_waited_for = slot->state == SLOT_WANTED || slot->state == SLOT_ASKED;
    slot->state = SLOT_IDLE;
    slot->is_open = false;
    if (is_waited_for && --job->waiting == 0)
        verify_job_advance(v, job, now_ms);
}

void mig_verify_give_up(struct mig_verify *v, uint32_t server, const char *why, int64_t now_ms)
{
    ASSERT(server < v->server_count);
    struct mig_verify_server *given_up = &v->servers[server];
    if (given_up->is_given_up)
        return;
    given_up->is_given_up = true;
    mig_text_set(given_up->why, sizeof given_up->why, "%s", why);
    v->active &= ~verify_bit(server);
    v->is_up[server] = false;
    if (server == MIG_VERIFY_REFERENCE)
        verify_stop(v, why);
    else if ((v->active & ~verify_bit(MIG_VERIFY_REFERENCE)) == 0)
        verify_stop(v, "no server is left to compare");
    if (v->why[0])
        return;
    for (uint32_t i = 0; i < VERIFY_JOBS; i++)
        if (v->jobs[i].stage != JOB_FREE)
            leave_job(v, &v->jobs[i], server, now_ms);
}

/* --- how it stands --- */

bool mig_verify_is_over(const struct mig_verify *v)
{
    return v->why[0] != '\0' || mig_verify_is_complete(v);
}

bool mig_verify_is_complete(const struct mig_verify *v)
{
    return v->why[0] == '\0' && v->has_root && v->job_count == 0 &&
           (!v->top || v->top->next == v->top->count);
}

const char *mig_verify_why(const struct mig_verify *v)
{
    return v->why;
}

const struct mig_verify_report *mig_verify_report(const struct mig_verify *v)
{
    return &v->report;
}
