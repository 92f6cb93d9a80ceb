/* See verify_counts.h. */
#include "migrate/verify/verify_counts.h"

#include <inttypes.h>
#include <string.h>

#include "migrate/text.h"

#define STAGE_TIMEOUT_MS 6000 /* longer than a probe may take */
/* Counts may leave the bracket and come back between two looks, and a server may be behind for a while: the
 * pauses between the looks double, to 2.5 s in all. */
#define ROUNDS_MAX     8u
#define FIRST_PAUSE_MS 20

void mig_counts_start(struct mig_counts *c, int32_t reference, const int32_t *ids, uint32_t count)
{
    *c = (struct mig_counts){.reference = reference, .count = count};
    for (uint32_t i = 0; i < count; i++)
        c->servers[i].id = ids[i];
}

/* Answers to questions that were sent after the stage began. */
static const struct mig_mntr *fresh(const struct mig_counts *c, const struct mig_facts *facts, int32_t id)
{
    const struct mig_server_facts *server = mig_facts_server(facts, id);
    bool is_fresh = server && server->mntr_seen == MIG_SEEN_DATA && server->mntr_at_ms >= c->asked_ms;
    return is_fresh ? &server->mntr : NULL;
}

/* No answer will come, or none that helps. */
static bool is_hopeless(const struct mig_counts *c, const struct mig_facts *facts, int32_t id)
{
    const struct mig_server_facts *server = mig_facts_server(facts, id);
    return !server || server->mntr_seen == MIG_SEEN_NOT_ALLOWED || server->health == MIG_HEALTH_DOWN ||
           facts->now_ms - c->asked_ms > STAGE_TIMEOUT_MS;
}

static void enter(struct mig_counts *c, enum mig_counts_stage stage)
{
    c->stage = stage;
    c->has_asked = false;
}

static void end_unknown(struct mig_counts *c)
{
    for (uint32_t i = 0; i < c->count; i++) {
        c->servers[i].verdict = MIG_COUNTS_UNKNOWN;
        mig_text_set(c->servers[i].text, sizeof c->servers[i].text, "the leader's mntr can't be read");
    }
    enter(c, MIG_COUNTS_DONE);
}

/* True: it is there. */
static bool take_reference(struct mig_counts *c, const struct mig_facts *facts, struct mig_mntr *ret_mntr)
{
    const struct mig_mntr *mntr = fresh(c, facts, c->reference);
    if (mntr)
        *ret_mntr = *mntr;
    else if (is_hopeless(c, facts, c->reference))
        end_unknown(c);
    return mntr != NULL;
}

static void take_servers(struct mig_counts *c, const struct mig_facts *facts)
{
    bool is_waiting = false;
    for (uint32_t i = 0; i < c->count; i++) {
        struct mig_counts_server *server = &c->servers[i];
        const struct mig_mntr *mntr = fresh(c, facts, server->id);
        server->is_seen = mntr != NULL;
        if (mntr)
            server->mntr = *mntr;
        is_waiting = is_waiting || (!mntr && !is_hopeless(c, facts, server->id));
    }
    if (!is_waiting)
        enter(c, MIG_COUNTS_AFTER);
}

/* A number that is not there is not the same number. */
static void not_compared(struct mig_counts_server *server, const char *name, const char *who)
{
    if (server->verdict == MIG_COUNTS_DIFFERENT)
        return;
    server->verdict = MIG_COUNTS_UNKNOWN;
    mig_text_add(server->text, sizeof server->text, "%s%s does not say how many %s it has",
                 server->text[0] ? "; " : "", who, name);
}

static void compare_count(struct mig_counts_server *server, const char *name, int64_t value, int64_t before,
                          int64_t after)
{
    int64_t least = before < after ? before : after;
    int64_t most = before < after ? after : before;
    if (value < 0 || least < 0) {
        not_compared(server, name, value < 0 ? "it" : "the leader");
        return;
    }
    if (value >= least && value <= most)
        return;
    if (server->verdict == MIG_COUNTS_UNKNOWN)
        server->text[0] = '\0'; /* a difference that was seen says more */
    server->verdict = MIG_COUNTS_DIFFERENT;
    mig_text_add(server->text, sizeof server->text, "%s%" PRId64 " %s, on the leader ",
                 server->text[0] ? "; " : "", value, name);
    if (least == most)
        mig_text_add(server->text, sizeof server->text, "%" PRId64, least);
    else
        mig_text_add(server->text, sizeof server->text, "%" PRId64 " to %" PRId64, least, most);
}

static void compare(struct mig_counts *c, struct mig_counts_server *server)
{
    server->text[0] = '\0';
    server->verdict = server->is_seen ? MIG_COUNTS_EQUAL : MIG_COUNTS_UNKNOWN;
    if (!server->is_seen) {
        mig_text_set(server->text, sizeof server->text, "its mntr can't be read");
        return;
    }
#define COMPARE(field, name) compare_count(server, name, server->mntr.field, c->before.field, c->after.field);
    MIG_COUNTS(COMPARE)
#undef COMPARE
}

static void look_again(struct mig_counts *c, int64_t now_ms)
{
    c->next_look_ms = now_ms + (FIRST_PAUSE_MS << (c->rounds - 1));
    enter(c, MIG_COUNTS_SERVERS);
}

static void judge(struct mig_counts *c, const struct mig_facts *facts)
{
    bool is_different = false;
    for (uint32_t i = 0; i < c->count; i++) {
        compare(c, &c->servers[i]);
        is_different = is_different || c->servers[i].verdict == MIG_COUNTS_DIFFERENT;
    }
    c->before = c->after;
    if (is_different && ++c->rounds < ROUNDS_MAX)
        look_again(c, facts->now_ms);
    else
        enter(c, MIG_COUNTS_DONE);
}

bool mig_counts_step(struct mig_counts *c, const struct mig_facts *facts)
{
    if (facts->now_ms < c->next_look_ms)
        return false;
    if (c->stage != MIG_COUNTS_DONE && !c->has_asked) {
        c->has_asked = true;
        c->asked_ms = facts->now_ms;
        return true;
    }
    switch (c->stage) {
    case MIG_COUNTS_BEFORE:
        if (take_reference(c, facts, &c->before))
            enter(c, MIG_COUNTS_SERVERS);
        break;
    case MIG_COUNTS_SERVERS:
        take_servers(c, facts);
        break;
    case MIG_COUNTS_AFTER:
        if (take_reference(c, facts, &c->after))
            judge(c, facts);
        break;
    case MIG_COUNTS_DONE:
        break;
    }
    return false;
}
