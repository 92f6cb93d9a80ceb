/* The newest events, for /v1/events: what the engine tells (steps, reconfigs, commands that count), holds,
 * commands with their answers, changes of health. A ring; nothing survives a restart, but sequence numbers
 * go on growing. Control thread. Not here: JSON (report_events.h). */
#ifndef PROXY_CONTROL_EVENTS_H
#define PROXY_CONTROL_EVENTS_H

#include "migrate/plan/plan.h"

#define PX_EVENTS_MAX     500u /* a migration of six servers has about 100 */
#define PX_EVENT_NAME_MAX 48u

struct px_event_row {
    uint64_t seq;
    int64_t wall_ms;
    int32_t server; /* -1 = none */
    char event[PX_EVENT_NAME_MAX];
    char plan_id[MIG_PLAN_ID_MAX];
    char text[MIG_TEXT_MAX];
};

struct px_events; /* owned by struct px_control */

/* wall_ms begins the sequence numbers: fewer than one event per millisecond happens. NULL: out of memory. */
struct px_events *px_events_new(int64_t wall_ms);
void px_events_free(struct px_events *events); /* NULL is fine */

/* server -1 = none. Texts are copied, cut when too long. */
void px_events_add(struct px_events *events, int64_t wall_ms, const char *event, const char *plan_id,
                   int32_t server, const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Adds what has changed since the last call: a server's health. */
void px_events_watch(struct px_events *events, const struct mig_facts *facts, const char *plan_id);
/* The oldest one kept of those after `since`, 0 = of all; NULL = there is none. ret_missed: older ones after
 * it are not kept any more. Valid until the next px_events_add. */
const struct px_event_row *px_events_after(const struct px_events *events, uint64_t since, bool *ret_missed);
uint64_t px_events_last(const struct px_events *events); /* number of the newest */

#endif
