/* Both flavours of the connect exchange against recorded bytes; cuts, left-overs, odd passwords. */
#include "zkproto/connect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/captured_stream.h"

static void recorded_request_survives_both_ways(void **state)
{
    (void)state;
    struct captured kazoo = captured_connect(CAPTURED_KAZOO_CLIENT);
    assert_int_equal(kazoo.len, 45);
    struct zkp_connect_request request;
    assert_int_equal(zkp_connect_request_decode(captured_slice(&kazoo), &request), RC_OK);
    assert_int_equal(request.version, 0);
    assert_true(request.last_zxid_seen == 0);
    assert_int_equal(request.timeout_ms, 10000);
    assert_true(request.session_id == 0);
    assert_int_equal(request.password.len, ZKP_PASSWORD_LEN);
    assert_true(request.has_read_only);
    assert_false(request.read_only);

    uint8_t buf[ZKP_CONNECT_FRAME_MAX];
    assert_int_equal(zkp_connect_request_frame(&request, buf, sizeof buf), 4 + kazoo.len);
    assert_int_equal(zkp_load_i32(buf), kazoo.len);
    assert_memory_equal(buf + 4, kazoo.bytes, kazoo.len);
}

static void old_clients_stop_before_read_only(void **state)
{
    (void)state;
    struct captured kazoo = captured_connect(CAPTURED_KAZOO_CLIENT);
    struct zkp_connect_request request;
    assert_int_equal(zkp_connect_request_decode(zkp_slice_of(kazoo.bytes, 44), &request), RC_OK);
    assert_false(request.has_read_only);
    assert_false(request.read_only);
    uint8_t buf[ZKP_CONNECT_FRAME_MAX];
    assert_int_equal(zkp_connect_request_frame(&request, buf, sizeof buf), 4 + 44);
    assert_memory_equal(buf + 4, kazoo.bytes, 44);
}

static void check_response(const struct captured *body, bool has_read_only, bool is_expired)
{
    struct zkp_connect_response response;
    assert_int_equal(zkp_connect_response_decode(captured_slice(body), &response), RC_OK);
    assert_int_equal(response.has_read_only, has_read_only);
    assert_int_equal(response.password.len, ZKP_PASSWORD_LEN);
    assert_int_equal(response.timeout_ms, is_expired ? 0 : 10000);
    assert_int_equal(response.session_id == 0, is_expired);
    uint8_t buf[ZKP_CONNECT_FRAME_MAX];
    assert_int_equal(zkp_connect_response_frame(&response, buf, sizeof buf), 4 + body->len);
    assert_memory_equal(buf + 4, body->bytes, body->len);
}

static void recorded_responses_survive_both_ways(void **state)
{
    (void)state;
    struct captured kazoo = captured_connect(CAPTURED_KAZOO_SERVER);
    check_response(&kazoo, true, false);
    struct captured old = captured_connect(CAPTURED_RESPONSE_OLD);
    check_response(&old, false, false);
    struct captured expired = captured_connect(CAPTURED_EXPIRED);
    check_response(&expired, true, true);
}

static void our_expired_answer_is_the_servers(void **state)
{
    (void)state;
    uint8_t buf[ZKP_CONNECT_FRAME_MAX];
    struct captured expired = captured_hex(CAPTURED_EXPIRED);
    assert_int_equal(zkp_connect_expired_frame(true, buf, sizeof buf), expired.len);
    assert_memory_equal(buf, expired.bytes, expired.len);
    struct captured old = captured_hex(CAPTURED_EXPIRED_OLD);
    assert_int_equal(zkp_connect_expired_frame(false, buf, sizeof buf), old.len);
    assert_memory_equal(buf, old.bytes, old.len);
}

static void null_and_empty_passwords_are_accepted(void **state)
{
    (void)state;
    const struct zkp_slice passwords[] = {{0}, zkp_slice_of("", 0)};
    for (size_t i = 0; i < 2; i++) {
        struct zkp_connect_request request = {
            .timeout_ms = -1, .password = passwords[i], .has_read_only = true};
        uint8_t buf[ZKP_CONNECT_FRAME_MAX];
        uint32_t length = zkp_connect_request_frame(&request, buf, sizeof buf);
        assert_int_equal(length, 4 + 45 - ZKP_PASSWORD_LEN);
        struct zkp_connect_request again;
        assert_int_equal(zkp_connect_request_decode(zkp_slice_of(buf + 4, length - 4), &again), RC_OK);
        assert_int_equal(again.timeout_ms, -1);
        assert_int_equal(again.password.ptr == NULL, passwords[i].ptr == NULL);
        assert_int_equal(again.password.len, 0);
    }
}

static void every_cut_is_malformed(void **state)
{
    (void)state;
    struct captured kazoo = captured_connect(CAPTURED_KAZOO_CLIENT);
    struct captured answer = captured_connect(CAPTURED_KAZOO_SERVER);
    struct zkp_connect_request request = {.timeout_ms = 77};
    struct zkp_connect_response response = {.timeout_ms = 77};
    for (uint32_t cut = 0; cut < 44; cut++)
        assert_int_equal(zkp_connect_request_decode(zkp_slice_of(kazoo.bytes, cut), &request), RC_MALFORMED);
    for (uint32_t cut = 0; cut < 36; cut++)
        assert_int_equal(zkp_connect_response_decode(zkp_slice_of(answer.bytes, cut), &response),
                         RC_MALFORMED);
    assert_int_equal(request.timeout_ms, 77);
    assert_int_equal(response.timeout_ms, 77);
}

/* As servers do it: they read what they know, and leave what is behind it. Nothing is behind an answer. */
static void only_a_request_may_have_bytes_behind_it(void **state)
{
    (void)state;
    struct captured kazoo = captured_connect(CAPTURED_KAZOO_CLIENT);
    struct captured answer = captured_connect(CAPTURED_KAZOO_SERVER);
    struct zkp_connect_request plain, request;
    struct zkp_connect_response response = {.timeout_ms = 77};
    assert_int_equal(zkp_connect_request_decode(captured_slice(&kazoo), &plain), RC_OK);
    kazoo.bytes[kazoo.len++] = 0xff;
    answer.bytes[answer.len++] = 0xff;
    assert_int_equal(zkp_connect_request_decode(captured_slice(&kazoo), &request), RC_OK);
    assert_int_equal(request.timeout_ms, plain.timeout_ms);
    assert_int_equal(request.read_only, plain.read_only);
    assert_int_equal(request.password.len, ZKP_PASSWORD_LEN);
    assert_int_equal(zkp_connect_response_decode(captured_slice(&answer), &response), RC_MALFORMED);
    assert_int_equal(response.timeout_ms, 77);
}

static void an_impossible_password_length_is_malformed(void **state)
{
    (void)state;
    struct captured kazoo = captured_connect(CAPTURED_KAZOO_CLIENT);
    const int32_t lengths[] = {-2, INT32_MIN, 18, INT32_MAX};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        struct zkp_connect_request request;
        zkp_store_i32(kazoo.bytes + 24, lengths[i]);
        assert_int_equal(zkp_connect_request_decode(captured_slice(&kazoo), &request), RC_MALFORMED);
    }
}

static void small_buffers_give_nothing(void **state)
{
    (void)state;
    uint8_t buf[ZKP_CONNECT_FRAME_MAX];
    for (uint32_t capacity = 0; capacity < 41; capacity++)
        assert_int_equal(zkp_connect_expired_frame(true, buf, capacity), 0);
    assert_int_equal(zkp_connect_expired_frame(true, buf, 41), 41);
    const struct zkp_connect_request request = {.has_read_only = true};
    assert_int_equal(zkp_connect_request_frame(&request, buf, 32), 0);
    assert_int_equal(zkp_connect_request_frame(&request, buf, 33), 33);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_request_survives_both_ways),
        cmocka_unit_test(old_clients_stop_before_read_only),
        cmocka_unit_test(recorded_responses_survive_both_ways),
        cmocka_unit_test(our_expired_answer_is_the_servers),
        cmocka_unit_test(null_and_empty_passwords_are_accepted),
        cmocka_unit_test(every_cut_is_malformed),
        cmocka_unit_test(only_a_request_may_have_bytes_behind_it),
        cmocka_unit_test(an_impossible_password_length_is_malformed),
        cmocka_unit_test(small_buffers_give_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
