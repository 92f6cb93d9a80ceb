/* Which server takes a client: load, admission, health, zxid, the limit of connects in flight. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/net/route.h"

struct fixture {
    struct px_directive *directive;
    struct px_shared *shared;
};

static int setup(void **state)
{
    static struct fixture f;

    f.directive = px_directive_new();
    f.shared = px_shared_new(1);
    f.directive->has_leader = true;
    for (uint32_t slot = 0; slot < 3; slot++) {
        struct px_server_directive *server = &f.directive->servers[slot];
        server->in_use = server->admit = server->is_serving = true;
        server->address_count = 1;
        server->zxid = 100;
        f.shared->slots[slot].session_count = 10 + slot;
    }
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    px_directive_unref(f->directive);
    px_shared_free(f->shared);
    return 0;
}

static enum px_route pick(struct fixture *f, struct px_route_ask ask, uint32_t *slot)
{
    return px_route_pick(f->directive, f->shared, &ask, slot);
}

static void fewest_sessions(void **state)
{
    struct fixture *f = *state;
    uint32_t slot;

    assert_int_equal(pick(f, (struct px_route_ask){.zxid = 5}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 0);
    f->shared->slots[0].connect_count = 20; /* on their way: they count */
    assert_int_equal(pick(f, (struct px_route_ask){.zxid = 5}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 1);
    f->directive->servers[1].admit = false;
    assert_int_equal(pick(f, (struct px_route_ask){.zxid = 5}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 2);
    f->directive->servers[2].is_serving = false;
    assert_int_equal(pick(f, (struct px_route_ask){.zxid = 5}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 0);
}

static void never_behind_the_client(void **state)
{
    struct fixture *f = *state;
    uint32_t slot;

    assert_int_equal(pick(f, (struct px_route_ask){.zxid = 101}, &slot), PX_ROUTE_BEHIND);
    px_shared_zxid_raise(f->shared, 2, 101); /* its replies show more than the probes */
    assert_int_equal(pick(f, (struct px_route_ask){.zxid = 101}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 2);
    assert_int_equal(pick(f, (struct px_route_ask){.zxid = 500, .ignores_zxid = true}, &slot),
                     PX_ROUTE_FOUND);
    assert_int_equal(slot, 2); /* the highest, not the least loaded */
}

static void each_is_tried_once(void **state)
{
    struct fixture *f = *state;
    uint32_t slot;

    assert_int_equal(pick(f, (struct px_route_ask){.tried = 1}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 1);
    assert_int_equal(pick(f, (struct px_route_ask){.tried = 7}, &slot), PX_ROUTE_EXHAUSTED);
}

static void waits_for_a_place_or_a_leader(void **state)
{
    struct fixture *f = *state;
    uint32_t slot;

    for (slot = 0; slot < 3; slot++)
        for (uint32_t i = 0; i < PX_CONNECTS_MAX; i++)
            assert_true(px_shared_connect_take(f->shared, slot, PX_CONNECTS_MAX));
    assert_false(px_shared_connect_take(f->shared, 0, PX_CONNECTS_MAX));
    assert_int_equal(pick(f, (struct px_route_ask){0}, &slot), PX_ROUTE_BUSY);
    px_shared_connect_give(f->shared, 1);
    assert_int_equal(pick(f, (struct px_route_ask){0}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 1);
    f->directive->has_leader = false;
    assert_int_equal(pick(f, (struct px_route_ask){0}, &slot), PX_ROUTE_NONE);
}

/* It is for those that take it, when nobody else is there; its zxid is no number. */
static void a_server_without_a_quorum(void **state)
{
    struct fixture *f = *state;
    uint32_t slot;

    f->directive->servers[0].is_read_only = true;
    f->directive->servers[0].zxid = -1;
    assert_int_equal(pick(f, (struct px_route_ask){0}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 1);
    assert_int_equal(pick(f, (struct px_route_ask){.takes_read_only = true}, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 1);
    f->directive->has_leader = false;
    assert_int_equal(pick(f, (struct px_route_ask){0}, &slot), PX_ROUTE_NONE);
    assert_int_equal(pick(f, (struct px_route_ask){.zxid = 9, .takes_read_only = true}, &slot),
                     PX_ROUTE_FOUND);
    assert_int_equal(slot, 0);
    assert_int_equal(pick(f, (struct px_route_ask){.is_attached = true, .serving = 1, .home = 0}, &slot),
                     PX_ROUTE_NONE); /* a session that writes loses it there */
}

/* Its requests wait meanwhile: what counts is what the worker itself believes, not probes and leaders. */
static void an_attached_session_is_not_fussy(void **state)
{
    struct fixture *f = *state;
    struct px_route_ask ask = {.zxid = 1000, .is_attached = true, .serving = 6, .home = PX_SLOT_NONE};
    uint32_t slot;

    f->directive->has_leader = false;
    f->directive->servers[1].is_serving = false;
    assert_int_equal(px_route_pick(f->directive, f->shared, &ask, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 1); /* behind the client as far as is known, as they all are */
    f->directive->servers[2].zxid = 100 + 64 * 100;
    assert_int_equal(px_route_pick(f->directive, f->shared, &ask, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 2); /* 1 lags */
    f->directive->servers[1].admit = f->directive->servers[2].admit = false;
    assert_int_equal(px_route_pick(f->directive, f->shared, &ask, &slot), PX_ROUTE_NONE);
    ask.home = 1;
    assert_int_equal(px_route_pick(f->directive, f->shared, &ask, &slot), PX_ROUTE_FOUND);
    assert_int_equal(slot, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fewest_sessions, setup, teardown),
        cmocka_unit_test_setup_teardown(never_behind_the_client, setup, teardown),
        cmocka_unit_test_setup_teardown(each_is_tried_once, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_a_place_or_a_leader, setup, teardown),
        cmocka_unit_test_setup_teardown(a_server_without_a_quorum, setup, teardown),
        cmocka_unit_test_setup_teardown(an_attached_session_is_not_fussy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
