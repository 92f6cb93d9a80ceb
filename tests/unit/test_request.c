/* Request and reply bodies out of recorded frames: read, written again, cut at every byte, hidden. */
#include "zkproto/request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/captured_stream.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"

#define REPLY_MAX 1024u

static void check_path(struct zkp_slice path, const char *expected)
{
    assert_true(zkp_slice_eq(path, zkp_slice_str(expected)));
}

static void path_and_watch(void **state)
{
    (void)state;
    const struct {
        int32_t xid;
        const char *path;
        bool watch;
    } cases[] = {
        {2, "/a", true}, {3, "/b", true}, {4, "/", true}, {5, "/", false}, {13, "/zookeeper/config", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct captured frame = captured_frame(CAPTURED_KAZOO_CLIENT, cases[i].xid, 0);
        struct zkp_path_watch request;
        struct zkp_slice body = captured_body(&frame, ZKP_REQUEST_HEADER_LEN);
        assert_int_equal(zkp_path_watch_decode(body, &request), RC_OK);
        check_path(request.path, cases[i].path);
        assert_int_equal(request.watch, cases[i].watch);
        for (uint32_t cut = 0; cut < body.len; cut++)
            assert_int_equal(zkp_path_watch_decode(zkp_slice_of(body.ptr, cut), &request), RC_MALFORMED);
    }
}

static void path_and_int(void **state)
{
    (void)state;
    const struct {
        int32_t xid;
        const char *path;
        int32_t value;
    } cases[] = {{1, "/a", 0}, {2, "/r", 1}, {4, "/r", 3}, {5, "/a", 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct captured frame = captured_frame(CAPTURED_RAW_CLIENT, cases[i].xid, 0);
        struct zkp_path_int request;
        struct zkp_slice body = captured_body(&frame, ZKP_REQUEST_HEADER_LEN);
        assert_int_equal(zkp_path_int_decode(body, &request), RC_OK);
        check_path(request.path, cases[i].path);
        assert_int_equal(request.value, cases[i].value);
        for (uint32_t cut = 0; cut < body.len; cut++)
            assert_int_equal(zkp_path_int_decode(zkp_slice_of(body.ptr, cut), &request), RC_MALFORMED);
    }
}

static void auth(void **state)
{
    (void)state;
    struct captured frame = captured_frame(CAPTURED_KAZOO_CLIENT, ZKP_XID_AUTH, 0);
    struct zkp_slice body = captured_body(&frame, ZKP_REQUEST_HEADER_LEN);
    struct zkp_auth decoded;
    assert_int_equal(zkp_auth_decode(body, &decoded), RC_OK);
    assert_int_equal(decoded.type, 0);
    check_path(decoded.scheme, "digest");
    check_path(decoded.auth, "u:p");
    for (uint32_t cut = 0; cut < body.len; cut++)
        assert_int_equal(zkp_auth_decode(zkp_slice_of(body.ptr, cut), &decoded), RC_MALFORMED);
}

static void leftovers_are_malformed(void **state)
{
    (void)state;
    const uint8_t path_watch[] = {0, 0, 0, 1, '/', 1, 0};
    const uint8_t path_int[] = {0, 0, 0, 1, '/', 0, 0, 0, 1, 0};
    const uint8_t bad_auth[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7};
    struct zkp_path_watch watch;
    struct zkp_path_int number;
    struct zkp_auth decoded;
    assert_int_equal(zkp_path_watch_decode(zkp_slice_of(path_watch, sizeof path_watch), &watch),
                     RC_MALFORMED);
    assert_int_equal(zkp_path_int_decode(zkp_slice_of(path_int, sizeof path_int), &number), RC_MALFORMED);
    assert_int_equal(zkp_auth_decode(zkp_slice_of(bad_auth, sizeof bad_auth), &decoded), RC_MALFORMED);
}

#define SEEN_MAX 8u

struct seen {
    struct zkp_slice paths[ZKP_LIST_COUNT][SEEN_MAX];
    uint32_t counts[ZKP_LIST_COUNT];
};

static enum rc see(void *context, enum zkp_watch_list list, struct zkp_slice path)
{
    struct seen *seen = context;
    if (seen->counts[list] == SEEN_MAX)
        return RC_FULL;
    seen->paths[list][seen->counts[list]++] = path;
    return RC_OK;
}

static struct seen check_set_watches(uint32_t nth, bool is_set_watches2, int64_t relative_zxid)
{
    struct captured frame = captured_frame(CAPTURED_RAW_CLIENT, ZKP_XID_SET_WATCHES, nth);
    struct zkp_slice body = captured_body(&frame, ZKP_REQUEST_HEADER_LEN);
    struct seen seen = {0};
    int64_t zxid = -7;
    assert_int_equal(zkp_set_watches_decode(body, is_set_watches2, &zxid, see, &seen), RC_OK);
    assert_true(zxid == relative_zxid);

    const struct zkp_slice *lists[ZKP_LIST_COUNT];
    for (unsigned i = 0; i < ZKP_LIST_COUNT; i++)
        lists[i] = seen.paths[i];
    uint8_t buf[256];
    uint32_t length = zkp_set_watches_frame(ZKP_XID_SET_WATCHES, is_set_watches2, zxid, lists, seen.counts,
                                            buf, sizeof buf);
    assert_int_equal(length, frame.len);
    assert_memory_equal(buf, frame.bytes, frame.len);
    for (uint32_t capacity = 0; capacity < frame.len; capacity++)
        assert_int_equal(zkp_set_watches_frame(ZKP_XID_SET_WATCHES, is_set_watches2, zxid, lists, seen.counts,
                                               buf, capacity),
                         0);
    zxid = -7;
    for (uint32_t cut = 0; cut < body.len; cut++)
        assert_int_equal(
            zkp_set_watches_decode(zkp_slice_of(body.ptr, cut), is_set_watches2, &zxid, NULL, NULL),
            RC_MALFORMED);
    assert_true(zxid == -7);
    /* The other opcode's number of lists does not fit. */
    assert_int_equal(zkp_set_watches_decode(body, !is_set_watches2, &zxid, NULL, NULL), RC_MALFORMED);
    return seen;
}

static void set_watches_survives_both_ways(void **state)
{
    (void)state;
    struct seen seen = check_set_watches(0, false, 0);
    assert_int_equal(seen.counts[ZKP_LIST_DATA], 1);
    assert_int_equal(seen.counts[ZKP_LIST_EXIST], 1);
    assert_int_equal(seen.counts[ZKP_LIST_CHILD], 1);
    seen = check_set_watches(1, true, 0x7fffffff00000000);
    assert_int_equal(seen.counts[ZKP_LIST_EXIST], 0);
    assert_int_equal(seen.counts[ZKP_LIST_PERSISTENT], 1);
    assert_int_equal(seen.counts[ZKP_LIST_RECURSIVE], 2);
}

static enum rc stop_at_once(void *context, enum zkp_watch_list list, struct zkp_slice path)
{
    (void)list;
    (void)path;
    ++*(int *)context;
    return RC_FULL;
}

static void a_walk_can_be_stopped(void **state)
{
    (void)state;
    struct captured frame = captured_frame(CAPTURED_RAW_CLIENT, ZKP_XID_SET_WATCHES, 0);
    int64_t zxid;
    int calls = 0;
    assert_int_equal(zkp_set_watches_decode(captured_body(&frame, ZKP_REQUEST_HEADER_LEN), false, &zxid,
                                            stop_at_once, &calls),
                     RC_FULL);
    assert_int_equal(calls, 1);
}

static void a_greedy_list_is_malformed(void **state)
{
    (void)state;
    uint8_t body[8 + 3 * 4] = {0};
    int64_t zxid;
    assert_int_equal(zkp_set_watches_decode(zkp_slice_of(body, sizeof body), false, &zxid, NULL, NULL),
                     RC_OK);
    zkp_store_i32(body + 8, -1); /* a null list is an empty one */
    assert_int_equal(zkp_set_watches_decode(zkp_slice_of(body, sizeof body), false, &zxid, NULL, NULL),
                     RC_OK);
    zkp_store_i32(body + 8, 0x10000000);
    assert_int_equal(zkp_set_watches_decode(zkp_slice_of(body, sizeof body), false, &zxid, NULL, NULL),
                     RC_MALFORMED);
}

static void recorded_events_survive_both_ways(void **state)
{
    (void)state;
    const struct {
        int32_t type;
        const char *path;
    } cases[] = {
        {ZKP_EVENT_CREATED, "/b"}, {ZKP_EVENT_CHILDREN_CHANGED, "/"}, {ZKP_EVENT_DATA_CHANGED, "/a"}};
    for (uint32_t i = 0; i < 3; i++) {
        struct captured frame = captured_frame(CAPTURED_KAZOO_SERVER, ZKP_XID_EVENT, i);
        struct zkp_slice body = captured_body(&frame, ZKP_REPLY_HEADER_LEN);
        struct zkp_watcher_event event;
        assert_int_equal(zkp_watcher_event_decode(body, &event), RC_OK);
        assert_int_equal(event.type, cases[i].type);
        assert_int_equal(event.state, 3);
        check_path(event.path, cases[i].path);
        uint8_t buf[64];
        assert_int_equal(zkp_watcher_event_frame(-1, &event, buf, sizeof buf), frame.len);
        assert_memory_equal(buf, frame.bytes, frame.len);
        assert_int_equal(zkp_watcher_event_frame(-1, &event, buf, frame.len - 1), 0);
        for (uint32_t cut = 0; cut < body.len; cut++)
            assert_int_equal(zkp_watcher_event_decode(zkp_slice_of(body.ptr, cut), &event), RC_MALFORMED);
    }
}

struct sub_ops {
    int32_t types[8];
    struct zkp_slice paths[8];
    uint32_t count;
};

static enum rc see_sub_op(void *context, int32_t type, struct zkp_slice path)
{
    struct sub_ops *ops = context;
    assert_true(ops->count < 8);
    ops->types[ops->count] = type;
    ops->paths[ops->count++] = path;
    return RC_OK;
}

static void check_multi(const char *hex, int32_t xid, uint32_t count, const int32_t *types,
                        const char *const *paths)
{
    struct captured frame = captured_frame(hex, xid, 0);
    struct zkp_slice body = captured_body(&frame, ZKP_REQUEST_HEADER_LEN);
    struct sub_ops ops = {.count = 0};
    assert_int_equal(zkp_multi_request_walk(body, see_sub_op, &ops), RC_OK);
    assert_int_equal(ops.count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(ops.types[i], types[i]);
        check_path(ops.paths[i], paths[i]);
    }
    for (uint32_t cut = 0; cut < body.len; cut++)
        assert_int_equal(zkp_multi_request_walk(zkp_slice_of(body.ptr, cut), NULL, NULL), RC_MALFORMED);
}

static void multis_are_walked_by_type(void **state)
{
    (void)state;
    check_multi(CAPTURED_KAZOO_CLIENT, 10, 4,
                (const int32_t[]){ZKP_OP_CREATE, ZKP_OP_SET_DATA, ZKP_OP_CHECK, ZKP_OP_DELETE},
                (const char *const[]){"/c", "/a", "/a", "/c"});
    check_multi(CAPTURED_RAW_CLIENT, 15, 7,
                (const int32_t[]){ZKP_OP_CREATE, ZKP_OP_CREATE2, ZKP_OP_SET_DATA, ZKP_OP_CHECK, ZKP_OP_DELETE,
                                  ZKP_OP_CREATE_CONTAINER, ZKP_OP_CREATE_TTL},
                (const char *const[]){"/m", "/m2", "/m", "/m", "/m", "/m3", "/m4"});
    check_multi(CAPTURED_RAW_CLIENT, 7, 4,
                (const int32_t[]){ZKP_OP_GET_DATA, ZKP_OP_GET_CHILDREN, ZKP_OP_GET_DATA, ZKP_OP_GET_DATA},
                (const char *const[]){"/zookeeper/config", "/", "/a", "/nope"});
}

static void a_multi_of_an_unknown_type_is_malformed(void **state)
{
    (void)state;
    struct captured frame = captured_frame(CAPTURED_RAW_CLIENT, 7, 0);
    struct zkp_slice body = captured_body(&frame, ZKP_REQUEST_HEADER_LEN);
    zkp_store_i32(frame.bytes + ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN, ZKP_OP_SYNC);
    assert_int_equal(zkp_multi_request_walk(body, NULL, NULL), RC_MALFORMED);
}

/* {empty buffer, Stat with dataLength 0}, everything else of the Stat as recorded. */
static void check_hidden(const uint8_t *hidden, const uint8_t *stat)
{
    assert_int_equal(zkp_load_i32(hidden), 0);
    assert_int_equal(zkp_load_i32(hidden + 4 + ZKP_STAT_DATA_LENGTH_OFFSET), 0);
    uint32_t rest = ZKP_STAT_DATA_LENGTH_OFFSET + 4;
    assert_memory_equal(hidden + 4, stat, ZKP_STAT_DATA_LENGTH_OFFSET);
    assert_memory_equal(hidden + 4 + rest, stat + rest, ZKP_STAT_LEN - rest);
}

static void the_config_node_is_hidden(void **state)
{
    (void)state;
    struct captured frame = captured_frame(CAPTURED_KAZOO_SERVER, 13, 0);
    struct zkp_slice body = captured_body(&frame, ZKP_REPLY_HEADER_LEN);
    const uint8_t *stat = body.ptr + body.len - ZKP_STAT_LEN;
    /* The recorded length tells that the offset is the right one. */
    assert_int_equal(zkp_load_i32(stat + ZKP_STAT_DATA_LENGTH_OFFSET), body.len - 4 - ZKP_STAT_LEN);
    uint8_t buf[REPLY_MAX];
    assert_int_equal(zkp_get_data_reply_hide(body, buf, sizeof buf), 4 + ZKP_STAT_LEN);
    check_hidden(buf, stat);
    assert_int_equal(zkp_get_data_reply_hide(body, buf, 4 + ZKP_STAT_LEN - 1), 0);
    for (uint32_t cut = 0; cut < body.len; cut++)
        assert_int_equal(zkp_get_data_reply_hide(zkp_slice_of(body.ptr, cut), buf, sizeof buf), 0);
}

static void null_data_becomes_empty(void **state)
{
    (void)state;
    uint8_t body[4 + ZKP_STAT_LEN] = {0xff, 0xff, 0xff, 0xff}, buf[sizeof body];
    assert_int_equal(zkp_get_data_reply_hide(zkp_slice_of(body, sizeof body), buf, sizeof buf), sizeof body);
    check_hidden(buf, body + 4);
}

/* The recorded answer: config's data, children of /, /a's data, -101. */
static void a_multi_read_is_hidden_by_index(void **state)
{
    (void)state;
    struct captured frame = captured_frame(CAPTURED_RAW_SERVER, 7, 0);
    struct zkp_slice body = captured_body(&frame, ZKP_REPLY_HEADER_LEN);
    uint8_t buf[REPLY_MAX];
    assert_int_equal(zkp_multi_read_reply_hide(body, 0, buf, sizeof buf), body.len);
    assert_memory_equal(buf, body.ptr, body.len);
    /* Children and errors carry nothing to hide. */
    assert_int_equal(zkp_multi_read_reply_hide(body, 2 | 8, buf, sizeof buf), body.len);
    assert_memory_equal(buf, body.ptr, body.len);

    const uint32_t header = 4 + 1 + 4;
    uint32_t data_len = (uint32_t)zkp_load_i32(body.ptr + header);
    uint32_t hidden_len = zkp_multi_read_reply_hide(body, 1, buf, sizeof buf);
    assert_int_equal(hidden_len, body.len - data_len);
    assert_memory_equal(buf, body.ptr, header);
    check_hidden(buf + header, body.ptr + header + 4 + data_len);
    uint32_t rest = header + 4 + ZKP_STAT_LEN;
    assert_memory_equal(buf + rest, body.ptr + rest + data_len, hidden_len - rest);

    assert_int_equal(zkp_multi_read_reply_hide(body, 1, buf, hidden_len - 1), 0);
    for (uint32_t cut = 0; cut < body.len; cut++)
        assert_int_equal(zkp_multi_read_reply_hide(zkp_slice_of(body.ptr, cut), 1, buf, sizeof buf), 0);
}

static void a_write_result_in_a_multi_read_is_malformed(void **state)
{
    (void)state;
    struct captured frame = captured_frame(CAPTURED_RAW_SERVER, 15, 0); /* the answer to a multi of writes */
    uint8_t buf[REPLY_MAX];
    assert_int_equal(
        zkp_multi_read_reply_hide(captured_body(&frame, ZKP_REPLY_HEADER_LEN), 0, buf, sizeof buf), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_and_watch),
        cmocka_unit_test(path_and_int),
        cmocka_unit_test(auth),
        cmocka_unit_test(leftovers_are_malformed),
        cmocka_unit_test(set_watches_survives_both_ways),
        cmocka_unit_test(a_walk_can_be_stopped),
        cmocka_unit_test(a_greedy_list_is_malformed),
        cmocka_unit_test(recorded_events_survive_both_ways),
        cmocka_unit_test(multis_are_walked_by_type),
        cmocka_unit_test(a_multi_of_an_unknown_type_is_malformed),
        cmocka_unit_test(the_config_node_is_hidden),
        cmocka_unit_test(null_data_becomes_empty),
        cmocka_unit_test(a_multi_read_is_hidden_by_index),
        cmocka_unit_test(a_write_result_in_a_multi_read_is_malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
