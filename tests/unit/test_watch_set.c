/* The set of one session: what each registration, event and removal makes of the server's two tables, by
 * version; lists, limits, totals; and random sequences against a model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/watch_bench.h"
#include "tests/unit/watch_model.h"

struct fixture {
    struct px_watch_space space;
    struct px_watch_set set;
};

static int setup(void **state)
{
    static struct fixture f;

    if (px_watch_space_init(&f.space, 7) != RC_OK)
        return 1;
    px_watch_set_init(&f.set, &f.space);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    px_watch_set_done(&f->set);
    for (uint32_t list = 0; list < ZKP_LIST_COUNT; list++)
        assert_int_equal(f->space.totals[list], 0);
    px_watch_space_done(&f->space); /* asserts that no path is held */
    return 0;
}

static struct px_path *take(struct fixture *f, const char *path)
{
    struct px_path *taken = NULL;

    assert_int_equal(px_path_pool_take(f->space.paths, zkp_slice_str(path), &taken), RC_OK);
    return taken;
}

static void add(struct fixture *f, const char *path, char list, enum px_watch_rule rule)
{
    struct px_path *taken = take(f, path);

    px_watch_set_add(&f->set, taken, (enum zkp_watch_list)strcspn("decpr", (char[]){list, '\0'}), rule);
    px_path_drop(f->space.paths, taken);
}

static void fire(struct fixture *f, const char *path, int32_t type)
{
    px_watch_set_event(&f->set, &(struct zkp_watcher_event){type, 3, zkp_slice_str(path)});
}

static void remove_type(struct fixture *f, const char *path, int32_t type, enum px_watch_rule rule)
{
    struct px_path *taken = take(f, path);

    px_watch_set_remove(&f->set, taken, type, rule);
    px_path_drop(f->space.paths, taken);
}

/* Letters add a list, digits fire an event of that type, x and a digit remove by that type. */
static void play(struct fixture *f, const char *script, enum px_watch_rule rule)
{
    for (const char *step = script; *step != '\0'; step++) {
        if (*step == 'x')
            remove_type(f, "/p", *++step - '0', rule);
        else if (*step >= '1' && *step <= '4')
            fire(f, "/p", *step - '0');
        else
            add(f, "/p", *step, rule);
    }
}

struct script {
    const char *steps;
    const char *one_mode;  /* the lists left up to 3.8 … */
    const char *all_modes; /* … and from 3.9 */
};

/* The tables of protocol.md §2.1, §2.2 and its quirk. */
static const struct script scripts[] = {
    {"d", "d", "d"},
    {"e", "e", "e"},
    {"c", "c", "c"},
    {"p", "p", "p"},
    {"r", "r", "r"},
    /* D is one: the latest registration wins */
    {"de", "e", "e"},
    {"ed", "d", "d"},
    {"dc", "dc", "dc"},
    /* one-shot watches and events */
    {"dc1", "c", "c"},
    {"ec1", "c", "c"},
    {"dc3", "c", "c"},
    {"dc2", "", ""},
    {"ec2", "", ""},
    {"dc4", "d", "d"},
    {"dc31", "c", "c"},
    {"c2", "", ""},
    {"dcd2d", "d", "d"},
    /* persistent ones stay */
    {"p1234", "p", "p"},
    {"r1234", "r", "r"},
    /* up to 3.8 one mode per table: the one-shot watch wins over what was there, and then is gone */
    {"pd", "dp", "dp"},
    {"pd3", "p", "p"},
    {"pdc", "dc", "dcp"},
    {"pdc2", "", "p"},
    {"rd", "dr", "dr"},
    {"rdc24", "", "r"},
    {"dp", "p", "dp"},
    {"dp3", "p", "p"},
    {"dcp", "p", "dcp"},
    {"dcr", "r", "dcr"},
    {"pr", "r", "pr"},
    {"rp", "p", "pr"},
    /* removeWatches */
    {"dcx1", "d", "d"},
    {"dcx2", "c", "c"},
    {"ecx2", "c", "c"},
    {"dcx3", "", ""},
    {"px1", "p", "p"}, /* up to 3.8 out of the child table only: still persistent in the other */
    {"px1x2", "", "p"},
    {"px3", "", ""},
    {"rx2x1", "", "r"},
    {"rx3", "", ""},
    {"dcprx4", "r", "dcr"}, /* 4 and 5 never succeed up to 3.8, so their left column says little */
    {"dcprx5", "", "dcp"},
    {"dcprx1", "r", "dpr"},
    {"dcprx2", "r", "cpr"},
    {"dcprx3", "", ""},
    {"dx9", "d", "d"},
};

static void scripts_by_version(void **state)
{
    struct fixture *f = *state;
    char lists[6];

    for (size_t i = 0; i < sizeof(scripts) / sizeof(scripts[0]); i++) {
        const char *steps = scripts[i].steps;
        play(f, steps, PX_WATCH_ONE_MODE);
        if (strcmp(bench_lists(&f->set, "/p", lists), scripts[i].one_mode) != 0)
            fail_msg("%s up to 3.8: \"%s\", not \"%s\"", steps, lists, scripts[i].one_mode);
        px_watch_set_done(&f->set);
        play(f, steps, PX_WATCH_ALL_MODES);
        if (strcmp(bench_lists(&f->set, "/p", lists), scripts[i].all_modes) != 0)
            fail_msg("%s from 3.9: \"%s\", not \"%s\"", steps, lists, scripts[i].all_modes);
        assert_int_equal(px_watch_set_paths(&f->set), *lists != '\0');
        px_watch_set_done(&f->set);
    }
}

/* addWatch(P), getData(watch), getChildren(watch) up to 3.8: each table lost the P by itself. */
static void the_quirk_is_per_table(void **state)
{
    struct fixture *f = *state;
    char lists[6];

    play(f, "pd3", PX_WATCH_ONE_MODE);
    assert_string_equal(bench_lists(&f->set, "/p", lists), "p"); /* child events go on */
    play(f, "c4", PX_WATCH_ONE_MODE);
    assert_string_equal(bench_lists(&f->set, "/p", lists), "");
}

static void only_the_very_path_is_meant(void **state)
{
    struct fixture *f = *state;
    char lists[6];

    add(f, "/p", 'd', PX_WATCH_ONE_MODE);
    add(f, "/p/c", 'd', PX_WATCH_ONE_MODE);
    add(f, "/", 'r', PX_WATCH_ONE_MODE);
    fire(f, "/p/c/x", ZKP_EVENT_DELETED); /* the recursive one's */
    fire(f, "/p/c", ZKP_EVENT_DELETED);
    assert_string_equal(bench_lists(&f->set, "/p", lists), "d");
    assert_string_equal(bench_lists(&f->set, "/p/c", lists), "");
    assert_string_equal(bench_lists(&f->set, "/", lists), "r");
}

static void lists_are_walked_whole(void **state)
{
    struct fixture *f = *state;
    uint32_t seen[ZKP_LIST_COUNT] = {0};
    char text[32];

    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof(text), "/n%d", i);
        add(f, text, "decpr"[i % 5], PX_WATCH_ALL_MODES);
    }
    for (uint32_t list = 0; list < ZKP_LIST_COUNT; list++) {
        struct zkp_slice path;
        for (uint32_t at = 0; px_watch_set_next(&f->set, (enum zkp_watch_list)list, &at, &path);) {
            snprintf(text, sizeof(text), "%.*s", (int)path.len, (const char *)path.ptr);
            assert_int_equal((uint32_t)atoi(text + 2) % 5, list);
            seen[list]++;
        }
        assert_int_equal(seen[list], 200);
        assert_int_equal(px_watch_set_count(&f->set, (enum zkp_watch_list)list), 200);
        assert_int_equal(f->space.totals[list], 200);
    }
}

static void assert_given_up(struct fixture *f)
{
    assert_true(f->set.is_unknown);
    assert_int_equal(px_watch_set_paths(&f->set), 0);
    assert_int_equal(px_path_pool_count(f->space.paths), 0); /* the memory is back */
    assert_int_equal(f->space.overflow_count, 1);
    add(f, "/later", 'd', PX_WATCH_ONE_MODE);
    assert_int_equal(px_watch_set_paths(&f->set), 0);
    px_watch_set_give_up(&f->set);
    assert_int_equal(f->space.overflow_count, 1); /* a session counts once */
}

static void over_the_limit_it_is_unknown(void **state)
{
    struct fixture *f = *state;
    char text[32];

    f->space.watches_max = 3;
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "/n%d", i);
        add(f, text, 'd', PX_WATCH_ALL_MODES);
        add(f, text, 'c', PX_WATCH_ALL_MODES); /* the same path: no further one */
    }
    fire(f, "/n0", ZKP_EVENT_DELETED);
    add(f, "/n0", 'd', PX_WATCH_ALL_MODES);
    assert_false(f->set.is_unknown);
    add(f, "/n3", 'd', PX_WATCH_ALL_MODES);
    assert_given_up(f);
}

static void long_names_have_a_limit_too(void **state)
{
    struct fixture *f = *state;
    uint32_t length = 1u << 20;
    char *text = malloc(length + 1);

    assert_non_null(text);
    memset(text, 'a', length);
    text[length] = '\0';
    for (uint32_t i = 0; i < PX_WATCH_BYTES_MAX / length; i++) {
        text[0] = (char)('!' + i);
        add(f, text, 'd', PX_WATCH_ONE_MODE);
        assert_false(f->set.is_unknown);
    }
    add(f, "/", 'd', PX_WATCH_ONE_MODE);
    assert_given_up(f);
    free(text);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void play_random(struct fixture *f, struct watch_model *model, uint32_t *seed)
{
    char text[8];
    uint32_t dice = next_random(seed) % 16;
    int32_t type = (int32_t)(next_random(seed) % 6);

    snprintf(text, sizeof(text), "/n%u", next_random(seed) % 40);
    if (dice < 10) {
        add(f, text, "decpr"[dice % 5], model -> rule);
        model_add(model, zkp_slice_str(text), (enum zkp_watch_list)(dice % 5));
    } else if (dice < 15) {
        fire(f, text, type);
        model_fire(model, zkp_slice_str(text), type);
    } else {
        remove_type(f, text, type, model->rule);
        model_remove(model, zkp_slice_str(text), type);
    }
}

static void random_sequences_equal_the_model(void **state)
{
    static struct watch_model model;
    struct fixture *f = *state;
    uint32_t seed = 2026;

    for (uint32_t rule = PX_WATCH_ONE_MODE; rule <= PX_WATCH_ALL_MODES; rule++) {
        model = (struct watch_model){.rule = (enum px_watch_rule)rule};
        for (uint32_t step = 0; step < 20000; step++) {
            play_random(f, &model, &seed);
            model_check(&model, &f->set);
        }
        assert_false(model.is_full);
        px_watch_set_done(&f->set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(scripts_by_version, setup, teardown),
        cmocka_unit_test_setup_teardown(the_quirk_is_per_table, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_very_path_is_meant, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_walked_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(over_the_limit_it_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(long_names_have_a_limit_too, setup, teardown),
        cmocka_unit_test_setup_teardown(random_sequences_equal_the_model, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
