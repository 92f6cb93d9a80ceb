/* The session core's rules one by one: FIFOs, connect flavours, guard, quiet, zombies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/session_bench.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/request.h"
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
    bench_end(*state);
    return 0;
}

static void assert_closed(const struct bench *b, enum px_close_reason reason)
{
    const struct px_action *close = bench_find(b, PX_ACTION_CLOSE);

    assert_non_null(close);
    assert_string_equal(px_close_reason_name(close->reason), px_close_reason_name(reason));
}

/* Nothing of it reaches the client. */
static void assert_misfit(const struct bench *b, enum px_misfit misfit)
{
    const struct px_action *lose = bench_find(b, PX_ACTION_LOSE_SERVER);

    assert_non_null(lose);
    assert_string_equal(px_misfit_name(lose->misfit), px_misfit_name(misfit));
    assert_null(bench_find(b, PX_ACTION_FORWARD));
    assert_null(bench_find(b, PX_ACTION_CLOSE));
}

static void assert_forwarded(const struct bench *b)
{
    assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    assert_null(bench_find(b, PX_ACTION_CLOSE));
}

static void assert_local_reply(struct zkp_slice sent, int32_t xid, int64_t zxid, int32_t err)
{
    assert_int_equal(sent.len, 20);
    assert_int_equal(zkp_load_i32(sent.ptr), 16);
    assert_int_equal(zkp_load_i32(sent.ptr + 4), xid);
    assert_int_equal(zkp_load_i64(sent.ptr + 8), zxid);
    assert_int_equal(zkp_load_i32(sent.ptr + 16), err);
}

static void replies_in_order(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    assert_forwarded(b);
    bench_request(b, -2, ZKP_OP_PING);
    bench_request(b, 2, ZKP_OP_GET_DATA);
    assert_int_equal(px_session_outstanding(b->session), 3);
    bench_reply(b, 1, 10, 0);
    assert_forwarded(b);
    bench_reply(b, -2, 11, 0);
    assert_forwarded(b);
    bench_reply(b, 2, 12, ZKP_ERR_NO_NODE);
    assert_forwarded(b);
    assert_int_equal(px_session_outstanding(b->session), 0);
    assert_int_equal(px_session_last_zxid(b->session), 12);
}

/* The server is taken for lost: what became of the first write nobody knows. */
static void a_reply_out_of_order_is_the_end(void **state)
{
    struct bench *b = *state;
    struct px_session_facts facts;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_request(b, 2, ZKP_OP_CREATE);
    bench_reply(b, 2, 10, 0);
    assert_misfit(b, PX_MISFIT_SKIPPED);
    px_session_facts_get(b->session, &facts);
    assert_int_equal(facts.awaited_xid, 1); /* still there, for the log */
    assert_int_equal(facts.awaited_op, ZKP_OPX_CREATE);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed(b, PX_CLOSE_UNKNOWN_OUTCOME);
}

/* Also a ping may not overtake: the server answers it from the same pipeline (protocol.md §4.1). */
static void a_ping_reply_waits_its_turn(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_request(b, -2, ZKP_OP_PING);
    bench_reply(b, -2, 10, 0);
    assert_misfit(b, PX_MISFIT_SKIPPED);
}

/* --- an operation that the server does not know: its refusal overtakes --- */

#define NO_SUCH_OP 999

static void assert_gone(struct bench *b, enum px_close_reason reason)
{
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed(b, reason);
}

static void a_refusal_overtakes(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_SYNC);
    bench_request(b, 2, NO_SUCH_OP);
    bench_reply(b, 2, -1, ZKP_ERR_UNIMPLEMENTED);
    assert_forwarded(b);
    bench_reply(b, 1, 10, 0);
    assert_forwarded(b);
    assert_gone(b, PX_CLOSE_REFUSED);
}

/* It does not make the write before it any better known. */
static void a_write_before_the_refusal_is_unknown(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_request(b, 2, NO_SUCH_OP);
    bench_reply(b, 2, -1, ZKP_ERR_UNIMPLEMENTED);
    assert_forwarded(b);
    assert_gone(b, PX_CLOSE_UNKNOWN_OUTCOME);
}

/* The write that was answered, and the one that was refused, are not in doubt. */
static void what_was_refused_is_known(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_request(b, 2, ZKP_OP_CREATE_CONTAINER);
    bench_request(b, 3, NO_SUCH_OP);
    bench_reply(b, 2, -1, ZKP_ERR_UNIMPLEMENTED);
    assert_forwarded(b);
    bench_reply(b, 3, -1, ZKP_ERR_UNIMPLEMENTED);
    assert_forwarded(b);
    bench_reply(b, 1, 10, 0);
    assert_forwarded(b);
    assert_gone(b, PX_CLOSE_REFUSED);
}

static void a_refusal_comes_once(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_SYNC);
    bench_request(b, 2, NO_SUCH_OP);
    bench_reply(b, 2, -1, ZKP_ERR_UNIMPLEMENTED);
    bench_reply(b, 2, -1, ZKP_ERR_UNIMPLEMENTED);
    assert_misfit(b, PX_MISFIT_SKIPPED);
    bench_reply(b, 1, 10, 0);
    bench_reply(b, 2, 11, 0); /* now the oldest, and still answered */
    assert_misfit(b, PX_MISFIT_SKIPPED);
}

/* Nothing else may: neither another error nor a transaction's. */
static void only_a_refusal_overtakes(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_SYNC);
    bench_request(b, 2, ZKP_OP_CREATE_CONTAINER);
    bench_reply(b, 2, 12, ZKP_ERR_UNIMPLEMENTED);
    assert_misfit(b, PX_MISFIT_SKIPPED);
    bench_reply(b, 2, -1, ZKP_ERR_NO_NODE);
    assert_misfit(b, PX_MISFIT_SKIPPED);
    bench_reply(b, 3, -1, ZKP_ERR_UNIMPLEMENTED);
    assert_misfit(b, PX_MISFIT_UNASKED);
}

static void auth_overtakes(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_request(b, -4, ZKP_OP_AUTH);
    bench_request(b, -4, ZKP_OP_AUTH);
    bench_reply(b, -4, 0, 0);
    assert_forwarded(b);
    bench_reply(b, 1, 10, 0);
    assert_forwarded(b);
    bench_reply(b, -4, 0, 0);
    assert_forwarded(b);
    assert_int_equal(px_session_last_zxid(b->session), 10); /* auth's 0 does not lower it */
}

static void the_sign_of_an_xid_says_nothing(void **state)
{
    struct bench *b = *state;

    bench_request(b, -1000, ZKP_OP_GET_DATA); /* C's xids wrap */
    bench_request(b, 7, ZKP_OP_AUTH);         /* go's are positive */
    bench_request(b, 0, ZKP_OP_SET_WATCHES);
    bench_reply(b, 7, 0, 0);
    assert_forwarded(b);
    bench_reply(b, -1000, 5, 0);
    assert_forwarded(b);
    bench_reply(b, 0, 5, 0);
    assert_forwarded(b);
    assert_int_equal(px_session_outstanding(b->session), 0);
}

static void same_xid_in_both_queues(void **state)
{
    struct bench *b = *state;

    bench_request(b, 5, ZKP_OP_GET_DATA);
    bench_request(b, 5, ZKP_OP_AUTH);
    bench_reply(b, 5, 9, 0); /* only auth replies carry zxid 0 */
    assert_int_equal(b->actions.op, ZKP_OPX_GET_DATA);
    bench_reply(b, 5, 0, 0);
    assert_int_equal(b->actions.op, ZKP_OPX_AUTH);
}

/* --- a createTTL that would end every server --- */

static void request_ttl(struct bench *b, int32_t flags, int64_t ttl, uint32_t cut)
{
    uint8_t bytes[128];
    struct zkp_wr w = zkp_wr_over(bytes, sizeof(bytes));

    zkp_wr_i32(&w, 7);
    zkp_wr_i32(&w, ZKP_OP_CREATE_TTL);
    zkp_wr_buf(&w, zkp_slice_str("/t"));
    zkp_wr_buf(&w, zkp_slice_str("data"));
    zkp_wr_i32(&w, 1);
    zkp_wr_i32(&w, 31);
    zkp_wr_buf(&w, zkp_slice_str("world"));
    zkp_wr_buf(&w, zkp_slice_str("anyone"));
    zkp_wr_i32(&w, flags);
    zkp_wr_i64(&w, ttl);
    bench_step(b, (struct px_event){.kind = PX_EVENT_CLIENT_FRAME,
                                    .body = zkp_slice_of(bytes, zkp_wr_len(&w) - cut),
                                    .length = zkp_wr_len(&w) - cut});
}

static void assert_stopped(struct bench *b)
{
    assert_null(bench_find(b, PX_ACTION_FORWARD));
    assert_local_reply(bench_sent(b, PX_ACTION_SEND_CLIENT, 0), 7, 0, ZKP_ERR_BAD_ARGUMENTS);
}

static void a_deadly_create_ttl_is_stopped(void **state)
{
    struct bench *b = *state;

    for (int32_t flags = 0; flags <= 4; flags++) {
        request_ttl(b, flags, -1, 0);
        assert_stopped(b);
        request_ttl(b, flags, INT64_MIN, 0);
        assert_stopped(b);
    }
    request_ttl(b, 0, -1, 1); /* can't be read: might be one */
    assert_stopped(b);
    assert_int_equal(px_session_outstanding(b->session), 0);
}

static void other_create_ttls_pass(void **state)
{
    struct bench *b = *state;

    request_ttl(b, 5, 1000, 0);
    assert_forwarded(b);
    request_ttl(b, 6, -1, 0); /* servers refuse this */
    assert_forwarded(b);
    request_ttl(b, 0, 1000, 0);
    assert_forwarded(b);
    bench_kind(b, PX_EVENT_SERVER_GONE); /* like every write */
    assert_closed(b, PX_CLOSE_UNKNOWN_OUTCOME);
}

static void a_create_ttl_is_seen_whole(void **state)
{
    struct bench *b = *state;
    static const uint8_t head[8] = {0, 0, 0, 1, 0, 0, 0, ZKP_OP_CREATE_TTL};
    static const uint8_t create[8] = {0, 0, 0, 1, 0, 0, 0, ZKP_OP_CREATE};

    assert_int_equal(px_session_client_need(b->session, 5000, zkp_slice_of(head, 8)), 5000);
    assert_int_equal(px_session_client_need(b->session, 5000, zkp_slice_of(create, 8)), 8);
}

static void events_pass_any_time(void **state)
{
    struct bench *b = *state;

    bench_reply(b, -1, -1, 0);
    assert_forwarded(b);
    assert_int_equal(b->actions.note, PX_NOTE_EVENT);
    assert_int_equal(px_session_last_zxid(b->session), 0);
    bench_reply(b, -1, 40, 0); /* from 3.9 events carry their zxid */
    assert_int_equal(px_session_last_zxid(b->session), 40);
}

static void unknown_opcodes_pass(void **state)
{
    struct bench *b = *state;

    bench_request(b, 3, 4711);
    assert_forwarded(b);
    bench_kind(b, PX_EVENT_SERVER_GONE); /* it might have been a write */
    assert_closed(b, PX_CLOSE_UNKNOWN_OUTCOME);
}

static void a_lost_read_is_sent_again(void **state)
{
    struct bench *b = *state;

    bench_request(b, 3, ZKP_OP_CREATE);
    bench_reply(b, 3, 3, 0);
    bench_request(b, 4, ZKP_OP_GET_DATA);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_null(bench_find(b, PX_ACTION_CLOSE));
    bench_kind(b, PX_EVENT_ROUTED);
    bench_kind(b, PX_EVENT_DIALLED);
    bench_answer(b, 6000, BENCH_SID, true);
    bench_next_reply(b, INT32_MIN, 7, 0); /* our sync */
    assert_non_null(bench_find(b, PX_ACTION_ADOPT));
    assert_int_equal(zkp_load_i32(bench_put(b, PX_ACTION_PUT_SERVER).ptr + 4), 4);
    bench_reply(b, 4, 8, 0);
    assert_forwarded(b);
}

static void reconfig_is_refused_in_its_turn(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_request(b, 2, ZKP_OP_RECONFIG);
    assert_non_null(bench_find(b, PX_ACTION_DROP));
    assert_null(bench_sent(b, PX_ACTION_SEND_CLIENT, 0).ptr); /* not before the create's reply */
    assert_int_equal(px_session_outstanding(b->session), 2);
    bench_reply(b, 1, 10, 0);
    assert_int_equal(b->actions.list[0].kind, PX_ACTION_FORWARD);
    assert_local_reply(bench_sent(b, PX_ACTION_SEND_CLIENT, 0), 2, 10, ZKP_ERR_RECONFIG_DISABLED);
    bench_request(b, 3, ZKP_OP_RECONFIG); /* nothing before it: at once */
    assert_local_reply(bench_sent(b, PX_ACTION_SEND_CLIENT, 0), 3, 10, ZKP_ERR_RECONFIG_DISABLED);
}

static void a_harmful_check_is_answered_here(void **state)
{
    struct bench *b = *state;
    uint8_t body[8];

    zkp_store_i32(body, 6);
    zkp_store_i32(body + 4, ZKP_OP_CHECK);
    bench_step(b, (struct px_event){.kind = PX_EVENT_CLIENT_FRAME,
                                    .length = 8,
                                    .body = zkp_slice_of(body, 8),
                                    .check_is_harmful = true});
    assert_local_reply(bench_sent(b, PX_ACTION_SEND_CLIENT, 0), 6, 0, ZKP_ERR_UNIMPLEMENTED);
    bench_request(b, 7, ZKP_OP_CHECK);
    assert_forwarded(b);
}

static void many_local_replies_come_in_parts(void **state)
{
    struct bench *b = *state;
    int32_t next = 100;

    bench_request(b, 1, ZKP_OP_CREATE);
    for (int32_t xid = 100; xid < 150; xid++)
        bench_request(b, xid, ZKP_OP_RECONFIG);
    bench_reply(b, 1, 10, 0);
    for (;;) {
        for (uint32_t i = 0; bench_sent(b, PX_ACTION_SEND_CLIENT, i).ptr != NULL; i++)
            assert_local_reply(bench_sent(b, PX_ACTION_SEND_CLIENT, i), next++, 10,
                               ZKP_ERR_RECONFIG_DISABLED);
        if (!b->actions.has_more)
            break;
        bench_kind(b, PX_EVENT_CONTINUE);
    }
    assert_int_equal(next, 150);
}

static uint32_t config_request(uint8_t *body, uint32_t capacity, int32_t xid, int32_t type, const char *path)
{
    struct zkp_wr w = zkp_wr_over(body, capacity);

    zkp_wr_i32(&w, xid);
    zkp_wr_i32(&w, type);
    zkp_wr_buf(&w, zkp_slice_str(path));
    zkp_wr_bool(&w, true);
    return zkp_wr_len(&w);
}

static void the_config_node_looks_empty(void **state)
{
    struct bench *b = *state;
    uint8_t body[256] = {0};
    struct zkp_slice sent;
    uint32_t length = config_request(body, sizeof(body), 1, ZKP_OP_GET_DATA, "/zookeeper/config");
    uint32_t head = 16;

    /* To the end: the watch flag is there. */
    assert_int_equal(px_session_client_need(b->session, length, zkp_slice_of(body, 8)), length);
    bench_frame(b, PX_EVENT_CLIENT_FRAME, body, length);
    assert_forwarded(b);
    memset(body, 0, sizeof(body));
    zkp_store_i32(body, 1);
    zkp_store_i64(body + 4, 77);
    zkp_store_i32(body + head, 10); /* ten bytes of membership, then a Stat */
    memset(body + head + 4, 'x', 10);
    zkp_store_i32(body + head + 14 + ZKP_STAT_DATA_LENGTH_OFFSET, 10);
    length = head + 14 + ZKP_STAT_LEN;
    assert_int_equal(px_session_server_need(b->session, length, zkp_slice_of(body, 16)), length);
    bench_frame(b, PX_EVENT_SERVER_FRAME, body, length);
    assert_null(bench_find(b, PX_ACTION_FORWARD));
    sent = bench_sent(b, PX_ACTION_SEND_CLIENT, 0);
    assert_int_equal(sent.len, 4 + 16 + 4 + ZKP_STAT_LEN);
    assert_int_equal(zkp_load_i32(sent.ptr), (int32_t)sent.len - 4);
    assert_int_equal(zkp_load_i64(sent.ptr + 8), 77);
    assert_int_equal(zkp_load_i32(sent.ptr + 20), 0); /* length 0, not null */
    assert_int_equal(zkp_load_i32(sent.ptr + 24 + ZKP_STAT_DATA_LENGTH_OFFSET), 0);
}

static void the_config_nodes_stat_too(void **state)
{
    struct bench *b = *state;
    uint8_t body[256] = {0};
    struct zkp_slice sent;

    bench_frame(b, PX_EVENT_CLIENT_FRAME, body,
                config_request(body, sizeof(body), 2, ZKP_OP_EXISTS, "/zookeeper/config"));
    memset(body, 0xee, sizeof(body));
    zkp_store_i32(body, 2);
    zkp_store_i32(body + 12, 0);
    bench_frame(b, PX_EVENT_SERVER_FRAME, body, 16 + ZKP_STAT_LEN);
    sent = bench_sent(b, PX_ACTION_SEND_CLIENT, 0);
    assert_int_equal(sent.len, 20 + ZKP_STAT_LEN);
    assert_int_equal(zkp_load_i32(sent.ptr + 20 + ZKP_STAT_DATA_LENGTH_OFFSET), 0);
    assert_int_equal(sent.ptr[20], 0xee);
}

static void other_nodes_and_errors_pass(void **state)
{
    struct bench *b = *state;
    uint8_t body[256] = {0};

    bench_frame(b, PX_EVENT_CLIENT_FRAME, body,
                config_request(body, sizeof(body), 1, ZKP_OP_GET_DATA, "/zookeeper/confiG"));
    bench_frame(b, PX_EVENT_CLIENT_FRAME, body,
                config_request(body, sizeof(body), 2, ZKP_OP_GET_DATA, "/zookeeper/config"));
    bench_reply(b, 1, 5, 0);
    assert_forwarded(b);
    bench_reply(b, 2, 5, ZKP_ERR_NO_AUTH);
    assert_forwarded(b);
}

static void flavours_are_mirrored(void **state)
{
    (void)state;
    for (int client = 0; client < 2; client++)
        for (int server = 0; server < 2; server++) {
            struct bench b;
            bench_begin(&b);
            bench_connect(&b, 0, client == 1);
            bench_kind(&b, PX_EVENT_ROUTED);
            bench_kind(&b, PX_EVENT_DIALLED);
            assert_int_equal(bench_sent(&b, PX_ACTION_SEND_NEXT, 0).len, client == 1 ? 49 : 48);
            bench_answer(&b, 6000, BENCH_SID, server == 1);
            assert_int_equal(bench_sent(&b, PX_ACTION_SEND_CLIENT, 0).len, client == 1 ? 41 : 40);
            bench_end(&b);
        }
}

static void expired_is_told_and_closed(void **state)
{
    struct bench b;
    struct zkp_connect_response response;
    struct zkp_slice sent;

    (void)state;
    bench_begin(&b);
    bench_connect(&b, BENCH_SID, true);
    assert_int_equal(bench_find(&b, PX_ACTION_CLAIM)->session_id, BENCH_SID);
    bench_kind(&b, PX_EVENT_ADMITTED);
    bench_kind(&b, PX_EVENT_ROUTED);
    bench_kind(&b, PX_EVENT_DIALLED);
    bench_answer(&b, 0, 0, true);
    sent = bench_sent(&b, PX_ACTION_SEND_CLIENT, 0);
    assert_int_equal(zkp_connect_response_decode(zkp_slice_of(sent.ptr + 4, sent.len - 4), &response), RC_OK);
    assert_int_equal(response.timeout_ms, 0);
    assert_closed(&b, PX_CLOSE_EXPIRED);
    bench_end(&b);
}

static void a_failed_dial_tries_the_next(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b);
    bench_reach(&b, PX_SESSION_DIALING);
    bench_kind(&b, PX_EVENT_NEXT_GONE);
    assert_non_null(bench_find(&b, PX_ACTION_ROUTE));
    bench_kind(&b, PX_EVENT_ROUTED);
    bench_kind(&b, PX_EVENT_DIALLED);
    bench_next_reply(&b, 0, 5, ZKP_ERR_NOT_READ_ONLY); /* a read-only server's answer is none */
    assert_non_null(bench_find(&b, PX_ACTION_DROP_NEXT));
    b.now_ms += 6000; /* the client's own timeout */
    bench_kind(&b, PX_EVENT_TICK);
    assert_closed(&b, PX_CLOSE_NO_SERVER);
    bench_end(&b);
}

static enum px_password judged(const struct bench *b, const uint8_t *password)
{
    return px_session_password_judge(b->session, zkp_slice_of(password, ZKP_PASSWORD_LEN));
}

static void only_the_password_takes_over(void **state)
{
    struct bench *b = *state;
    uint8_t right[ZKP_PASSWORD_LEN] = {9, 8, 7};
    uint8_t wrong[ZKP_PASSWORD_LEN] = {9, 8, 6};

    assert_int_equal(judged(b, right), PX_PASSWORD_FITS);
    assert_int_equal(judged(b, wrong), PX_PASSWORD_WRONG);
    assert_int_equal(px_session_password_judge(b->session, (struct zkp_slice){0}), PX_PASSWORD_WRONG);
}

/* Who came first is not known to be the owner, and neither is who came second. */
static void an_unconfirmed_password_decides_nothing(void **state)
{
    static const uint8_t same[ZKP_PASSWORD_LEN] = {1, 2, 3};
    static const uint8_t other[ZKP_PASSWORD_LEN] = {1, 2, 4};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    struct zkp_connect_request request = {
        .timeout_ms = 6000, .session_id = 77, .password = {same, sizeof(same)}};
    uint32_t length = zkp_connect_request_frame(&request, frame, sizeof(frame));
    struct bench b;

    (void)state;
    bench_begin(&b);
    bench_frame(&b, PX_EVENT_CLIENT_FRAME, frame + 4, length - 4);
    assert_int_equal(px_session_state(b.session), PX_SESSION_CLAIMING);
    assert_int_equal(judged(&b, same), PX_PASSWORD_FITS);
    assert_int_equal(judged(&b, other), PX_PASSWORD_UNDECIDED);
    assert_int_equal(px_session_password_judge(b.session, (struct zkp_slice){0}), PX_PASSWORD_UNDECIDED);
    bench_end(&b);
}

static void a_return_waits_for_quiet(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_request(b, -4, ZKP_OP_AUTH);
    bench_kind(b, PX_EVENT_RETURN);
    assert_non_null(bench_find(b, PX_ACTION_PAUSE_CLIENT));
    bench_reply(b, 1, 5, 0);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_int_equal(px_session_state(b->session), PX_SESSION_RETURNING); /* auth is still out */
    bench_reply(b, -4, 0, 0);
    bench_step(b, (struct px_event){.kind = PX_EVENT_SETTLE, .is_server_mid_frame = true});
    assert_int_equal(px_session_state(b->session), PX_SESSION_RETURNING);
    bench_step(b, (struct px_event){.kind = PX_EVENT_SETTLE, .is_client_mid_frame = true});
    assert_int_equal(px_session_state(b->session), PX_SESSION_RETURNING);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_closed(b, PX_CLOSE_RETURNED);
}

static void a_busy_session_stays(void **state)
{
    struct bench *b = *state;

    bench_request(b, 1, ZKP_OP_CREATE);
    bench_kind(b, PX_EVENT_RETURN);
    b->now_ms += 1000;
    bench_kind(b, PX_EVENT_TICK);
    assert_int_equal(px_session_state(b->session), PX_SESSION_ACTIVE);
    assert_non_null(bench_find(b, PX_ACTION_RESUME_CLIENT));
}

static void a_hold_keeps_both_sides(void **state)
{
    struct bench *b = *state;

    bench_mark(b, PX_EVENT_HOLD);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_int_equal(px_session_state(b->session), PX_SESSION_HELD);
    bench_reply(b, -1, -1, 0); /* events go on */
    assert_forwarded(b);
    bench_kind(b, PX_EVENT_RELEASE);
    assert_int_equal(px_session_state(b->session), PX_SESSION_ACTIVE);
    assert_non_null(bench_find(b, PX_ACTION_RESUME_CLIENT));
    bench_mark(b, PX_EVENT_HOLD);
    bench_kind(b, PX_EVENT_SETTLE);
    b->now_ms += 1000; /* nobody releases it */
    bench_kind(b, PX_EVENT_TICK);
    assert_int_equal(px_session_state(b->session), PX_SESSION_ACTIVE);
}

static void zombies_are_not_returned_but_closed(void **state)
{
    struct bench *b = *state;

    assert_true(px_session_may_leave(b->session, b->now_ms + 2999));
    assert_false(px_session_may_leave(b->session, b->now_ms + 3000)); /* half of 6000 */
    b->now_ms += 5999;
    bench_kind(b, PX_EVENT_TICK);
    assert_null(bench_find(b, PX_ACTION_CLOSE));
    b->now_ms += 1;
    bench_kind(b, PX_EVENT_TICK);
    assert_closed(b, PX_CLOSE_SILENT);
}

static void closing_outlives_the_clients_socket(void **state)
{
    struct bench *b = *state;

    bench_request(b, 9, ZKP_OP_CLOSE_SESSION);
    bench_kind(b, PX_EVENT_CLIENT_GONE);
    assert_non_null(bench_find(b, PX_ACTION_CLOSE_CLIENT));
    bench_reply(b, 9, 50, 0);
    bench_kind(b, PX_EVENT_SERVER_GONE);
    assert_closed(b, PX_CLOSE_CLOSE_SESSION);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(replies_in_order),
        CASE(a_reply_out_of_order_is_the_end),
        CASE(a_ping_reply_waits_its_turn),
        CASE(a_refusal_overtakes),
        CASE(a_write_before_the_refusal_is_unknown),
        CASE(what_was_refused_is_known),
        CASE(a_refusal_comes_once),
        CASE(only_a_refusal_overtakes),
        CASE(a_deadly_create_ttl_is_stopped),
        CASE(other_create_ttls_pass),
        CASE(a_create_ttl_is_seen_whole),
        CASE(auth_overtakes),
        CASE(the_sign_of_an_xid_says_nothing),
        CASE(same_xid_in_both_queues),
        CASE(events_pass_any_time),
        CASE(unknown_opcodes_pass),
        CASE(a_lost_read_is_sent_again),
        CASE(reconfig_is_refused_in_its_turn),
        CASE(a_harmful_check_is_answered_here),
        CASE(many_local_replies_come_in_parts),
        CASE(the_config_node_looks_empty),
        CASE(the_config_nodes_stat_too),
        CASE(other_nodes_and_errors_pass),
        cmocka_unit_test(flavours_are_mirrored),
        cmocka_unit_test(expired_is_told_and_closed),
        cmocka_unit_test(a_failed_dial_tries_the_next),
        cmocka_unit_test(an_unconfirmed_password_decides_nothing),
        CASE(only_the_password_takes_over),
        CASE(a_return_waits_for_quiet),
        CASE(a_busy_session_stays),
        CASE(a_hold_keeps_both_sides),
        CASE(zombies_are_not_returned_but_closed),
        CASE(closing_outlives_the_clients_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
