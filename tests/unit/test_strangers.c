/* Connections around the proxy: a server's count minus ours, told only when two answers in a row show them.
 */
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

/* An answer of server 1: so many connections, so many of them are our sessions. */
static int64_t answered(int64_t at_ms, int64_t connections, int64_t sessions)
{
    struct mig_server_facts *server = &facts->servers[0];
    server->srvr_at_ms = at_ms;
    server->srvr.connections = connections;
    server->our_sessions = sessions;
    server->our_other_connections = 2;
    px_strangers_facts(&strangers, facts);
    return server->strangers;
}

static void two_answers_in_a_row_count(void **state)
{
    (void)state;
    assert_int_equal(answered(100, 10, 5), 0); /* 10 - 5 - 2 - the asker: two, seen once */
    assert_int_equal(answered(200, 11, 5), 2); /* the lesser of two and three */
    assert_int_equal(answered(300, 8, 5), 0);
    assert_int_equal(answered(400, 9, 5), 0);
    assert_int_equal(facts->servers[1].strangers, 0);
}

static void the_same_answer_counts_once(void **state)
{
    (void)state;
    assert_int_equal(answered(100, 10, 5), 0);
    assert_int_equal(answered(100, 10, 0), 0); /* our sessions have gone since it was given */
}

static void fewer_than_ours_is_none(void **state)
{
    (void)state;
    assert_int_equal(answered(100, 3, 9), 0);
    assert_int_equal(answered(200, -1, 0), 0); /* the line is missing */
    assert_int_equal(answered(300, 3, 9), 0);
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
    facts->servers[1].srvr.connections = 100;
    px_strangers_facts(&strangers, facts);
    assert_int_equal(facts->servers[1].strangers, 0);
    assert_int_equal(answered(100, 10, 5), 0);
    assert_int_equal(answered(200, 10, 5), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(two_answers_in_a_row_count),
        TEST(the_same_answer_counts_once),
        TEST(fewer_than_ours_is_none),
        TEST(places_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
