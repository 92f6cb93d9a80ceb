/* The jute reader and writer at their limits: every cut of a record, null and impossible lengths, greedy
 * counts. */
#include "zkproto/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* One field of each kind: bool, int, long, buffer, null buffer, count 2 of 2 bytes. */
#define RECORD_LEN (1u + 4 + 8 + 4 + 3 + 4 + 4 + 2)

static uint32_t write_record(void *buf, uint32_t capacity)
{
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    zkp_wr_bool(&w, true);
    zkp_wr_i32(&w, -2);
    zkp_wr_i64(&w, INT64_MIN + 1);
    zkp_wr_buf(&w, zkp_slice_str("abc"));
    zkp_wr_buf(&w, (struct zkp_slice){0});
    zkp_wr_i32(&w, 2);
    zkp_wr_raw(&w, zkp_slice_str("xy"));
    return zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}

struct record {
    bool flag;
    int32_t number;
    int64_t big;
    struct zkp_slice text;
    struct zkp_slice nothing;
    uint32_t count;
    struct zkp_slice raw;
};

static struct record read_record(struct zkp_rd *r)
{
    struct record record;
    record.flag = zkp_rd_bool(r);
    record.number = zkp_rd_i32(r);
    record.big = zkp_rd_i64(r);
    record.text = zkp_rd_buf(r);
    record.nothing = zkp_rd_buf(r);
    record.count = zkp_rd_count(r, 1);
    record.raw = zkp_rd_raw(r, 2);
    return record;
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    uint8_t buf[64];
    assert_int_equal(write_record(buf, sizeof buf), RECORD_LEN);
    struct zkp_rd r = zkp_rd_over(zkp_slice_of(buf, RECORD_LEN));
    struct record record = read_record(&r);
    assert_true(zkp_rd_done(&r));
    assert_true(record.flag);
    assert_int_equal(record.number, -2);
    assert_true(record.big == INT64_MIN + 1);
    assert_true(zkp_slice_eq(record.text, zkp_slice_str("abc")));
    assert_null(record.nothing.ptr);
    assert_int_equal(record.count, 2);
    assert_true(zkp_slice_eq(record.raw, zkp_slice_str("xy")));
}

static void every_cut_asks_for_more(void **state)
{
    (void)state;
    uint8_t buf[64];
    write_record(buf, sizeof buf);
    for (uint32_t cut = 0; cut < RECORD_LEN; cut++) {
        struct zkp_rd r = zkp_rd_over(zkp_slice_of(buf, cut));
        read_record(&r);
        assert_false(zkp_rd_done(&r));
        /* A count of 2 with one byte left is impossible in a frame; everything else may still come. */
        bool is_count_cut = cut >= RECORD_LEN - 2 && cut < RECORD_LEN;
        assert_int_equal(zkp_rd_state(&r), is_count_cut ? RC_MALFORMED : RC_AGAIN);
    }
}

static void every_small_buffer_is_full(void **state)
{
    (void)state;
    uint8_t buf[64];
    for (uint32_t capacity = 0; capacity < RECORD_LEN; capacity++) {
        memset(buf, 0xee, sizeof buf);
        assert_int_equal(write_record(buf, capacity), 0);
        assert_int_equal(buf[capacity], 0xee);
    }
    assert_int_equal(write_record(NULL, 0), 0);
}

static void a_full_writer_stays_full(void **state)
{
    (void)state;
    uint8_t buf[4];
    struct zkp_wr w = zkp_wr_over(buf, sizeof buf);
    zkp_wr_i64(&w, 1);
    zkp_wr_bool(&w, true); /* would fit */
    assert_int_equal(zkp_wr_done(&w), RC_FULL);
    assert_int_equal(zkp_wr_len(&w), 0);
}

static void failure_is_sticky_and_gives_zeros(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4};
    struct zkp_rd r = zkp_rd_over(zkp_slice_of(bytes, sizeof bytes));
    assert_null(zkp_rd_buf(&r).ptr); /* length -2 */
    assert_int_equal(zkp_rd_state(&r), RC_MALFORMED);
    assert_int_equal(zkp_rd_i32(&r), 0);
    assert_int_equal(zkp_rd_i64(&r), 0);
    assert_false(zkp_rd_bool(&r));
    assert_int_equal(zkp_rd_count(&r, 1), 0);
    assert_null(zkp_rd_raw(&r, 1).ptr);
    assert_int_equal(zkp_rd_state(&r), RC_MALFORMED);
    assert_int_equal(zkp_rd_left(&r), 4); /* nothing moved */
}

static void null_and_empty_differ(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff};
    struct zkp_rd r = zkp_rd_over(zkp_slice_of(bytes, sizeof bytes));
    struct zkp_slice empty = zkp_rd_buf(&r), null = zkp_rd_buf(&r);
    assert_true(zkp_rd_done(&r));
    assert_non_null(empty.ptr);
    assert_null(null.ptr);
    assert_int_equal(empty.len + null.len, 0);

    uint8_t copy[sizeof bytes];
    struct zkp_wr w = zkp_wr_over(copy, sizeof copy);
    zkp_wr_buf(&w, empty);
    zkp_wr_buf(&w, null);
    assert_int_equal(zkp_wr_done(&w), RC_OK);
    assert_memory_equal(copy, bytes, sizeof bytes);
}

static void huge_lengths_do_not_wrap(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0x7f, 0xff, 0xff, 0xff, 'a'};
    struct zkp_rd r = zkp_rd_over(zkp_slice_of(bytes, sizeof bytes));
    zkp_rd_buf(&r);
    assert_int_equal(zkp_rd_state(&r), RC_AGAIN);
    r = zkp_rd_over(zkp_slice_of(bytes, sizeof bytes));
    assert_null(zkp_rd_raw(&r, UINT32_MAX).ptr);
    assert_int_equal(zkp_rd_state(&r), RC_AGAIN);
}

static void counts_are_limited_by_what_is_left(void **state)
{
    (void)state;
    const struct {
        uint8_t bytes[8];
        uint32_t element_min;
        uint32_t count;
        enum rc state;
    } cases[] = {
        {{0, 0, 0, 4, 1, 2, 3, 4}, 1, 4, RC_OK},
        {{0, 0, 0, 5, 1, 2, 3, 4}, 1, 0, RC_MALFORMED},
        {{0, 0, 0, 1, 1, 2, 3, 4}, 4, 1, RC_OK},
        {{0, 0, 0, 2, 1, 2, 3, 4}, 4, 0, RC_MALFORMED},
        {{0x40, 0, 0, 1, 1, 2, 3, 4}, 4, 0, RC_MALFORMED}, /* count * 4 is 4 in 32 bits */
        {{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}, 4, 0, RC_OK},
        {{0xff, 0xff, 0xff, 0xfe, 1, 2, 3, 4}, 4, 0, RC_MALFORMED},
        {{0, 0, 0, 0, 1, 2, 3, 4}, 4, 0, RC_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct zkp_rd r = zkp_rd_over(zkp_slice_of(cases[i].bytes, 8));
        assert_int_equal(zkp_rd_count(&r, cases[i].element_min), cases[i].count);
        assert_int_equal(zkp_rd_state(&r), cases[i].state);
    }
}

static void any_non_zero_byte_is_true(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 1, 2, 0xff};
    struct zkp_rd r = zkp_rd_over(zkp_slice_of(bytes, sizeof bytes));
    assert_false(zkp_rd_bool(&r));
    assert_true(zkp_rd_bool(&r));
    assert_true(zkp_rd_bool(&r));
    assert_true(zkp_rd_bool(&r));
    assert_true(zkp_rd_done(&r));
}

static void a_null_input_is_an_empty_one(void **state)
{
    (void)state;
    struct zkp_rd r = zkp_rd_over((struct zkp_slice){0});
    assert_true(zkp_rd_done(&r));
    assert_int_equal(zkp_rd_i32(&r), 0);
    assert_int_equal(zkp_rd_state(&r), RC_AGAIN);
}

static void a_frame_counts_what_follows_its_mark(void **state)
{
    (void)state;
    uint8_t buf[16] = {0};
    struct zkp_wr w = zkp_wr_over(buf, sizeof buf);
    zkp_wr_bool(&w, true); /* something before the frame */
    uint8_t *mark = zkp_wr_frame_begin(&w);
    zkp_wr_i64(&w, 1);
    zkp_wr_frame_end(&w, mark);
    assert_int_equal(zkp_wr_done(&w), RC_OK);
    assert_int_equal(zkp_load_i32(buf + 1), 8);
    mark = zkp_wr_frame_begin(&w); /* three bytes are left */
    zkp_wr_frame_end(&w, mark);
    assert_int_equal(zkp_wr_done(&w), RC_FULL);
}

static void loads_and_stores_are_big_endian(void **state)
{
    (void)state;
    const int64_t values[] = {0, 1, -1, INT64_MAX, INT64_MIN, 0x0102030405060708};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t buf[8];
        zkp_store_i64(buf, values[i]);
        assert_true(zkp_load_i64(buf) == values[i]);
    }
    uint8_t buf[8];
    zkp_store_i64(buf, 0x0102030405060708);
    assert_memory_equal(buf, "\1\2\3\4\5\6\7\10", 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_cut_asks_for_more),
        cmocka_unit_test(every_small_buffer_is_full),
        cmocka_unit_test(a_full_writer_stays_full),
        cmocka_unit_test(failure_is_sticky_and_gives_zeros),
        cmocka_unit_test(null_and_empty_differ),
        cmocka_unit_test(huge_lengths_do_not_wrap),
        cmocka_unit_test(counts_are_limited_by_what_is_left),
        cmocka_unit_test(any_non_zero_byte_is_true),
        cmocka_unit_test(a_null_input_is_an_empty_one),
        cmocka_unit_test(a_frame_counts_what_follows_its_mark),
        cmocka_unit_test(loads_and_stores_are_big_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
