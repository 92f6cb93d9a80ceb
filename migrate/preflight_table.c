/* Look-ups in the table of rules, and what is not in it: see preflight_table.h. */
#include "migrate/preflight_table.h"

#include <string.h>

#define SEVERITY_REFUSE MIG_BLOCK
#define SEVERITY_BLOCK  MIG_BLOCK
#define SEVERITY_WARN   MIG_WARN
#define SEVERITY_INFO   MIG_INFO
#define ACCEPT_REFUSE   false
#define ACCEPT_BLOCK    true
#define ACCEPT_WARN     false
#define ACCEPT_INFO     false

static const struct mig_rule_row rows[MIG_RULE_COUNT] = {
#define RULE_ROW(id, name, pitfalls, weight, why, todo)                                                      \
    [MIG_RULE_##id] = {name, pitfalls, SEVERITY_##weight, ACCEPT_##weight, why, todo},
    MIG_RULES(RULE_ROW)
#undef RULE_ROW
};

const struct mig_pitfall_elsewhere mig_pitfalls_elsewhere[] = {
    {"P4", "joining: a joiner that vanished is named, with what to restore"},
    {"P14", "finish: removed servers are listed, to be stopped then"},
    {"P30", "routing: a session only goes where the zxid it has seen is"},
    {"P32", "moves and holds: nothing is outstanding when a session changes servers"},
    {"P33", "moves: the session core keeps every watch and re-arms it"},
    {"P34", "moves: digests are given again in order; SASL and certificates are returned instead"},
    {"P39", "zkproto: bounded reads, fuzzed; opaque unknown opcodes; one queue for control requests"},
    {"P44", "switch: a paced move with jitter, and a window that pauses the plan"},
    {NULL, NULL},
};

const struct mig_rule_row *mig_rule_row(enum mig_rule rule)
{
    return &rows[rule];
}

bool mig_pitfalls_name(const char *pitfalls, const char *pitfall)
{
    size_t length = strlen(pitfall);
    for (const char *at = pitfalls; length > 0 && (at = strstr(at, pitfall)) != NULL; at += length) {
        bool begins = at == pitfalls || at[-1] == ' ';
        if (begins && (at[length] == '\0' || at[length] == ' '))
            return true;
    }
    return false;
}

bool mig_rule_is_about(const char *rule_name, const char *pitfall)
{
    for (uint32_t i = 0; i < MIG_RULE_COUNT; i++)
        if (strcmp(rows[i].name, rule_name) == 0)
            return mig_pitfalls_name(rows[i].pitfalls, pitfall);
    return false;
}
