/* The ring of events: numbers, what is left out, what was lost, changes of health. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/control/events.h"
#include "proxy/control/report/report_events.h"

static void add(struct px_events *events, uint32_t number)
{
    px_events_add(events, 1000 + number, "plan.step.done", "p-1", -1, "step %u", number);
}

static void test_since(void **state)
{
    (void)state;
    struct px_events *events = px_events_new(5000);
    struct px_report_events *report = px_report_events_new();
    const Zkf__Events *answer = px_report_events_fill(report, events, 0);
    assert_int_equal(answer->n_events, 0);
    for (uint32_t i = 0; i < 3; i++)
        add(events, i);
    answer = px_report_events_fill(report, events, 0);
    assert_int_equal(answer->n_events, 3);
    assert_int_equal(answer->events[0]->seq, 5000);
    assert_int_equal(answer->events[2]->at, 1002);
    assert_string_equal(answer->events[2]->text, "step 2");
    assert_string_equal(answer->events[2]->event, "plan.step.done");
    assert_int_equal(answer->last, 5002);
    assert_false(answer->missed);
    assert_int_equal(px_report_events_fill(report, events, 5001)->n_events, 1);
    assert_int_equal(px_report_events_fill(report, events, 5002)->n_events, 0);
    /* numbers of a former life: all is new */
    assert_int_equal(px_report_events_fill(report, events, 17)->n_events, 3);
    assert_int_equal(px_report_events_fill(report, events, 99999)->n_events, 3);
    px_report_events_free(report);
    px_events_free(events);
}

static void test_old_ones_are_lost(void **state)
{
    (void)state;
    struct px_events *events = px_events_new(1);
    struct px_report_events *report = px_report_events_new();
    for (uint32_t i = 0; i < PX_EVENTS_MAX + 10; i++)
        add(events, i);
    const Zkf__Events *answer = px_report_events_fill(report, events, 0);
    assert_int_equal(answer->n_events, PX_EVENTS_MAX);
    assert_int_equal(answer->events[0]->seq, 11);
    assert_string_equal(answer->events[0]->text, "step 10");
    assert_true(answer->missed);
    assert_true(px_report_events_fill(report, events, 9)->missed);
    assert_false(px_report_events_fill(report, events, 10)->missed); /* has all before the oldest */
    px_report_events_free(report);
    px_events_free(events);
}

static void test_health(void **state)
{
    (void)state;
    struct px_events *events = px_events_new(1);
    struct mig_facts *facts = calloc(1, sizeof *facts);
    bool missed;
    facts->server_count = 1;
    facts->wall_ms = 7;
    facts->servers[0] = (struct mig_server_facts){.id = 4, .health = MIG_HEALTH_UNKNOWN};
    px_events_watch(events, facts, "");
    assert_null(px_events_after(events, 0, &missed));
    facts->servers[0].health = MIG_HEALTH_DOWN;
    facts->servers[0].health_reason[0] = 'x';
    px_events_watch(events, facts, "p-1");
    px_events_watch(events, facts, "p-1"); /* nothing new */
    const struct px_event_row *row = px_events_after(events, 0, &missed);
    assert_non_null(row);
    assert_string_equal(row->event, "server.health");
    assert_string_equal(row->text, "server 4 is down, was unknown: x");
    assert_string_equal(row->plan_id, "p-1");
    assert_int_equal(row->server, 4);
    assert_int_equal(px_events_last(events), row->seq);
    free(facts);
    px_events_free(events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_since),
        cmocka_unit_test(test_old_ones_are_lost),
        cmocka_unit_test(test_health),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
