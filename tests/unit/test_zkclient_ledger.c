/* What passes between the client library and a server, frame by frame: recorded conversations do, and nothing
 * that nobody asked for. */
#include "migrate/zkclient/zkclient_ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/captured_stream.h"
#include "zkproto/connect.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"

#define SESSION 0x1000000a5
#define XID     7

static enum rc ask(struct zk_ledger *ledger, int32_t xid, int32_t op, struct zkp_slice rest)
{
    uint8_t bytes[256];
    struct zkp_wr wr = zkp_wr_over(bytes, sizeof bytes);
    zkp_wr_i32(&wr, xid);
    zkp_wr_i32(&wr, op);
    zkp_wr_raw(&wr, rest);
    return zk_ledger_request(ledger, zkp_slice_of(bytes, zkp_wr_len(&wr)), NULL);
}

static enum rc answer(struct zk_ledger *ledger, int32_t xid, int32_t err, uint32_t rest)
{
    uint8_t bytes[256] = {0};
    struct zkp_wr wr = zkp_wr_over(bytes, sizeof bytes);
    zkp_wr_i32(&wr, xid);
    zkp_wr_i64(&wr, 0x100000001);
    zkp_wr_i32(&wr, err);
    return zk_ledger_reply(ledger, zkp_slice_of(bytes, ZKP_REPLY_HEADER_LEN + rest), NULL);
}

static enum rc ask_exists(struct zk_ledger *ledger, int32_t xid)
{
    return ask(ledger, xid, ZKP_OP_EXISTS, zkp_slice_of("\0\0\0\2/a\0", 7));
}

struct response {
    int32_t timeout_ms;
    int64_t session_id;
    uint32_t password_length;
    bool has_read_only;
    bool read_only;
};

static enum rc connect_with(struct zk_ledger *ledger, int64_t asked_session, const struct response *r)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint8_t password[ZKP_PASSWORD_LEN + 1] = {1};
    const struct zkp_connect_request request = {.timeout_ms = 1000, .session_id = asked_session};
    uint32_t length = zkp_connect_request_frame(&request, frame, sizeof frame);
    *ledger = (struct zk_ledger){0};
    assert_int_equal(zk_ledger_request(ledger, zkp_slice_of(frame + 4, length - 4), NULL), RC_OK);
    const struct zkp_connect_response response = {.timeout_ms = r->timeout_ms,
                                                  .session_id = r->session_id,
                                                  .password = zkp_slice_of(password, r->password_length),
                                                  .has_read_only = r->has_read_only,
                                                  .read_only = r->read_only};
    length = zkp_connect_response_frame(&response, frame, sizeof frame);
    return zk_ledger_reply(ledger, zkp_slice_of(frame + 4, length - 4), NULL);
}

static const struct response granted = {1000, SESSION, ZKP_PASSWORD_LEN, true, false};

static struct zk_ledger attached(void)
{
    struct zk_ledger ledger;
    assert_int_equal(connect_with(&ledger, 0, &granted), RC_OK);
    return ledger;
}

/* --- recorded --- */

static struct zkp_slice next_frame(struct zkp_slice *rest)
{
    struct zkp_frame frame;
    if (zkp_frame_peek(*rest, ZKP_SERVER_FRAME_MAX, &frame) != RC_OK)
        return zkp_slice_of(NULL, 0);
    *rest = zkp_slice_of(rest->ptr + 4 + frame.length, rest->len - 4 - frame.length);
    return frame.body;
}

/* All requests first, then all replies: nothing is out of its place. */
static uint32_t replies_that_pass(const char *client, const char *server)
{
    struct captured asked = captured_hex(client), answered = captured_hex(server);
    struct zkp_slice requests = captured_slice(&asked), replies = captured_slice(&answered), body;
    struct zk_ledger ledger = {0};
    struct err err;
    uint32_t count = 0;
    while ((body = next_frame(&requests)).ptr != NULL)
        assert_int_equal(zk_ledger_request(&ledger, body, &err), RC_OK);
    uint32_t owed = ledger.count + ledger.auths + ledger.pings + ledger.set_watches;
    assert_true(owed > 10);
    for (; (body = next_frame(&replies)).ptr != NULL; count++) {
        assert_int_equal(zk_ledger_length(&ledger, body.len, body, &err), RC_OK);
        if (zk_ledger_reply(&ledger, body, &err) != RC_OK)
            fail_msg("frame %u: %s", count, err.text);
    }
    return count;
}

static void a_recorded_conversation_passes(void **state)
{
    (void)state;
    assert_true(replies_that_pass(CAPTURED_KAZOO_CLIENT, CAPTURED_KAZOO_SERVER) > 16);
}

/* The same without any one of the requests: some reply has no place any more. */
static void every_request_is_needed(void **state)
{
    (void)state;
    struct captured answered = captured_hex(CAPTURED_KAZOO_SERVER);
    struct captured asked = captured_hex(CAPTURED_KAZOO_CLIENT);
    uint32_t missing = 0;
    for (bool was_there = true; was_there; missing++) {
        struct zkp_slice requests = captured_slice(&asked), replies = captured_slice(&answered), body;
        struct zk_ledger ledger = {0};
        enum rc rc = RC_OK;
        was_there = false;
        for (uint32_t i = 0; (body = next_frame(&requests)).ptr != NULL; i++) {
            was_there = was_there || i == missing;
            if (i != missing && zk_ledger_request(&ledger, body, NULL) != RC_OK)
                rc = RC_MALFORMED; /* without a ConnectRequest the first request is none */
        }
        while (rc == RC_OK && (body = next_frame(&replies)).ptr != NULL)
            rc = zk_ledger_reply(&ledger, body, NULL);
        assert_int_equal(rc, was_there ? RC_MALFORMED : RC_OK);
    }
    assert_true(missing > 16);
}

/* --- attaching --- */

static void responses_that_attach(void **state)
{
    (void)state;
    struct zk_ledger ledger;
    struct response r = granted;
    assert_int_equal(connect_with(&ledger, 0, &r), RC_OK);
    assert_int_equal(connect_with(&ledger, SESSION, &r), RC_OK);
    r.has_read_only = false; /* an old server */
    assert_int_equal(connect_with(&ledger, 0, &r), RC_OK);
    r = (struct response){0, 0, ZKP_PASSWORD_LEN, true, false};
    assert_int_equal(connect_with(&ledger, SESSION, &r), RC_OK); /* expired */
}

static void responses_that_do_not(void **state)
{
    (void)state;
    struct zk_ledger ledger;
    static const struct response wrong[] = {
        {0, 0, ZKP_PASSWORD_LEN, true, false},        /* a new session that has expired */
        {0, SESSION, ZKP_PASSWORD_LEN, true, false},  /* no time */
        {-1, SESSION, ZKP_PASSWORD_LEN, true, false}, /**/
        {INT32_MAX, SESSION, ZKP_PASSWORD_LEN, true, false},
        {1000, 0, ZKP_PASSWORD_LEN, true, false}, /* no session */
        {1000, SESSION, ZKP_PASSWORD_LEN - 1, true, false},
        {1000, SESSION, ZKP_PASSWORD_LEN + 1, true, false},
        {1000, SESSION, 0, true, false},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(connect_with(&ledger, 0, &wrong[i]), RC_MALFORMED);
    assert_int_equal(connect_with(&ledger, SESSION + 1, &granted), RC_MALFORMED); /* another's */
    struct response r = granted;
    r.read_only = true;
    assert_int_equal(connect_with(&ledger, 0, &r), RC_REFUSED);
}

static void a_server_that_speaks_first(void **state)
{
    (void)state;
    struct zk_ledger ledger = {0};
    struct captured response = captured_connect(CAPTURED_KAZOO_SERVER);
    assert_int_equal(zk_ledger_reply(&ledger, captured_slice(&response), NULL), RC_MALFORMED);
}

/* --- replies --- */

static void replies_in_their_order(void **state)
{
    (void)state;
    struct zk_ledger ledger = attached();
    assert_int_equal(answer(&ledger, XID, 0, 68), RC_MALFORMED); /* to nothing */
    assert_int_equal(ask_exists(&ledger, XID), RC_OK);
    assert_int_equal(ask_exists(&ledger, XID + 1), RC_OK);
    assert_int_equal(answer(&ledger, XID + 1, 0, 68), RC_MALFORMED);
    assert_int_equal(answer(&ledger, XID, 0, 67), RC_MALFORMED);
    assert_int_equal(answer(&ledger, XID, 0, 69), RC_MALFORMED);
    assert_int_equal(answer(&ledger, XID, 5, 0), RC_MALFORMED);    /* no such error */
    assert_int_equal(answer(&ledger, XID, -101, 1), RC_MALFORMED); /* errors have no body */
    assert_int_equal(answer(&ledger, XID, 0, 68), RC_OK);
    assert_int_equal(answer(&ledger, XID, 0, 68), RC_MALFORMED); /* once */
    assert_int_equal(answer(&ledger, XID + 1, -101, 0), RC_OK);
    assert_int_equal(answer(&ledger, XID + 1, -101, 0), RC_MALFORMED);
}

static void replies_out_of_order(void **state)
{
    (void)state;
    static const struct {
        int32_t xid;
        int32_t op;
    } apart[] = {
        {ZKP_XID_PING, ZKP_OP_PING}, {ZKP_XID_AUTH, ZKP_OP_AUTH}, {ZKP_XID_SET_WATCHES, ZKP_OP_SET_WATCHES}};
    for (size_t i = 0; i < sizeof apart / sizeof apart[0]; i++) {
        struct zk_ledger ledger = attached();
        assert_int_equal(answer(&ledger, apart[i].xid, 0, 0), RC_MALFORMED);
        assert_int_equal(ask_exists(&ledger, XID), RC_OK);
        assert_int_equal(ask(&ledger, apart[i].xid, apart[i].op, zkp_slice_of("", 0)), RC_OK);
        assert_int_equal(answer(&ledger, apart[i].xid, 0, 1), RC_MALFORMED);
        assert_int_equal(answer(&ledger, apart[i].xid, 0, 0), RC_OK); /* overtakes */
        assert_int_equal(answer(&ledger, apart[i].xid, 0, 0), RC_MALFORMED);
        assert_int_equal(answer(&ledger, XID, 0, 68), RC_OK);
    }
}

static enum rc tell_event(struct zk_ledger *ledger, int32_t err)
{
    uint8_t bytes[64];
    struct zkp_wr wr = zkp_wr_over(bytes, sizeof bytes);
    zkp_wr_i32(&wr, ZKP_XID_EVENT);
    zkp_wr_i64(&wr, -1);
    zkp_wr_i32(&wr, err);
    zkp_wr_i32(&wr, 3);
    zkp_wr_i32(&wr, 3);
    zkp_wr_buf(&wr, zkp_slice_str("/a"));
    return zk_ledger_reply(ledger, zkp_slice_of(bytes, zkp_wr_len(&wr)), NULL);
}

static void events_where_a_watch_was_set(void **state)
{
    (void)state;
    struct zk_ledger ledger = attached();
    assert_int_equal(ask(&ledger, XID, ZKP_OP_GET_DATA, zkp_slice_of("\0\0\0\2/a\0", 7)), RC_OK);
    assert_int_equal(tell_event(&ledger, 0), RC_MALFORMED);
    assert_int_equal(ask(&ledger, XID, ZKP_OP_GET_DATA, zkp_slice_of("\0\0\0\2/a\1", 7)), RC_OK);
    assert_int_equal(tell_event(&ledger, 0), RC_OK);
    assert_int_equal(tell_event(&ledger, -1), RC_MALFORMED);
    ledger = attached();
    assert_int_equal(ask(&ledger, ZKP_XID_SET_WATCHES, ZKP_OP_SET_WATCHES, zkp_slice_of("", 0)), RC_OK);
    assert_int_equal(tell_event(&ledger, 0), RC_OK); /* of the connection before */
}

/* --- lengths --- */

static enum rc may_be_long(const struct zk_ledger *ledger, int32_t xid, uint32_t length)
{
    uint8_t begin[ZKP_REPLY_HEADER_LEN] = {0};
    zkp_store_i32(begin, xid);
    return zk_ledger_length(ledger, length, zkp_slice_of(begin, sizeof begin), NULL);
}

/* Nothing is kept for a frame that can't be due. */
static void frames_have_a_longest(void **state)
{
    (void)state;
    struct zk_ledger ledger = {.has_asked = true};
    assert_int_equal(zk_ledger_length(&ledger, 37, zkp_slice_of("", 0), NULL), RC_OK);
    assert_int_equal(zk_ledger_length(&ledger, 38, zkp_slice_of("", 0), NULL), RC_TOO_BIG);
    ledger = attached();
    assert_int_equal(may_be_long(&ledger, XID, 16), RC_OK); /* has no place, which it will be told */
    assert_int_equal(may_be_long(&ledger, XID, 17), RC_TOO_BIG);
    assert_int_equal(may_be_long(&ledger, ZKP_XID_EVENT, 30), RC_TOO_BIG);
    assert_int_equal(ask(&ledger, XID, ZKP_OP_GET_DATA, zkp_slice_of("\0\0\0\2/a\1", 7)), RC_OK);
    assert_int_equal(ask_exists(&ledger, XID + 1), RC_OK);
    assert_int_equal(may_be_long(&ledger, XID, ZK_FRAME_MAX), RC_OK);
    assert_int_equal(may_be_long(&ledger, XID, ZK_FRAME_MAX + 1), RC_TOO_BIG);
    assert_int_equal(may_be_long(&ledger, XID + 1, 16 + 68), RC_TOO_BIG); /* not its turn */
    assert_int_equal(may_be_long(&ledger, ZKP_XID_EVENT, 30), RC_OK);
    assert_int_equal(answer(&ledger, XID, -101, 0), RC_OK);
    assert_int_equal(may_be_long(&ledger, XID + 1, 16 + 68), RC_OK);
    assert_int_equal(may_be_long(&ledger, XID + 1, 16 + 69), RC_TOO_BIG);
}

static void requests_have_a_limit(void **state)
{
    (void)state;
    struct zk_ledger ledger = attached();
    for (int32_t i = 0; i < (int32_t)ZK_OWED_MAX; i++)
        assert_int_equal(ask_exists(&ledger, XID + i), RC_OK);
    assert_int_equal(ask_exists(&ledger, 0), RC_FULL);
    for (int32_t i = 0; i < (int32_t)ZK_OWED_MAX; i++) { /* around the ring's end */
        assert_int_equal(answer(&ledger, XID + i, 0, 68), RC_OK);
        assert_int_equal(ask_exists(&ledger, XID + (int32_t)ZK_OWED_MAX + i), RC_OK);
    }
    assert_int_equal(ledger.count, ZK_OWED_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_recorded_conversation_passes), cmocka_unit_test(every_request_is_needed),
        cmocka_unit_test(responses_that_attach),          cmocka_unit_test(responses_that_do_not),
        cmocka_unit_test(a_server_that_speaks_first),     cmocka_unit_test(replies_in_their_order),
        cmocka_unit_test(replies_out_of_order),           cmocka_unit_test(events_where_a_watch_was_set),
        cmocka_unit_test(frames_have_a_longest),          cmocka_unit_test(requests_have_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
