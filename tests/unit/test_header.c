/* Headers out of recorded frames, encoded back to the same bytes; cuts and small buffers. */
#include "zkproto/header.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/captured_stream.h"
#include "zkproto/opcode.h"

static void recorded_pings_survive_both_ways(void **state)
{
    (void)state;
    struct captured request = captured_frame(CAPTURED_RAW_CLIENT, ZKP_XID_PING, 0);
    struct zkp_request_header header;
    assert_int_equal(zkp_request_header_decode(captured_body(&request, 0), &header), RC_OK);
    assert_int_equal(header.xid, ZKP_XID_PING);
    assert_int_equal(header.type, ZKP_OP_PING);
    uint8_t buf[20];
    assert_int_equal(zkp_request_header_frame(header, buf, sizeof buf), request.len);
    assert_memory_equal(buf, request.bytes, request.len);

    struct captured reply = captured_frame(CAPTURED_RAW_SERVER, ZKP_XID_PING, 0);
    struct zkp_reply_header answer;
    assert_int_equal(zkp_reply_header_decode(captured_body(&reply, 0), &answer), RC_OK);
    assert_true(answer.zxid > 0x100000000);
    assert_int_equal(zkp_reply_header_frame(answer, buf, sizeof buf), reply.len);
    assert_memory_equal(buf, reply.bytes, reply.len);
}

static void errors_are_in_the_header(void **state)
{
    (void)state;
    struct zkp_reply_header header;
    struct captured no_node = captured_frame(CAPTURED_KAZOO_SERVER, 3, 0);
    assert_int_equal(zkp_reply_header_decode(captured_body(&no_node, 0), &header), RC_OK);
    assert_int_equal(header.xid, 3);
    assert_int_equal(header.err, -101);

    struct captured unknown = captured_hex(CAPTURED_UNKNOWN_OP);
    assert_int_equal(zkp_reply_header_decode(captured_body(&unknown, 0), &header), RC_OK);
    assert_int_equal(header.xid, 5);
    assert_true(header.zxid == -1);
    assert_int_equal(header.err, -6);
}

static void a_body_behind_the_header_is_left_alone(void **state)
{
    (void)state;
    struct captured create = captured_frame(CAPTURED_KAZOO_CLIENT, 1, 0);
    struct zkp_request_header header;
    assert_int_equal(zkp_request_header_decode(captured_body(&create, 0), &header), RC_OK);
    assert_int_equal(header.type, ZKP_OP_CREATE);
}

static void every_cut_asks_for_more(void **state)
{
    (void)state;
    const uint8_t zeros[16] = {0};
    struct zkp_request_header request = {.xid = 77};
    struct zkp_reply_header reply = {.xid = 77};
    for (uint32_t cut = 0; cut < ZKP_REQUEST_HEADER_LEN; cut++)
        assert_int_equal(zkp_request_header_decode(zkp_slice_of(zeros, cut), &request), RC_AGAIN);
    for (uint32_t cut = 0; cut < ZKP_REPLY_HEADER_LEN; cut++)
        assert_int_equal(zkp_reply_header_decode(zkp_slice_of(zeros, cut), &reply), RC_AGAIN);
    assert_int_equal(request.xid, 77); /* outputs are written on success only */
    assert_int_equal(reply.xid, 77);
}

static void frames_need_twelve_and_twenty_bytes(void **state)
{
    (void)state;
    uint8_t buf[20];
    const struct zkp_request_header request = {.xid = INT32_MIN, .type = ZKP_OP_CLOSE_SESSION};
    const struct zkp_reply_header reply = {.xid = 1, .zxid = INT64_MAX, .err = -124};
    assert_int_equal(zkp_request_header_frame(request, buf, 11), 0);
    assert_int_equal(zkp_request_header_frame(request, buf, 12), 12);
    assert_int_equal(zkp_reply_header_frame(reply, buf, 19), 0);
    assert_int_equal(zkp_reply_header_frame(reply, buf, 20), 20);
    struct zkp_reply_header again;
    assert_int_equal(zkp_reply_header_decode(zkp_slice_of(buf + 4, 16), &again), RC_OK);
    assert_true(again.xid == reply.xid && again.zxid == reply.zxid && again.err == reply.err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_pings_survive_both_ways),       cmocka_unit_test(errors_are_in_the_header),
        cmocka_unit_test(a_body_behind_the_header_is_left_alone), cmocka_unit_test(every_cut_asks_for_more),
        cmocka_unit_test(frames_need_twelve_and_twenty_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
