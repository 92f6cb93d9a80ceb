/* What the session core takes from frames about watches: every row of protocol.md §2.1–2.3, over requests,
 * replies and events as they travel. The rules of the set itself: test_watch_set.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/watch_bench.h"
#include "zkproto/opcode.h"
#include "zkproto/zkerr.h"

static int setup(void **state)
{
    static struct bench b;

    bench_begin(&b);
    bench_reach(&b, PX_SESSION_ACTIVE);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    bench_end(*state); /* asserts that no path is held any more */
    return 0;
}

static void assert_lists(const struct bench *b, const char *path, const char *wanted)
{
    char lists[6];

    assert_string_equal(bench_lists(px_session_watches(b->session), path, lists), wanted);
    assert_false(px_session_watches(b->session)->is_unknown);
}

static const int32_t errors[] = {ZKP_ERR_NO_AUTH,
                                 ZKP_ERR_BAD_ARGUMENTS,
                                 ZKP_ERR_THROTTLED_OP,
                                 ZKP_ERR_SESSION_EXPIRED,
                                 ZKP_ERR_SESSION_MOVED,
                                 ZKP_ERR_MARSHALLING_ERROR,
                                 ZKP_ERR_SESSION_CLOSED_REQUIRE_SASL_AUTH};

/* One row: the request answered with each error sets nothing, then what err 0 and NoNode set. */
static void read_row(struct bench *b, int32_t type, const char *found, const char *missing)
{
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        bench_read(b, 1, type, "/p", true);
        bench_reply(b, 1, 5, errors[i]);
        assert_lists(b, "/p", "");
    }
    bench_read(b, 2, type, "/p", true);
    assert_lists(b, "/p", ""); /* not before the reply */
    bench_reply(b, 2, 6, ZKP_ERR_OK);
    assert_lists(b, "/p", found);
    bench_read(b, 3, type, "/missing", true);
    bench_reply(b, 3, 6, ZKP_ERR_NO_NODE);
    assert_lists(b, "/missing", missing);
    bench_read(b, 4, type, "/unwatched", false);
    bench_reply(b, 4, 6, ZKP_ERR_OK);
    assert_lists(b, "/unwatched", "");
    assert_int_equal(px_session_outstanding(b->session), 0);
}

static void exists_row(void **state)
{
    read_row(*state, ZKP_OP_EXISTS, "d", "e");
}

static void get_data_row(void **state)
{
    read_row(*state, ZKP_OP_GET_DATA, "d", "");
}

static void get_children_row(void **state)
{
    read_row(*state, ZKP_OP_GET_CHILDREN, "c", "");
}

static void get_children2_row(void **state)
{
    read_row(*state, ZKP_OP_GET_CHILDREN2, "c", "");
}

static void add_watch_row(void **state)
{
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        bench_path_int(b, 1, ZKP_OP_ADD_WATCH, "/p", 0);
        bench_reply(b, 1, 5, errors[i]);
        assert_lists(b, "/p", "");
    }
    bench_path_int(b, 1, ZKP_OP_ADD_WATCH, "/p", 0);
    bench_path_int(b, 2, ZKP_OP_ADD_WATCH, "/r", 1);
    bench_path_int(b, 3, ZKP_OP_ADD_WATCH, "/other", 2);
    bench_reply(b, 1, 5, ZKP_ERR_OK);
    assert_lists(b, "/p", "p");
    assert_lists(b, "/r", "");
    bench_reply(b, 2, 5, ZKP_ERR_OK);
    assert_lists(b, "/r", "r");
    bench_reply(b, 3, 5, ZKP_ERR_MARSHALLING_ERROR); /* any other mode */
    assert_lists(b, "/other", "");
}

/* Whatever byte a body has where a read's flag would be. */
static void other_requests_never_watch(void **state)
{
    static const int32_t types[] = {
        ZKP_OP_CREATE, ZKP_OP_DELETE,         ZKP_OP_SET_DATA,   ZKP_OP_GET_ACL,       ZKP_OP_SYNC,
        ZKP_OP_PING,   ZKP_OP_MULTI,          ZKP_OP_MULTI_READ, ZKP_OP_CHECK_WATCHES, ZKP_OP_CHECK,
        ZKP_OP_AUTH,   ZKP_OP_GET_EPHEMERALS, ZKP_OP_CREATE2,    ZKP_OP_WHO_AM_I,      4711,
        ZKP_OP_SASL,   ZKP_OP_CREATE_SESSION};
    struct bench *b = *state;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        int32_t xid = types[i] == ZKP_OP_PING ? ZKP_XID_PING : 9;
        bench_read(b, xid, types[i], "/p", true);
        bench_reply(b, xid, 5, ZKP_ERR_OK);
        assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    }
    assert_int_equal(px_session_watches(b->session)->table.count, 0);
}

/* Watches are set in the order of the replies, between requests that set none. */
static void a_pipeline_keeps_its_paths(void **state)
{
    struct bench *b = *state;
    char path[16];
    char lists[6];

    for (int32_t xid = 1; xid <= 100; xid++) {
        snprintf(path, sizeof(path), "/n%d", xid);
        bench_read(b, xid, xid % 3 == 0 ? ZKP_OP_GET_CHILDREN : ZKP_OP_GET_DATA, path, xid % 2 == 0);
    }
    for (int32_t xid = 1; xid <= 100; xid++)
        bench_reply(b, xid, xid, xid % 10 == 0 ? ZKP_ERR_NO_NODE : ZKP_ERR_OK);
    for (int32_t xid = 1; xid <= 100; xid++) {
        bool is_watched = xid % 2 == 0 && xid % 10 != 0;
        snprintf(path, sizeof(path), "/n%d", xid);
        bench_lists(px_session_watches(b->session), path, lists);
        assert_string_equal(lists, !is_watched ? "" : xid % 3 == 0 ? "c" : "d");
    }
}

/* Three asked, one answered, again and again: the ring of paths grows while its head is anywhere. */
static void paths_outlive_growth(void **state)
{
    struct bench *b = *state;
    char path[16];
    int32_t asked = 0;
    int32_t answered = 0;

    while (answered < 120) {
        for (int i = 0; i < 3 && asked < 120; i++) {
            snprintf(path, sizeof(path), "/n%d", ++asked);
            bench_read(b, asked, ZKP_OP_GET_DATA, path, true);
        }
        snprintf(path, sizeof(path), "/n%d", ++answered);
        assert_lists(b, path, "");
        bench_reply(b, answered, answered, ZKP_ERR_OK);
        assert_lists(b, path, "d");
    }
    assert_int_equal(px_watch_set_paths(px_session_watches(b->session)), 120);
}

/* A server ignores what stands behind the last field; so its watch is there. */
static void bytes_behind_the_flag(void **state)
{
    static const uint8_t body[] = {0, 0, 0, 1, 0, 0, 0, ZKP_OP_GET_DATA, 0, 0, 0, 2, '/', 'p', 1, 0};
    struct bench *b = *state;

    bench_frame(b, PX_EVENT_CLIENT_FRAME, body, sizeof(body));
    bench_reply(b, 1, 5, ZKP_ERR_OK);
    assert_lists(b, "/p", "d");
}

static void need_is_the_flag(void **state)
{
    struct bench *b = *state;
    uint8_t header[8] = {0};

    zkp_store_i32(header + 4, ZKP_OP_GET_DATA);
    assert_int_equal(px_session_client_need(b->session, 100, zkp_slice_of(header, 8)), 100);
    zkp_store_i32(header + 4, ZKP_OP_SET_DATA);
    assert_int_equal(px_session_client_need(b->session, 100000, zkp_slice_of(header, 8)), 8);
}

/* What is too long to be kept need not be there whole, but for those that are looked into. */
static void a_long_read_is_needed_whole_only_to_be_looked_into(void **state)
{
    static const struct {
        int32_t type;
        bool is_whole;
    } rows[] = {{ZKP_OP_GET_DATA, true},
                {ZKP_OP_SET_WATCHES, true},
                {ZKP_OP_SET_WATCHES2, true},
                {ZKP_OP_ADD_WATCH, true},
                {ZKP_OP_AUTH, true},
                {ZKP_OP_REMOVE_WATCHES, true},
                {ZKP_OP_MULTI_READ, true},
                {ZKP_OP_CREATE_TTL, true},
                {ZKP_OP_SYNC, false},
                {ZKP_OP_GET_ACL, false},
                {ZKP_OP_MULTI, false},
                {ZKP_OP_CHECK_WATCHES, false},
                {ZKP_OP_GET_EPHEMERALS, false},
                {4711, false}};
    struct bench *b = *state;
    uint8_t header[8] = {0};
    const uint32_t length = 3u * 1024 * 1024;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        zkp_store_i32(header + 4, rows[i].type);
        assert_int_equal(px_session_client_need(b->session, length, zkp_slice_of(header, 8)),
                         rows[i].is_whole ? length : 8);
    }
    zkp_store_i32(header + 4, ZKP_OP_SYNC);
    assert_int_equal(px_session_client_need(b->session, 1000, zkp_slice_of(header, 8)), 1000);
}

static void data_and_child(struct bench *b, const char *path)
{
    bench_read(b, 1, ZKP_OP_GET_DATA, path, true);
    bench_reply(b, 1, 5, ZKP_ERR_OK);
    bench_read(b, 2, ZKP_OP_GET_CHILDREN2, path, true);
    bench_reply(b, 2, 5, ZKP_ERR_OK);
}

static void event_rows(void **state)
{
    static const char *const left[] = {NULL, "c", "", "c", "d"};
    struct bench *b = *state;

    for (int32_t type = ZKP_EVENT_CREATED; type <= ZKP_EVENT_CHILDREN_CHANGED; type++) {
        data_and_child(b, "/p");
        bench_fire(b, type, "/p");
        assert_non_null(bench_find(b, PX_ACTION_FORWARD));
        assert_int_equal(b->actions.note, PX_NOTE_EVENT);
        assert_lists(b, "/p", left[type]);
        bench_fire(b, ZKP_EVENT_DELETED, "/p");
        assert_lists(b, "/p", "");
    }
}

static void an_exist_watch_fires_on_creation(void **state)
{
    struct bench *b = *state;

    bench_read(b, 1, ZKP_OP_EXISTS, "/p", true);
    bench_reply(b, 1, 5, ZKP_ERR_NO_NODE);
    bench_fire(b, ZKP_EVENT_CREATED, "/p/below");
    assert_lists(b, "/p", "e");
    bench_fire(b, ZKP_EVENT_CREATED, "/p");
    assert_lists(b, "/p", "");
}

static void persistent_ones_stay(void **state)
{
    struct bench *b = *state;

    bench_path_int(b, 1, ZKP_OP_ADD_WATCH, "/p", 0);
    bench_path_int(b, 2, ZKP_OP_ADD_WATCH, "/r", 1);
    bench_reply(b, 1, 5, ZKP_ERR_OK);
    bench_reply(b, 2, 5, ZKP_ERR_OK);
    for (int32_t type = ZKP_EVENT_CREATED; type <= ZKP_EVENT_CHILDREN_CHANGED; type++) {
        bench_fire(b, type, "/p");
        bench_fire(b, type, "/r");
        bench_fire(b, type, "/r/below");
    }
    assert_lists(b, "/p", "p");
    assert_lists(b, "/r", "r");
}

/* An event of an old watch comes before the reply that sets the new one. */
static void an_event_before_the_reply(void **state)
{
    struct bench *b = *state;

    data_and_child(b, "/p");
    bench_read(b, 3, ZKP_OP_GET_DATA, "/p", true);
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p");
    assert_lists(b, "/p", "c");
    bench_reply(b, 3, 6, ZKP_ERR_OK);
    assert_lists(b, "/p", "dc");
}

static void downgrade(struct bench *b)
{
    bench_path_int(b, 1, ZKP_OP_ADD_WATCH, "/p", 0);
    bench_reply(b, 1, 5, ZKP_ERR_OK);
    bench_read(b, 2, ZKP_OP_GET_DATA, "/p", true);
    bench_reply(b, 2, 5, ZKP_ERR_OK);
    bench_read(b, 3, ZKP_OP_GET_CHILDREN, "/p", true);
    bench_reply(b, 3, 5, ZKP_ERR_OK);
}

/* The version comes with each frame. */
static void one_mode_up_to_38(void **state)
{
    struct bench *b = *state;

    b->watch_rule = PX_WATCH_ONE_MODE;
    downgrade(b);
    assert_lists(b, "/p", "dc");
}

static void all_modes_from_39(void **state)
{
    struct bench *b = *state;

    b->watch_rule = PX_WATCH_ALL_MODES;
    downgrade(b);
    assert_lists(b, "/p", "dcp");
    b->watch_rule = PX_WATCH_ONE_MODE;
}

static void remove_watches(struct bench *b, int32_t op, int32_t type, int32_t err)
{
    bench_path_int(b, 7, op, "/p", type);
    bench_reply(b, 7, 9, err);
}

static void remove_watches_rows(void **state)
{
    struct bench *b = *state;

    data_and_child(b, "/p");
    remove_watches(b, ZKP_OP_REMOVE_WATCHES, 3, ZKP_ERR_NO_WATCHER);
    remove_watches(b, ZKP_OP_CHECK_WATCHES, 3, ZKP_ERR_OK);
    assert_lists(b, "/p", "dc");
    remove_watches(b, ZKP_OP_REMOVE_WATCHES, 1, ZKP_ERR_OK);
    assert_lists(b, "/p", "d");
    remove_watches(b, ZKP_OP_REMOVE_WATCHES, 2, ZKP_ERR_OK);
    assert_lists(b, "/p", "");
    data_and_child(b, "/p");
    remove_watches(b, ZKP_OP_REMOVE_WATCHES, 3, ZKP_ERR_OK);
    assert_lists(b, "/p", "");
}

/* Types 1 and 2 leave a persistent watch from 3.9 on; up to 3.8 they take it out of their table. */
static void remove_watches_by_version(void **state)
{
    struct bench *b = *state;

    for (uint32_t rule = PX_WATCH_ONE_MODE; rule <= PX_WATCH_ALL_MODES; rule++) {
        b->watch_rule = (enum px_watch_rule)rule;
        bench_path_int(b, 1, ZKP_OP_ADD_WATCH, "/p", 0);
        bench_reply(b, 1, 5, ZKP_ERR_OK);
        remove_watches(b, ZKP_OP_REMOVE_WATCHES, 1, ZKP_ERR_OK);
        remove_watches(b, ZKP_OP_REMOVE_WATCHES, 2, ZKP_ERR_OK);
        assert_lists(b, "/p", rule == PX_WATCH_ONE_MODE ? "" : "p");
    }
    remove_watches(b, ZKP_OP_REMOVE_WATCHES, 5, ZKP_ERR_OK);
    assert_lists(b, "/p", "p");
    remove_watches(b, ZKP_OP_REMOVE_WATCHES, 4, ZKP_ERR_OK);
    assert_lists(b, "/p", "");
}

static void set_watches_registers_when_sent(void **state)
{
    struct bench *b = *state;

    bench_set_watches(b, -8, false, (const char *const[ZKP_LIST_COUNT]){"/d", "/e", "/c", NULL, NULL});
    assert_lists(b, "/d", "d");
    assert_lists(b, "/e", "e");
    assert_lists(b, "/c", "c");
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/d"); /* catch-up, before the reply */
    bench_reply(b, -8, 9, ZKP_ERR_OK);
    assert_lists(b, "/d", "");
    assert_lists(b, "/e", "e");
    bench_fire(b, ZKP_EVENT_DELETED, "/c");
    assert_lists(b, "/c", "");
}

static void set_watches2_has_five_lists(void **state)
{
    struct bench *b = *state;

    bench_set_watches(b, 5, true, (const char *const[ZKP_LIST_COUNT]){"/d", "/e", "/c", "/p", "/r"});
    bench_reply(b, 5, 9, ZKP_ERR_OK);
    assert_lists(b, "/d", "d");
    assert_lists(b, "/e", "e");
    assert_lists(b, "/c", "c");
    assert_lists(b, "/p", "p");
    assert_lists(b, "/r", "r");
}

static void assert_unknown(const struct bench *b)
{
    assert_true(px_session_watches(b->session)->is_unknown);
    assert_int_equal(px_watch_set_paths(px_session_watches(b->session)), 0);
    assert_int_equal(b->space.overflow_count, 1);
}

static void a_refused_set_watches_is_unknown(void **state)
{
    struct bench *b = *state;

    bench_set_watches(b, -8, false, (const char *const[ZKP_LIST_COUNT]){"/d", NULL, NULL, NULL, NULL});
    bench_reply(b, -8, 9, ZKP_ERR_THROTTLED_OP);
    assert_unknown(b);
}

static void a_broken_set_watches_is_unknown(void **state)
{
    static const uint8_t body[] = {
        0, 0, 0,   1,   0, 0, 0, ZKP_OP_SET_WATCHES, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
        0, 2, '/', 'p', 0, 0, 0};
    struct bench *b = *state;

    bench_frame(b, PX_EVENT_CLIENT_FRAME, body, sizeof(body));
    assert_unknown(b);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD)); /* the server is the judge */
}

/* Without watches only an event's header is asked for: a body cut short says nothing about watches. */
static void an_event_without_watches_may_be_cut(void **state)
{
    static const uint8_t body[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0,    0,    0,    0,    0,    0};
    struct bench *b = *state;

    assert_int_equal(px_session_server_need(b->session, 40, zkp_slice_of(body, sizeof(body))), 16);
    bench_frame(b, PX_EVENT_SERVER_FRAME, body, sizeof(body));
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    assert_false(px_session_watches(b->session)->is_unknown);
}

/* Still served, with requests under way; nothing is looked at any more. */
static void over_the_limit_it_is_served_on(void **state)
{
    struct bench *b = *state;

    b->space.watches_max = 2;
    bench_read(b, 1, ZKP_OP_GET_DATA, "/a", true);
    bench_read(b, 2, ZKP_OP_GET_DATA, "/b", true);
    bench_read(b, 3, ZKP_OP_GET_DATA, "/c", true);
    bench_read(b, 4, ZKP_OP_GET_DATA, "/d", true);
    for (int32_t xid = 1; xid <= 4; xid++) {
        bench_reply(b, xid, 5, ZKP_ERR_OK);
        assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    }
    assert_unknown(b);
    bench_fire(b, ZKP_EVENT_DELETED, "/a");
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    bench_read(b, 5, ZKP_OP_GET_DATA, "/e", true);
    bench_reply(b, 5, 5, ZKP_ERR_OK);
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    assert_int_equal(px_session_obstacle(b->session), PX_OBSTACLE_WATCHES);
    assert_unknown(b);
}

/* The config node is guarded and watched at once. */
static void the_hidden_config_node_is_tracked(void **state)
{
    struct bench *b = *state;
    uint8_t reply[16 + 4 + ZKP_STAT_LEN] = {0};

    zkp_store_i32(reply, 1);
    zkp_store_i64(reply + 4, 5);
    bench_read(b, 1, ZKP_OP_GET_DATA, "/zookeeper/config", true);
    bench_frame(b, PX_EVENT_SERVER_FRAME, reply, sizeof(reply));
    assert_lists(b, "/zookeeper/config", "d");
    bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/zookeeper/config");
    assert_lists(b, "/zookeeper/config", "");
}

/* A hold does not stop events, and the dead hold nothing back (teardown asserts that). */
static void events_count_in_a_hold(void **state)
{
    struct bench *b = *state;

    data_and_child(b, "/p");
    bench_read(b, 9, ZKP_OP_GET_DATA, "/q", true);
    bench_kind(b, PX_EVENT_HOLD);
    bench_reply(b, 9, 5, ZKP_ERR_OK);
    bench_kind(b, PX_EVENT_SETTLE);
    bench_reply(b, ZKP_XID_PING, 5, ZKP_ERR_OK); /* our marker */
    bench_kind(b, PX_EVENT_SETTLE);
    assert_int_equal(px_session_state(b->session), PX_SESSION_HELD);
    bench_fire(b, ZKP_EVENT_DELETED, "/p");
    assert_lists(b, "/p", "");
    assert_lists(b, "/q", "d");
}

static void an_unanswered_wish_is_freed(void **state)
{
    struct bench *b = *state;

    bench_read(b, 1, ZKP_OP_GET_DATA, "/p", true);
    bench_path_int(b, 2, ZKP_OP_REMOVE_WATCHES, "/q", 3);
    bench_kind(b, PX_EVENT_STOP);
    assert_int_equal(px_path_pool_count(b->space.paths), 2);
}

static void totals_are_over_all_sessions(void **state)
{
    struct bench *b = *state;
    struct px_session *first = b->session;

    data_and_child(b, "/p");
    b->session = px_session_new(true, 5000, &b->space);
    assert_non_null(b->session);
    bench_reach(b, PX_SESSION_ACTIVE);
    data_and_child(b, "/p");
    assert_int_equal(b->space.totals[ZKP_LIST_DATA], 2);
    assert_int_equal(px_path_pool_count(b->space.paths), 1);
    px_session_free(first);
    assert_int_equal(b->space.totals[ZKP_LIST_DATA], 1);
    assert_int_equal(b->space.totals[ZKP_LIST_CHILD], 1);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(exists_row),
        ROW(get_data_row),
        ROW(get_children_row),
        ROW(get_children2_row),
        ROW(add_watch_row),
        ROW(other_requests_never_watch),
        ROW(a_pipeline_keeps_its_paths),
        ROW(paths_outlive_growth),
        ROW(bytes_behind_the_flag),
        ROW(need_is_the_flag),
        ROW(a_long_read_is_needed_whole_only_to_be_looked_into),
        ROW(event_rows),
        ROW(an_exist_watch_fires_on_creation),
        ROW(persistent_ones_stay),
        ROW(an_event_before_the_reply),
        ROW(one_mode_up_to_38),
        ROW(all_modes_from_39),
        ROW(remove_watches_rows),
        ROW(remove_watches_by_version),
        ROW(set_watches_registers_when_sent),
        ROW(set_watches2_has_five_lists),
        ROW(a_refused_set_watches_is_unknown),
        ROW(a_broken_set_watches_is_unknown),
        ROW(an_event_without_watches_may_be_cut),
        ROW(over_the_limit_it_is_served_on),
        ROW(the_hidden_config_node_is_tracked),
        ROW(events_count_in_a_hold),
        ROW(an_unanswered_wish_is_freed),
        ROW(totals_are_over_all_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
