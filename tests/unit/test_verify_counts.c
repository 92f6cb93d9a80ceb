/* Counts of servers between two of the leader's: what is equal, what is looked at again, what is not known.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/verify/verify_counts.h"

#define LEADER 1
#define SERVER 4
#define ROUNDS 8 /* until a difference is believed */

/* A leader and one server that answer mntr as soon as they are asked. */
struct world {
    struct mig_facts facts;
    struct mig_counts counts;
    int32_t hides; /* this one's answer lacks a number; 0 = nobody's */
};

static struct mig_server_facts *facts_of(struct world *w, int32_t id)
{
    return &w->facts.servers[id == LEADER ? 0 : 1];
}

static void setup_world(struct world *w)
{
    const int32_t ids[] = {SERVER};
    *w = (struct world){.facts = {.now_ms = 1000, .server_count = 2}};
    facts_of(w, LEADER)->id = LEADER;
    facts_of(w, SERVER)->id = SERVER;
    mig_counts_start(&w->counts, LEADER, ids, 1);
}

/* Not before the pause after a difference is over. */
static void asked(struct world *w)
{
    w->facts.now_ms += 10;
    if (w->facts.now_ms < w->counts.next_look_ms) {
        assert_false(mig_counts_step(&w->counts, &w->facts));
        w->facts.now_ms = w->counts.next_look_ms;
    }
    assert_true(mig_counts_step(&w->counts, &w->facts));
}

static void tell(struct world *w, int32_t id, int64_t znodes)
{
    struct mig_server_facts *server = facts_of(w, id);
    w->facts.now_ms += 10;
    server->mntr_seen = MIG_SEEN_DATA;
    server->mntr_at_ms = w->facts.now_ms;
    server->mntr = (struct mig_mntr){.znode_count = znodes, .ephemerals_count = 3, .data_size = 1000};
    if (w->hides == id)
        server->mntr.data_size = -1;
    assert_false(mig_counts_step(&w->counts, &w->facts));
}

/* One round; the first begins with the leader. */
static void round_of(struct world *w, int64_t server, int64_t after)
{
    asked(w);
    tell(w, LEADER, after + 100); /* not what is waited for */
    assert_int_equal(w->counts.stage, MIG_COUNTS_SERVERS);
    tell(w, SERVER, server);
    asked(w);
    tell(w, LEADER, after);
}

static void begin(struct world *w, int64_t before)
{
    setup_world(w);
    asked(w);
    tell(w, LEADER, before);
}

static void assert_verdict(const struct world *w, enum mig_counts_verdict verdict, const char *text)
{
    assert_int_equal(w->counts.stage, MIG_COUNTS_DONE);
    assert_int_equal(w->counts.servers[0].verdict, verdict);
    assert_string_equal(w->counts.servers[0].text, text);
}

static void test_between_before_and_after(void **state)
{
    (void)state;
    struct world w;
    const int64_t between[] = {10, 12, 15};
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++) {
        begin(&w, 10);
        round_of(&w, between[i], 15);
        assert_verdict(&w, MIG_COUNTS_EQUAL, "");
        begin(&w, 15); /* nodes may become fewer, too */
        round_of(&w, between[i], 10);
        assert_verdict(&w, MIG_COUNTS_EQUAL, "");
    }
}

static void test_outside_is_looked_at_again(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 10);
    round_of(&w, 11, 10);
    assert_int_equal(w.counts.stage, MIG_COUNTS_SERVERS);
    round_of(&w, 10, 10);
    assert_verdict(&w, MIG_COUNTS_EQUAL, "");

    begin(&w, 10);
    int64_t began_ms = w.facts.now_ms;
    for (int i = 0; i < ROUNDS; i++)
        round_of(&w, 11, 10);
    assert_verdict(&w, MIG_COUNTS_DIFFERENT, "11 znodes, on the leader 10");
    assert_true(w.facts.now_ms - began_ms > 2000); /* who is behind for a second is not different */
    begin(&w, 10);
    for (int i = 0; i < ROUNDS; i++)
        round_of(&w, 99, i % 2 == 0 ? 12 : 10);
    assert_verdict(&w, MIG_COUNTS_DIFFERENT, "99 znodes, on the leader 10 to 12");
}

static void test_old_answers_do_not_count(void **state)
{
    (void)state;
    struct world w;
    setup_world(&w);
    facts_of(&w, LEADER)->mntr_seen = MIG_SEEN_DATA;
    facts_of(&w, LEADER)->mntr_at_ms = w.facts.now_ms;
    asked(&w);
    assert_false(mig_counts_step(&w.counts, &w.facts));
    assert_int_equal(w.counts.stage, MIG_COUNTS_BEFORE);
    tell(&w, LEADER, 10);
    assert_int_equal(w.counts.stage, MIG_COUNTS_SERVERS);
}

static void test_unknown(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 10);
    asked(&w);
    facts_of(&w, SERVER)->mntr_seen = MIG_SEEN_NOT_ALLOWED;
    assert_false(mig_counts_step(&w.counts, &w.facts));
    asked(&w);
    tell(&w, LEADER, 10);
    assert_verdict(&w, MIG_COUNTS_UNKNOWN, "its mntr can't be read");

    begin(&w, 10);
    asked(&w);
    assert_false(mig_counts_step(&w.counts, &w.facts));
    assert_int_equal(w.counts.stage, MIG_COUNTS_SERVERS);
    w.facts.now_ms += 60000; /* it never answers */
    assert_false(mig_counts_step(&w.counts, &w.facts));
    assert_int_equal(w.counts.stage, MIG_COUNTS_AFTER);

    setup_world(&w);
    asked(&w);
    facts_of(&w, LEADER)->health = MIG_HEALTH_DOWN;
    assert_false(mig_counts_step(&w.counts, &w.facts));
    assert_verdict(&w, MIG_COUNTS_UNKNOWN, "the leader's mntr can't be read");
    assert_false(mig_counts_step(&w.counts, &w.facts)); /* done is done */
}

/* A number that one of the two does not show is not the same number. */
static void test_a_number_that_is_not_there(void **state)
{
    (void)state;
    struct world w;
    begin(&w, 10);
    w.hides = SERVER;
    round_of(&w, 10, 10);
    assert_verdict(&w, MIG_COUNTS_UNKNOWN, "it does not say how many bytes of data it has");

    setup_world(&w);
    w.hides = LEADER;
    asked(&w);
    tell(&w, LEADER, 10);
    round_of(&w, 10, 10);
    assert_verdict(&w, MIG_COUNTS_UNKNOWN, "the leader does not say how many bytes of data it has");

    begin(&w, 10); /* a difference that is seen says more */
    w.hides = SERVER;
    for (int i = 0; i < ROUNDS; i++)
        round_of(&w, 11, 10);
    assert_verdict(&w, MIG_COUNTS_DIFFERENT, "11 znodes, on the leader 10");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_between_before_and_after),   cmocka_unit_test(test_outside_is_looked_at_again),
        cmocka_unit_test(test_old_answers_do_not_count),   cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_a_number_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
