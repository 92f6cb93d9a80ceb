/* The journal is all that a plan needs: made anew from every prefix of the journal of a whole plan, the
 * engine reaches the end of that plan, whether the ensemble is as it was when the prefix's last record was
 * written, or already as it was when the next one was about to be. For a migration, its rollback, and the
 * replacement of a dead member. And what is in the configuration file by then does not matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"

#define MINUTE_MS 60000

/* What a crash of the daemon leaves behind, of the ensemble. */
struct world {
    int64_t now_ms;
    struct sim_server servers[SIM_SERVERS];
    struct zkp_config config;
    int32_t leader;
    int64_t epoch;
    int64_t counter;
    bool has_lock;
    char lock[64];
};

/* A whole run: its journal, and the world before each record was written. */
struct history {
    const struct scene *scene;
    struct sim *sim; /* has the records */
    struct world worlds[SIM_RECORDS_MAX];
    uint32_t count;
};

struct scene {
    enum conf_kind kind;
    uint32_t sources;
    uint32_t targets;
    int32_t leaving[2];
    int32_t dead;
    enum mig_phase back_from; /* IDLE: no rollback */
    int64_t back_after_ms;
};

static void save(const struct sim *sim, void *context)
{
    struct history *history = context;
    struct world *world = &history->worlds[history->count++];
    *world = (struct world){.now_ms = sim->facts.now_ms,
                            .config = sim->config,
                            .leader = sim->leader,
                            .epoch = sim->epoch,
                            .counter = sim->counter,
                            .has_lock = sim->has_lock};
    memcpy(world->servers, sim->servers, sizeof(world->servers));
    memcpy(world->lock, sim->lock, sizeof(world->lock));
}

static struct sim *sim_of(const struct scene *scene)
{
    struct sim *sim = sim_new_kind(scene->kind, scene->sources, scene->targets, scene->leaving);
    for (uint32_t i = 0; i < scene->targets; i++)
        sim_up(sim, (int32_t)(scene->sources + i) + 1, true);
    if (scene->dead != 0) {
        sim_up(sim, scene->dead, false);
        sim_server(sim, scene->dead)->sessions = 0;
    }
    sim->conf.confirm_switch = sim->conf.confirm_remove = sim->conf.confirm_finish = true;
    sim->confirms = true;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
    return sim;
}

static void assert_ended(struct sim *sim, bool is_back)
{
    (void)sim_until(sim, is_back ? MIG_PHASE_ROLLED_BACK : MIG_PHASE_FINISHED, 10 * MINUTE_MS);
    (void)sim_run_for(sim, 100);
    if (is_back)
        sim_assert_rolled_back(sim);
    else
        sim_assert_finished(sim);
}

/* Between two leaders it is not offered; before finish it always comes back. */
static void run_until_back(struct sim *sim, int64_t after_ms)
{
    int64_t end_ms = sim->facts.now_ms + after_ms;
    while (sim->facts.now_ms < end_ms || !sim->view.can[MIG_COMMAND_ROLLBACK]) {
        if (sim->view.phase == MIG_PHASE_VERIFYING)
            sim->confirms = false;
        sim_tick(sim);
    }
}

static struct history *run(const struct scene *scene)
{
    struct history *history = calloc(1, sizeof(*history));
    assert_non_null(history);
    history->scene = scene;
    struct sim *sim = history->sim = sim_of(scene);
    sim->on_record = save;
    sim->record_context = history;
    sim_start(sim, NULL);
    if (scene->back_from != MIG_PHASE_IDLE) {
        assert_true(sim_until(sim, scene->back_from, 10 * MINUTE_MS));
        run_until_back(sim, scene->back_after_ms);
        assert_int_equal(sim_command(sim, MIG_COMMAND_ROLLBACK, NULL).rc, RC_OK);
    }
    assert_ended(sim, scene->back_from != MIG_PHASE_IDLE);
    save(sim, history); /* behind the last record */
    return history;
}

static void history_free(struct history *history)
{
    sim_free(history->sim);
    free(history);
}

static bool has_rollback(const struct sim *sim)
{
    for (uint32_t i = 0; i < sim->record_count; i++)
        if (sim->records[i].kind == MIG_RECORD_ROLLBACK)
            return true;
    return false;
}

/* The first records of the journal, in that world. */
static struct sim *revive(const struct history *history, uint32_t records, const struct world *world)
{
    struct sim *sim = sim_of(history->scene);
    for (uint32_t i = 0; i < records; i++) {
        sim->records[i] = history->sim->records[i];
        if (sim->records[i].plan == NULL)
            continue;
        sim->plans[i] = malloc(sizeof(struct mig_plan));
        assert_non_null(sim->plans[i]);
        *sim->plans[i] = *sim->records[i].plan;
        sim->records[i].plan = sim->plans[i];
    }
    sim->record_count = records;
    sim->facts.wall_ms += world->now_ms - sim->facts.now_ms;
    sim->facts.now_ms = world->now_ms;
    memcpy(sim->servers, world->servers, sizeof(world->servers));
    sim->config = world->config;
    sim->leader = world->leader;
    sim->epoch = world->epoch;
    sim->counter = world->counter;
    sim->has_lock = world->has_lock;
    memcpy(sim->lock, world->lock, sizeof(world->lock));
    sim_restart(sim);
    return sim;
}

static void prove(const struct scene *scene)
{
    struct history *history = run(scene);
    assert_int_equal(history->count, history->sim->record_count + 1);
    assert_true(history->sim->record_count > 15);
    for (uint32_t records = 0; records < history->count; records++)
        for (uint32_t ahead = 0; ahead < 2; ahead++) {
            /* worlds[n] is the one in which n records are on disk, and record n is about to follow */
            uint32_t at = records == 0 || ahead ? records : records - 1;
            struct sim *sim = revive(history, records, &history->worlds[at]);
            if (sim->view.phase == MIG_PHASE_IDLE)
                sim_start(sim, NULL); /* nothing had been answered yet */
            assert_ended(sim, has_rollback(sim));
            sim_free(sim);
        }
    history_free(history);
}

static void test_migration(void **state)
{
    (void)state;
    prove(&(struct scene){.kind = CONF_KIND_MIGRATE, .sources = 3, .targets = 3});
}

static void test_rollback(void **state)
{
    (void)state;
    const struct {
        enum mig_phase from;
        int64_t after_ms; /* in the middle of it */
    } places[] = {{MIG_PHASE_ADDING, 300},   {MIG_PHASE_CATCHING_UP, 0}, {MIG_PHASE_SWITCHING, 0},
                  {MIG_PHASE_REMOVING, 300}, {MIG_PHASE_REMOVING, 900},  {MIG_PHASE_VERIFYING, 0}};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        prove(&(struct scene){.kind = CONF_KIND_MIGRATE,
                              .sources = 3,
                              .targets = 3,
                              .back_from = places[i].from,
                              .back_after_ms = places[i].after_ms});
}

static void test_replace(void **state)
{
    (void)state;
    prove(&(struct scene){.kind = CONF_KIND_REPLACE, .sources = 3, .targets = 1, .leaving = {2}});
    prove(&(struct scene){.kind = CONF_KIND_REPLACE, .sources = 3, .targets = 1, .leaving = {1}, .dead = 1});
}

/* Every key that goes into a plan is another one. */
static struct conf edited(const struct sim *sim)
{
    struct conf conf = sim->conf;
    conf.kind = CONF_KIND_EXPAND;
    conf.target.count = 1;
    conf.confirm_switch = conf.confirm_remove = conf.confirm_finish = false;
    conf.lag_ms = 1;
    conf.catch_up_rounds = 1000;
    conf.switch_rate = 1;
    conf.join_timeout_ms = conf.step_timeout_ms = 1;
    conf.verify = CONF_VERIFY_OFF;
    return conf;
}

static void test_later_edits_of_the_file(void **state)
{
    (void)state;
    const struct scene scene = {.kind = CONF_KIND_MIGRATE, .sources = 3, .targets = 3};
    struct history *history = run(&scene);
    struct err err;
    for (uint32_t records = 3; records < history->count; records += 5) {
        struct sim *sim = revive(history, records, &history->worlds[records]);
        struct conf conf = edited(sim);
        if (mig_engine_plan_runs(sim->engine))
            assert_int_equal(mig_engine_configure(sim->engine, &conf), RC_REFUSED);
        struct mig_plan *plan = malloc(sizeof(*plan));
        assert_non_null(plan);
        *plan = *sim->view.plan;
        mig_engine_free(sim->engine);
        sim->engine = mig_engine_new(&conf, NULL);
        for (uint32_t i = 0; i < records; i++)
            assert_int_equal(mig_engine_replay(sim->engine, &sim->records[i], &err), RC_OK);
        mig_engine_view(sim->engine, &sim->facts, &sim->view);
        assert_memory_equal(sim->view.plan, plan, sizeof(*plan));
        free(plan);
        assert_ended(sim, false);
        sim_free(sim);
    }
    history_free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_migration),
        cmocka_unit_test(test_rollback),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_later_edits_of_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
