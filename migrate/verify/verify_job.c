/* What becomes of one node:
 *
 *   FIRST ──── all equal ───────────────────────────────► children, or done
 *     │ not                                                    ▲
 *   PAUSED ─► SERVERS ─► REFERENCE ─── all equal or judged ────┘
 *     ▲ (those that differ,  │ (again, behind a sync:
 *     │  behind a sync)      │  it need not be the leader any more)
 *     └─────── not ──────────┘
 */
#include <stdlib.h>

#include "migrate/text.h"
#include "migrate/verify/verify_int.h"
#include "zkproto/assert.h"

#define ROUNDS_MAX     20u /* of a node that always changes in between; some ten seconds */
#define STRIKES_MAX    2u
#define MOVING_ROUNDS  5u /* of a node that always changes in between: the verdict; about a second */
#define PAUSE_FIRST_MS 50
#define PAUSE_MAX_MS   500

/* --- asking --- */

static void want(struct verify_job *job, uint32_t server, enum mig_verify_op op)
{
    struct verify_slot *slot = &job->slots[server];
    ASSERT(slot->state == SLOT_IDLE || slot->state == SLOT_DONE);
    slot->state = SLOT_WANTED;
    slot->op = op;
    slot->failures = 0;
    job->waiting++;
}

static void pause_job(struct verify_job *job, int64_t now_ms)
{
    int64_t pause_ms = PAUSE_FIRST_MS << (job->rounds < 4 ? job->rounds : 4);
    job->stage = JOB_PAUSED;
    job->due_ms = now_ms + (pause_ms < PAUSE_MAX_MS ? pause_ms : PAUSE_MAX_MS);
}

void verify_job_wake(struct mig_verify *v, struct verify_job *job, int64_t now_ms)
{
    job->stage = JOB_SERVERS;
    for (uint32_t s = 1; s < v->server_count; s++)
        if (job->slots[s].is_open)
            want(job, s, MIG_VERIFY_READ_SYNCED);
    if (job->waiting == 0) /* the one that differed was given up meanwhile */
        verify_job_advance(v, job, now_ms);
}

static void ask_reference(struct verify_job *job)
{
    job->stage = JOB_REFERENCE;
    want(job, MIG_VERIFY_REFERENCE, MIG_VERIFY_READ_SYNCED);
}

static bool is_local_data(const char *path)
{
    static const char quotas[] = "/zookeeper/quota/";
    static const char usage[] = "/zookeeper_stats"; /* counted by every server for itself (DataTree.java) */
    size_t length = strlen(path);
    return strncmp(path, quotas, sizeof quotas - 1) == 0 && length >= sizeof usage &&
           strcmp(path + length - (sizeof usage - 1), usage) == 0;
}

void verify_job_start(struct mig_verify *v, char *take_path, uint32_t servers)
{
    struct verify_job *job = v->jobs;
    while (job->stage != JOB_FREE)
        job++;
    *job = (struct verify_job){
        .stage = JOB_FIRST, .path = take_path, .is_local = is_local_data(take_path), .servers = servers};
    v->job_count++;
    for (uint32_t s = 0; s < v->server_count; s++)
        if (verify_takes_part(v, job, s))
            want(job, s, MIG_VERIFY_READ);
}

void verify_job_drop(struct mig_verify *v, struct verify_job *job)
{
    if (job->stage == JOB_FREE)
        return;
    verify_walk_forget(v, job);
    free(job->path);
    job->path = NULL;
    job->stage = JOB_FREE;
    v->job_count--;
}

/* --- the verdict --- */

static void find_different(struct mig_verify *v, struct verify_job *job, uint32_t server)
{
    char what[MIG_TEXT_MAX];
    struct verify_slot *slot = &job->slots[server];
    verify_describe(&slot->node, &job->slots[MIG_VERIFY_REFERENCE].node, job->is_local, what, sizeof what);
    verify_finding(v, MIG_VERIFY_DIFFERENT, server, job->path, what);
    v->servers[server].different++;
    slot->is_open = false;
}

/* The reference changes while it is compared. Behind a sync a server has what the reference showed before;
 * what it has beyond that, the reference has behind a sync of its own. So in a row of rounds the server is
 * always between the two readings, or it never is. */
static void judge_moving(struct mig_verify *v, struct verify_job *job, uint32_t server)
{
    struct verify_slot *slot = &job->slots[server];
    bool is_within = verify_within(&job->before, &slot->node, &job->slots[MIG_VERIFY_REFERENCE].node,
                                   job->newest_czxid, job->is_local);
    slot->within = is_within ? slot->within + 1 : 0;
    slot->outside = is_within ? 0 : slot->outside + 1;
    if (slot->outside == MOVING_ROUNDS)
        find_different(v, job, server);
    if (slot->within < MOVING_ROUNDS)
        return;
    job->is_moving = true;
    slot->is_open = false;
}

/* See verify.h. Without the second strike a server that has applied a change the reference has only heard of
 * would be taken for different; without the comparison with the previous one, a node that comes and goes. */
static void judge(struct mig_verify *v, struct verify_job *job, uint32_t server)
{
    const struct mig_node *after = &job->slots[MIG_VERIFY_REFERENCE].node;
    struct verify_slot *slot = &job->slots[server];
    if (verify_same(&slot->node, after, job->is_local)) {
        slot->is_open = false;
        return;
    }
    if (!verify_unchanged(&job->before, after)) {
        slot->strikes = 0;
        judge_moving(v, job, server);
        return;
    }
    bool is_stable = slot->strikes > 0 && verify_unchanged(&slot->previous, &slot->node);
    slot->strikes = is_stable ? slot->strikes + 1 : 1;
    slot->previous = slot->node;
    if (slot->strikes >= STRIKES_MAX)
        find_different(v, job, server);
    else if (!is_stable)
        judge_moving(v, job, server); /* the reference may be met at its pauses only */
}

static uint32_t count_open(const struct mig_verify *v, const struct verify_job *job)
{
    uint32_t count = 0;
    for (uint32_t s = 1; s < v->server_count; s++)
        count += verify_takes_part(v, job, s) && job->slots[s].is_open;
    return count;
}

static void give_up_open(struct mig_verify *v, struct verify_job *job)
{
    for (uint32_t s = 1; s < v->server_count; s++) {
        if (!verify_takes_part(v, job, s) || !job->slots[s].is_open)
            continue;
        verify_finding(v, MIG_VERIFY_UNSETTLED, s, job->path, "changed faster than it could be compared");
        job->slots[s].is_open = false;
    }
}

/* --- a node is through --- */

static void note_unreadable(struct mig_verify *v, struct verify_job *job)
{
    bool is_protected = false;
    for (uint32_t s = 0; s < v->server_count; s++) {
        if (!verify_takes_part(v, job, s))
            continue;
        is_protected = is_protected || job->slots[s].node.kind == MIG_NODE_STAT_ONLY;
        if (job->slots[s].node.kind == MIG_NODE_UNREADABLE)
            verify_finding(v, MIG_VERIFY_UNREADABLE, s, job->path, "the server gave no usable answer");
    }
    if (is_protected)
        verify_finding(v, MIG_VERIFY_UNREADABLE, MIG_VERIFY_ALL, job->path,
                       "its ACL keeps zkferry out: Stat was compared, data, ACL and children were not");
}

static void count_compared(struct mig_verify *v, const struct verify_job *job)
{
    v->report.compared++;
    v->report.rechecked += job->rounds > 0;
    v->report.moving += job->is_moving;
    for (uint32_t s = 0; s < v->server_count; s++)
        v->servers[s].compared += verify_takes_part(v, job, s);
}

/* Those that have the node; below one that is missing nothing is compared, it would all be missing. */
static uint32_t those_with_node(const struct mig_verify *v, const struct verify_job *job)
{
    uint32_t servers = 0;
    for (uint32_t s = 0; s < v->server_count; s++)
        if (verify_takes_part(v, job, s) && job->slots[s].node.kind == MIG_NODE_PRESENT)
            servers |= verify_bit(s);
    bool has_reference = (servers & verify_bit(MIG_VERIFY_REFERENCE)) != 0;
    bool has_other = (servers & ~verify_bit(MIG_VERIFY_REFERENCE)) != 0;
    return has_reference && has_other ? servers : 0;
}

static void finish_node(struct mig_verify *v, struct verify_job *job, int64_t now_ms)
{
    note_unreadable(v, job);
    count_compared(v, job);
    job->servers = those_with_node(v, job);
    job->stage = JOB_CHILDREN;
    for (uint32_t s = 0; s < v->server_count; s++)
        if (verify_takes_part(v, job, s) && job->slots[s].node.stat.numChildren > 0)
            want(job, s, MIG_VERIFY_CHILDREN);
    if (job->waiting == 0)
        verify_job_advance(v, job, now_ms);
}

static void pause_or_finish(struct mig_verify *v, struct verify_job *job, int64_t now_ms)
{
    if (job->rounds == ROUNDS_MAX)
        give_up_open(v, job);
    job->before = job->slots[MIG_VERIFY_REFERENCE].node;
    if (job->before.kind == MIG_NODE_PRESENT && job->before.stat.czxid > job->newest_czxid)
        job->newest_czxid = job->before.stat.czxid;
    if (count_open(v, job) == 0) {
        finish_node(v, job, now_ms);
        return;
    }
    pause_job(job, now_ms);
    job->rounds++;
}

static void compare_first(struct mig_verify *v, struct verify_job *job)
{
    const struct mig_node *reference = &job->slots[MIG_VERIFY_REFERENCE].node;
    for (uint32_t s = 1; s < v->server_count; s++)
        job->slots[s].is_open =
            verify_takes_part(v, job, s) && !verify_same(&job->slots[s].node, reference, job->is_local);
}

void verify_job_advance(struct mig_verify *v, struct verify_job *job, int64_t now_ms)
{
    ASSERT(job->waiting == 0);
    switch (job->stage) {
    case JOB_FIRST:
        compare_first(v, job);
        pause_or_finish(v, job, now_ms);
        return;
    case JOB_SERVERS:
        ask_reference(job);
        return;
    case JOB_REFERENCE:
        for (uint32_t s = 1; s < v->server_count; s++)
            if (verify_takes_part(v, job, s) && job->slots[s].is_open)
                judge(v, job, s);
        pause_or_finish(v, job, now_ms);
        return;
    case JOB_CHILDREN:
        verify_walk_open(v, job, job->servers);
        verify_job_drop(v, job);
        return;
    case JOB_FREE:
    case JOB_PAUSED:
        return; /* nothing is waited for */
    }
}
