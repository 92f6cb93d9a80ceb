/* Look-ups in the table of rules, and what is not in it: see preflight_table.h. */
#include "migrate/preflight/preflight_table.h"

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

/* "server-down-2" -> the length of "server-down"; without an id all of it. */
static size_t length_without_id(const char *name)
{
    size_t length = strlen(name);
    size_t digits = strspn(strrchr(name, '-') != NULL ? strrchr(name, '-') + 1 : "", "0123456789");
    bool has_id = digits > 0 && digits < length && name[length - digits - 1] == '-';
    return has_id ? length - digits - 1 : length;
}

bool mig_accept_is_known(const char *name)
{
    static const char *const of_gates[] = {"stragglers", "data-not-compared"};
    size_t length = length_without_id(name);
    for (uint32_t i = 0; i < sizeof(of_gates) / sizeof(of_gates[0]); i++)
        if (strlen(of_gates[i]) == length && strncmp(of_gates[i], name, length) == 0)
            return true;
    for (uint32_t i = 0; i < MIG_RULE_COUNT; i++) {
        bool is_rule = strlen(rows[i].name) == length && strncmp(rows[i].name, name, length) == 0;
        if (is_rule || (strchr(name, ' ') == NULL && mig_pitfalls_name(rows[i].pitfalls, name)))
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
