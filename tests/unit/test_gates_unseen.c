/* What a gate can't see does not open it: the plan stops or waits there, and says what is missing. A row
 * hides one thing from a plan that would go through; the control shows it again, and the plan goes through.
 * Besides: what proves a leader. Gates with a file of their own: comparison of data (test_verify.c), digest
 * mismatches (test_engine_doubt.c), stragglers (test_engine_straggler.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/engine/states.h"
#include "tests/lib/sim_ensemble.h"

#define WAIT_MS   60000
#define FINISH_MS 600000

/* --- plans --- */

static void hide_leaders_mntr(struct sim *sim)
{
    sim_server(sim, sim->leader)->awaits_mntr = true;
}
static void show_leaders_mntr(struct sim *sim)
{
    sim_server(sim, sim->leader)->awaits_mntr = false;
}
static void hide_joiners_conf(struct sim *sim)
{
    sim_server(sim, 5)->awaits_conf = true;
}
static void show_joiners_conf(struct sim *sim)
{
    sim_server(sim, 5)->awaits_conf = false;
}
static void hide_members_conf(struct sim *sim)
{
    sim_server(sim, 2)->awaits_conf = true;
}
static void show_members_conf(struct sim *sim)
{
    sim_server(sim, 2)->awaits_conf = false;
}
static void hide_mismatches(struct sim *sim)
{
    sim_server(sim, 4)->awaits_mntr = true;
}
static void show_mismatches(struct sim *sim)
{
    sim_server(sim, 4)->awaits_mntr = false;
}
static void hide_strangers(struct sim *sim)
{
    sim_server(sim, 2)->hides_count = true;
}
static void show_strangers(struct sim *sim)
{
    sim_server(sim, 2)->hides_count = false;
}
static void hide_super(struct sim *sim)
{
    sim_server(sim, 6)->lacks_super = true;
}
static void show_super(struct sim *sim)
{
    sim_server(sim, 6)->lacks_super = false;
}
static void hide_outcomes(struct sim *sim)
{
    sim->is_deaf = true;
}
static void show_outcomes(struct sim *sim)
{
    sim->is_deaf = false;
}
static void hide_sessions(struct sim *sim)
{
    sim->unlisted = 2;
}
static void show_sessions(struct sim *sim)
{
    sim->unlisted = MIG_NO_SERVER;
}
static void hide_reach(struct sim *sim)
{
    sim->has_no_survey = true;
}
static void show_reach(struct sim *sim)
{
    sim->has_no_survey = false;
}

typedef void change_fn(struct sim *sim);

static const struct row {
    const char *gate;
    enum mig_phase from; /* hidden from here on */
    change_fn *hide;
    const char *said; /* by the plan, while it waits */
    change_fn *show;
} rows[] = {
    {"joiners synced", MIG_PHASE_JOINING, hide_leaders_mntr, "to show how many synced joiners it counts",
     show_leaders_mntr},
    {"activation of joiners", MIG_PHASE_ADDING, hide_joiners_conf, "a fresh `conf` of server 5",
     show_joiners_conf},
    {"activation of members", MIG_PHASE_JOINING, hide_members_conf, "a fresh `conf` of server 2",
     show_members_conf},
    {"digest mismatches", MIG_PHASE_JOINING, hide_mismatches, "to show how many digest mismatches",
     show_mismatches},
    {"super user", MIG_PHASE_JOINING, hide_super, "target 6 to know the super user", show_super},
    {"a way for sessions", MIG_PHASE_JOINING, hide_reach, "a connection from each address of bind.target",
     show_reach},
    {"outcome of a reconfig", MIG_PHASE_ADDING, hide_outcomes, "a transaction to commit", show_outcomes},
    {"stragglers", MIG_PHASE_SWITCHING, hide_strangers, "answers of server 2 in a row", show_strangers},
    {"sessions of a leaver", MIG_PHASE_SWITCHING, hide_sessions, "server 2, which is not probed",
     show_sessions},
};

static void run_row(const struct row *row)
{
    struct sim *sim = sim_new();
    sim->confirms = true;
    sim_start(sim, NULL);
    assert_true(sim_until_waiting(sim, "target", WAIT_MS)); /* to be started */
    if (row->from == MIG_PHASE_JOINING)
        row->hide(sim);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(sim, id, true);
    if (row->from != MIG_PHASE_JOINING) {
        assert_true(sim_until(sim, row->from, WAIT_MS));
        row->hide(sim);
    }
    if (!sim_until_waiting(sim, row->said, WAIT_MS))
        fail_msg("%s: phase %s, waits for: %s %s", row->gate, mig_phase_name(sim->view.phase),
                 sim->view.waiting_for, sim->view.failed_reason);
    uint32_t before = sim->reconfigs;
    (void)sim_run_for(sim, 10000);
    assert_int_equal(sim->reconfigs, before); /* nothing goes on behind it */
    assert_true(mig_phase_is_running(sim->view.phase));
    row->show(sim);
    if (!sim_until(sim, MIG_PHASE_FINISHED, FINISH_MS))
        fail_msg("%s: it does not open: %s", row->gate, sim->view.waiting_for);
    sim_free(sim);
}

static void test_a_gate_that_cannot_see_stays_closed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        run_row(&rows[i]);
}

/* --- a leader --- */

static struct mig_server_facts *leader_of(struct sim *sim)
{
    return &sim->facts.servers[sim->leader - 1];
}

static int32_t proven(struct sim *sim)
{
    return mig_facts_leader(&sim->facts, 5000).id;
}

/* The others answer, too, but not as followers. */
static void silence_followers(struct sim *sim)
{
    for (uint32_t i = 0; i < 3; i++)
        if ((int32_t)i + 1 != sim->leader)
            sim->facts.servers[i].srvr.mode = ZKP_MODE_UNKNOWN;
}

static void test_what_proves_a_leader(void **state)
{
    (void)state;
    struct sim *sim = sim_new();
    sim_tick(sim);
    struct mig_server_facts *leader = leader_of(sim);
    assert_int_equal(proven(sim), sim->leader);
    leader->mntr_seen = MIG_SEEN_NOT_ALLOWED; /* its followers say so */
    assert_int_equal(proven(sim), sim->leader);
    silence_followers(sim); /* now nothing does */
    assert_int_equal(proven(sim), -1);
    leader->mntr_seen = MIG_SEEN_DATA; /* the same answer without the figure */
    leader->mntr.synced_followers = -1;
    assert_int_equal(proven(sim), -1);
    leader->mntr.synced_followers = 1; /* with it */
    assert_int_equal(proven(sim), sim->leader);
    leader->mntr.synced_followers = 0;
    assert_int_equal(proven(sim), -1);
    leader->mntr.synced_followers = 1; /* it was so a moment ago, long ago */
    leader->mntr_at_ms = leader->srvr_at_ms - 100;
    assert_int_equal(proven(sim), sim->leader);
    leader->mntr_at_ms = sim->facts.now_ms - 30001;
    assert_int_equal(proven(sim), -1);
    sim_tick(sim);
    assert_int_equal(proven(sim), sim->leader);
    leader->mntr_seen = MIG_SEEN_UNKNOWN; /* an election was just now: they show the epoch before */
    for (uint32_t i = 0; i < 3; i++)
        if ((int32_t)i + 1 != sim->leader)
            sim->facts.servers[i].srvr.zxid -= INT64_C(1) << 32;
    assert_int_equal(proven(sim), sim->leader);
    sim_free(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_gate_that_cannot_see_stays_closed),
        cmocka_unit_test(test_what_proves_a_leader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
