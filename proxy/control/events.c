/* See events.h. */
#include "proxy/control/events.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct px_events {
    uint64_t first; /* number of the first event of this life */
    uint64_t next;  /* number of the next one; row = number % PX_EVENTS_MAX */
    struct px_event_row rows[PX_EVENTS_MAX];
    uint32_t server_count; /* as last watched */
    int32_t servers[MIG_SERVERS_MAX];
    enum mig_health healths[MIG_SERVERS_MAX];
};

struct px_events *px_events_new(int64_t wall_ms)
{
    struct px_events *events = calloc(1, sizeof *events);
    if (events)
        events->first = events->next = wall_ms > 0 ? (uint64_t)wall_ms : 1;
    return events;
}

void px_events_free(struct px_events *events)
{
    free(events);
}

void px_events_add(struct px_events *events, int64_t wall_ms, const char *event, const char *plan_id,
                   int32_t server, const char *format, ...)
{
    struct px_event_row *row = &events->rows[events->next % PX_EVENTS_MAX];
    va_list args;
    row->seq = events->next++;
    row->wall_ms = wall_ms;
    row->server = server;
    snprintf(row->event, sizeof row->event, "%s", event);
    snprintf(row->plan_id, sizeof row->plan_id, "%s", plan_id);
    va_start(args, format);
    vsnprintf(row->text, sizeof row->text, format, args);
    va_end(args);
}

/* UNKNOWN: not watched yet. */
static enum mig_health last_health(const struct px_events *events, int32_t id)
{
    for (uint32_t i = 0; i < events->server_count; i++)
        if (events->servers[i] == id)
            return events->healths[i];
    return MIG_HEALTH_UNKNOWN;
}

void px_events_watch(struct px_events *events, const struct mig_facts *facts, const char *plan_id)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        enum mig_health was = last_health(events, server->id);
        if (server->health != was && server->health != MIG_HEALTH_UNKNOWN)
            px_events_add(events, facts->wall_ms, "server.health", plan_id, server->id,
                          "server %d is %s, was %s%s%s", server->id, mig_health_name(server->health),
                          mig_health_name(was), server->health_reason[0] ? ": " : "", server->health_reason);
    }
    events->server_count = facts->server_count;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        events->servers[i] = facts->servers[i].id;
        events->healths[i] = facts->servers[i].health;
    }
}

uint64_t px_events_last(const struct px_events *events)
{
    return events->next - 1;
}

const struct px_event_row *px_events_after(const struct px_events *events, uint64_t since, bool *ret_missed)
{
    bool is_cut = events->next - events->first > PX_EVENTS_MAX;
    uint64_t kept = is_cut ? events->next - PX_EVENTS_MAX : events->first;
    bool is_known = since < events->next; /* else of a life whose clock was ahead: all is new to the caller */
    uint64_t from = is_known && since >= kept ? since + 1 : kept;
    *ret_missed = is_known && is_cut && since + 1 < kept;
    return from < events->next ? &events->rows[from % PX_EVENTS_MAX] : NULL;
}
