/* Cutting recorded streams into frames at every split, and the lengths a server refuses (protocol.md §1.1).
 */
#include "zkproto/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/captured_stream.h"

/* How many whole frames there are; the stream must end at a frame's end. */
static uint32_t count_frames(struct zkp_slice in)
{
    uint32_t count = 0;
    struct zkp_frame frame;
    while (zkp_frame_peek(in, ZKP_CLIENT_FRAME_MAX, &frame) == RC_OK) {
        assert_int_equal(frame.body.len, frame.length);
        uint32_t whole = ZKP_FRAME_PREFIX + frame.length;
        in = zkp_slice_of(in.ptr + whole, in.len - whole);
        count++;
    }
    assert_int_equal(in.len, 0);
    return count;
}

static void recorded_streams_are_whole_frames(void **state)
{
    (void)state;
    struct captured kazoo = captured_hex(CAPTURED_KAZOO_CLIENT);
    assert_int_equal(count_frames(captured_slice(&kazoo)), 18);
    struct captured raw = captured_hex(CAPTURED_RAW_CLIENT);
    assert_int_equal(count_frames(captured_slice(&raw)), 21);
}

static void every_cut_of_a_frame_is_again_or_partial(void **state)
{
    (void)state;
    struct captured c = captured_frame(CAPTURED_KAZOO_CLIENT, 10, 0);
    for (uint32_t cut = 0; cut <= c.len; cut++) {
        struct zkp_frame frame;
        enum rc rc = zkp_frame_peek(zkp_slice_of(c.bytes, cut), ZKP_CLIENT_FRAME_MAX, &frame);
        assert_int_equal(rc, cut < 4 ? RC_AGAIN : RC_OK);
        if (rc != RC_OK)
            continue;
        assert_int_equal(frame.length, c.len - 4);
        assert_int_equal(frame.body.len, cut - 4);
        assert_ptr_equal(frame.body.ptr, c.bytes + 4);
    }
}

static void the_next_frame_is_not_part_of_the_body(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 0, 0, 1, 'a', 0, 0, 0, 1, 'b'};
    struct zkp_frame frame;
    assert_int_equal(zkp_frame_peek(zkp_slice_of(bytes, sizeof bytes), 1, &frame), RC_OK);
    assert_int_equal(frame.length, 1);
    assert_int_equal(frame.body.len, 1);
}

static void lengths_are_judged_like_the_server_does(void **state)
{
    (void)state;
    const struct {
        int32_t length;
        uint32_t max;
        enum rc rc;
    } cases[] = {
        {0, ZKP_CLIENT_FRAME_MAX, RC_MALFORMED},         {-1, ZKP_CLIENT_FRAME_MAX, RC_MALFORMED},
        {INT32_MIN, ZKP_SERVER_FRAME_MAX, RC_MALFORMED}, {1, ZKP_CLIENT_FRAME_MAX, RC_OK},
        {0xfffff, ZKP_CLIENT_FRAME_MAX, RC_OK},          {0x100000, ZKP_CLIENT_FRAME_MAX, RC_TOO_BIG},
        {INT32_MAX, ZKP_CLIENT_FRAME_MAX, RC_TOO_BIG},   {INT32_MAX, ZKP_SERVER_FRAME_MAX, RC_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t prefix[4];
        zkp_store_i32(prefix, cases[i].length);
        struct zkp_frame frame = {.length = 77};
        assert_int_equal(zkp_frame_peek(zkp_slice_of(prefix, 4), cases[i].max, &frame), cases[i].rc);
        assert_int_equal(frame.length, cases[i].rc == RC_OK ? (uint32_t)cases[i].length : 77);
    }
}

static void nothing_is_asked_of_a_null_input(void **state)
{
    (void)state;
    struct zkp_frame frame;
    assert_int_equal(zkp_frame_peek((struct zkp_slice){0}, 1, &frame), RC_AGAIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_streams_are_whole_frames),
        cmocka_unit_test(every_cut_of_a_frame_is_again_or_partial),
        cmocka_unit_test(the_next_frame_is_not_part_of_the_body),
        cmocka_unit_test(lengths_are_judged_like_the_server_does),
        cmocka_unit_test(nothing_is_asked_of_a_null_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
