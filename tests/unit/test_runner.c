/* The effects' queue: order, standing still behind a JOURNAL, dropping when a record can't be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/control/runner.h"

#define DONE_MAX 16u

struct shell {
    uint32_t count;
    uint64_t done[DONE_MAX]; /* seq of every effect run, in order; journals too */
    struct px_runner *runner;
    const struct mig_effects *more; /* pushed from inside the next effect */
};

static void run(void *context, const struct mig_effect *effect)
{
    struct shell *shell = context;
    shell->done[shell->count++] = effect->seq;
    if (shell->more) {
        const struct mig_effects *more = shell->more;
        shell->more = NULL;
        assert_int_equal(px_runner_push(shell->runner, more), RC_OK);
    }
}

static void journal(void *context, uint64_t seq, const struct mig_record *record)
{
    struct shell *shell = context;
    assert_int_equal(record->kind, MIG_RECORD_PHASE);
    shell->done[shell->count++] = seq;
}

static int setup(void **state)
{
    static struct shell shell;
    shell = (struct shell){.runner = px_runner_new(run, journal, &shell)};
    *state = &shell;
    return shell.runner ? 0 : -1;
}

static int teardown(void **state)
{
    struct shell *shell = *state;
    px_runner_free(shell->runner);
    return 0;
}

/* 'j' is a JOURNAL, everything else a LOG; seqs count from `first`. */
static struct mig_effects *effects_of(const char *kinds, uint64_t first)
{
    static struct mig_effects rooms[2];
    static unsigned next;
    struct mig_effects *effects = &rooms[next++ % 2];
    effects->count = 0;
    for (; *kinds; kinds++) {
        struct mig_effect *effect = &effects->items[effects->count++];
        *effect =
            (struct mig_effect){.kind = *kinds == 'j' ? MIG_EFFECT_JOURNAL : MIG_EFFECT_LOG, .seq = first++};
        effect->record.kind = MIG_RECORD_PHASE;
    }
    return effects;
}

static void assert_done(const struct shell *shell, uint32_t count)
{
    assert_int_equal(shell->count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(shell->done[i], i + 1);
}

static void test_stands_still_behind_a_record(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(px_runner_push(shell->runner, effects_of("ejee", 1)), RC_OK);
    assert_done(shell, 2);
    assert_false(px_runner_is_idle(shell->runner));
    assert_int_equal(px_runner_push(shell->runner, effects_of("e", 5)), RC_OK); /* a later call waits too */
    assert_done(shell, 2);
    px_runner_journaled(shell->runner, 99, RC_OK); /* not ours */
    assert_done(shell, 2);
    px_runner_journaled(shell->runner, 2, RC_OK);
    assert_done(shell, 5);
    assert_true(px_runner_is_idle(shell->runner));
}

static void test_two_records_one_after_the_other(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(px_runner_push(shell->runner, effects_of("jje", 1)), RC_OK);
    assert_done(shell, 1);
    px_runner_journaled(shell->runner, 1, RC_OK);
    assert_done(shell, 2);
    px_runner_journaled(shell->runner, 2, RC_OK);
    assert_done(shell, 3);
}

static void test_failed_record_drops_what_is_behind(void **state)
{
    struct shell *shell = *state;
    assert_int_equal(px_runner_push(shell->runner, effects_of("jee", 1)), RC_OK);
    px_runner_journaled(shell->runner, 1, RC_IO);
    assert_done(shell, 1);
    assert_true(px_runner_is_idle(shell->runner));
    assert_true(px_runner_is_lost(shell->runner));
    assert_int_equal(px_runner_push(shell->runner, effects_of("je", 90)), RC_OK); /* decided too early */
    assert_done(shell, 1);
    assert_true(px_runner_is_idle(shell->runner));
    px_runner_resume(shell->runner);
    assert_false(px_runner_is_lost(shell->runner));
    assert_int_equal(px_runner_push(shell->runner, effects_of("e", 2)), RC_OK);
    assert_done(shell, 2);
}

static void test_effects_pushed_from_inside_come_last(void **state)
{
    struct shell *shell = *state;
    shell->more = effects_of("e", 3);
    assert_int_equal(px_runner_push(shell->runner, effects_of("ee", 1)), RC_OK);
    assert_done(shell, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stands_still_behind_a_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_records_one_after_the_other, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_record_drops_what_is_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(test_effects_pushed_from_inside_come_last, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
