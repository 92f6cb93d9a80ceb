/* See doubt.h. */
#include "migrate/engine/doubt.h"

#include <string.h>

#include "migrate/text.h"

#define FIRST_WITH_DIGESTS 3006000 /* 3.6.0, as zkp_version_number has it */

int64_t mig_doubt_count(const struct mig_server_facts *server)
{
    return server->mntr_seen == MIG_SEEN_DATA ? server->mntr.digest_mismatches : -1;
}

/* It follows, or runs, since a moment after that comparison: what it counted before is gone. An uptime is
 * taken after the question for it was sent, so this errs towards "the same". */
static bool is_new_since(const struct mig_server_facts *server, int64_t asked_ms)
{
    bool has_uptime = server->mntr_seen == MIG_SEEN_DATA && server->mntr.uptime_ms >= 0;
    return server->gone_at_ms > asked_ms ||
           (has_uptime && server->mntr_at_ms - server->mntr.uptime_ms > asked_ms);
}

const struct mig_doubt *mig_doubt_find(const struct mig_doubts *doubts, int32_t id)
{
    for (uint32_t i = 0; i < MIG_SERVERS_MAX; i++)
        if (doubts->items[i].is_used && doubts->items[i].id == id)
            return &doubts->items[i];
    return NULL;
}

static uint32_t free_place(const struct mig_doubts *doubts)
{
    uint32_t i = 0;
    while (i < MIG_SERVERS_MAX && doubts->items[i].is_used)
        i++;
    return i;
}

/* What it said before it went away, or before it served, says nothing about it now. */
static bool is_unseen(const struct mig_server_facts *server)
{
    return server->mntr_seen == MIG_SEEN_UNKNOWN || server->mntr_at_ms <= server->gone_at_ms ||
           server->mntr_at_ms < server->health_since_ms;
}

/* Before anything was compared. */
static enum mig_doubt_state first_state(const struct mig_server_facts *server)
{
    int64_t count = mig_doubt_count(server);
    if (is_unseen(server))
        return MIG_DOUBT_UNSEEN;
    if (count >= 0)
        return count == 0 ? MIG_DOUBT_NONE : MIG_DOUBT_OPEN;
    int64_t version = zkp_version_number(server->srvr.version);
    return version >= 0 && version < FIRST_WITH_DIGESTS ? MIG_DOUBT_NONE : MIG_DOUBT_OPEN;
}

static bool is_bad(enum mig_doubt_state verdict)
{
    return verdict == MIG_DOUBT_DIFFERENT || verdict == MIG_DOUBT_NOT_COMPARED;
}

enum mig_doubt_state mig_doubt_of(const struct mig_doubts *doubts, const struct mig_server_facts *server)
{
    const struct mig_doubt *doubt = mig_doubt_find(doubts, server->id);
    if (doubt == NULL)
        return first_state(server);
    if (is_unseen(server))
        return is_bad(doubt->verdict) ? doubt->verdict : MIG_DOUBT_UNSEEN;
    if (is_new_since(server, doubt->asked_ms)) /* a tree that differed is not equal by a restart */
        return is_bad(doubt->verdict) ? MIG_DOUBT_OPEN : first_state(server);
    if (doubt->count >= 0 && mig_doubt_count(server) > doubt->count)
        return doubt->has_grown ? MIG_DOUBT_GROWS : MIG_DOUBT_OPEN;
    return doubt->verdict;
}

struct mig_doubt *mig_doubt_begin(struct mig_doubts *doubts, const struct mig_server_facts *server,
                                  int64_t now_ms)
{
    const struct mig_doubt *before = mig_doubt_find(doubts, server->id);
    uint32_t place = before != NULL ? (uint32_t)(before - doubts->items) : free_place(doubts);
    if (place == MIG_SERVERS_MAX)
        return NULL;
    int64_t count = mig_doubt_count(server);
    bool has_grown = before != NULL && !is_new_since(server, before->asked_ms) &&
                     (before->has_grown || (before->count >= 0 && count > before->count));
    struct mig_doubt *doubt = &doubts->items[place];
    *doubt = (struct mig_doubt){.is_used = true,
                                .id = server->id,
                                .verdict = MIG_DOUBT_OPEN,
                                .count = count,
                                .asked_ms = now_ms,
                                .has_grown = has_grown};
    return doubt;
}

void mig_doubt_describe(const struct mig_server_facts *server, char *buf, uint32_t capacity)
{
    int64_t count = mig_doubt_count(server);
    if (count >= 0)
        mig_text_set(buf, capacity, "%lld digest mismatches since its start", (long long)count);
    else
        mig_text_set(buf, capacity, "its count of digest mismatches is not shown");
}
