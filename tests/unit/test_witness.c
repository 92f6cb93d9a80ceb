/* The continuity witness's judge (migrate/engine/witness.h) with a clock of its own: a clean run has nothing
 * to complain about, and each kind of fault is found and counted once, under its own name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "migrate/engine/witness.h"

#define STEP_MS 100
#define OWNER   0x1000000a5
#define CZXID   0x100000007

/* The witness, and the node as a faultless ensemble has it. */
struct scene {
    struct mig_witness witness;
    int64_t now_ms;
    struct mig_witness_node node;
};

static void tell(struct scene *s, enum mig_witness_event_kind kind)
{
    const struct mig_witness_event event = {
        .kind = kind, .now_ms = s->now_ms, .node = s->node, .value = s->node.version};
    mig_witness_step(&s->witness, &event);
}

static struct scene begun(void)
{
    struct scene s = {.now_ms = 5000, .node = {.czxid = CZXID, .owner = OWNER}};
    mig_witness_init(&s.witness, NULL);
    tell(&s, MIG_WITNESS_BEGUN);
    tell(&s, MIG_WITNESS_READ);
    return s;
}

static void send_one(struct scene *s)
{
    s->now_ms += STEP_MS;
    assert_int_equal(mig_witness_version(&s->witness), s->node.version);
    tell(s, MIG_WITNESS_SENT);
}

static void write_one(struct scene *s)
{
    send_one(s);
    s->node.version++;
    tell(s, MIG_WITNESS_FIRED);
    tell(s, MIG_WITNESS_ACKED);
}

static void cycle(struct scene *s)
{
    write_one(s);
    tell(s, MIG_WITNESS_READ);
}

static struct mig_witness_figures figures(const struct scene *s)
{
    return mig_witness_figures(&s->witness, s->now_ms);
}

/* Goes on after the fault; then exactly these figures are not those of a clean run. */
#define ASSERT_FOUND(s, fault, count)                                                                        \
    do {                                                                                                     \
        cycle(s);                                                                                            \
        struct mig_witness_figures found_ = figures(s);                                                      \
        assert_false(mig_witness_is_clean(&found_));                                                         \
        assert_int_equal(found_.fault, (count));                                                             \
        found_.fault = 0;                                                                                    \
        assert_true(mig_witness_is_clean(&found_));                                                          \
    } while (0)

static void a_clean_run(void **state)
{
    (void)state;
    struct scene s = begun();
    struct mig_witness_figures f = figures(&s);
    assert_false(mig_witness_is_clean(&f)); /* nothing was proven yet */
    for (int i = 0; i < 50; i++)
        cycle(&s);
    f = figures(&s);
    assert_true(mig_witness_is_clean(&f));
    assert_int_equal(f.writes, 50);
    assert_int_equal(f.acked, 50);
    assert_int_equal(f.events, 50);
    assert_int_equal(f.stall_ms, STEP_MS);
}

static void a_stall_is_measured_while_it_lasts(void **state)
{
    (void)state;
    struct scene s = begun();
    cycle(&s);
    send_one(&s);
    s.now_ms += 2000;
    assert_int_equal(figures(&s).stall_ms, 2000 + STEP_MS);
    assert_int_equal(mig_witness_waits_ms(&s.witness, s.now_ms), 2000 + STEP_MS);
    s.node.version++;
    tell(&s, MIG_WITNESS_FIRED);
    tell(&s, MIG_WITNESS_ACKED);
    tell(&s, MIG_WITNESS_READ);
    assert_int_equal(mig_witness_waits_ms(&s.witness, s.now_ms), 0);
    cycle(&s);
    assert_int_equal(figures(&s).stall_ms, 2000 + STEP_MS);
}

static void nothing_is_expected_after_the_end(void **state)
{
    (void)state;
    struct scene s = begun();
    cycle(&s);
    tell(&s, MIG_WITNESS_STOPPED);
    tell(&s, MIG_WITNESS_FIRED); /* the node is deleted */
    s.now_ms += 60000;
    struct mig_witness_figures f = figures(&s);
    assert_true(mig_witness_is_clean(&f));
    assert_int_equal(f.stall_ms, STEP_MS);
    tell(&s, MIG_WITNESS_BEGUN); /* the same plan goes on, with another node */
    s.node = (struct mig_witness_node){.czxid = CZXID + 9, .owner = OWNER + 1};
    tell(&s, MIG_WITNESS_READ);
    cycle(&s);
    f = figures(&s);
    assert_true(mig_witness_is_clean(&f));
    assert_int_equal(f.acked, 2);
    assert_int_equal(f.stall_ms, STEP_MS);
}

/* The figures of a daemon before; how long nobody ran is nobody's stall. */
static void another_life_goes_on(void **state)
{
    (void)state;
    struct scene s = begun();
    cycle(&s);
    tell(&s, MIG_WITNESS_DISCONNECTED);
    const struct mig_witness_figures kept = figures(&s);
    mig_witness_init(&s.witness, &kept);
    s.now_ms += 60000;
    struct mig_witness_figures f = figures(&s);
    assert_memory_equal(&f, &kept, sizeof f);
    s.node = (struct mig_witness_node){.czxid = CZXID + 9, .owner = OWNER + 1};
    tell(&s, MIG_WITNESS_BEGUN);
    tell(&s, MIG_WITNESS_READ);
    assert_int_equal(mig_witness_waits_ms(&s.witness, s.now_ms), 0);
    ASSERT_FOUND(&s, disconnects, 1);
    f = figures(&s);
    assert_int_equal(f.acked, 2);
    assert_int_equal(f.stall_ms, STEP_MS);
}

/* The first ones at once, then a share; whichever of them it is. */
static void what_is_worth_keeping(void **state)
{
    (void)state;
    struct mig_witness_figures kept = {.acked = 0};
    struct mig_witness_figures now = kept;
    assert_false(mig_witness_outgrew(&kept, &now));
    now.events_doubled = 1;
    assert_true(mig_witness_outgrew(&kept, &now));
    kept = now;
    kept.acked = 64000;
    now.acked = 65000;
    assert_false(mig_witness_outgrew(&kept, &now));
    now.acked++;
    assert_true(mig_witness_outgrew(&kept, &now));
    now.acked = kept.acked;
    now.stall_ms = 1;
    assert_true(mig_witness_outgrew(&kept, &now));
    assert_false(mig_witness_outgrew(&now, &kept));
}

/* The other session's: the node is none the worse for it. */
static void lasting_watches_that_were_cut(void **state)
{
    (void)state;
    struct scene s = begun();
    cycle(&s);
    tell(&s, MIG_WITNESS_WATCHES_LOST);
    cycle(&s);
    ASSERT_FOUND(&s, watches_lost, 1);
}

static void a_disconnect(void **state)
{
    (void)state;
    struct scene s = begun();
    cycle(&s);
    tell(&s, MIG_WITNESS_DISCONNECTED);
    tell(&s, MIG_WITNESS_READ); /* back, with everything it had */
    ASSERT_FOUND(&s, disconnects, 1);
}

static void an_unknown_write_that_was_not_done(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    tell(&s, MIG_WITNESS_UNKNOWN);
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, unknown, 1);
}

static void an_unknown_write_that_was_done(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    tell(&s, MIG_WITNESS_UNKNOWN);
    s.node.version++;
    tell(&s, MIG_WITNESS_FIRED);
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, unknown, 1);
}

static void a_write_done_twice(void **state)
{
    (void)state;
    struct scene s = begun();
    write_one(&s);
    s.node.version++;
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, gaps, 1);
}

static void an_acknowledged_write_that_is_lost(void **state)
{
    (void)state;
    struct scene s = begun();
    write_one(&s);
    s.node.version--;
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, gaps, 1);
}

static void an_answer_with_another_version(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    tell(&s, MIG_WITNESS_FIRED);
    s.node.version += 2;
    tell(&s, MIG_WITNESS_ACKED);
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, gaps, 1);
}

static void a_write_refused_for_its_version(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    s.node.version += 3; /* by somebody else, whose changes are not ours to judge */
    tell(&s, MIG_WITNESS_FIRED);
    tell(&s, MIG_WITNESS_STALE);
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, gaps, 1);
}

static void another_value(void **state)
{
    (void)state;
    struct scene s = begun();
    write_one(&s);
    const struct mig_witness_event event = {
        .kind = MIG_WITNESS_READ, .now_ms = s.now_ms, .node = s.node, .value = 77};
    mig_witness_step(&s.witness, &event);
    ASSERT_FOUND(&s, gaps, 1);
}

static void a_refused_request(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    tell(&s, MIG_WITNESS_REFUSED);
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, refused, 1);
}

static void an_expired_session_loses_its_ephemeral(void **state)
{
    (void)state;
    struct scene s = begun();
    cycle(&s);
    tell(&s, MIG_WITNESS_EXPIRED);
    s.node = (struct mig_witness_node){.czxid = CZXID + 9, .owner = OWNER + 1};
    tell(&s, MIG_WITNESS_READ);
    cycle(&s);
    struct mig_witness_figures f = figures(&s);
    assert_int_equal(f.ephemerals_lost, 1);
    s.witness.figures.ephemerals_lost = 0;
    ASSERT_FOUND(&s, expired, 1);
}

static void an_ephemeral_that_is_gone(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    tell(&s, MIG_WITNESS_GONE);
    s.node = (struct mig_witness_node){.czxid = CZXID + 9, .owner = OWNER};
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, ephemerals_lost, 1);
}

static void an_ephemeral_that_is_another_one(void **state)
{
    (void)state;
    struct scene s = begun();
    cycle(&s);
    s.node.czxid++;
    s.node.version = 0;
    tell(&s, MIG_WITNESS_READ);
    cycle(&s);
    send_one(&s);
    s.node = (struct mig_witness_node){.czxid = s.node.czxid, .owner = OWNER + 1, .version = 1};
    tell(&s, MIG_WITNESS_ACKED); /* also an answer to a write tells */
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, ephemerals_lost, 2);
}

static void an_event_behind_its_change(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    s.node.version++;
    tell(&s, MIG_WITNESS_ACKED);
    tell(&s, MIG_WITNESS_FIRED);
    tell(&s, MIG_WITNESS_READ);
    ASSERT_FOUND(&s, events_late, 1);
}

static void an_event_that_never_comes(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    s.node.version++;
    tell(&s, MIG_WITNESS_ACKED);
    tell(&s, MIG_WITNESS_READ);
    assert_int_equal(figures(&s).events_missed, 1);
    for (int i = 0; i < 3; i++) {
        struct mig_witness_figures before = figures(&s);
        send_one(&s);
        s.node.version++;
        tell(&s, MIG_WITNESS_ACKED);
        tell(&s, MIG_WITNESS_READ);
        assert_int_equal(figures(&s).events_missed, before.events_missed + 1);
    }
    struct mig_witness_figures f = figures(&s);
    assert_int_equal(f.events, 0);
    f.events_missed = 0;
    assert_true(mig_witness_is_clean(&f));
}

static void a_missed_event_that_comes_after_all(void **state)
{
    (void)state;
    struct scene s = begun();
    send_one(&s);
    s.node.version++;
    tell(&s, MIG_WITNESS_ACKED);
    tell(&s, MIG_WITNESS_READ);
    tell(&s, MIG_WITNESS_FIRED); /* of the watch before */
    cycle(&s);
    struct mig_witness_figures f = figures(&s);
    assert_int_equal(f.events_missed, 1);
    assert_int_equal(f.events_late, 1);
    assert_int_equal(f.events_doubled, 0);
}

static void an_event_twice(void **state)
{
    (void)state;
    struct scene s = begun();
    write_one(&s);
    tell(&s, MIG_WITNESS_FIRED); /* no watch is set */
    tell(&s, MIG_WITNESS_READ);
    tell(&s, MIG_WITNESS_FIRED); /* nothing was changed since it is set */
    ASSERT_FOUND(&s, events_doubled, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_run),
        cmocka_unit_test(a_stall_is_measured_while_it_lasts),
        cmocka_unit_test(nothing_is_expected_after_the_end),
        cmocka_unit_test(another_life_goes_on),
        cmocka_unit_test(what_is_worth_keeping),
        cmocka_unit_test(lasting_watches_that_were_cut),
        cmocka_unit_test(a_disconnect),
        cmocka_unit_test(an_unknown_write_that_was_not_done),
        cmocka_unit_test(an_unknown_write_that_was_done),
        cmocka_unit_test(a_write_done_twice),
        cmocka_unit_test(an_acknowledged_write_that_is_lost),
        cmocka_unit_test(an_answer_with_another_version),
        cmocka_unit_test(a_write_refused_for_its_version),
        cmocka_unit_test(another_value),
        cmocka_unit_test(a_refused_request),
        cmocka_unit_test(an_expired_session_loses_its_ephemeral),
        cmocka_unit_test(an_ephemeral_that_is_gone),
        cmocka_unit_test(an_ephemeral_that_is_another_one),
        cmocka_unit_test(an_event_behind_its_change),
        cmocka_unit_test(an_event_that_never_comes),
        cmocka_unit_test(a_missed_event_that_comes_after_all),
        cmocka_unit_test(an_event_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
