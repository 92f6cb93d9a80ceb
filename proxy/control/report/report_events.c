/* See report_events.h. */
#include "proxy/control/report/report_events.h"

#include <stdlib.h>

struct px_report_events {
    Zkf__Events answer;
    Zkf__Event messages[PX_EVENTS_MAX];
    Zkf__Event *refs[PX_EVENTS_MAX];
};

struct px_report_events *px_report_events_new(void)
{
    return calloc(1, sizeof(struct px_report_events));
}

void px_report_events_free(struct px_report_events *report)
{
    free(report);
}

/* protobuf-c has no const strings; it only reads them when printing. */
static char *text_of(const char *text)
{
    return (char *)(uintptr_t)text;
}

static void fill(Zkf__Event *out, const struct px_event_row *row)
{
    zkf__event__init(out);
    out->has_seq = out->has_at = out->has_server = 1;
    out->seq = row->seq;
    out->at = row->wall_ms;
    out->server = row->server;
    out->event = text_of(row->event);
    out->plan_id = text_of(row->plan_id);
    out->text = text_of(row->text);
}

const Zkf__Events *px_report_events_fill(struct px_report_events *report, const struct px_events *events,
                                         uint64_t since)
{
    Zkf__Events *answer = &report->answer;
    bool is_missed;
    bool is_later;
    zkf__events__init(answer);
    answer->events = report->refs;
    const struct px_event_row *row = px_events_after(events, since, &is_missed);
    for (; row; row = px_events_after(events, row->seq, &is_later)) {
        report->refs[answer->n_events] = &report->messages[answer->n_events];
        fill(report->refs[answer->n_events++], row);
    }
    answer->has_last = answer->has_missed = 1;
    answer->last = px_events_last(events);
    answer->missed = is_missed;
    return answer;
}
