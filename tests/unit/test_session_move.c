/* Moves of the session core, one rule each: protocol.md §4.3 with design.md §4's additions. Frames in,
 * actions out. Combinations of all this: test_session_property.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/move_bench.h"

/* --- becoming quiet --- */

static void what_is_outstanding_is_answered_first(void **state)
{
    struct bench *b = *state;

    bench_request(b, 7, ZKP_OP_CREATE);
    bench_kind(b, PX_EVENT_MOVE);
    assert_non_null(bench_find(b, PX_ACTION_PAUSE_CLIENT));
    bench_kind(b, PX_EVENT_SETTLE);
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
    bench_reply(b, 7, M - 1, 0);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0); /* this reply is the marker */
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
    assert_state(b, SEEKING);
}

static void assert_marker_is_asked_for(struct bench *b)
{
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING);
    assert_state(b, LEAVING);
    bench_reply(b, ZKP_XID_PING, M, 0);
    assert_non_null(bench_find(b, PX_ACTION_DROP));
    bench_kind(b, PX_EVENT_SETTLE);
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
    assert_state(b, SEEKING);
}

/* The client has seen a state that no zxid is known of. */
static void an_event_behind_the_last_reply_needs_a_marker(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_kind(b, PX_EVENT_MOVE);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_marker_is_asked_for(b);
}

/* Later it can't be asked any more. */
static void the_leader_is_asked_for_a_marker(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_kind(b, PX_EVENT_MOVE);
    bench_led(b, (struct px_event){.kind = PX_EVENT_SETTLE});
    assert_marker_is_asked_for(b);
}

static void lasting_watches_need_a_new_marker(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 0);
    bench_kind(b, PX_EVENT_MOVE);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_marker_is_asked_for(b);
}

/* What was written since the last reply: the next server's answer is beyond it, so the old one is drained. */
static void an_old_marker_is_made_up_for(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_kind(b, PX_EVENT_MOVE);
    bench_kind(b, PX_EVENT_SETTLE);
    bench_join(b, M);
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, "/p"); /* caught up with from the old marker on */
    bench_next_reply(b, OURS, M + 2, 0);
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING);
    bench_fire(b, ZKP_EVENT_DELETED, "/p");
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_DELETED, "/p"));
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 1);
    assert_state(b, ACTIVE);
}

/* The next server's last answer is the marker of the next move, if no event came behind it. */
static void a_move_leaves_a_marker(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    bench_next_reply(b, OURS, M, 0);
    bench_kind(b, PX_EVENT_MOVE);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
    assert_state(b, SEEKING);
}

static void an_event_at_the_end_of_a_move_needs_a_marker(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    bench_next_reply(b, OURS, M + 2, 0);
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, "/p"); /* behind its answer */
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_DATA_CHANGED, "/p"));
    assert_state(b, ACTIVE);
    bench_kind(b, PX_EVENT_MOVE);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_marker_is_asked_for(b);
}

static void a_busy_client_is_left_alone(void **state)
{
    struct bench *b = *state;

    bench_request(b, 7, ZKP_OP_CREATE);
    bench_kind(b, PX_EVENT_MOVE);
    b->now_ms += 1000;
    bench_kind(b, PX_EVENT_TICK);
    assert_outcome(b, BUSY);
    assert_int_equal(b->actions.stall, PX_STALL_STAYED);
    assert_int_equal(b->actions.stall_us, 1000000);
    assert_state(b, ACTIVE);
    assert_non_null(bench_find(b, PX_ACTION_RESUME_CLIENT));
}

/* --- attaching --- */

static void it_presents_what_the_client_was_granted(void **state)
{
    struct bench *b = *state;
    struct zkp_connect_request request;
    struct zkp_slice frame;

    bench_leave(b);
    bench_dial(b, M);
    frame = bench_frame_of(b, PX_ACTION_SEND_NEXT, 0);
    assert_int_equal(zkp_connect_request_decode(zkp_slice_of(frame.ptr + 4, frame.len - 4), &request), RC_OK);
    assert_int_equal(request.last_zxid_seen, M);
    assert_int_equal(request.timeout_ms, 6000);
    assert_int_equal(request.session_id, BENCH_SID);
    assert_int_equal(request.password.ptr[0], 9); /* the server's, not what the client came with */
    assert_true(request.has_read_only);
    assert_false(request.read_only);
}

/* One that is behind would close without a word, which proves nothing: it is let catch up. */
static void a_server_that_may_be_behind_is_let_catch_up(void **state)
{
    struct bench *b = *state;
    struct zkp_connect_request request;
    struct zkp_slice frame;

    bench_leave(b);
    bench_dial(b, M - 1);
    frame = bench_frame_of(b, PX_ACTION_SEND_NEXT, 0);
    assert_int_equal(zkp_connect_request_decode(zkp_slice_of(frame.ptr + 4, frame.len - 4), &request), RC_OK);
    assert_int_equal(request.last_zxid_seen, 0);
    bench_answer(b, 6000, BENCH_SID, true);
    assert_request(b, PX_ACTION_SEND_NEXT, 0, OURS, ZKP_OP_SYNC);
    bench_next_reply(b, OURS, M - 1, 0);
    assert_request(b, PX_ACTION_SEND_NEXT, 0, ZKP_XID_PING, ZKP_OP_PING);
    assert_state(b, RESTORING);
    bench_next_reply(b, ZKP_XID_PING, M, 0);
    assert_state(b, ACTIVE);
}

static void without_watches_it_goes_over_at_once(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    b->now_ms += 3;
    bench_join(b, M);
    assert_non_null(bench_find(b, PX_ACTION_ADOPT));
    assert_outcome(b, MOVED);
    assert_int_equal(b->actions.stall, PX_STALL_MOVED);
    assert_int_equal(b->actions.stall_us, 3000);
    assert_state(b, ACTIVE);
}

static void auth_comes_first_and_in_order(void **state)
{
    struct bench *b = *state;

    bench_auth(b, "a:1", true);
    bench_auth(b, "b:2", true);
    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    assert_request(b, PX_ACTION_PUT_NEXT, 0, ZKP_XID_AUTH, ZKP_OP_AUTH);
    assert_memory_equal(bench_frame_of(b, PX_ACTION_PUT_NEXT, 0).ptr + 30, "a:1", 3);
    assert_memory_equal(bench_frame_of(b, PX_ACTION_PUT_NEXT, 1).ptr + 30, "b:2", 3);
    assert_no_frame(b, PX_ACTION_PUT_NEXT, 2);
    bench_next_reply(b, ZKP_XID_AUTH, 0, 0);
    assert_no_frame(b, PX_ACTION_PUT_NEXT, 0); /* all must have been answered */
    bench_next_reply(b, ZKP_XID_AUTH, 0, 0);
    assert_request(b, PX_ACTION_PUT_NEXT, 0, OURS, ZKP_OP_SET_WATCHES);
}

struct seen_list {
    enum zkp_watch_list list;
    char path;
    uint32_t count;
};

static enum rc see_path(void *context, enum zkp_watch_list list, struct zkp_slice path)
{
    struct seen_list *seen = context;

    if (path.len == 2 && path.ptr[1] == (uint8_t)seen->path) {
        assert_int_equal(list, seen->list);
        seen->count++;
    }
    return RC_OK;
}

static void assert_in_list(struct zkp_slice frame, bool is_set_watches2, char path, enum zkp_watch_list list)
{
    struct seen_list seen = {.list = list, .path = path};
    int64_t relative_zxid;

    assert_int_equal(zkp_set_watches_decode(zkp_slice_of(frame.ptr + 12, frame.len - 12), is_set_watches2,
                                            &relative_zxid, see_path, &seen),
                     RC_OK);
    assert_int_equal(relative_zxid, M);
    assert_int_equal(seen.count, 1);
}

/* Two frames: lasting ones first, so that up to 3.8 a one-shot watch replaces half of one as it did before.
 */
static void each_watch_is_set_in_its_list(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/d", 0);
    bench_watch(b, ZKP_OP_EXISTS, "/e", ZKP_ERR_NO_NODE);
    bench_watch(b, ZKP_OP_GET_CHILDREN2, "/c", 0);
    bench_add_watch(b, "/p", 0);
    bench_add_watch(b, "/r", 1);
    bench_leave(b);
    bench_join(b, M);
    assert_request(b, PX_ACTION_PUT_NEXT, 1, OURS, ZKP_OP_SET_WATCHES);
    assert_request(b, PX_ACTION_PUT_NEXT, 0, OURS, ZKP_OP_SET_WATCHES2);
    assert_in_list(bench_frame_of(b, PX_ACTION_PUT_NEXT, 1), false, 'd', ZKP_LIST_DATA);
    assert_in_list(bench_frame_of(b, PX_ACTION_PUT_NEXT, 1), false, 'e', ZKP_LIST_EXIST);
    assert_in_list(bench_frame_of(b, PX_ACTION_PUT_NEXT, 1), false, 'c', ZKP_LIST_CHILD);
    assert_in_list(bench_frame_of(b, PX_ACTION_PUT_NEXT, 0), true, 'p', ZKP_LIST_PERSISTENT);
    assert_in_list(bench_frame_of(b, PX_ACTION_PUT_NEXT, 0), true, 'r', ZKP_LIST_RECURSIVE);
    assert_no_frame(b, PX_ACTION_PUT_NEXT, 2);
}

static void set_watches_comes_in_pieces(void **state)
{
    struct bench *b = *state;
    char path[1025] = "/";
    uint32_t count = 0;

    memset(path + 1, 'x', 1023);
    for (int i = 0; i < 300; i++) { /* 300 KiB of paths */
        snprintf(path + 1000, 25, "%023d", i);
        bench_watch(b, ZKP_OP_GET_DATA, path, 0);
    }
    bench_leave(b);
    bench_join(b, M);
    for (; bench_frame_of(b, PX_ACTION_PUT_NEXT, count).ptr != NULL; count++)
        assert_in_range(bench_frame_of(b, PX_ACTION_PUT_NEXT, count).len, 1, 128 * 1024 + 1100);
    assert_int_equal(count, 3);
    bench_next_reply(b, OURS, M, 0);
    bench_next_reply(b, OURS, M, 0);
    assert_state(b, RESTORING); /* not before the last one */
    bench_next_reply(b, OURS, M, 0);
    assert_state(b, ACTIVE);
}

/* --- the drain --- */

static void to_watches_set(struct bench *b, int64_t zxid)
{
    bench_leave(b);
    bench_join(b, M);
    bench_next_reply(b, OURS, zxid, 0);
}

/* S = M, and nothing came since: both streams were cut at one place. */
static void nothing_to_drain_when_nothing_happened(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    to_watches_set(b, M);
    assert_state(b, ACTIVE);
    assert_outcome(b, MOVED);
}

static void a_follower_is_pinged_until_it_is_there(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    to_watches_set(b, M + 2);
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING);
    bench_reply(b, ZKP_XID_PING, M + 1, 0);
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING);
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    assert_state(b, ACTIVE);
}

/* A ping on a moved session would be the leader's last word (protocol.md §3.2). */
static void the_leader_is_known_to_be_there_from_others(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    bench_led_reply(b, PX_EVENT_NEXT_FRAME, OURS, M + 2);
    assert_non_null(bench_find(b, PX_ACTION_AWAIT_APPLIED));
    assert_int_equal(bench_find(b, PX_ACTION_AWAIT_APPLIED)->zxid, M + 2);
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
    bench_led(b, (struct px_event){.kind = PX_EVENT_APPLIED, .known_zxid = M + 1});
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
    bench_led(b, (struct px_event){.kind = PX_EVENT_APPLIED, .known_zxid = M + 2});
    assert_request(b, PX_ACTION_SEND_SERVER, 0, OURS, ZKP_OP_AUTH);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_led_reply(b, PX_EVENT_SERVER_FRAME, OURS, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_DATA_CHANGED, "/p"));
    assert_request(b, PX_ACTION_SEND_NEXT, 0, OURS, ZKP_OP_SYNC); /* it may have shown more than S */
    bench_next_reply(b, OURS, M + 3, 0);
    assert_state(b, ACTIVE);
}

/* Created and deleted between the marker and SetWatches: only the old server knows. */
static void what_setwatches_hides_comes_from_the_old_server(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_EXISTS, "/p", ZKP_ERR_NO_NODE);
    to_watches_set(b, M + 2);
    bench_fire(b, ZKP_EVENT_CREATED, "/p");
    assert_non_null(bench_find(b, PX_ACTION_DROP)); /* kept back until its marker */
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_CREATED, "/p"));
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 1);
    assert_state(b, ACTIVE);
}

/* The watch that it left on the next server is nobody's. */
static void a_ghost_says_nothing(void **state)
{
    struct bench *b = *state;

    what_setwatches_hides_comes_from_the_old_server(state);
    bench_fire(b, ZKP_EVENT_CREATED, "/p");
    assert_null(bench_find(b, PX_ACTION_FORWARD));
    assert_int_equal(b->actions.dropped_events, 1);
    bench_watch(b, ZKP_OP_EXISTS, "/p", ZKP_ERR_NO_NODE);
    bench_fire(b, ZKP_EVENT_CREATED, "/p");
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
}

static void a_catch_up_event_is_dropped_when_the_old_server_gave_it(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, "/p"); /* deleted and created again */
    bench_next_reply(b, OURS, M + 2, 0);
    bench_fire(b, ZKP_EVENT_DELETED, "/p");
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_DELETED, "/p"));
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 1);
    assert_state(b, ACTIVE);
}

/* Up to 3.8 nothing but an exact cut keeps a lasting watch from hearing twice. */
static void lasting_watches_get_an_exact_cut(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 0);
    to_watches_set(b, M + 1);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");      /* at M+2 */
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, "/p"); /* the same */
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_DATA_CHANGED, "/p"));
    assert_request(b, PX_ACTION_SEND_NEXT, 0, ZKP_XID_PING, ZKP_OP_PING); /* is it at M+2, too? */
    bench_next_reply(b, ZKP_XID_PING, M + 3, 0);
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING); /* beyond: once more */
    bench_reply(b, ZKP_XID_PING, M + 3, 0);
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 0);
    assert_state(b, ACTIVE);
}

static void what_comes_behind_the_cut_comes_from_the_next_server(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 1);
    to_watches_set(b, M + 1);
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    bench_fire(b, ZKP_EVENT_CREATED, "/p/x"); /* at M+3: behind the marker */
    bench_next_reply(b, ZKP_XID_PING, M + 2, 0);
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 0);
    assert_state(b, ACTIVE);
    bench_fire(b, ZKP_EVENT_CREATED, "/p/x");
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
}

/* From 3.9 the zxid tells, and no cut needs to be exact. */
static void zxids_of_events_tell_what_was_passed_on(void **state)
{
    struct bench *b = *state;

    b->watch_rule = PX_WATCH_ALL_MODES;
    bench_add_watch(b, "/p", 0);
    to_watches_set(b, M + 1);
    bench_event_at(b, PX_EVENT_SERVER_FRAME, M + 2, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_event_at(b, PX_EVENT_NEXT_FRAME, M + 2, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_event_at(b, PX_EVENT_NEXT_FRAME, M + 3, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_DATA_CHANGED, "/p"));
    bench_next_reply(b, ZKP_XID_PING, M + 3, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_DATA_CHANGED, "/p"));
    assert_int_equal(zkp_load_i64(bench_frame_of(b, PX_ACTION_PUT_CLIENT, 0).ptr + 8), M + 3);
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 1);
    assert_state(b, ACTIVE);
}

/* An event of the old server that is kept back behind its last marker was not passed on: the next one's
 * counts. */
static void what_was_kept_back_is_not_taken_for_passed_on(void **state)
{
    struct bench *b = *state;

    b->watch_rule = PX_WATCH_ALL_MODES;
    bench_watch(b, ZKP_OP_EXISTS, "/p", ZKP_ERR_NO_NODE);
    bench_leave(b);
    bench_join(b, M);
    bench_next_reply(b, OURS, M + 1, 0);
    bench_reply(b, ZKP_XID_PING, M + 2, 0);
    bench_event_at(b, PX_EVENT_SERVER_FRAME, M + 3, ZKP_EVENT_CREATED, "/p");
    bench_event_at(b, PX_EVENT_NEXT_FRAME, M + 3, ZKP_EVENT_CREATED, "/p");
    bench_next_reply(b, ZKP_XID_PING, M + 4, 0);
    assert_true(bench_gave_event(b, 0, ZKP_EVENT_CREATED, "/p"));
    assert_state(b, ACTIVE);
}

/* --- no server may be older than an event the client has had --- */

static void the_last_watch_fired_before_setwatches(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_dial(b, M);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p"); /* of a state that no zxid is known of */
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    bench_answer(b, 6000, BENCH_SID, true);
    assert_request(b, PX_ACTION_SEND_NEXT, 0, OURS, ZKP_OP_SYNC);
    assert_state(b, RESTORING);
    bench_next_reply(b, OURS, M + 1, 0);
    assert_state(b, ACTIVE);
}

static void the_old_server_ended_before_it_was_drained(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_watch(b, ZKP_OP_GET_DATA, "/q", 0);
    bench_leave(b);
    bench_join(b, M);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_kind(b, PX_EVENT_SERVER_GONE);
    bench_next_reply(b, OURS, M, 0);
    assert_request(b, PX_ACTION_SEND_NEXT, 0, OURS, ZKP_OP_SYNC);
    bench_next_reply(b, OURS, M + 1, 0);
    assert_state(b, ACTIVE);
}

static void markers_do_not_meet_where_an_event_was_passed_on(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 0);
    bench_leave(b);
    bench_dial(b, M);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p"); /* at M+1 */
    bench_answer(b, 6000, BENCH_SID, true);
    bench_next_reply(b, OURS, M, 0); /* S = M, and yet the old server is further */
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING);
    bench_reply(b, ZKP_XID_PING, M + 1, 0);
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_next_reply(b, ZKP_XID_PING, M + 1, 0);
    assert_state(b, ACTIVE);
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 0);
}

/* --- going over --- */

/* Events before requests: the client must hear of a change before a reply that shows it. */
static void adopt_then_events_then_reading(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    to_watches_set(b, M + 1);
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, "/p"); /* at M+2 */
    bench_reply(b, ZKP_XID_PING, M + 1, 0);
    assert_state(b, ACTIVE);
    assert_int_equal(b->actions.list[0].kind, PX_ACTION_DROP);
    assert_int_equal(b->actions.list[1].kind, PX_ACTION_ADOPT);
    assert_int_equal(b->actions.list[2].kind, PX_ACTION_PUT_CLIENT);
    assert_int_equal(b->actions.list[3].kind, PX_ACTION_RESUME_CLIENT);
    assert_int_equal(b->actions.count, 4);
}

/* --- when it goes wrong --- */

static void without_another_server_it_stays(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_kind(b, PX_EVENT_ROUTED);
    bench_kind(b, PX_EVENT_NEXT_GONE); /* the dial failed: nobody was asked */
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
    bench_kind(b, PX_EVENT_UNROUTED);
    assert_outcome(b, STAYED);
    assert_state(b, ACTIVE);
    bench_request(b, 3, ZKP_OP_CREATE);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
}

/* [M] of protocol.md: a server killed after revalidation owned the session. */
static void after_an_unanswered_connect_it_is_taken_back(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_dial(b, M);
    bench_kind(b, PX_EVENT_NEXT_GONE);
    assert_state(b, SEEKING);
    bench_kind(b, PX_EVENT_UNROUTED); /* nobody else: the old server, anew */
    assert_non_null(bench_find(b, PX_ACTION_DROP_SERVER));
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
    bench_join(b, M);
    assert_request(b, PX_ACTION_SEND_NEXT, 0, OURS, ZKP_OP_SYNC);
    bench_next_reply(b, OURS, M, 0);
    assert_outcome(b, MOVED);
    assert_state(b, ACTIVE);
}

static void expired_there_but_alive_here_is_a_local_session(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_dial(b, M);
    bench_answer(b, 0, 0, true);
    assert_outcome(b, STAYED);
    assert_state(b, ACTIVE);
    assert_int_equal(px_session_obstacle(b->session), PX_OBSTACLE_LOCAL);
}

/* After a doubt the old server's silence about it proves nothing. */
static void expired_after_a_doubt_is_the_end(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_dial(b, M);
    bench_kind(b, PX_EVENT_NEXT_GONE);
    bench_dial(b, M);
    bench_answer(b, 0, 0, true);
    assert_closed_for(b, EXPIRED);
    assert_outcome(b, MOVE_LOST);
}

static void an_auth_refused_there_leads_elsewhere(void **state)
{
    struct bench *b = *state;

    bench_auth(b, "a:1", true);
    bench_leave(b);
    bench_join(b, M);
    bench_next_reply(b, ZKP_XID_AUTH, 0, ZKP_ERR_AUTH_FAILED);
    assert_non_null(bench_find(b, PX_ACTION_DROP_NEXT));
    assert_state(b, SEEKING);
    bench_kind(b, PX_EVENT_UNROUTED); /* that server owned the session: it must be taken back */
    assert_non_null(bench_find(b, PX_ACTION_DROP_SERVER));
    assert_state(b, SEEKING);
}

static void a_refused_setwatches_leads_elsewhere(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    bench_next_reply(b, OURS, M, ZKP_ERR_UNIMPLEMENTED);
    assert_non_null(bench_find(b, PX_ACTION_DROP_NEXT));
    assert_state(b, SEEKING);
}

/* Events of a server that was left are not the client's: another one catches up with them. */
static void events_of_a_failed_attempt_are_forgotten(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_kind(b, PX_EVENT_NEXT_GONE);
    bench_join(b, M);
    bench_next_reply(b, OURS, M, 0);
    assert_state(b, ACTIVE);
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 0);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
}

static void a_server_that_hangs_in_between_is_left(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    b->now_ms += 999;
    bench_kind(b, PX_EVENT_TICK);
    assert_state(b, RESTORING);
    b->now_ms += 1;
    bench_kind(b, PX_EVENT_TICK);
    assert_non_null(bench_find(b, PX_ACTION_DROP_NEXT));
    assert_state(b, SEEKING);
}

static void an_old_server_that_hangs_is_not_waited_for(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    to_watches_set(b, M + 1);
    b->now_ms += 1000;
    bench_kind(b, PX_EVENT_TICK);
    assert_non_null(bench_find(b, PX_ACTION_DROP_SERVER));
    assert_request(b, PX_ACTION_SEND_NEXT, 0, OURS, ZKP_OP_SYNC);
    bench_next_reply(b, OURS, M + 1, 0);
    assert_state(b, ACTIVE);
}

/* Lost in each state of a move, the old server takes nothing with it but what only it could tell. */
static void the_old_server_may_go_at_any_time(void **state)
{
    static const enum px_session_state states[] = {PX_SESSION_SEEKING, PX_SESSION_JOINING};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct bench b;
        bench_begin(&b);
        bench_reach(&b, states[i]);
        bench_kind(&b, PX_EVENT_SERVER_GONE);
        assert_null(bench_find(&b, PX_ACTION_CLOSE));
        assert_true(px_session_is_detached(b.session));
        if (states[i] == PX_SESSION_SEEKING)
            bench_dial(&b, 0);
        bench_answer(&b, 6000, BENCH_SID, true);
        bench_next_reply(&b, OURS, M, 0);
        assert_state(&b, ACTIVE);
        bench_end(&b);
    }
}

/* With lasting watches what only the old server could tell is too much. */
static void lasting_watches_do_not_survive_an_undrained_server(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 0);
    bench_leave(b);
    bench_join(b, M);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    bench_next_reply(b, OURS, M + 1, 0);
    assert_request(b, PX_ACTION_PUT_NEXT, 0, OURS, ZKP_OP_EXISTS);
    bench_next_reply(b, OURS, M + 1, ZKP_ERR_NO_AUTH); /* the node can't tell either */
    assert_closed_for(b, EVENTS_UNKNOWN);
}

/* --- local answers --- */

static bool answers_ping(struct bench *b)
{
    bench_kind(b, PX_EVENT_CLIENT_PING);
    return bench_find(b, PX_ACTION_DROP) != NULL;
}

/* T = 6000: two seconds after the last proof, and closed at four. */
static void pings_are_answered_for_a_third(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    b->now_ms += 1999;
    assert_true(answers_ping(b));
    assert_int_equal(zkp_load_i64(bench_frame_of(b, PX_ACTION_SEND_CLIENT, 0).ptr + 8), M - M); /* seen: 0 */
    b->now_ms += 1;
    assert_false(answers_ping(b));
    b->now_ms += 1999;
    bench_kind(b, PX_EVENT_TICK);
    assert_state(b, SEEKING);
    b->now_ms += 1;
    bench_kind(b, PX_EVENT_TICK);
    assert_closed_for(b, SERVER_GONE);
}

static void without_a_leader_nobody_expires(void **state)
{
    struct bench *b = *state;
    struct px_event ping = {.kind = PX_EVENT_CLIENT_PING};

    bench_leave(b);
    b->now_ms += 3000;
    ping.nobody_expires_ms = b->now_ms - 1000;
    bench_step(b, ping);
    assert_non_null(bench_find(b, PX_ACTION_DROP));
    b->now_ms += 1000;
    assert_false(answers_ping(b));
}

/* A moment after it may have expired proves nothing. */
static void a_moment_too_late_renews_nothing(void **state)
{
    struct bench *b = *state;
    struct px_event ping = {.kind = PX_EVENT_CLIENT_PING};

    bench_leave(b);
    b->now_ms += 6000;
    ping.nobody_expires_ms = b->now_ms;
    bench_step(b, ping);
    assert_null(bench_find(b, PX_ACTION_DROP));
}

/* The next server grants a third: its time is the session's. */
static void a_smaller_grant_shortens_the_answers(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0);
    bench_leave(b);
    bench_dial(b, M);
    bench_answer(b, 2100, BENCH_SID, true);
    b->now_ms += 699;
    assert_true(answers_ping(b));
    b->now_ms += 1;
    assert_false(answers_ping(b));
    b->now_ms += 700;
    bench_kind(b, PX_EVENT_TICK);
    assert_closed_for(b, SERVER_GONE);
}

static void a_smaller_grant_needs_pings_of_ours(void **state)
{
    struct bench *b = *state;

    bench_leave(b);
    bench_dial(b, M);
    bench_answer(b, 2000, BENCH_SID, true);
    assert_state(b, ACTIVE);
    b->now_ms += 499;
    bench_kind(b, PX_EVENT_TICK);
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
    b->now_ms += 1;
    bench_kind(b, PX_EVENT_TICK);
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING);
    bench_reply(b, ZKP_XID_PING, M, 0);
    assert_null(bench_find(b, PX_ACTION_FORWARD));
    b->now_ms += 3501; /* the client has been silent for 4 s: it may be dead */
    bench_kind(b, PX_EVENT_TICK);
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_outstanding_is_answered_first),
        TEST(an_event_behind_the_last_reply_needs_a_marker),
        TEST(the_leader_is_asked_for_a_marker),
        TEST(lasting_watches_need_a_new_marker),
        TEST(an_old_marker_is_made_up_for),
        TEST(a_move_leaves_a_marker),
        TEST(an_event_at_the_end_of_a_move_needs_a_marker),
        TEST(a_busy_client_is_left_alone),
        TEST(it_presents_what_the_client_was_granted),
        TEST(a_server_that_may_be_behind_is_let_catch_up),
        TEST(without_watches_it_goes_over_at_once),
        TEST(auth_comes_first_and_in_order),
        TEST(each_watch_is_set_in_its_list),
        TEST(set_watches_comes_in_pieces),
        TEST(nothing_to_drain_when_nothing_happened),
        TEST(a_follower_is_pinged_until_it_is_there),
        TEST(the_leader_is_known_to_be_there_from_others),
        TEST(what_setwatches_hides_comes_from_the_old_server),
        TEST(a_ghost_says_nothing),
        TEST(a_catch_up_event_is_dropped_when_the_old_server_gave_it),
        TEST(lasting_watches_get_an_exact_cut),
        TEST(what_comes_behind_the_cut_comes_from_the_next_server),
        TEST(zxids_of_events_tell_what_was_passed_on),
        TEST(what_was_kept_back_is_not_taken_for_passed_on),
        TEST(the_last_watch_fired_before_setwatches),
        TEST(the_old_server_ended_before_it_was_drained),
        TEST(markers_do_not_meet_where_an_event_was_passed_on),
        TEST(adopt_then_events_then_reading),
        TEST(without_another_server_it_stays),
        TEST(after_an_unanswered_connect_it_is_taken_back),
        TEST(expired_there_but_alive_here_is_a_local_session),
        TEST(expired_after_a_doubt_is_the_end),
        TEST(an_auth_refused_there_leads_elsewhere),
        TEST(a_refused_setwatches_leads_elsewhere),
        TEST(events_of_a_failed_attempt_are_forgotten),
        TEST(a_server_that_hangs_in_between_is_left),
        TEST(an_old_server_that_hangs_is_not_waited_for),
        cmocka_unit_test(the_old_server_may_go_at_any_time),
        TEST(lasting_watches_do_not_survive_an_undrained_server),
        TEST(pings_are_answered_for_a_third),
        TEST(without_a_leader_nobody_expires),
        TEST(a_moment_too_late_renews_nothing),
        TEST(a_smaller_grant_shortens_the_answers),
        TEST(a_smaller_grant_needs_pings_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
