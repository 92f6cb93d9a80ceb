/* A session whose server is lost, one rule each: protocol.md §4.4 and design.md §4. Frames in, actions out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/move_bench.h"

static void assert_lost(struct bench *b, struct px_event gone, bool is_masked)
{
    gone.kind = PX_EVENT_SERVER_GONE;
    bench_step(b, gone);
    if (is_masked)
        assert_state(b, SEEKING);
    else
        assert_closed_for(b, SERVER_GONE);
}

/* --- masked --- */

static void an_idle_client_notices_nothing(void **state)
{
    struct bench *b = *state;

    assert_lost(b, (struct px_event){0}, true);
    assert_non_null(bench_find(b, PX_ACTION_PAUSE_CLIENT));
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
    bench_join(b, M); /* whatever is known of it: an event may have shown more */
    assert_request(b, PX_ACTION_SEND_NEXT, 0, OURS, ZKP_OP_SYNC);
    bench_next_reply(b, OURS, M, 0);
    assert_outcome(b, REATTACHED);
    assert_non_null(bench_find(b, PX_ACTION_ADOPT));
    assert_non_null(bench_find(b, PX_ACTION_RESUME_CLIENT));
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 0);
}

static void a_server_that_hangs_is_left(void **state)
{
    struct bench *b = *state;

    bench_kind(b, PX_EVENT_PING);
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING);
    b->now_ms += 1000;
    bench_kind(b, PX_EVENT_SILENT);
    assert_non_null(bench_find(b, PX_ACTION_DROP_SERVER));
    assert_state(b, SEEKING);
    bench_join(b, 0);
    bench_next_reply(b, OURS, M, 0);
    assert_no_frame(b, PX_ACTION_PUT_SERVER, 0); /* our ping is not asked again */
    assert_int_equal(px_session_outstanding(b->session), 0);
}

/* While a write is under way a hung server may still answer it. */
static void a_hung_server_with_a_write_is_waited_for(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    b->now_ms += 1000;
    bench_kind(b, PX_EVENT_SILENT);
    assert_state(b, ACTIVE);
    b->now_ms += 3000;
    bench_kind(b, PX_EVENT_SILENT);
    assert_closed_for(b, UNKNOWN_OUTCOME);
}

static void unanswered_reads_are_asked_again_in_order(void **state)
{
    struct bench *b = *state;

    bench_read(b, 11, ZKP_OP_GET_DATA, "/a", true);
    bench_request(b, ZKP_XID_PING, ZKP_OP_PING);
    bench_read(b, 12, ZKP_OP_SYNC, "/", false);
    bench_path_int(b, 13, ZKP_OP_REMOVE_WATCHES, "/b", 3);
    bench_read(b, 14, ZKP_OP_GET_CHILDREN2, "/c", false);
    bench_reattach(b, M);
    assert_state(b, ACTIVE);
    assert_request(b, PX_ACTION_PUT_SERVER, 0, 11, ZKP_OP_GET_DATA);
    assert_memory_equal(bench_frame_of(b, PX_ACTION_PUT_SERVER, 0).ptr + 16, "/a\1", 3);
    assert_request(b, PX_ACTION_PUT_SERVER, 1, ZKP_XID_PING, ZKP_OP_PING);
    assert_request(b, PX_ACTION_PUT_SERVER, 2, 12, ZKP_OP_SYNC);
    assert_request(b, PX_ACTION_PUT_SERVER, 3, 13, ZKP_OP_REMOVE_WATCHES);
    assert_request(b, PX_ACTION_PUT_SERVER, 4, 14, ZKP_OP_GET_CHILDREN2);
    assert_no_frame(b, PX_ACTION_PUT_SERVER, 5);
    bench_reply(b, 11, M, 0);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    assert_true(px_watch_set_has(px_session_watches(b->session), ZKP_LIST_DATA, zkp_slice_str("/a")));
}

static void what_was_answered_is_not_asked_again(void **state)
{
    struct bench *b = *state;

    bench_read(b, 11, ZKP_OP_GET_DATA, "/a", false);
    bench_read(b, 12, ZKP_OP_GET_DATA, "/b", false);
    bench_reply(b, 11, M, 0);
    bench_reattach(b, M);
    assert_request(b, PX_ACTION_PUT_SERVER, 0, 12, ZKP_OP_GET_DATA);
    assert_no_frame(b, PX_ACTION_PUT_SERVER, 1);
}

static void our_own_answers_keep_their_place(void **state)
{
    struct bench *b = *state;

    bench_read(b, 11, ZKP_OP_GET_DATA, "/a", false);
    bench_request(b, 12, ZKP_OP_RECONFIG); /* refused here */
    bench_reattach(b, M);
    assert_request(b, PX_ACTION_PUT_SERVER, 0, 11, ZKP_OP_GET_DATA);
    assert_no_frame(b, PX_ACTION_PUT_SERVER, 1);
    assert_no_frame(b, PX_ACTION_SEND_CLIENT, 0);
    bench_reply(b, 11, M, 0);
    assert_request(b, PX_ACTION_SEND_CLIENT, 0, 12, 0 /* high half of the zxid */);
}

/* A ping of ours stood before it, and is never answered. */
static void an_answer_of_ours_behind_a_ping_of_ours(void **state)
{
    struct bench *b = *state;

    bench_kind(b, PX_EVENT_PING);
    bench_request(b, 12, ZKP_OP_RECONFIG);
    bench_reattach(b, M);
    assert_request(b, PX_ACTION_SEND_CLIENT, 0, 12, 0);
    assert_int_equal(px_session_outstanding(b->session), 0);
}

static void unanswered_auth_is_asked_again(void **state)
{
    struct bench *b = *state;

    bench_auth(b, "a:1", true);
    bench_auth(b, "b:2", false);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    bench_join(b, 0);
    assert_memory_equal(bench_frame_of(b, PX_ACTION_PUT_NEXT, 0).ptr + 30, "a:1", 3);
    assert_no_frame(b, PX_ACTION_PUT_NEXT, 1);
    bench_next_reply(b, ZKP_XID_AUTH, 0, 0);
    bench_next_reply(b, OURS, M, 0);
    assert_memory_equal(bench_frame_of(b, PX_ACTION_PUT_SERVER, 0).ptr + 30, "b:2", 3);
    bench_reply(b, ZKP_XID_AUTH, 0, 0);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
}

/* The zxid up to which all events have come, not the highest one seen. */
static void watches_are_caught_up_with_from_the_last_marker(void **state)
{
    struct bench *b = *state;
    struct zkp_slice frame;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_reattach(b, M + 5);
    frame = bench_frame_of(b, PX_ACTION_PUT_NEXT, 0);
    assert_request(b, PX_ACTION_PUT_NEXT, 0, OURS, ZKP_OP_SET_WATCHES);
    assert_int_equal(zkp_load_i64(frame.ptr + 12), M - 1);
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_next_reply(b, OURS, M + 5, 0);
    assert_state(b, ACTIVE);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_DATA_CHANGED, "/p"));
}

static void a_server_behind_is_not_used_before_it_has_caught_up(void **state)
{
    struct bench *b = *state;

    bench_read(b, 3, ZKP_OP_GET_DATA, "/p", false);
    bench_reply(b, 3, M, 0);
    bench_reattach(b, M - 1);
    assert_state(b, RESTORING);
    assert_request(b, PX_ACTION_SEND_NEXT, 0, ZKP_XID_PING, ZKP_OP_PING);
    bench_next_reply(b, ZKP_XID_PING, M, 0);
    assert_state(b, ACTIVE);
}

/* --- not masked --- */

static void a_write_without_an_answer_is_told(void **state)
{
    static const int32_t types[] = {ZKP_OP_CREATE, ZKP_OP_DELETE, ZKP_OP_SET_DATA, ZKP_OP_SET_ACL,
                                    ZKP_OP_CHECK,  ZKP_OP_MULTI,  ZKP_OP_CREATE2,  ZKP_OP_CREATE_CONTAINER,
                                    4711};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct bench b;
        bench_begin(&b);
        bench_reach(&b, PX_SESSION_ACTIVE);
        bench_request(&b, 1, types[i]);
        bench_read(&b, 2, ZKP_OP_GET_DATA, "/a", false);
        bench_kind(&b, PX_EVENT_SERVER_GONE);
        assert_closed_for(&b, UNKNOWN_OUTCOME);
        bench_end(&b);
    }
}

/* It may have been closed; a second one would be answered by an error. */
static void a_close_session_without_an_answer_is_not_sent_again(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CLOSE_SESSION);
    assert_state(b, ENDING);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed_for(b, CLOSE_SESSION);
    assert_null(bench_find(b, PX_ACTION_ROUTE));
}

static void the_clients_own_setwatches_is_not_repeated(void **state)
{
    struct bench *b = *state;

    bench_set_watches(b, -8, false, (const char *const[ZKP_LIST_COUNT]){"/d"});
    assert_lost(b, (struct px_event){0}, false);
}

static void reads_beyond_the_bound_are_not_kept(void **state)
{
    struct bench *b = *state;
    char path[1025] = "/";

    memset(path + 1, 'x', sizeof(path) - 2);
    for (int32_t xid = 1; xid <= 64; xid++)
        bench_read(b, xid, ZKP_OP_GET_DATA, path, false);
    assert_lost(b, (struct px_event){0}, false);
}

static void reads_within_the_bound_are_kept(void **state)
{
    struct bench *b = *state;
    char path[1025] = "/";

    memset(path + 1, 'x', sizeof(path) - 2);
    for (int32_t xid = 1; xid <= 200; xid++) { /* answered ones make room */
        bench_read(b, xid, ZKP_OP_GET_DATA, path, false);
        if (xid > 60)
            bench_reply(b, xid - 60, M, 0);
    }
    bench_reattach(b, M);
    assert_request(b, PX_ACTION_PUT_SERVER, 0, 141, ZKP_OP_GET_DATA);
    assert_request(b, PX_ACTION_PUT_SERVER, 59, 200, ZKP_OP_GET_DATA);
    assert_no_frame(b, PX_ACTION_PUT_SERVER, 60);
}

/* Servers that die one after the other while one request is unanswered die of it, as far as can be seen. */
static void a_poisonous_request_is_not_carried_on(void **state)
{
    struct bench *b = *state;

    bench_read(b, 1, ZKP_OP_GET_DATA, "/a", false);
    for (int i = 0; i < 3; i++) {
        bench_reattach(b, M);
        assert_state(b, ACTIVE);
    }
    assert_lost(b, (struct px_event){0}, false);
}

static void a_harmless_request_lifts_the_suspicion(void **state)
{
    struct bench *b = *state;

    bench_read(b, 1, ZKP_OP_GET_DATA, "/a", false);
    for (int i = 0; i < 3; i++)
        bench_reattach(b, M);
    bench_reply(b, 1, M, 0);
    bench_read(b, 2, ZKP_OP_GET_DATA, "/a", false);
    assert_lost(b, (struct px_event){0}, true);
}

/* Attached elsewhere it would steal the session from the client's living successor. */
static void a_silent_client_is_not_attached_again(void **state)
{
    struct bench *b = *state;

    b->now_ms += 3000;
    assert_lost(b, (struct px_event){0}, false);
}

static void a_client_just_heard_is_attached_again(void **state)
{
    struct bench *b = *state;

    b->now_ms += 2999;
    assert_lost(b, (struct px_event){0}, true);
}

static void half_a_frame_cant_be_carried_on(void **state)
{
    struct bench b;

    assert_lost(*state, (struct px_event){.is_server_mid_frame = true}, false);
    bench_begin(&b);
    bench_reach(&b, PX_SESSION_ACTIVE);
    assert_lost(&b, (struct px_event){.is_client_mid_frame = true}, false);
    bench_end(&b);
}

/* The server says why and closes: the client has to see both. */
static void a_servers_last_word_is_the_clients(void **state)
{
    static const int32_t errors[] = {ZKP_ERR_AUTH_FAILED, ZKP_ERR_SESSION_CLOSED_REQUIRE_SASL_AUTH,
                                     ZKP_ERR_UNIMPLEMENTED};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct bench b;
        bench_begin(&b);
        bench_reach(&b, PX_SESSION_ACTIVE);
        bench_auth(&b, "a:1", false);
        bench_reply(&b, ZKP_XID_AUTH, 0, errors[i]);
        assert_non_null(bench_find(&b, PX_ACTION_FORWARD));
        bench_kind(&b, PX_EVENT_SERVER_GONE);
        assert_closed_for(&b, REFUSED);
        bench_end(&b);
    }
}

static void sasl_cant_be_repeated(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_SASL);
    bench_reply(b, 1, 0, 0);
    assert_lost(b, (struct px_event){0}, false);
}

static void expired_elsewhere_is_the_end(void **state)
{
    struct bench *b = *state;

    bench_kind(b, PX_EVENT_SERVER_GONE);
    bench_dial(b, 0);
    bench_answer(b, 0, 0, true);
    assert_closed_for(b, EXPIRED);
    assert_outcome(b, REATTACH_LOST);
}

/* Tried until the client would give up by itself, unless nobody listens anywhere. */
static void it_is_tried_as_long_as_the_client_waits(void **state)
{
    struct bench *b = *state;

    bench_kind(b, PX_EVENT_SERVER_GONE);
    bench_dial(b, 0);
    bench_kind(b, PX_EVENT_NEXT_GONE);
    bench_kind(b, PX_EVENT_UNROUTED);
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
    b->now_ms += 3999;
    bench_kind(b, PX_EVENT_TICK);
    assert_state(b, SEEKING);
    b->now_ms += 1;
    bench_kind(b, PX_EVENT_TICK);
    assert_closed_for(b, SERVER_GONE);
}

static void where_nobody_listens_the_client_is_told_at_once(void **state)
{
    struct bench *b = *state;

    bench_kind(b, PX_EVENT_SERVER_GONE);
    bench_step(b, (struct px_event){.kind = PX_EVENT_UNROUTED, .is_hopeless = true});
    assert_closed_for(b, SERVER_GONE);
}

/* --- what fits nothing is the server's end --- */

static void assert_misfit(struct bench *b, enum px_misfit misfit)
{
    const struct px_action *lose = bench_find(b, PX_ACTION_LOSE_SERVER);

    assert_non_null(lose);
    assert_string_equal(px_misfit_name(lose->misfit), px_misfit_name(misfit));
    assert_non_null(bench_find(b, PX_ACTION_DROP));
    assert_null(bench_find(b, PX_ACTION_FORWARD));
    assert_state(b, ACTIVE);
}

/* A server that has lost its leader lets go of the write it waits for, and still answers the read behind. */
static void a_write_passed_over_is_unknown(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_read(b, 2, ZKP_OP_GET_DATA, "/a", false);
    bench_reply(b, 2, M, 0);
    assert_misfit(b, PX_MISFIT_SKIPPED);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed_for(b, UNKNOWN_OUTCOME);
}

static void reads_passed_over_are_asked_again(void **state)
{
    struct bench *b = *state;

    bench_read(b, 1, ZKP_OP_SYNC, "/", false);
    bench_read(b, 2, ZKP_OP_GET_DATA, "/a", true);
    bench_reply(b, 2, M, 0);
    assert_misfit(b, PX_MISFIT_SKIPPED);
    bench_reattach(b, M);
    assert_outcome(b, REATTACHED);
    assert_request(b, PX_ACTION_PUT_SERVER, 0, 1, ZKP_OP_SYNC);
    assert_request(b, PX_ACTION_PUT_SERVER, 1, 2, ZKP_OP_GET_DATA);
    bench_reply(b, 1, M, 0);
    bench_reply(b, 2, M, 0);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
}

static void a_reply_to_nothing_loses_the_server_only(void **state)
{
    struct bench *b = *state;

    bench_reply(b, 77, M, 0);
    assert_misfit(b, PX_MISFIT_UNASKED);
    bench_reattach(b, M);
    assert_outcome(b, REATTACHED);
}

static void what_cant_be_read_loses_the_server_only(void **state)
{
    struct bench *b = *state;
    static const uint8_t short_header[3];

    bench_frame(b, PX_EVENT_SERVER_FRAME, short_header, sizeof(short_header));
    assert_misfit(b, PX_MISFIT_UNREADABLE);
    bench_reattach(b, M);
    assert_outcome(b, REATTACHED);
    bench_step(b, (struct px_event){.kind = PX_EVENT_SERVER_BAD, .reason = PX_CLOSE_SERVER_PROTOCOL});
    assert_int_equal(bench_find(b, PX_ACTION_LOSE_SERVER)->misfit, PX_MISFIT_UNREADABLE);
    bench_reattach(b, M);
    assert_outcome(b, REATTACHED);
}

/* The guard wants to see a Stat that is none. */
static void a_body_of_another_shape_loses_the_server_only(void **state)
{
    struct bench *b = *state;
    uint8_t reply[16 + 5] = {0, 0, 0, 1};

    bench_read(b, 1, ZKP_OP_EXISTS, "/zookeeper/config", false);
    bench_frame(b, PX_EVENT_SERVER_FRAME, reply, sizeof(reply));
    assert_misfit(b, PX_MISFIT_UNREADABLE);
    bench_reattach(b, M);
    assert_request(b, PX_ACTION_PUT_SERVER, 0, 1, ZKP_OP_EXISTS);
}

/* Every server answers it with nonsense: then it is the request, and its client is told. */
static void nonsense_everywhere_is_the_clients_end(void **state)
{
    struct bench *b = *state;

    bench_read(b, 1, ZKP_OP_GET_DATA, "/a", false);
    for (int i = 0; i < 3; i++) {
        bench_reply(b, 99, M, 0);
        bench_reattach(b, M);
        assert_outcome(b, REATTACHED);
    }
    bench_reply(b, 99, M, 0);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed_for(b, SERVER_PROTOCOL);
}

/* A loss later on is not blamed on it. */
static void a_misfit_is_forgotten_with_its_server(void **state)
{
    struct bench *b = *state;

    bench_reply(b, 77, M, 0);
    bench_reattach(b, M);
    b->now_ms += BENCH_TIMEOUT_MS / 2; /* silent: not attached again */
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed_for(b, SERVER_GONE);
}

static void while_closing_it_is_the_end(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CLOSE_SESSION);
    assert_state(b, ENDING);
    bench_reply(b, 77, M, 0);
    assert_non_null(bench_find(b, PX_ACTION_LOSE_SERVER));
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed_for(b, CLOSE_SESSION);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_client_notices_nothing),
        TEST(a_server_that_hangs_is_left),
        TEST(a_hung_server_with_a_write_is_waited_for),
        TEST(unanswered_reads_are_asked_again_in_order),
        TEST(what_was_answered_is_not_asked_again),
        TEST(our_own_answers_keep_their_place),
        TEST(an_answer_of_ours_behind_a_ping_of_ours),
        TEST(unanswered_auth_is_asked_again),
        TEST(watches_are_caught_up_with_from_the_last_marker),
        TEST(a_server_behind_is_not_used_before_it_has_caught_up),
        cmocka_unit_test(a_write_without_an_answer_is_told),
        TEST(a_close_session_without_an_answer_is_not_sent_again),
        TEST(the_clients_own_setwatches_is_not_repeated),
        TEST(reads_beyond_the_bound_are_not_kept),
        TEST(reads_within_the_bound_are_kept),
        TEST(a_poisonous_request_is_not_carried_on),
        TEST(a_harmless_request_lifts_the_suspicion),
        TEST(a_silent_client_is_not_attached_again),
        TEST(a_client_just_heard_is_attached_again),
        TEST(half_a_frame_cant_be_carried_on),
        cmocka_unit_test(a_servers_last_word_is_the_clients),
        TEST(sasl_cant_be_repeated),
        TEST(expired_elsewhere_is_the_end),
        TEST(it_is_tried_as_long_as_the_client_waits),
        TEST(where_nobody_listens_the_client_is_told_at_once),
        TEST(a_write_passed_over_is_unknown),
        TEST(reads_passed_over_are_asked_again),
        TEST(a_reply_to_nothing_loses_the_server_only),
        TEST(what_cant_be_read_loses_the_server_only),
        TEST(a_body_of_another_shape_loses_the_server_only),
        TEST(nonsense_everywhere_is_the_clients_end),
        TEST(a_misfit_is_forgotten_with_its_server),
        TEST(while_closing_it_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
