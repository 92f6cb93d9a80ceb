/* The races of protocol.md §3.3, by its numbers, and what was measured later: what the session core does in
 * each. Frames in, actions out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/move_bench.h"

/* 1: a write that reaches the leader after the owner has changed is refused, so none is under way then. */
static void race_1_nothing_is_in_flight_while_it_revalidates(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_auth(b, "a:1", false);
    bench_kind(b, PX_EVENT_MOVE);
    bench_kind(b, PX_EVENT_SETTLE);
    bench_reply(b, 1, M - 1, 0);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0); /* auth counts, too */
    bench_reply(b, ZKP_XID_AUTH, 0, 0);
    bench_step(b, (struct px_event){.kind = PX_EVENT_SETTLE, .is_client_mid_frame = true});
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
    bench_step(b, (struct px_event){.kind = PX_EVENT_SETTLE, .is_server_mid_frame = true});
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
    bench_kind(b, PX_EVENT_SETTLE);
    bench_reply(b, ZKP_XID_PING, M, 0);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_state(b, SEEKING);
    bench_request(b, 2, ZKP_OP_CREATE); /* the shell does not read it; nothing would come of it */
    assert_int_equal(b->actions.count, 0);
}

/* A first attempt was abandoned, a second one has succeeded. */
static void attach_after_an_abandoned_attempt(struct bench *b)
{
    bench_leave(b);
    bench_dial(b, M);
    bench_kind(b, PX_EVENT_NEXT_GONE); /* timed out: the request is in that server's socket */
    assert_state(b, SEEKING);
    bench_join(b, M);
    assert_state(b, ACTIVE);
}

/* 2: the abandoned request is executed later, and the good connection gets FIN with the next write. What the
 * owner check refused looks like a crash. */
static void race_2_a_write_meets_a_stale_revalidation(void **state)
{
    struct bench *b = *state;

    attach_after_an_abandoned_attempt(b);
    bench_request(b, 5, ZKP_OP_SET_DATA);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed_for(b, UNKNOWN_OUTCOME);
}

/* On the leader anything meets it. A read is asked again where the session is attached next. */
static void race_2_a_read_meets_a_stale_revalidation(void **state)
{
    struct bench *b = *state;

    attach_after_an_abandoned_attempt(b);
    bench_read(b, 5, ZKP_OP_GET_DATA, "/p", false);
    bench_reattach(b, M);
    assert_request(b, PX_ACTION_PUT_SERVER, 0, 5, ZKP_OP_GET_DATA);
    bench_reply(b, 5, M, 0);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
}

/* One at a time: the next attempt is routed only when the one before has ended. */
static void race_2_attempts_never_run_in_parallel(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
    bench_dial(b, M);
    b->now_ms += 1000;
    bench_kind(b, PX_EVENT_TICK);
    assert_null(bench_find(b, PX_ACTION_ROUTE));
    bench_kind(b, PX_EVENT_NEXT_GONE);
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
}

/* 3: a second connection to one server kills the first, so the old one is let go before it is dialled again.
 */
static void race_3_the_old_connection_goes_before_it_is_taken_back(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_dial(b, M);
    bench_kind(b, PX_EVENT_NEXT_GONE);
    bench_kind(b, PX_EVENT_UNROUTED);
    assert_int_equal(b->actions.count, 2);
    assert_int_equal(b->actions.list[0].kind, PX_ACTION_DROP_SERVER);
    assert_int_equal(b->actions.list[1].kind, PX_ACTION_ROUTE);
    assert_true(px_session_is_detached(b->session)); /* from now on its old server may be routed to */
}

/* 4: commits are matched by (session, xid): our sync has one no client uses, and no write goes out twice. */
static void race_4_our_sync_has_an_xid_of_its_own(void **state)
{
    struct bench *b = *state;

    bench_kind(b, PX_EVENT_SERVER_GONE);
    bench_join(b, 0);
    assert_request(b, PX_ACTION_SEND_NEXT, 0, INT32_MIN, ZKP_OP_SYNC);
}

static void race_4_a_write_never_goes_out_twice(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_reply(b, 1, M, 0);
    bench_read(b, 2, ZKP_OP_GET_DATA, "/p", false);
    bench_reattach(b, M);
    assert_request(b, PX_ACTION_PUT_SERVER, 0, 2, ZKP_OP_GET_DATA);
    assert_no_frame(b, PX_ACTION_PUT_SERVER, 1);
}

/* 5: closeSession waits like any request and ends the session on the new connection. */
static void race_5_a_session_is_closed_where_it_has_moved(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_request(b, 9, ZKP_OP_CLOSE_SESSION); /* in the shell's buffer */
    assert_int_equal(b->actions.count, 0);
    bench_join(b, M);
    bench_request(b, 9, ZKP_OP_CLOSE_SESSION);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    bench_reply(b, 9, M, 0);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed_for(b, CLOSE_SESSION);
}

/* … and the client may be gone by then. */
static void race_5_a_client_that_goes_in_between_ends_it(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_dial(b, M);
    bench_kind(b, PX_EVENT_CLIENT_GONE);
    assert_closed_for(b, CLIENT_GONE);
}

/* 6: a reply that came late proves no more than that the session lived when its request was sent. */
static void race_6_a_proof_is_as_old_as_its_request(void **state)
{
    struct bench *b = *state;
    uint8_t body[16] = {0};

    zkp_store_i32(body, 1);
    b->now_ms = 10000;
    bench_step(b, (struct px_event){.kind = PX_EVENT_CLIENT_FRAME,
                                    .now_us = 10000000,
                                    .length = 8,
                                    .body = zkp_slice_of("\0\0\0\1\0\0\0\3", 8)});
    b->now_ms = 11500;
    bench_step(b, (struct px_event){.kind = PX_EVENT_SERVER_FRAME,
                                    .now_us = 11500000,
                                    .length = 16,
                                    .body = zkp_slice_of(body, sizeof(body))});
    assert_int_equal(px_session_outstanding(b->session), 0);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    b->now_ms = 11999;
    bench_kind(b, PX_EVENT_CLIENT_PING);
    assert_non_null(bench_find(b, PX_ACTION_DROP));
    b->now_ms = 12000; /* a third of 6 s after it was sent */
    bench_kind(b, PX_EVENT_CLIENT_PING);
    assert_null(bench_find(b, PX_ACTION_DROP));
}

/* Measured later: FIN after the ConnectRequest proves nothing; before it was sent, ownership has stayed. */
static void a_dial_that_failed_leaves_no_doubt(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_kind(b, PX_EVENT_ROUTED);
    bench_kind(b, PX_EVENT_NEXT_GONE);
    bench_kind(b, PX_EVENT_UNROUTED);
    assert_null(bench_find(b, PX_ACTION_DROP_SERVER));
    assert_outcome(b, STAYED);
}

/* A write may be released on the old server only when the session was taken back there. */
static void a_doubt_outlives_a_dial_that_failed(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_dial(b, M);
    bench_kind(b, PX_EVENT_NEXT_GONE);
    bench_kind(b, PX_EVENT_ROUTED);
    bench_kind(b, PX_EVENT_NEXT_GONE);
    bench_kind(b, PX_EVENT_UNROUTED);
    assert_non_null(bench_find(b, PX_ACTION_DROP_SERVER));
    assert_state(b, SEEKING);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(race_1_nothing_is_in_flight_while_it_revalidates),
        TEST(race_2_a_write_meets_a_stale_revalidation),
        TEST(race_2_a_read_meets_a_stale_revalidation),
        TEST(race_2_attempts_never_run_in_parallel),
        TEST(race_3_the_old_connection_goes_before_it_is_taken_back),
        TEST(race_4_our_sync_has_an_xid_of_its_own),
        TEST(race_4_a_write_never_goes_out_twice),
        TEST(race_5_a_session_is_closed_where_it_has_moved),
        TEST(race_5_a_client_that_goes_in_between_ends_it),
        TEST(race_6_a_proof_is_as_old_as_its_request),
        TEST(a_dial_that_failed_leaves_no_doubt),
        TEST(a_doubt_outlives_a_dial_that_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
