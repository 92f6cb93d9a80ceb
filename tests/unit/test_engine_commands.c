/* Commands of the admin port: every pair (phase, command) against the table in both directions, and what each
 * command does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

static struct sim *in_phase(enum mig_phase phase)
{
    struct sim *sim = sim_new();
    bool fails = phase == MIG_PHASE_FAILED;
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->is_super = !fails;
    if (phase == MIG_PHASE_IDLE)
        return sim;
    sim_start(sim, NULL);
    assert_true(sim_until(sim, phase, MINUTE_MS));
    return sim;
}

static const enum mig_phase reachable[] = {
    MIG_PHASE_IDLE,      MIG_PHASE_PREFLIGHT, MIG_PHASE_JOINING,   MIG_PHASE_ADDING,   MIG_PHASE_CATCHING_UP,
    MIG_PHASE_SWITCHING, MIG_PHASE_REMOVING,  MIG_PHASE_VERIFYING, MIG_PHASE_FINISHED, MIG_PHASE_FAILED};

/* can[] says it <=> the call is accepted; and can[] never exceeds the table. */
static void test_matrix(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < sizeof(reachable) / sizeof(reachable[0]); i++)
        for (uint32_t c = 0; c < MIG_COMMAND_COUNT; c++) {
            struct sim *sim = in_phase(reachable[i]);
            enum mig_command_kind kind = (enum mig_command_kind)c;
            mig_engine_view(sim->engine, &sim->facts, &sim->view);
            bool can = sim->view.can[c];
            assert_true(!can || mig_phase_allows(reachable[i], kind));
            struct mig_answer answer = sim_command(sim, kind, "switch");
            assert_int_equal(answer.rc == RC_OK, can);
            assert_int_equal(answer.http_status == 200, can);
            assert_int_equal(answer.code[0] == '\0', can);
            assert_true(can || answer.message[0] != '\0');
            sim_free(sim);
        }
}

static void test_table_is_used(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < MIG_COMMAND_COUNT; c++) {
        uint32_t phases = 0;
        for (uint32_t p = 0; p < MIG_PHASE_COUNT; p++)
            phases += mig_phase_allows((enum mig_phase)p, (enum mig_command_kind)c);
        assert_true(phases > 0);
    }
}

static void wait_for_gate(struct sim *sim, enum mig_gate gate)
{
    for (int i = 0; sim->view.waiting_gate != gate && i < 5000; i++)
        sim_tick(sim);
    assert_int_equal(sim->view.waiting_gate, gate);
}

static struct sim *gated(void)
{
    struct sim *sim = sim_new();
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    sim->conf.confirm_switch = true;
    sim->conf.confirm_remove = true;
    sim->conf.confirm_finish = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_start(sim, NULL);
    return sim;
}

static void test_gates(void **state)
{
    (void)state;
    struct sim *sim = gated();
    wait_for_gate(sim, MIG_GATE_SWITCH);
    (void)sim_run_for(sim, MINUTE_MS);
    assert_true(sim->facts.sessions.source > 0); /* nobody has moved */
    assert_int_equal(mig_engine_traffic(sim->engine).prefer, MIG_PREFER_SOURCES);
    assert_non_null(strstr(sim->view.waiting_for, "zkferry confirm switch"));
    assert_string_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").code, "not_waiting");
    assert_string_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "joining").code, "bad_phase");
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "switch").rc, RC_OK);
    /* Repeated: OK, and the next gate stays closed. */
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "switch").rc, RC_OK);
    wait_for_gate(sim, MIG_GATE_REMOVE);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "switch").rc, RC_OK);
    (void)sim_run_for(sim, MINUTE_MS);
    assert_int_equal(sim->view.waiting_gate, MIG_GATE_REMOVE);
    assert_int_equal(sim->config.server_count, 6);
    assert_int_equal(sim->facts.sessions.source, 0);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "remove").rc, RC_OK);
    wait_for_gate(sim, MIG_GATE_FINISH);
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "finish").rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    assert_int_equal(sim_command(sim, MIG_COMMAND_CONFIRM, "finish").rc, RC_OK);
    sim_free(sim);
}

static void test_confirm_names_the_plan(void **state)
{
    (void)state;
    struct sim *sim = gated();
    wait_for_gate(sim, MIG_GATE_SWITCH);
    struct mig_command command = {.kind = MIG_COMMAND_CONFIRM, .plan_id = "of-yesterday", .gate = "switch"};
    struct mig_answer answer;
    mig_engine_command(sim->engine, &sim->facts, &command, &answer, &sim->effects);
    assert_string_equal(answer.code, "wrong_plan");
    command.plan_id = NULL;
    mig_engine_command(sim->engine, &sim->facts, &command, &answer, &sim->effects);
    assert_int_equal(answer.http_status, 400);
    (void)sim_run_for(sim, 1000);
    assert_int_equal(sim->view.waiting_gate, MIG_GATE_SWITCH);
    sim_free(sim);
}

static void test_pause_while_switching(void **state)
{
    (void)state;
    struct sim *sim = in_phase(MIG_PHASE_SWITCHING);
    assert_int_equal(mig_engine_traffic(sim->engine).prefer, MIG_PREFER_STAYING);
    assert_true(mig_engine_traffic(sim->engine).is_emptying);
    assert_int_equal(sim_command(sim, MIG_COMMAND_PAUSE, NULL).rc, RC_OK);
    assert_int_equal(mig_engine_traffic(sim->engine).prefer, MIG_PREFER_STAYING);
    assert_false(mig_engine_traffic(sim->engine).is_emptying);
    int64_t left = sim->facts.sessions.source;
    assert_true(left > 0);
    (void)sim_run_for(sim, 60 * MINUTE_MS); /* longer than any deadline */
    assert_int_equal(sim->facts.sessions.source, left);
    assert_non_null(strstr(sim->view.waiting_for, "resume"));
    assert_int_equal(sim_command(sim, MIG_COMMAND_RESUME, NULL).rc, RC_OK);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    sim_free(sim);
}

static void test_reload_refused_while_running(void **state)
{
    (void)state;
    struct sim *sim = in_phase(MIG_PHASE_ADDING);
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_REFUSED);
    assert_true(sim_until(sim, MIG_PHASE_FINISHED, MINUTE_MS));
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    sim_free(sim);
}

static void test_no_plan_without_migration(void **state)
{
    (void)state;
    struct sim *sim = in_phase(MIG_PHASE_IDLE);
    sim->conf.kind = CONF_KIND_NONE;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    struct mig_answer answer = sim_command(sim, MIG_COMMAND_START, NULL);
    assert_string_equal(answer.code, "no_plan");
    assert_non_null(strstr(answer.message, "migration"));
    sim_free(sim);
}

/* The preflight command asks the harmless questions and changes nothing. */
static void test_preflight_command(void **state)
{
    (void)state;
    struct sim *sim = in_phase(MIG_PHASE_IDLE);
    assert_int_equal(sim_command(sim, MIG_COMMAND_PREFLIGHT, NULL).rc, RC_OK);
    assert_true(sim->view.preflight_pending);
    (void)sim_run_for(sim, 2000);
    assert_false(sim->view.preflight_pending);
    assert_int_equal(sim->view.phase, MIG_PHASE_IDLE);
    assert_int_equal(mig_findings_blocks(sim->view.findings), 0);
    assert_int_equal(sim->record_count, 0);
    assert_false(sim->has_lock);
    sim_free(sim);
}

/* A finished plan can be started again only when the facts say so; here the sources are no members any more.
 */
static void test_start_again_after_finish(void **state)
{
    (void)state;
    struct sim *sim = in_phase(MIG_PHASE_FINISHED);
    (void)sim_run_for(sim, 1000);
    sim_start(sim, NULL);
    assert_true(sim_until(sim, MIG_PHASE_FAILED, MINUTE_MS));
    assert_non_null(strstr(sim->view.failed_reason, "members-differ"));
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matrix),
        cmocka_unit_test(test_table_is_used),
        cmocka_unit_test(test_gates),
        cmocka_unit_test(test_confirm_names_the_plan),
        cmocka_unit_test(test_pause_while_switching),
        cmocka_unit_test(test_reload_refused_while_running),
        cmocka_unit_test(test_no_plan_without_migration),
        cmocka_unit_test(test_preflight_command),
        cmocka_unit_test(test_start_again_after_finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
