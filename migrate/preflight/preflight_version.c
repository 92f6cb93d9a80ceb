/* The one table of versions: what is known to go wrong in them (facts/field.md, by ZooKeeper's issue
 * numbers). A fault that was fixed in several branches has a row per branch. */
#include <string.h>

#include "migrate/preflight/preflight_int.h"
#include "migrate/text.h"

#define ALWAYS     VERSION(0, 0, 0)
#define FIXED_4394 VERSION(3, 9, 3)

/* Versions from `from` up to, but not including, `fixed`. */
static const struct {
    int64_t from;
    int64_t fixed;
    enum mig_rule rule;
    const char *pitfall;
    const char *fault;
} faults[] = {
    {ALWAYS, VERSION(3, 5, 0), MIG_RULE_VERSION_REFUSED, "P21",
     "knows no reconfig; the way up is 3.4.6 or later, then 3.5.9, with snapshot.trust.empty=true for one "
     "start only (3056)"},
    {VERSION(3, 5, 0), VERSION(3, 5, 1), MIG_RULE_VERSION_REFUSED, "P5",
     "an observer may stay one although it was made a participant (2212)"},
    {VERSION(3, 5, 0), VERSION(3, 5, 5), MIG_RULE_VERSION_REFUSED, "P17",
     "reconfig can crash or deadlock (2172, 2080, 2778)"},
    {VERSION(3, 5, 5), VERSION(3, 5, 6), MIG_RULE_VERSION_OLD, "P21",
     "after 3.4 it starts with snapshot.trust.empty=true only (3056)"},
    {VERSION(3, 5, 5), VERSION(3, 5, 7), MIG_RULE_VERSION_OLD, "P21",
     "data may be lost with snapshot.trust.empty=true (3644)"},
    {VERSION(3, 5, 5), VERSION(3, 5, 8), MIG_RULE_VERSION_OLD, "P17 P23",
     "elections fail, wildcard addresses cannot rejoin (3769, 2164)"},
    {VERSION(3, 6, 0), VERSION(3, 6, 1), MIG_RULE_VERSION_OLD, "P17 P23",
     "elections fail, wildcard addresses cannot rejoin (3769, 2164)"},
    {VERSION(3, 5, 5), VERSION(3, 5, 9), MIG_RULE_VERSION_OLD, "P16 P18",
     "a leader that cannot commit after a change of members, learners that lose data (3829, 3911)"},
    {VERSION(3, 6, 0), VERSION(3, 6, 2), MIG_RULE_VERSION_OLD, "P16",
     "a leader that cannot commit after a change of members (3829, 3830, 3814)"},
    {VERSION(3, 5, 5), VERSION(3, 6, 0), MIG_RULE_VERSION_OLD, "P17",
     "the client port may stay unbound after a reconfig (2847, 3540)"},
    {VERSION(3, 5, 5), VERSION(3, 5, 10), MIG_RULE_VERSION_OLD, "P18", "a learner can lose data (3642)"},
    {VERSION(3, 6, 0), VERSION(3, 6, 3), MIG_RULE_VERSION_OLD, "P18", "a learner can lose data (3642, 3911)"},
    {VERSION(3, 5, 5), VERSION(3, 8, 5), MIG_RULE_VERSION_OLD, "P18",
     "a learner synced by DIFF can lose transactions (4785)"},
    {VERSION(3, 9, 0), VERSION(3, 9, 2), MIG_RULE_VERSION_OLD, "P18",
     "a learner synced by DIFF can lose transactions (4785)"},
    {VERSION(3, 5, 5), VERSION(3, 9, 3), MIG_RULE_VERSION_OLD, "P18",
     "a learner can keep ephemerals of dead sessions (4394, 4541, 4712)"},
    {VERSION(3, 5, 5), VERSION(3, 6, 0), MIG_RULE_VERSION_NOTE, "P2", "mntr does not count synced joiners"},
    {VERSION(3, 5, 5), VERSION(3, 6, 0), MIG_RULE_VERSION_NOTE, "P31",
     "SESSIONMOVED stays for a client of multi only (2886)"},
    {VERSION(3, 5, 5), VERSION(3, 6, 3), MIG_RULE_VERSION_NOTE, "P26",
     "a changed address behind a name is not noticed (3991)"},
    {VERSION(3, 5, 5), VERSION(3, 8, 4), MIG_RULE_VERSION_NOTE, "P26",
     "a name that could not be resolved once is not asked again (4728)"},
    {VERSION(3, 9, 0), VERSION(3, 9, 2), MIG_RULE_VERSION_NOTE, "P26",
     "a name that could not be resolved once is not asked again (4728)"},
    {VERSION(3, 5, 5), VERSION(3, 8, 5), MIG_RULE_VERSION_NOTE, "P17 P18 P27",
     "JDKs of other charsets cannot join (4787), observers with a small myid neither (4886); a bare check "
     "corrupts data, the proxy refuses it (2623)"},
    {VERSION(3, 9, 0), VERSION(3, 9, 4), MIG_RULE_VERSION_NOTE, "P17 P27",
     "JDKs of other charsets cannot join (4787), observers with a small myid neither (4886)"},
    {VERSION(3, 9, 0), VERSION(3, 9, 3), MIG_RULE_VERSION_NOTE, "P18 P37",
     "a bare check corrupts data (2623), old clients break on the read-only byte (4814); the proxy deals "
     "with both"},
    {VERSION(3, 6, 0), VERSION(3, 8, 5), MIG_RULE_VERSION_NOTE, "P42",
     "the connection throttle overflows (4933)"},
    {VERSION(3, 9, 0), VERSION(3, 9, 4), MIG_RULE_VERSION_NOTE, "P42",
     "the connection throttle overflows (4933)"},
};
#define FAULTS (sizeof(faults) / sizeof(faults[0]))

/* Each of "P17 P18" that is not there yet. */
static void add_pitfalls(char *buf, uint32_t capacity, const char *pitfalls)
{
    while (*pitfalls != '\0') {
        size_t length = strcspn(pitfalls, " ");
        char pitfall[8];
        mig_text_set(pitfall, sizeof(pitfall), "%.*s", (int)length, pitfalls);
        if (!mig_pitfalls_name(buf, pitfall))
            mig_text_add(buf, capacity, "%s%s", buf[0] == '\0' ? "" : " ", pitfall);
        pitfalls += length + strspn(pitfalls + length, " ");
    }
}

/* All faults of one weight in one finding. */
static void add_faults(struct rules *r, const struct mig_server_facts *server, int64_t version,
                       enum mig_rule rule)
{
    char text[MIG_TEXT_MAX] = "";
    char pitfalls[MIG_PITFALLS_MAX] = "";
    for (uint32_t i = 0; i < FAULTS; i++) {
        if (faults[i].rule != rule || version < faults[i].from || version >= faults[i].fixed)
            continue;
        mig_text_add(text, sizeof(text), "%s%s", text[0] == '\0' ? "" : "; ", faults[i].fault);
        add_pitfalls(pitfalls, sizeof(pitfalls), faults[i].pitfall);
    }
    if (text[0] != '\0')
        rules_add_about(r, rule, server->id, pitfalls, "version %s: %.440s", server->srvr.version, text);
}

void rules_version(struct rules *r, const struct mig_server_facts *server)
{
    int64_t version = zkp_version_number(server->srvr.version);
    if (server->srvr.is_keeper) {
        rules_add(r, MIG_RULE_FOREIGN_KEEPER, server->id, "ClickHouse Keeper %s", server->srvr.version);
    } else if (version < 0) {
        rules_add(r, MIG_RULE_VERSION_UNKNOWN, server->id, "version \"%s\"", server->srvr.version);
    } else {
        add_faults(r, server, version, MIG_RULE_VERSION_REFUSED);
        add_faults(r, server, version, MIG_RULE_VERSION_OLD);
        add_faults(r, server, version, MIG_RULE_VERSION_NOTE);
    }
}

/* The first server on this side of 3.6 that has told its version; NULL = none. */
static const struct mig_server_facts *first_of(const struct mig_facts *facts, bool is_older)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        int64_t version = server->srvr_at_ms > 0 ? zkp_version_number(server->srvr.version) : -1;
        if (version >= 0 && (version < VERSION(3, 6, 0)) == is_older)
            return server;
    }
    return NULL;
}

void rules_versions(struct rules *r)
{
    const struct mig_server_facts *older = first_of(r->facts, true);
    const struct mig_server_facts *newer = first_of(r->facts, false);
    if (older != NULL && newer != NULL)
        rules_add(r, MIG_RULE_VERSIONS_MIXED, -1, "server %d has %s, server %d has %s", older->id,
                  older->srvr.version, newer->id, newer->srvr.version);
}

bool rules_has_older(const struct rules *r)
{
    return first_of(r->facts, true) != NULL;
}

/* What a target will run is known when it answers; until then the leader's version has to do. */
static void check_join(struct rules *r, const struct mig_server_facts *target)
{
    const struct mig_server_facts *leader = mig_facts_server(r->facts, r->leader.id);
    bool is_told = target->health == MIG_HEALTH_SERVING && target->srvr_at_ms > 0;
    const char *text = is_told ? target->srvr.version : leader != NULL ? leader->srvr.version : "";
    int64_t version = zkp_version_number(text);
    bool is_member = r->facts->config != NULL && zkp_config_find(r->facts->config, target->id) != NULL;
    if (target->side != MIG_SIDE_TARGET || is_member || version < 0 || version >= FIXED_4394)
        return;
    rules_add(r, MIG_RULE_JOIN_UNDER_WRITES, target->id, "%s %s, %lld transactions per second",
              is_told ? "version" : "has not told its version, the leader's is", text,
              (long long)r->probes->writes_per_s);
}

void rules_join(struct rules *r)
{
    if (r->probes->writes_per_s < 1 || r->plan->prove_joiners)
        return;
    for (uint32_t i = 0; i < r->facts->server_count; i++)
        check_join(r, &r->facts->servers[i]);
}
