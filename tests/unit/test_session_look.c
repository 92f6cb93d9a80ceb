/* Lasting watches after a loss: SetWatches2 catches up with nothing, so what happened in between must be
 * known, by our own reconfig or by a look at the nodes (session_look.c). Frames in, actions out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/move_bench.h"

#define S      (M + 5) /* where the next server has set them */
#define CONFIG "/zookeeper/config"

static void next_frame_with_own(struct bench *b, const uint8_t *body, uint32_t length, int64_t own_zxid)
{
    bench_step(b, (struct px_event){.kind = PX_EVENT_NEXT_FRAME,
                                    .length = length,
                                    .body = zkp_slice_of(body, length),
                                    .own_zxid = own_zxid});
}

static void next_reply_with_own(struct bench *b, int32_t xid, int64_t zxid, int64_t own_zxid)
{
    uint8_t body[16] = {0};

    zkp_store_i32(body, xid);
    zkp_store_i64(body + 4, zxid);
    next_frame_with_own(b, body, sizeof(body), own_zxid);
}

/* The last marker at M, the server lost; SetWatches2 answered at `settled`. */
static void lose(struct bench *b, int64_t settled, int64_t own_zxid)
{
    bench_reply_marker(b);
    bench_reattach(b, M);
    assert_request(b, PX_ACTION_PUT_NEXT, 0, OURS, ZKP_OP_SET_WATCHES2);
    next_reply_with_own(b, OURS, settled, own_zxid);
}

static void lose_with_recursive(struct bench *b, int64_t settled, int64_t own_zxid)
{
    bench_add_watch(b, "/r", 1);
    lose(b, settled, own_zxid);
}

struct node {
    int64_t made;
    int64_t changed;
    int64_t touched; /* of its children */
    int32_t children;
};

static void put_stat(uint8_t *stat, struct node node)
{
    memset(stat, 0, ZKP_STAT_LEN);
    zkp_store_i64(stat + ZKP_STAT_CZXID_OFFSET, node.made);
    zkp_store_i64(stat + ZKP_STAT_MZXID_OFFSET, node.changed);
    zkp_store_i64(stat + ZKP_STAT_PZXID_OFFSET, node.touched);
    zkp_store_i32(stat + ZKP_STAT_NUM_CHILDREN_OFFSET, node.children);
}

static void answer(struct bench *b, int32_t err, const uint8_t *rest, uint32_t length, int64_t own_zxid)
{
    uint8_t body[512] = {0};

    zkp_store_i32(body, OURS);
    zkp_store_i64(body + 4, S + 1);
    zkp_store_i32(body + 12, err);
    if (length > 0)
        memcpy(body + 16, rest, length);
    next_frame_with_own(b, body, 16 + length, own_zxid);
}

static void answer_node(struct bench *b, struct node node)
{
    uint8_t stat[ZKP_STAT_LEN];

    put_stat(stat, node);
    answer(b, 0, stat, sizeof(stat), 0);
}

static void answer_missing(struct bench *b)
{
    answer(b, ZKP_ERR_NO_NODE, NULL, 0, 0);
}

static void answer_children(struct bench *b, struct node node, const char *const *names)
{
    uint8_t body[400];
    struct zkp_wr w = zkp_wr_over(body, sizeof(body));
    uint8_t stat[ZKP_STAT_LEN];

    put_stat(stat, node);
    zkp_wr_i32(&w, node.children);
    for (int32_t i = 0; i < node.children; i++)
        zkp_wr_buf(&w, zkp_slice_str(names[i]));
    zkp_wr_raw(&w, zkp_slice_of(stat, sizeof(stat)));
    answer(b, 0, body, zkp_wr_len(&w), 0);
}

/* The n-th look of this step. */
static void assert_look(struct bench *b, uint32_t n, int32_t type, const char *path)
{
    struct zkp_slice frame = bench_frame_of(b, PX_ACTION_PUT_NEXT, n);

    assert_request(b, PX_ACTION_PUT_NEXT, n, OURS, type);
    assert_int_equal(frame.len, 16 + strlen(path) + 1);
    assert_memory_equal(frame.ptr + 16, path, strlen(path));
    assert_int_equal(frame.ptr[frame.len - 1], 0); /* no watch */
}

static const struct node unchanged = {.made = M - 9, .changed = M, .touched = M};

/* --- a proof without a look --- */

static void nothing_happened(void **state)
{
    lose_with_recursive(*state, M, 0);
    assert_state((struct bench *)*state, ACTIVE);
}

static void only_our_own_reconfig_happened(void **state)
{
    lose_with_recursive(*state, M + 1, M + 1);
    assert_state((struct bench *)*state, ACTIVE);
}

static void our_reconfig_will_be_known_soon(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, M + 1, -1);
    assert_state(b, RESTORING);
    bench_step(b, (struct px_event){.kind = PX_EVENT_TICK, .own_zxid = -1});
    assert_state(b, RESTORING);
    bench_step(b, (struct px_event){.kind = PX_EVENT_TICK, .own_zxid = M + 1});
    assert_state(b, ACTIVE);
    assert_outcome(b, REATTACHED);
}

/* --- the nodes tell --- */

static void a_node_that_has_not_changed(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 0);
    lose(b, S, 0);
    assert_state(b, RESTORING);
    assert_look(b, 0, ZKP_OP_EXISTS, "/p");
    assert_no_frame(b, PX_ACTION_PUT_NEXT, 1);
    answer_node(b, (struct node){M, M, M, 3}); /* children are not the watch's */
    assert_state(b, ACTIVE);
    assert_outcome(b, REATTACHED);
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 0);
}

static void each_kind_of_change_is_seen(void **state)
{
    static const struct node changed[] = {
        {M + 1, M + 1, M + 1, 0},
        {M - 9, M + 1, M, 0},
        {M - 9, M, M + 1, 0},
        {M - 9, S + 1, M, 0}, /* what happened behind S hides what was before */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(changed) / sizeof(changed[0]); i++) {
        void *bench;
        bench_setup(&bench);
        bench_add_watch(bench, "/p", 0);
        lose(bench, S, 0);
        answer_node(bench, changed[i]);
        assert_closed_for((struct bench *)bench, EVENTS_UNKNOWN);
        bench_teardown(&bench);
    }
}

static void a_missing_node_was_never_there(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/x/y/z", 0);
    lose(b, S, 0);
    answer_missing(b);
    assert_look(b, 0, ZKP_OP_EXISTS, "/x/y");
    answer_missing(b);
    assert_look(b, 0, ZKP_OP_EXISTS, "/x");
    answer_node(b, (struct node){M, S + 9, M, 7}); /* its data is not watched */
    assert_state(b, ACTIVE);
}

static void a_missing_node_may_have_been_there(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/x", 0);
    lose(b, S, 0);
    answer_missing(b);
    assert_look(b, 0, ZKP_OP_EXISTS, "/");
    answer_node(b, (struct node){0, 0, M + 1, 7});
    assert_closed_for(b, EVENTS_UNKNOWN);
}

static void even_the_root_is_not_there(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/", 0);
    lose(b, S, 0);
    answer_missing(b);
    assert_closed_for(b, EVENTS_UNKNOWN);
}

static void a_whole_tree_is_looked_at(void **state)
{
    static const char *const names[] = {"a", "b"};
    struct bench *b = *state;
    struct node two = unchanged;

    two.children = 2;
    lose_with_recursive(b, S, 0);
    assert_look(b, 0, ZKP_OP_EXISTS, "/r");
    answer_node(b, two);
    assert_look(b, 0, ZKP_OP_GET_CHILDREN2, "/r");
    answer_children(b, two, names);
    assert_look(b, 0, ZKP_OP_EXISTS, "/r/a");
    assert_look(b, 1, ZKP_OP_EXISTS, "/r/b");
    answer_node(b, unchanged);
    assert_state(b, RESTORING);
    answer_node(b, unchanged);
    assert_state(b, ACTIVE);
}

static void the_root_is_a_tree(void **state)
{
    static const char *const names[] = {"a"};
    struct bench *b = *state;

    bench_add_watch(b, "/", 1);
    lose(b, S, 0);
    answer_node(b, (struct node){0, 0, M, 1});
    answer_children(b, (struct node){0, 0, M, 1}, names);
    assert_look(b, 0, ZKP_OP_EXISTS, "/a");
    answer_node(b, unchanged);
    assert_state(b, ACTIVE);
}

/* Changed before it was deleted? */
static void a_child_that_is_gone_since_it_was_listed(void **state)
{
    static const char *const names[] = {"a"};
    struct bench *b = *state;
    struct node one = unchanged;

    one.children = 1;
    lose_with_recursive(b, S, 0);
    answer_node(b, one);
    answer_children(b, one, names);
    answer_missing(b);
    assert_closed_for(b, EVENTS_UNKNOWN);
}

/* The list is newer than the first look. */
static void a_list_that_has_changed(void **state)
{
    static const char *const names[] = {"a"};
    struct bench *b = *state;
    struct node one = unchanged;

    one.children = 1;
    lose_with_recursive(b, S, 0);
    answer_node(b, one);
    one.touched = S + 1;
    answer_children(b, one, names);
    assert_closed_for(b, EVENTS_UNKNOWN);
}

static void who_may_not_look_knows_nothing(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, S, 0);
    answer(b, ZKP_ERR_NO_AUTH, NULL, 0, 0);
    assert_closed_for(b, EVENTS_UNKNOWN);
}

static void half_an_answer_tells_nothing(void **state)
{
    static const uint8_t half[ZKP_STAT_LEN - 1];
    struct bench *b = *state;

    lose_with_recursive(b, S, 0);
    answer(b, 0, half, sizeof(half), 0);
    assert_closed_for(b, EVENTS_UNKNOWN);
}

static void a_huge_tree_is_not_looked_at(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, S, 0);
    answer_node(b, (struct node){M, M, M, 1000000});
    assert_closed_for(b, EVENTS_UNKNOWN);
}

/* Not more at once than a server takes; what was asked for is answered before anything else. */
static void many_are_asked_in_turns(void **state)
{
    struct bench *b = *state;
    char path[16];

    for (int i = 0; i < 100; i++) {
        (void)snprintf(path, sizeof(path), "/p%d", i);
        bench_add_watch(b, path, 0);
    }
    lose(b, S, 0);
    assert_int_equal(bench_frame_of(b, PX_ACTION_PUT_NEXT, 63).len > 0, true);
    assert_no_frame(b, PX_ACTION_PUT_NEXT, 64);
    for (int i = 0; i < 99; i++) {
        answer_node(b, unchanged);
        assert_state(b, RESTORING);
        assert_no_frame(b, PX_ACTION_PUT_NEXT, 1);
    }
    answer_node(b, unchanged);
    assert_state(b, ACTIVE);
}

/* A change was seen: the rest is waited for, and no more is asked. */
static void what_is_under_way_is_waited_for(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 0);
    bench_add_watch(b, "/q", 0);
    lose(b, S, 0);
    answer_node(b, (struct node){S, S, S, 0});
    assert_state(b, RESTORING);
    answer_node(b, unchanged);
    assert_closed_for(b, EVENTS_UNKNOWN);
}

static void events_meanwhile_come_behind(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 0);
    lose(b, S, 0);
    bench_next_fire(b, ZKP_EVENT_DELETED, "/p");
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 0);
    answer_node(b, unchanged);
    assert_state(b, ACTIVE);
    assert_true(bench_put(b, PX_ACTION_PUT_CLIENT).len > 0);
}

static void a_server_that_hangs_meanwhile_is_left(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/p", 0);
    lose(b, S, 0);
    b->now_ms += 999;
    bench_kind(b, PX_EVENT_TICK);
    assert_state(b, RESTORING);
    b->now_ms += 1;
    bench_kind(b, PX_EVENT_TICK);
    assert_state(b, SEEKING);
    bench_join(b, 0);
    next_reply_with_own(b, OURS, S, 0); /* the sync */
    next_reply_with_own(b, OURS, S, 0);
    assert_look(b, 0, ZKP_OP_EXISTS, "/p"); /* from the beginning */
    answer_node(b, unchanged);
    assert_state(b, ACTIVE);
}

static void a_list_too_long_to_read_is_the_end(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, S, 0);
    bench_step(b, (struct px_event){.kind = PX_EVENT_NEXT_BAD, .reason = PX_CLOSE_SERVER_PROTOCOL});
    assert_closed_for(b, EVENTS_UNKNOWN);
}

/* --- both --- */

static void what_our_reconfig_was_not_the_nodes_tell(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, M + 1, -1);
    bench_step(b, (struct px_event){.kind = PX_EVENT_TICK, .own_zxid = M});
    assert_look(b, 0, ZKP_OP_EXISTS, "/r");
    answer_node(b, unchanged);
    assert_state(b, ACTIVE);
}

static void a_proof_is_not_waited_for_without_end(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, M + 1, -1);
    b->now_ms += BENCH_TIMEOUT_MS / 3 - 1;
    bench_step(b, (struct px_event){.kind = PX_EVENT_TICK, .own_zxid = -1});
    assert_no_frame(b, PX_ACTION_PUT_NEXT, 0);
    b->now_ms += 1;
    bench_step(b, (struct px_event){.kind = PX_EVENT_TICK, .own_zxid = -1});
    assert_look(b, 0, ZKP_OP_EXISTS, "/r");
    answer_missing(b);
    answer_node(b, (struct node){0, 0, M + 1, 7});
    assert_closed_for(b, EVENTS_UNKNOWN);
}

/* The new leader counts from its epoch's start and can't tell how the last one ended; its nodes can. */
static void a_new_leader_is_asked_for_its_nodes(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, 1ll << 32, M + 1);
    assert_look(b, 0, ZKP_OP_EXISTS, "/r");
    answer_node(b, unchanged);
    assert_state(b, ACTIVE);
}

/* … or else its followers. */
static void a_new_leader_can_prove_nothing(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, 1ll << 32, M + 1);
    answer(b, ZKP_ERR_NO_AUTH, NULL, 0, M + 1);
    assert_non_null(bench_find(b, PX_ACTION_DROP_NEXT));
    assert_non_null(bench_find(b, PX_ACTION_ROUTE));
    assert_state(b, SEEKING);
    bench_join(b, 0);
    next_reply_with_own(b, OURS, M + 1, M + 1); /* a follower */
    next_reply_with_own(b, OURS, M + 1, M + 1);
    assert_state(b, ACTIVE);
}

static void nobody_else_can_either(void **state)
{
    struct bench *b = *state;

    lose_with_recursive(b, 1ll << 32, M + 1);
    answer(b, ZKP_ERR_NO_AUTH, NULL, 0, M + 1);
    for (int i = 0; i < 4; i++) {
        assert_state(b, SEEKING);
        bench_join(b, 0);
        next_reply_with_own(b, OURS, 1ll << 32, M + 1);
        next_reply_with_own(b, OURS, 1ll << 32, M + 1);
        answer(b, ZKP_ERR_NO_AUTH, NULL, 0, M + 1);
    }
    assert_closed_for(b, EVENTS_UNKNOWN);
}

/* --- our own reconfig is an event, too --- */

static void assert_told_config(struct bench *b, int64_t zxid)
{
    struct zkp_slice frame = bench_frame_of(b, PX_ACTION_PUT_CLIENT, 0);
    struct zkp_watcher_event event;

    assert_state(b, ACTIVE);
    assert_true(frame.len > 20);
    assert_int_equal(zkp_load_i32(frame.ptr + 4), ZKP_XID_EVENT);
    assert_int_equal(zkp_load_i64(frame.ptr + 8), zxid);
    assert_int_equal(zkp_watcher_event_decode(zkp_slice_of(frame.ptr + 20, frame.len - 20), &event), RC_OK);
    assert_int_equal(event.type, ZKP_EVENT_DATA_CHANGED);
    assert_true(zkp_slice_eq(event.path, zkp_slice_str(CONFIG)));
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 1);
}

static void who_watches_the_config_is_told(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/zookeeper", 1);
    lose(b, M + 1, M + 1);
    assert_told_config(b, -1);
}

static void from_3_9_with_its_zxid(void **state)
{
    struct bench *b = *state;

    b->watch_rule = PX_WATCH_ALL_MODES;
    bench_add_watch(b, CONFIG, 0);
    lose(b, M + 1, M + 1);
    assert_told_config(b, M + 1);
}

static void the_nodes_show_our_reconfig_too(void **state)
{
    struct bench *b = *state;
    uint8_t stat[ZKP_STAT_LEN];

    bench_add_watch(b, CONFIG, 0);
    lose(b, S, M + 2);
    put_stat(stat, (struct node){M - 9, M + 2, M - 9, 0});
    answer(b, 0, stat, sizeof(stat), M + 2);
    assert_told_config(b, -1);
}

static void the_configs_change_is_waited_for(void **state)
{
    struct bench *b = *state;
    uint8_t stat[ZKP_STAT_LEN];

    bench_add_watch(b, CONFIG, 0);
    lose(b, S, -1);
    put_stat(stat, (struct node){M - 9, M + 2, M - 9, 0});
    answer(b, 0, stat, sizeof(stat), -1);
    assert_state(b, RESTORING);
    bench_step(b, (struct px_event){.kind = PX_EVENT_TICK, .own_zxid = M + 2});
    assert_told_config(b, -1);
}

static void another_reconfig_is_not_ours(void **state)
{
    struct bench *b = *state;
    uint8_t stat[ZKP_STAT_LEN];

    bench_add_watch(b, CONFIG, 0);
    lose(b, S, M + 2);
    put_stat(stat, (struct node){M - 9, M + 3, M - 9, 0});
    answer(b, 0, stat, sizeof(stat), M + 2);
    assert_closed_for(b, EVENTS_UNKNOWN);
}

static void what_the_old_server_told_is_not_told_twice(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, CONFIG, 0);
    bench_reply_marker(b);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, CONFIG);
    bench_reattach(b, M);
    next_reply_with_own(b, OURS, M + 1, M + 1);
    assert_state(b, ACTIVE);
    assert_no_frame(b, PX_ACTION_PUT_CLIENT, 0);
}

/* SetWatches catches up for a one-shot watch beside it: one event for both, as of one server. */
static void what_is_caught_up_with_is_not_told_twice(void **state)
{
    struct bench *b = *state;

    b->watch_rule = PX_WATCH_ALL_MODES;
    bench_add_watch(b, "/zookeeper", 1);
    bench_watch(b, ZKP_OP_EXISTS, CONFIG, ZKP_ERR_NO_NODE); /* a reply without a body to hide */
    bench_reply_marker(b);
    bench_reattach(b, M);
    bench_next_fire(b, ZKP_EVENT_DATA_CHANGED, CONFIG);
    next_reply_with_own(b, OURS, M + 1, M + 1);
    next_reply_with_own(b, OURS, M + 1, M + 1);
    assert_told_config(b, -1);
}

/* --- in a hold --- */

static void each_event_gets_a_marker_in_a_hold(void **state)
{
    struct bench *b = *state;

    bench_add_watch(b, "/r", 1);
    bench_mark(b, PX_EVENT_HOLD);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_state(b, HELD);
    bench_fire(b, ZKP_EVENT_DELETED, "/r/ttl");
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    assert_request(b, PX_ACTION_SEND_SERVER, 0, ZKP_XID_PING, ZKP_OP_PING);
    bench_fire(b, ZKP_EVENT_DELETED, "/r/ttl2");
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0); /* the answer is behind this one as well */
    bench_reply(b, ZKP_XID_PING, S, 0);
    bench_reattach(b, S);
    next_reply_with_own(b, OURS, S + 1, S + 1);
    assert_outcome(b, REATTACHED); /* only our reconfig is between them */
}

static void one_shot_watches_need_none(void **state)
{
    struct bench *b = *state;

    bench_watch(b, ZKP_OP_GET_DATA, "/d", 0);
    bench_mark(b, PX_EVENT_HOLD);
    bench_kind(b, PX_EVENT_SETTLE);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/d");
    assert_no_frame(b, PX_ACTION_SEND_SERVER, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_happened),
        TEST(only_our_own_reconfig_happened),
        TEST(our_reconfig_will_be_known_soon),
        TEST(a_node_that_has_not_changed),
        cmocka_unit_test(each_kind_of_change_is_seen),
        TEST(a_missing_node_was_never_there),
        TEST(a_missing_node_may_have_been_there),
        TEST(even_the_root_is_not_there),
        TEST(a_whole_tree_is_looked_at),
        TEST(the_root_is_a_tree),
        TEST(a_child_that_is_gone_since_it_was_listed),
        TEST(a_list_that_has_changed),
        TEST(who_may_not_look_knows_nothing),
        TEST(half_an_answer_tells_nothing),
        TEST(a_huge_tree_is_not_looked_at),
        TEST(many_are_asked_in_turns),
        TEST(what_is_under_way_is_waited_for),
        TEST(events_meanwhile_come_behind),
        TEST(a_server_that_hangs_meanwhile_is_left),
        TEST(a_list_too_long_to_read_is_the_end),
        TEST(what_our_reconfig_was_not_the_nodes_tell),
        TEST(a_proof_is_not_waited_for_without_end),
        TEST(a_new_leader_is_asked_for_its_nodes),
        TEST(a_new_leader_can_prove_nothing),
        TEST(nobody_else_can_either),
        TEST(who_watches_the_config_is_told),
        TEST(from_3_9_with_its_zxid),
        TEST(the_nodes_show_our_reconfig_too),
        TEST(the_configs_change_is_waited_for),
        TEST(another_reconfig_is_not_ours),
        TEST(what_the_old_server_told_is_not_told_twice),
        TEST(what_is_caught_up_with_is_not_told_twice),
        TEST(each_event_gets_a_marker_in_a_hold),
        TEST(one_shot_watches_need_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
