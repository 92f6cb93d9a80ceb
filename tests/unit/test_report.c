/* The status page: enums of the schema and of the engine say the same words, and what is filled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/control/report/report.h"
#include "proxy/control/report/report_witness.h"
#include "proxy/control/witness/witness.h"

static void assert_names(const ProtobufCEnumDescriptor *descriptor, int count, const char *(*name)(int))
{
    assert_int_equal(descriptor->n_values, count);
    for (int value = 0; value < count; value++) {
        const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(descriptor, value);
        assert_non_null(found);
        assert_string_equal(found->name, name(value));
    }
}

static const char *phase_name(int value)
{
    return mig_phase_name((enum mig_phase)value);
}

static const char *step_name(int value)
{
    return mig_step_state_name((enum mig_step_state)value);
}

static void test_enums_have_the_engines_words(void **state)
{
    (void)state;
    assert_names(&zkf__phase__descriptor, MIG_PHASE_COUNT, phase_name);
    assert_names(&zkf__step__state__descriptor, MIG_STEP_COUNT, step_name);
}

struct picture {
    struct zkp_config config;
    struct zkp_server spec[2];
    struct mig_facts facts;
    struct mig_view view;
    struct mig_routes routes;
    struct mig_steps steps;
    struct mig_findings findings;
};

static struct picture *picture_new(void)
{
    struct picture *p = calloc(1, sizeof *p);
    assert_non_null(p);
    const char *lines[] = {"server.1=10.0.0.1:2888:3888:participant;2181",
                           "server.4=[fd00::4]:2888:3888:participant;[fd00::4]:2182"};
    for (uint32_t i = 0; i < 2; i++) {
        struct err err;
        assert_int_equal(zkp_server_parse(zkp_slice_str(lines[i]), &p->spec[i], &err), RC_OK);
        p->facts.servers[i] = (struct mig_server_facts){.id = p->spec[i].id, .spec = &p->spec[i]};
    }
    p->facts.server_count = p->routes.count = 2;
    p->facts.now_ms = 5000;
    p->facts.wall_ms = 1000000;
    p->facts.servers[1].side = MIG_SIDE_TARGET;
    p->config = (struct zkp_config){.server_count = 1, .has_version = true, .version = 0x100000002};
    p->config.servers[0] = p->spec[0];
    p->facts.config = &p->config;
    p->view.steps = &p->steps;
    p->view.findings = &p->findings;
    p->view.plan_id = p->view.failed_reason = "";
    p->view.leader = (struct mig_leader){.id = 1, .epoch = 1, .zxid = 0x100000010};
    return p;
}

static void fill(struct px_report *report, const struct picture *p)
{
    const struct px_session_counts counts = {.moved = 9, .returned = 7, .failed = 2, .expired = 1};
    px_report_fill(report, &p->view, &p->facts, &p->routes, &counts);
}

static void test_servers(void **state)
{
    (void)state;
    struct px_report *report = px_report_new();
    struct picture *p = picture_new();
    struct mig_server_facts *source = &p->facts.servers[0];
    source->srvr_at_ms = 4000;
    source->srvr.zxid = 0x10000000a;
    source->our_sessions = 3;
    p->routes.routes[0].is_drained = p->routes.routes[0].empties = true;
    p->facts.servers[1].srvr_at_ms = 4000;
    p->facts.servers[1].srvr.zxid = 0x200000001; /* another epoch: no subtraction */
    fill(report, p);
    const Zkf__Servers *servers = px_report_servers(report);
    assert_int_equal(servers->n_servers, 2);
    assert_string_equal(servers->servers[0]->address, "10.0.0.1:2181");
    assert_string_equal(servers->servers[1]->address, "[fd00::4]:2182");
    assert_int_equal(servers->servers[0]->role, ZKF__ROLE__VALUE__participant);
    assert_int_equal(servers->servers[1]->role, ZKF__ROLE__VALUE__none);
    assert_int_equal(servers->servers[0]->lag, 6);
    assert_int_equal(servers->servers[1]->lag, -1);
    assert_int_equal(servers->servers[0]->sessions, 3);
    assert_true(servers->servers[0]->drained && servers->servers[0]->draining);
    assert_false(servers->servers[1]->drained || servers->servers[1]->draining);
    assert_int_equal(servers->servers[0]->observed_at, 999000); /* one second before the wall clock */
    free(p);
    px_report_free(report);
}

static void test_failed_is_told_only_when_failed(void **state)
{
    (void)state;
    struct px_report *report = px_report_new();
    struct picture *p = picture_new();
    p->view.phase = MIG_PHASE_ADDING;
    fill(report, p);
    assert_null(px_report_status(report)->failed);
    assert_int_equal(px_report_status(report)->sessions->moved, 9);
    assert_int_equal(px_report_status(report)->sessions->returned, 7);
    assert_int_equal(px_report_status(report)->sessions->failed, 2);
    p->view.phase = MIG_PHASE_FAILED;
    p->view.failed_phase = MIG_PHASE_ADDING;
    p->view.failed_reason = "server 4 is not synced";
    fill(report, p);
    assert_string_equal(px_report_status(report)->failed->reason, "server 4 is not synced");
    assert_non_null(strstr(px_report_status(report)->failed->hint, "adding"));
    free(p);
    px_report_free(report);
}

static void test_a_block_makes_the_plan_not_startable(void **state)
{
    (void)state;
    struct px_report *report = px_report_new();
    struct picture *p = picture_new();
    p->view.can[MIG_COMMAND_START] = true;
    fill(report, p);
    assert_true(px_report_findings(report)->startable);
    p->findings.count = 1;
    p->findings.items[0] = (struct mig_finding){
        .rule = "server-down", .id = "server-down-1", .severity = MIG_BLOCK, .server = 1};
    fill(report, p);
    assert_false(px_report_findings(report)->startable);
    assert_string_equal(px_report_findings(report)->findings[0]->id, "server-down-1");
    assert_int_equal(px_report_findings(report)->findings[0]->severity, ZKF__FINDING__SEVERITY__block);
    free(p);
    px_report_free(report);
}

static void test_the_witness_is_no_client(void **state)
{
    (void)state;
    struct px_report *report = px_report_new();
    struct picture *p = picture_new();
    p->facts.sessions = (struct mig_session_facts){.total = 4, .source = 3, .target = 1};
    p->facts.servers[0].our_sessions = 3;
    p->facts.servers[1].our_sessions = p->facts.servers[1].witness_sessions = 1;
    fill(report, p);
    const Zkf__Status *status = px_report_status(report);
    assert_int_equal(status->sessions->total, 3);
    assert_int_equal(status->sessions->source, 3);
    assert_int_equal(status->sessions->target, 0);
    assert_int_equal(status->servers[0]->sessions, 3);
    assert_int_equal(status->servers[1]->sessions, 0);
    p->facts.sessions.total = 0; /* counted at another moment */
    fill(report, p);
    assert_int_equal(px_report_status(report)->sessions->total, 0);
    free(p);
    px_report_free(report);
}

static void test_what_the_witness_says(void **state)
{
    (void)state;
    struct px_report *report = px_report_new();
    struct picture *p = picture_new();
    struct px_witness_result said = {.plan_id = "", .is_running = true};
    fill(report, p);
    px_report_fill_witness(report, &said);
    assert_null(px_report_status(report)->witness); /* there was no plan */
    said = (struct px_witness_result){.plan_id = "p-7",
                                      .is_clean = true,
                                      .session_id = 0x1000000a5,
                                      .started_wall_ms = 1000,
                                      .ended_wall_ms = 3000,
                                      .figures = {.writes = 12, .acked = 11, .gaps = 1, .stall_ms = 250}};
    fill(report, p);
    px_report_fill_witness(report, &said);
    memset(&said, 0, sizeof said); /* it was copied */
    const Zkf__Witness *witness = px_report_status(report)->witness;
    assert_string_equal(witness->plan_id, "p-7");
    assert_true(witness->clean && !witness->running && !witness->connected);
    assert_int_equal(witness->session_id, 0x1000000a5);
    assert_int_equal(witness->started_at, 1000);
    assert_int_equal(witness->ended_at, 3000);
    assert_int_equal(witness->writes, 12);
    assert_int_equal(witness->acked, 11);
    assert_int_equal(witness->gaps, 1);
    assert_int_equal(witness->events_missed, 0);
    assert_true(witness->has_events_missed); /* zeros are said too */
    assert_float_equal(witness->stall_seconds, 0.25, 1e-9);
    free(p);
    px_report_free(report);
}

/* No witness has run in this life: the plan's journal tells. */
static void test_what_the_journal_says_of_the_witness(void **state)
{
    (void)state;
    struct mig_history *history = calloc(1, sizeof *history);
    struct px_witness_result said;
    assert_non_null(history);
    snprintf(history->plan.id, sizeof history->plan.id, "p-7");
    px_report_witness_recorded(history, &said);
    assert_string_equal(said.plan_id, ""); /* it was off, or it is a journal of before */
    history->ended_wall_ms = 3000;
    history->witness = (struct mig_witness_account){.started_wall_ms = 1000,
                                                    .figures = {.writes = 12, .acked = 11, .stall_ms = 250}};
    px_report_witness_recorded(history, &said);
    assert_string_equal(said.plan_id, "p-7");
    assert_true(said.is_clean && !said.is_running && !said.is_connected);
    assert_int_equal(said.started_wall_ms, 1000);
    assert_int_equal(said.ended_wall_ms, 3000);
    assert_memory_equal(&said.figures, &history->witness.figures, sizeof said.figures);
    history->witness.figures.gaps = 1;
    px_report_witness_recorded(history, &said);
    assert_false(said.is_clean);
    free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_enums_have_the_engines_words),
        cmocka_unit_test(test_servers),
        cmocka_unit_test(test_failed_is_told_only_when_failed),
        cmocka_unit_test(test_a_block_makes_the_plan_not_startable),
        cmocka_unit_test(test_the_witness_is_no_client),
        cmocka_unit_test(test_what_the_witness_says),
        cmocka_unit_test(test_what_the_journal_says_of_the_witness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
