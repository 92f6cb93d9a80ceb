/* What a client that connects now would get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/control/offer.h"

static struct px_directive *directive;
static struct px_offer_ask ask;

static int setup(void **state)
{
    (void)state;
    directive = px_directive_new();
    directive->version = 1;
    directive->has_leader = true;
    strcpy(directive->why_waiting, "no admitted server serves");
    for (uint32_t slot = 0; slot < 2; slot++)
        directive->servers[slot] = (struct px_server_directive){
            .in_use = true, .admit = true, .is_serving = true, .address_count = 1, .zxid = 7 + slot};
    ask = (struct px_offer_ask){.directive = directive, .is_open = true, .clients = 4, .clients_max = 5};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    px_directive_unref(directive);
    return 0;
}

static void assert_offers(enum px_offer_kind kind, int64_t zxid, const char *why)
{
    struct px_offer offer = px_offer(&ask);
    assert_int_equal(offer.kind, kind);
    assert_int_equal(offer.zxid, zxid);
    assert_string_equal(offer.why, why);
}

static void a_server_that_could_be_routed_to(void **state)
{
    (void)state;
    struct px_server_directive *servers = directive->servers;
    assert_offers(PX_OFFER_READ_WRITE, 8, "");
    servers[1].admit = false;
    assert_offers(PX_OFFER_READ_WRITE, 7, "");
    servers[0].is_serving = false;
    assert_offers(PX_OFFER_NOTHING, 0, "no admitted server serves");
    servers[0].is_serving = true;
    servers[0].address_count = 0;
    assert_offers(PX_OFFER_NOTHING, 0, "no admitted server serves");
    servers[0].address_count = 1;
    directive->has_leader = false;
    assert_offers(PX_OFFER_NOTHING, 0, "no admitted server serves");
    directive->version = 0;
    assert_offers(PX_OFFER_NOTHING, 0, "no server is known yet");
}

static void a_server_without_a_quorum(void **state)
{
    (void)state;
    directive->servers[1].is_read_only = true;
    assert_offers(PX_OFFER_READ_WRITE, 8, "");
    directive->servers[0].in_use = false;
    assert_offers(PX_OFFER_READ_ONLY, 8, "");
    directive->has_leader = false; /* it has none */
    assert_offers(PX_OFFER_READ_ONLY, 8, "");
}

static void what_else_stands_in_the_way(void **state)
{
    (void)state;
    ask.clients = 5;
    assert_offers(PX_OFFER_NOTHING, 0, "limits.sessions is reached");
    ask.clients = 4;
    ask.is_short = true;
    assert_offers(PX_OFFER_NOTHING, 0, "no descriptors are left for another client");
    ask.is_short = false;
    ask.refused_for_ms = 1000;
    assert_offers(PX_OFFER_NOTHING, 0, "every admitted server refuses new sessions");
    ask.refused_for_ms = 999;
    assert_offers(PX_OFFER_READ_WRITE, 8, "");
    ask.is_open = false;
    assert_offers(PX_OFFER_NOTHING, 0, "no connections are accepted: starting, or ending");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_that_could_be_routed_to),
        TEST(a_server_without_a_quorum),
        TEST(what_else_stands_in_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
