/* Connections around the proxy: what a server counts, against what of it may be, and surely is, ours. At the
 * end a server is modelled that counts connections, and our probes come and go in every order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/control/fleet/strangers.h"

static struct px_strangers strangers;
static struct mig_facts *facts;

static int setup(void **state)
{
    (void)state;
    strangers = (struct px_strangers){0};
    facts = calloc(1, sizeof(*facts));
    assert_non_null(facts);
    facts->server_count = 2;
    facts->servers[0].id = 1;
    facts->servers[1].id = 2;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(facts);
    return 0;
}

/* An answer of server 1: so many connections, of which so many are ours. */
static struct mig_server_facts *answered(int64_t at_ms, int64_t connections, int64_t least, int64_t most)
{
    struct mig_server_facts *server = &facts->servers[0];
    server->srvr_at_ms = at_ms;
    server->srvr.connections = connections;
    server->ours_least = least;
    server->ours_most = most;
    px_strangers_facts(&strangers, facts);
    return server;
}

static void two_answers_in_a_row_accuse(void **state)
{
    (void)state;
    assert_int_equal(answered(100, 10, 8, 8)->strangers, -1); /* seen once */
    assert_int_equal(answered(200, 11, 8, 8)->strangers, 2);  /* the lesser of two and three */
    assert_int_equal(answered(300, 8, 8, 8)->strangers, 0);
    assert_int_equal(answered(400, 9, 8, 8)->strangers, 0);
    assert_int_equal(answered(500, 10, 8, 9)->strangers, 1); /* at least */
    assert_int_equal(facts->servers[1].strangers, -1);
}

static void the_same_answer_counts_once(void **state)
{
    (void)state;
    assert_int_equal(answered(100, 10, 8, 8)->strangers, -1);
    assert_int_equal(answered(100, 10, 3, 3)->strangers, -1); /* ours have gone since it was given */
    for (uint32_t i = 0; i < MIG_ALONE_SAMPLES; i++)
        assert_int_equal(answered(200, 8, 8, 8)->alone_since_ms, 0);
}

static void three_answers_in_a_row_clear(void **state)
{
    (void)state;
    assert_int_equal(answered(100, 8, 8, 8)->alone_since_ms, 0);
    assert_int_equal(answered(200, 7, 8, 8)->alone_since_ms, 0); /* one of ours was closed there already */
    assert_int_equal(answered(300, 8, 8, 8)->alone_since_ms, 100);
    assert_int_equal(answered(400, 8, 8, 8)->alone_since_ms, 200);
    assert_int_equal(answered(500, 9, 8, 8)->alone_since_ms, 0);
    assert_int_equal(answered(600, 8, 8, 8)->alone_since_ms, 0);
    assert_int_equal(answered(700, 8, 8, 8)->alone_since_ms, 0);
    assert_int_equal(answered(800, 8, 8, 8)->alone_since_ms, 600);
    assert_int_equal(facts->servers[1].alone_since_ms, 0);
}

/* The one that may be ours may be somebody else's. */
static void perhaps_ours_does_not_clear(void **state)
{
    (void)state;
    for (int64_t at_ms = 1; at_ms < 20; at_ms++)
        assert_int_equal(answered(at_ms, 9, 8, 9)->alone_since_ms, 0);
    assert_int_equal(facts->servers[0].strangers, 0); /* nor does it accuse */
}

static void a_missing_line_is_no_zero(void **state)
{
    (void)state;
    for (int64_t at_ms = 1; at_ms < 20; at_ms++)
        assert_int_equal(answered(at_ms, -1, 8, 8)->alone_since_ms, 0);
}

static void another_address_begins_anew(void **state)
{
    (void)state;
    for (int64_t at_ms = 1; at_ms <= 3; at_ms++)
        (void)answered(at_ms, 8, 8, 8);
    assert_int_equal(facts->servers[0].alone_since_ms, 1);
    assert_int_equal(answered(0, 0, 0, 0)->alone_since_ms, 0); /* nothing was seen of that one */
    assert_int_equal(facts->servers[0].strangers, -1);
    assert_int_equal(answered(5, 8, 8, 8)->alone_since_ms, 0);
}

/* Reloads name other servers all the time: one that finds no place is left out, nobody is mixed up. */
static void places_run_out(void **state)
{
    (void)state;
    for (int32_t id = 10; id < 10 + (int32_t)MIG_SERVERS_MAX; id++) {
        facts->servers[1].id = id;
        px_strangers_facts(&strangers, facts);
    }
    facts->servers[1].srvr_at_ms = 5;
    px_strangers_facts(&strangers, facts);
    assert_int_equal(facts->servers[1].strangers, -1);
    assert_int_equal(facts->servers[1].alone_since_ms, 0);
    assert_int_equal(answered(100, 10, 8, 8)->strangers, -1);
    assert_int_equal(answered(200, 10, 8, 8)->strangers, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(two_answers_in_a_row_accuse),
        TEST(the_same_answer_counts_once),
        TEST(three_answers_in_a_row_clear),
        TEST(perhaps_ours_does_not_clear),
        TEST(a_missing_line_is_no_zero),
        TEST(another_address_begins_anew),
        TEST(places_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
