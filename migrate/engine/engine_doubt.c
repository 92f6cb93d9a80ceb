/* Counted digest mismatches are looked into (doubt.h): that server's nodes are compared with the leader's,
 * one server at a time. Of members before the plan begins: a difference is a finding that blocks. Of a
 * joiner, and of a server that comes back, before it is to vote: the plan waits until it is in order, and
 * never fails by it. Nothing is journaled: what a former process saw is observed again. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

#define TRIES_MAX  3u
#define RECHECK_MS 10000 /* a joiner that could not be compared */
#define RATE_MS    2000  /* of writing is taken over so long */
#define REBUILD_TODO                                                                                         \
    "rebuild it: stop it, empty its dataDir and dataLogDir except for myid, start it with the files of "     \
    "`zkferry joiner-config ID`"

void doubt_forget(struct mig_engine *e)
{
    memset(&e->doubting, 0, sizeof(e->doubting));
    memset(&e->probes.doubts, 0, sizeof(e->probes.doubts));
}

void doubt_absorb(struct mig_engine *e, const struct mig_facts *f, const struct mig_event *event)
{
    struct doubting *now = &e->doubting;
    if (now->seq == 0 || now->seq != event->seq)
        return;
    now->seq = 0;
    now->retry_at_ms = f->now_ms + RETRY_MS;
    const struct mig_doubt *found = mig_doubt_find(&e->probes.doubts, now->server);
    if (found == NULL)
        return;
    struct mig_doubt *doubt = &e->probes.doubts.items[found - e->probes.doubts.items];
    mig_text_set(doubt->text, sizeof(doubt->text), "%s", event->text);
    now->failures += event->rc != RC_OK && event->rc != RC_REFUSED;
    if (event->rc == RC_OK)
        doubt->verdict = MIG_DOUBT_EQUAL;
    else if (event->rc == RC_REFUSED)
        doubt->verdict = MIG_DOUBT_DIFFERENT;
    else if (event->rc != RC_AGAIN && now->failures >= TRIES_MAX)
        doubt->verdict = MIG_DOUBT_NOT_COMPARED;
    if (doubt->verdict != MIG_DOUBT_OPEN)
        now->failures = 0;
    if (doubt->verdict == MIG_DOUBT_NOT_COMPARED)
        now->retry_at_ms = f->now_ms + RECHECK_MS;
}

/* With whom: a doubt about the leader is one about everybody who is compared with it. */
static void choose(const struct run *r, int32_t id, struct mig_ids *ret_ids)
{
    ret_ids->count = 0;
    for (uint32_t i = 0; i < r->f->server_count; i++) {
        const struct mig_server_facts *server = &r->f->servers[i];
        bool is_meant = id == r->leader.id ? r->config != NULL && server->id != id &&
                                                 zkp_config_find(r->config, server->id) != NULL
                                           : server->id == id;
        if (is_meant && server_is_synced(r->f, server->id, &r->leader))
            ret_ids->ids[ret_ids->count++] = server->id;
    }
}

static void ask(struct run *r, const struct mig_server_facts *server)
{
    struct doubting *now = &r->e->doubting;
    struct mig_ids ids;
    choose(r, server->id, &ids);
    struct mig_doubt *doubt = mig_doubt_begin(&r->e->probes.doubts, server, r->f->now_ms);
    if (doubt == NULL)
        return;
    if (ids.count == 0) {
        doubt->verdict = MIG_DOUBT_NOT_COMPARED;
        mig_text_set(doubt->text, sizeof(doubt->text), "no other synced server is there to compare it with");
        now->retry_at_ms = r->f->now_ms + RECHECK_MS;
        return;
    }
    if (now->server != server->id)
        now->failures = 0;
    struct mig_effect *effect = run_tell(r, MIG_EFFECT_VERIFY);
    effect->compare = ids;
    effect->is_full = true;
    now->seq = effect->seq;
    now->server = server->id;
}

/* Begins what is not under way. */
static void look_into(struct run *r, const struct mig_server_facts *server)
{
    bool is_due =
        r->e->doubting.seq == 0 && r->e->data.seq == 0 && r->f->now_ms >= r->e->doubting.retry_at_ms;
    if (is_due && r->leader.id >= 0)
        ask(r, server);
}

static void say(struct run *r, const struct mig_server_facts *server, enum mig_doubt_state state)
{
    const struct mig_doubt *doubt = mig_doubt_find(&r->e->probes.doubts, server->id);
    const char *text = doubt != NULL ? doubt->text : "";
    char seen[64];
    mig_doubt_describe(server, seen, sizeof(seen));
    if (state == MIG_DOUBT_UNSEEN)
        run_wait(r, "see that it answers `mntr`",
                 "server %d to show how many digest mismatches it has counted", server->id);
    else if (state == MIG_DOUBT_DIFFERENT)
        run_wait(r, REBUILD_TODO,
                 "server %d to be rebuilt: %s, and its data differs from the leader's: %.300s", server->id,
                 seen, text);
    else if (state == MIG_DOUBT_GROWS)
        run_wait(r, REBUILD_TODO, "server %d to be rebuilt: %s, and there are more of them while it follows",
                 server->id, seen);
    else
        run_wait(r, "`zkferry verify --watch` shows how far it is",
                 "the nodes of server %d to be compared with the leader's: %s%s%.200s", server->id, seen,
                 text[0] != '\0' ? "; " : "", text);
}

static bool is_accepted(const struct run *r, int32_t id)
{
    char finding[MIG_FINDING_ID_MAX];
    mig_text_set(finding, sizeof(finding), "digest-mismatch-%d", id);
    return mig_plan_accepts(&r->e->plan, "digest-mismatch", finding);
}

bool gate_doubt(struct run *r, int32_t id)
{
    const struct mig_server_facts *server = mig_facts_server(r->f, id);
    if (server == NULL || r->e->switches.no_data_gate)
        return true;
    enum mig_doubt_state state = mig_doubt_of(&r->e->probes.doubts, server);
    if (state == MIG_DOUBT_NONE || state == MIG_DOUBT_EQUAL)
        return true;
    if (state == MIG_DOUBT_OPEN || state == MIG_DOUBT_NOT_COMPARED)
        look_into(r, server);
    else if (is_accepted(r, id) && state != MIG_DOUBT_UNSEEN)
        return true;
    if (state == MIG_DOUBT_NOT_COMPARED && is_accepted(r, id))
        return true;
    say(r, server, state);
    run_reprobe(r, MIG_PROBE_SRVR | MIG_PROBE_MNTR);
    r->e->due_from_ms = r->f->now_ms; /* as long as the tree is big, or somebody needs to rebuild it */
    return false;
}

/* Targets that are no members yet are looked at when they are to be. */
static bool is_member(const struct run *r, const struct mig_server_facts *server)
{
    return server->side == MIG_SIDE_SOURCE ||
           (r->config != NULL && zkp_config_find(r->config, server->id) != NULL);
}

bool doubt_settles_members(struct run *r)
{
    for (uint32_t i = 0; i < r->f->server_count && !r->e->switches.no_data_gate; i++) {
        const struct mig_server_facts *server = &r->f->servers[i];
        bool is_asked = server->health == MIG_HEALTH_SERVING && is_member(r, server) && r->leader.id >= 0;
        enum mig_doubt_state state = mig_doubt_of(&r->e->probes.doubts, server);
        if (!is_asked || state != MIG_DOUBT_OPEN || mig_doubt_count(server) < 0)
            continue;
        look_into(r, server);
        if (mig_doubt_of(&r->e->probes.doubts, server) != MIG_DOUBT_OPEN)
            continue;
        say(r, server, state);
        r->e->due_from_ms = r->f->now_ms;
        return false;
    }
    return true;
}

void doubt_watch_writes(struct run *r)
{
    struct mig_engine *e = r->e;
    struct write_rate *rate = &e->rate;
    int64_t took_ms = r->leader.observed_at_ms - rate->at_ms;
    if (mig_phase_is_running(e->phase) || e->wants_probes) /* a survey's sessions, the harmless reconfig */
        *rate = (struct write_rate){.ours_until_ms = r->f->now_ms + RATE_MS};
    bool is_mixed = r->leader.observed_at_ms < rate->ours_until_ms;
    if (is_mixed || r->leader.id < 0 || (rate->at_ms != 0 && took_ms < RATE_MS))
        return;
    bool is_same_epoch = mig_zxid_epoch(rate->zxid) == mig_zxid_epoch(r->leader.zxid);
    if (rate->at_ms != 0 && is_same_epoch)
        e->probes.writes_per_s = (r->leader.zxid - rate->zxid) * 1000 / took_ms;
    *rate = (struct write_rate){.at_ms = r->leader.observed_at_ms, .zxid = r->leader.zxid};
}
