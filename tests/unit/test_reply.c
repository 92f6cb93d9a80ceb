/* Reply bodies: the exact one passes, and nothing shorter, longer or with a length that lies. */
#include "zkproto/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "zkproto/opcode.h"
#include "zkproto/request.h"

#define BODY_MAX 512u

struct body {
    uint8_t bytes[BODY_MAX];
    struct zkp_wr wr;
};

static void begin(struct body *body)
{
    body->wr = zkp_wr_over(body->bytes, sizeof body->bytes);
}

static struct zkp_slice whole(const struct body *body)
{
    assert_int_equal(zkp_wr_done(&body->wr), RC_OK);
    return zkp_slice_of(body->bytes, zkp_wr_len(&body->wr));
}

static void put_text(struct body *body, const char *text)
{
    zkp_wr_buf(&body->wr, zkp_slice_str(text));
}

static void put_stat(struct body *body)
{
    uint8_t stat[ZKP_STAT_LEN];
    memset(stat, 0x11, sizeof stat);
    zkp_wr_raw(&body->wr, zkp_slice_of(stat, sizeof stat));
}

static void put_names(struct body *body)
{
    zkp_wr_i32(&body->wr, 3);
    put_text(body, "a");
    put_text(body, "b");
    put_text(body, "cd");
}

static void put_ids(struct body *body, bool has_perms)
{
    zkp_wr_i32(&body->wr, 2);
    for (int i = 0; i < 2; i++) {
        if (has_perms)
            zkp_wr_i32(&body->wr, 31);
        put_text(body, "world");
        put_text(body, "anyone");
    }
}

static void put_result(struct body *body, int32_t type, bool is_done, int32_t err)
{
    zkp_wr_i32(&body->wr, type);
    zkp_wr_bool(&body->wr, is_done);
    zkp_wr_i32(&body->wr, err);
}

static const int32_t multi_ops[] = {ZKP_OP_DELETE, ZKP_OP_CREATE, ZKP_OP_SET_DATA, ZKP_OP_CHECK,
                                    ZKP_OP_CREATE2};
static const struct zkp_multi_types multi = {.types = multi_ops, .count = 5};

static void put_results(struct body *body)
{
    put_result(body, ZKP_OP_DELETE, false, 0);
    put_result(body, ZKP_OP_CREATE, false, 0);
    put_text(body, "/c");
    put_result(body, ZKP_OP_SET_DATA, false, 0);
    put_stat(body);
    put_result(body, -1, false, -101);
    zkp_wr_i32(&body->wr, -101);
    put_result(body, ZKP_OP_CREATE2, false, 0);
    put_text(body, "/d");
    put_stat(body);
    put_result(body, -1, true, -1);
}

/* What a server answers with, per opcode; false: no reply of it is known. */
static bool put_body(struct body *body, int32_t op)
{
    begin(body);
    switch ((enum zkp_op)op) {
    case ZKP_OP_DELETE:
    case ZKP_OP_PING:
    case ZKP_OP_CHECK_WATCHES:
    case ZKP_OP_REMOVE_WATCHES:
    case ZKP_OP_AUTH:
    case ZKP_OP_SET_WATCHES:
    case ZKP_OP_SET_WATCHES2:
    case ZKP_OP_CLOSE_SESSION:
        return true;
    case ZKP_OP_CREATE:
    case ZKP_OP_SYNC:
        put_text(body, "/a/b");
        return true;
    case ZKP_OP_CREATE2:
    case ZKP_OP_CREATE_CONTAINER:
    case ZKP_OP_CREATE_TTL:
        put_text(body, "/a/b");
        put_stat(body);
        return true;
    case ZKP_OP_EXISTS:
    case ZKP_OP_SET_DATA:
    case ZKP_OP_SET_ACL:
        put_stat(body);
        return true;
    case ZKP_OP_GET_DATA:
    case ZKP_OP_RECONFIG:
        put_text(body, "some data");
        put_stat(body);
        return true;
    case ZKP_OP_GET_ACL:
        put_ids(body, true);
        put_stat(body);
        return true;
    case ZKP_OP_WHO_AM_I:
        put_ids(body, false);
        return true;
    case ZKP_OP_GET_CHILDREN:
    case ZKP_OP_GET_EPHEMERALS:
        put_names(body);
        return true;
    case ZKP_OP_GET_CHILDREN2:
        put_names(body);
        put_stat(body);
        return true;
    case ZKP_OP_MULTI:
        put_results(body);
        return true;
    case ZKP_OP_GET_ALL_CHILDREN_NUMBER:
    case ZKP_OP_ADD_WATCH:
        zkp_wr_i32(&body->wr, 7);
        return true;
    case ZKP_OP_SASL:
        put_text(body, "token");
        return true;
    case ZKP_OP_CHECK:
    case ZKP_OP_DELETE_CONTAINER:
    case ZKP_OP_MULTI_READ:
    case ZKP_OP_CREATE_SESSION:
        break;
    }
    return false;
}

static enum rc check(int32_t op, struct zkp_slice body)
{
    return zkp_reply_body_check(op, &multi, body);
}

static void refuse_other_lengths(int32_t op, struct body *body)
{
    struct zkp_slice exact = whole(body);
    uint8_t copy[BODY_MAX]; /* without what stood behind the cut */
    for (uint32_t length = 0; length < exact.len; length++) {
        memcpy(copy, exact.ptr, length);
        assert_int_equal(check(op, zkp_slice_of(copy, length)), RC_MALFORMED);
    }
    zkp_wr_bool(&body->wr, false);
    assert_int_equal(check(op, whole(body)), RC_MALFORMED);
}

static void exact_bodies_pass_and_no_others(void **state)
{
    (void)state;
    uint32_t known = 0;
    for (enum zkp_op_index index = 0; index < ZKP_OPX_UNKNOWN; index++) {
        struct body body;
        int32_t op = zkp_op_row(index)->number;
        if (!put_body(&body, op)) {
            assert_int_equal(check(op, zkp_slice_of("", 0)), RC_MALFORMED);
            continue;
        }
        known++;
        assert_int_equal(check(op, whole(&body)), RC_OK);
        assert_true(zkp_reply_body_max(op, 4) >= whole(&body).len);
        refuse_other_lengths(op, &body);
    }
    assert_int_equal(known, ZKP_OPX_UNKNOWN - 4);
    assert_int_equal(check(4711, zkp_slice_of("", 0)), RC_MALFORMED);
}

/* Wherever four bytes may be a length or a count, they can't be any other without ending somewhere else. */
static void lengths_that_lie(void **state)
{
    (void)state;
    static const int32_t lies[] = {-1, -2, INT32_MIN, INT32_MAX, 0x10000000, BODY_MAX};
    static const struct {
        int32_t op;
        uint32_t at;
    } places[] = {{ZKP_OP_CREATE, 0},       {ZKP_OP_GET_DATA, 0},       {ZKP_OP_GET_CHILDREN, 0},
                  {ZKP_OP_GET_CHILDREN, 4}, {ZKP_OP_GET_CHILDREN, 9},   {ZKP_OP_GET_ACL, 0},
                  {ZKP_OP_GET_ACL, 8},      {ZKP_OP_GET_ACL, 17},       {ZKP_OP_GET_CHILDREN2, 0},
                  {ZKP_OP_WHO_AM_I, 0},     {ZKP_OP_GET_EPHEMERALS, 0}, {ZKP_OP_MULTI, 18}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        for (size_t j = 0; j < sizeof lies / sizeof lies[0]; j++) {
            struct body body;
            assert_true(put_body(&body, places[i].op));
            zkp_store_i32(body.bytes + places[i].at, lies[j]);
            assert_int_equal(check(places[i].op, whole(&body)), RC_MALFORMED);
        }
}

static void null_is_no_text_and_no_list(void **state)
{
    (void)state;
    struct body body;
    begin(&body);
    zkp_wr_i32(&body.wr, -1);
    assert_int_equal(check(ZKP_OP_CREATE, whole(&body)), RC_MALFORMED);
    assert_int_equal(check(ZKP_OP_GET_CHILDREN, whole(&body)), RC_MALFORMED);
    assert_int_equal(check(ZKP_OP_WHO_AM_I, whole(&body)), RC_MALFORMED);
    put_stat(&body);
    assert_int_equal(check(ZKP_OP_GET_ACL, whole(&body)), RC_MALFORMED);
    assert_int_equal(check(ZKP_OP_GET_DATA, whole(&body)), RC_OK); /* a node may have none */
    begin(&body);
    zkp_wr_i32(&body.wr, 1);
    zkp_wr_i32(&body.wr, -1);
    assert_int_equal(check(ZKP_OP_GET_CHILDREN, whole(&body)), RC_MALFORMED);
}

static void nodes_have_possible_names(void **state)
{
    (void)state;
    struct body body;
    begin(&body);
    put_text(&body, "a");
    assert_int_equal(check(ZKP_OP_CREATE, whole(&body)), RC_MALFORMED);
    begin(&body);
    zkp_wr_buf(&body.wr, zkp_slice_of("/a\0b", 4));
    assert_int_equal(check(ZKP_OP_CREATE, whole(&body)), RC_MALFORMED);
    begin(&body);
    zkp_wr_i32(&body.wr, 1);
    zkp_wr_buf(&body.wr, zkp_slice_of("a\0b", 3));
    assert_int_equal(check(ZKP_OP_GET_CHILDREN, whole(&body)), RC_MALFORMED);
    begin(&body);
    zkp_wr_i32(&body.wr, 1);
    put_text(&body, "");
    assert_int_equal(check(ZKP_OP_GET_CHILDREN, whole(&body)), RC_MALFORMED);
}

static void a_multi_has_the_results_of_its_operations(void **state)
{
    (void)state;
    struct body body;
    put_body(&body, ZKP_OP_MULTI);
    const struct zkp_multi_types fewer = {.types = multi_ops, .count = 4};
    assert_int_equal(zkp_reply_body_check(ZKP_OP_MULTI, &fewer, whole(&body)), RC_MALFORMED);
    const struct zkp_multi_types other = {.types = multi_ops + 1, .count = 4};
    assert_int_equal(zkp_reply_body_check(ZKP_OP_MULTI, &other, whole(&body)), RC_MALFORMED);
    assert_int_equal(zkp_reply_body_check(ZKP_OP_MULTI, NULL, whole(&body)), RC_MALFORMED);
    begin(&body);
    put_result(&body, -1, true, -1);
    assert_int_equal(check(ZKP_OP_MULTI, whole(&body)), RC_MALFORMED);
    const struct zkp_multi_types none = {.types = multi_ops, .count = 0};
    assert_int_equal(zkp_reply_body_check(ZKP_OP_MULTI, &none, whole(&body)), RC_OK);
}

static struct zkp_slice event_of(struct body *body, int32_t type, int32_t event_state, const char *path)
{
    begin(body);
    zkp_wr_i32(&body->wr, type);
    zkp_wr_i32(&body->wr, event_state);
    put_text(body, path);
    return whole(body);
}

/* Types and states of the session itself would make the library believe that it has expired. */
static void events_of_nodes_only(void **state)
{
    (void)state;
    struct body body;
    for (int32_t type = -2; type <= 7; type++)
        assert_int_equal(zkp_event_body_check(event_of(&body, type, 3, "/a")),
                         type >= 1 && type <= 4 ? RC_OK : RC_MALFORMED);
    static const int32_t states[] = {-113, -112, -1, 0, 1, 5};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        assert_int_equal(zkp_event_body_check(event_of(&body, 3, states[i], "/a")), RC_MALFORMED);
    assert_int_equal(zkp_event_body_check(event_of(&body, 3, 3, "")), RC_MALFORMED);
    assert_int_equal(zkp_event_body_check(event_of(&body, 3, 3, "a")), RC_MALFORMED);
    struct zkp_slice exact = event_of(&body, 3, 3, "/a");
    for (uint32_t length = 0; length < exact.len; length++)
        assert_int_equal(zkp_event_body_check(zkp_slice_of(exact.ptr, length)), RC_MALFORMED);
    zkp_wr_bool(&body.wr, false);
    assert_int_equal(zkp_event_body_check(whole(&body)), RC_MALFORMED);
}

/* The longest that may come is known beforehand only where no data of the ensemble is in it. */
static void the_longest_bodies(void **state)
{
    (void)state;
    assert_int_equal(zkp_reply_body_max(ZKP_OP_DELETE, 100), 0);
    assert_int_equal(zkp_reply_body_max(ZKP_OP_EXISTS, 100), ZKP_STAT_LEN);
    assert_in_range(zkp_reply_body_max(ZKP_OP_CREATE, 100), 104, 120);
    assert_int_equal(zkp_reply_body_max(ZKP_OP_GET_DATA, 100), UINT32_MAX);
    assert_int_equal(zkp_reply_body_max(ZKP_OP_GET_CHILDREN, 100), UINT32_MAX);
    assert_int_equal(zkp_reply_body_max(4711, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_bodies_pass_and_no_others),
        cmocka_unit_test(lengths_that_lie),
        cmocka_unit_test(null_is_no_text_and_no_list),
        cmocka_unit_test(nodes_have_possible_names),
        cmocka_unit_test(a_multi_has_the_results_of_its_operations),
        cmocka_unit_test(events_of_nodes_only),
        cmocka_unit_test(the_longest_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
