/* The opcode table: look-up both ways, and the rows the proxy's safety hangs on. */
#include "zkproto/opcode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/captured_stream.h"
#include "zkproto/header.h"

static void every_row_is_found_by_its_number(void **state)
{
    (void)state;
    for (int i = 0; i < ZKP_OPX_UNKNOWN; i++) {
        const struct zkp_op_row *row = zkp_op_row((enum zkp_op_index)i);
        assert_int_equal(zkp_op_index(row->number), i);
        assert_true(strlen(row->name) > 0 && strlen(row->since) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(row->name, zkp_op_row((enum zkp_op_index)j)->name);
    }
}

static void other_numbers_are_unknown(void **state)
{
    (void)state;
    const int32_t numbers[] = {0, -1, 10, 23, 99, 108, -12, 9999, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        assert_int_equal(zkp_op_index(numbers[i]), ZKP_OPX_UNKNOWN);
    const struct zkp_op_row *row = zkp_op_row(ZKP_OPX_UNKNOWN);
    assert_string_equal(row->name, "unknown");
    assert_int_equal(row->class, ZKP_CLASS_UNKNOWN);
    assert_false(row->has_path || row->may_watch);
}

static void classes_follow_the_protocol(void **state)
{
    (void)state;
    const struct {
        int32_t number;
        enum zkp_op_class class;
        bool has_path, may_watch;
    } rows[] = {
        {ZKP_OP_SET_DATA, ZKP_CLASS_WRITE, true, false},
        {ZKP_OP_GET_DATA, ZKP_CLASS_READ, true, true},
        {ZKP_OP_SYNC, ZKP_CLASS_ORDERED, true, false},
        {ZKP_OP_AUTH, ZKP_CLASS_OUT_OF_BAND, false, false},
        {ZKP_OP_SASL, ZKP_CLASS_OUT_OF_BAND, false, false},
        {ZKP_OP_CLOSE_SESSION, ZKP_CLASS_SESSION, false, false},
        {ZKP_OP_PING, ZKP_CLASS_READ, false, false},
        {ZKP_OP_MULTI, ZKP_CLASS_WRITE, false, false},
        {ZKP_OP_MULTI_READ, ZKP_CLASS_READ, false, false},
        {ZKP_OP_ADD_WATCH, ZKP_CLASS_READ, true, true},
        {ZKP_OP_CHECK, ZKP_CLASS_WRITE, true, false},
        {ZKP_OP_RECONFIG, ZKP_CLASS_WRITE, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct zkp_op_row *row = zkp_op_row(zkp_op_index(rows[i].number));
        assert_int_equal(row->number, rows[i].number);
        assert_int_equal(row->class, rows[i].class);
        assert_int_equal(row->has_path, rows[i].has_path);
        assert_int_equal(row->may_watch, rows[i].may_watch);
    }
}

/* has_path promises that a ustring which is a path stands first in the body. */
static uint32_t check_paths(const char *hex)
{
    struct captured stream = captured_hex(hex);
    struct zkp_slice rest = captured_slice(&stream);
    struct zkp_frame frame;
    uint32_t with_path = 0;
    for (uint32_t i = 0; zkp_frame_peek(rest, ZKP_CLIENT_FRAME_MAX, &frame) == RC_OK; i++) {
        uint32_t whole = ZKP_FRAME_PREFIX + frame.length;
        rest = zkp_slice_of(rest.ptr + whole, rest.len - whole);
        struct zkp_rd r = zkp_rd_over(frame.body);
        zkp_rd_i32(&r);
        enum zkp_op_index index = zkp_op_index(zkp_rd_i32(&r));
        if (i == 0 || !zkp_op_row(index)->has_path) /* the first one is the ConnectRequest */
            continue;
        assert_int_not_equal(index, ZKP_OPX_UNKNOWN);
        struct zkp_slice path = zkp_rd_buf(&r);
        assert_true(path.len > 0 && path.ptr[0] == '/');
        with_path++;
    }
    return with_path;
}

static void recorded_paths_are_where_the_table_says(void **state)
{
    (void)state;
    assert_int_equal(check_paths(CAPTURED_KAZOO_CLIENT), 13);
    assert_int_equal(check_paths(CAPTURED_RAW_CLIENT), 11);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_its_number),
        cmocka_unit_test(other_numbers_are_unknown),
        cmocka_unit_test(classes_follow_the_protocol),
        cmocka_unit_test(recorded_paths_are_where_the_table_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
