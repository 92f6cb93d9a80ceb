/* See log_limit.h. */
#include "proxy/log_limit.h"

#include <stddef.h>
#include <string.h>

#define LINE_MILLI 1000
#define QUIET_MS   5000 /* then what was left out is told without waiting for the next line */

bool px_log_limit_exempts(const char *event)
{
    static const char *const prefixes[] = {"admin.", "audit.", "hook.", "log.",
                                           "plan.",  "ready",  "stop.", "witness."};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(event, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static uint32_t hash_of(const char *event, const char *source)
{
    uint32_t hash = 2166136261u ^ (uint32_t)((uintptr_t)event >> 3);

    for (; *source != '\0'; source++)
        hash = (hash ^ (uint8_t)*source) * 16777619u;
    return hash ^ hash >> 15;
}

/* Takes a free row; without one `victim`, which takes its count along: the metric has it. */
static struct px_log_limit_row *row_new(struct px_log_limit_row *victim, const char *event,
                                        const char *source, int32_t burst)
{
    *victim = (struct px_log_limit_row){.event = event, .tokens_milli = burst * LINE_MILLI};
    memcpy(victim->source, source, strnlen(source, PX_LOG_SOURCE_MAX - 1));
    return victim;
}

static struct px_log_limit_row *source_row(struct px_log_limit *limit, const char *event, const char *source)
{
    uint32_t at = hash_of(event, source);
    struct px_log_limit_row *victim = NULL;

    for (uint32_t i = 0; i < PX_LOG_LIMIT_PROBES; i++) {
        struct px_log_limit_row *row = &limit->rows[(at + i) % PX_LOG_LIMIT_ROWS];
        if (row->event == event && strcmp(row->source, source) == 0)
            return row;
        if (victim == NULL || (victim->event != NULL && (row->event == NULL || row->at_ms < victim->at_ms)))
            victim = row;
    }
    return row_new(victim, event, source, PX_LOG_SOURCE_BURST);
}

/* One too many kinds share the last row. */
static struct px_log_limit_row *kind_row(struct px_log_limit *limit, const char *event)
{
    uint32_t at = 0;

    while (at < PX_LOG_LIMIT_KINDS - 1 && limit->kinds[at].event != NULL && limit->kinds[at].event != event)
        at++;
    if (limit->kinds[at].event == NULL)
        (void)row_new(&limit->kinds[at], event, "", PX_LOG_EVENT_BURST);
    return &limit->kinds[at];
}

static void fill(struct px_log_limit_row *row, int32_t burst, int32_t rate, int64_t now_ms)
{
    int64_t tokens = row->tokens_milli;

    if (row->at_ms != 0 && now_ms > row->at_ms)
        tokens += (now_ms - row->at_ms) * rate;
    row->tokens_milli = tokens > burst * LINE_MILLI ? burst * LINE_MILLI : (int32_t)tokens;
    row->at_ms = now_ms;
}

static bool take(struct px_log_limit_row *row, int32_t burst, int32_t rate, int64_t now_ms)
{
    fill(row, burst, rate, now_ms);
    if (row->tokens_milli < LINE_MILLI)
        return false;
    row->tokens_milli -= LINE_MILLI;
    return true;
}

/* Who has had enough itself costs its kind nothing. */
bool px_log_limit_take(struct px_log_limit *limit, const char *event, const char *source, int64_t now_ms,
                       uint32_t *ret_left_out)
{
    struct px_log_limit_row *row = source_row(limit, event, source);

    *ret_left_out = 0;
    if (!take(row, PX_LOG_SOURCE_BURST, PX_LOG_SOURCE_RATE, now_ms) ||
        !take(kind_row(limit, event), PX_LOG_EVENT_BURST, PX_LOG_EVENT_RATE, now_ms)) {
        row->left_out++;
        return false;
    }
    *ret_left_out = row->left_out;
    row->left_out = 0;
    return true;
}

const struct px_log_limit_row *px_log_limit_next(struct px_log_limit *limit, int64_t now_ms,
                                                 uint32_t *ret_left_out)
{
    for (uint32_t i = 0; i < PX_LOG_LIMIT_ROWS; i++) {
        struct px_log_limit_row *row = &limit->rows[i];
        if (row->left_out == 0 || now_ms - row->at_ms < QUIET_MS)
            continue;
        *ret_left_out = row->left_out;
        row->left_out = 0;
        return row;
    }
    return NULL;
}
