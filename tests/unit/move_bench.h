/* Moves and re-attachments step by step, for the session core's tests: the frames of three connections, and
 * what is asserted about the actions. Header only. */
#ifndef TESTS_UNIT_MOVE_BENCH_H
#define TESTS_UNIT_MOVE_BENCH_H

#include "tests/unit/watch_bench.h"
#include "zkproto/opcode.h"
#include "zkproto/zkerr.h"

#define OURS INT32_MIN
#define M    50 /* the zxid of a move's marker */

static inline int bench_setup(void **state)
{
    static struct bench b;

    bench_begin(&b);
    bench_reach(&b, PX_SESSION_ACTIVE);
    *state = &b;
    return 0;
}

static inline int bench_teardown(void **state)
{
    bench_end(*state); /* asserts that no path is held any more */
    return 0;
}

/* --- what comes --- */

static inline void bench_event_at(struct bench *b, enum px_event_kind kind, int64_t zxid, int32_t type,
                                  const char *path)
{
    struct zkp_watcher_event event = {.type = type, .state = 3, .path = zkp_slice_str(path)};
    uint8_t frame[BENCH_BODY_MAX];
    uint32_t length = zkp_watcher_event_frame(zxid, &event, frame, sizeof(frame));

    bench_frame(b, kind, frame + 4, length - 4);
}

static inline void bench_next_fire(struct bench *b, int32_t type, const char *path)
{
    bench_event_at(b, PX_EVENT_NEXT_FRAME, -1, type, path);
}

/* A one-shot or lasting watch, granted by the server at `zxid`. */
static inline void bench_watch(struct bench *b, int32_t type, const char *path, int32_t err)
{
    bench_read(b, 1, type, path, true);
    bench_reply(b, 1, M - 1, err);
}

static inline void bench_add_watch(struct bench *b, const char *path, int32_t mode)
{
    bench_path_int(b, 1, ZKP_OP_ADD_WATCH, path, mode);
    bench_reply(b, 1, M - 1, 0);
}

static inline void bench_auth(struct bench *b, const char *id, bool is_answered)
{
    uint8_t body[64];
    struct zkp_wr w = bench_wr(body, ZKP_XID_AUTH, ZKP_OP_AUTH);

    zkp_wr_i32(&w, 0);
    zkp_wr_buf(&w, zkp_slice_str("digest"));
    zkp_wr_buf(&w, zkp_slice_str(id));
    bench_frame(b, PX_EVENT_CLIENT_FRAME, body, zkp_wr_len(&w));
    if (is_answered)
        bench_reply(b, ZKP_XID_AUTH, 0, 0);
}

static inline void bench_dial(struct bench *b, int64_t known_zxid)
{
    bench_step(b, (struct px_event){.kind = PX_EVENT_ROUTED, .known_zxid = known_zxid});
    bench_kind(b, PX_EVENT_DIALLED);
}

static inline void bench_join(struct bench *b, int64_t known_zxid)
{
    bench_dial(b, known_zxid);
    bench_answer(b, 6000, BENCH_SID, true);
}

/* Everything up to M has come. */
static inline void bench_reply_marker(struct bench *b)
{
    bench_request(b, 1, ZKP_OP_WHO_AM_I);
    bench_reply(b, 1, M, 0);
}

/* The server dies; another one has caught up at `zxid` and is asked for its watches. */
static inline void bench_reattach(struct bench *b, int64_t zxid)
{
    bench_kind(b, PX_EVENT_SERVER_GONE);
    bench_join(b, 0);
    bench_next_reply(b, OURS, zxid, 0);
}

/* A step of a moved session whose old server leads. */
static inline void bench_led(struct bench *b, struct px_event event)
{
    event.old_leads = true;
    bench_step(b, event);
}

static inline void bench_led_reply(struct bench *b, enum px_event_kind kind, int32_t xid, int64_t zxid)
{
    uint8_t body[16] = {0};

    zkp_store_i32(body, xid);
    zkp_store_i64(body + 4, zxid);
    bench_led(
        b, (struct px_event){.kind = kind, .length = sizeof(body), .body = zkp_slice_of(body, sizeof(body))});
}

/* Quiet, with its marker at M: SEEKING. Who leaves the leader is asked for a marker whatever came last. */
static inline void bench_leave(struct bench *b)
{
    bench_kind(b, PX_EVENT_MOVE);
    bench_led(b, (struct px_event){.kind = PX_EVENT_SETTLE});
    bench_reply(b, ZKP_XID_PING, M, 0);
    bench_kind(b, PX_EVENT_SETTLE);
}

/* --- what is seen --- */

static inline struct zkp_slice bench_bytes(const struct bench *b, const struct px_action *action)
{
    if (action->kind >= PX_ACTION_SEND_CLIENT && action->kind <= PX_ACTION_SEND_NEXT)
        return zkp_slice_of(b->actions.bytes + action->send.offset, action->send.length);
    if (action->kind >= PX_ACTION_PUT_CLIENT && action->kind <= PX_ACTION_PUT_NEXT)
        return action->slice;
    return (struct zkp_slice){0};
}

/* The n-th frame of all bytes of this kind of action, prefix included; null when there are fewer. */
static inline struct zkp_slice bench_frame_of(const struct bench *b, enum px_action_kind kind, uint32_t n)
{
    for (uint32_t i = 0; i < b->actions.count; i++) {
        struct zkp_slice rest = bench_bytes(b, &b->actions.list[i]);
        while (b->actions.list[i].kind == kind && rest.len > 0) {
            uint32_t length = 4 + (uint32_t)zkp_load_i32(rest.ptr);
            if (n-- == 0)
                return zkp_slice_of(rest.ptr, length);
            rest = zkp_slice_of(rest.ptr + length, rest.len - length);
        }
    }
    return (struct zkp_slice){0};
}

#define assert_state(b, name)                                                                                \
    assert_string_equal(px_session_state_name(px_session_state((b)->session)),                               \
                        px_session_state_name(PX_SESSION_##name))

/* The n-th frame of the kind is this request. */
#define assert_request(b, kind, n, wanted_xid, op)                                                           \
    do {                                                                                                     \
        struct zkp_slice frame_ = bench_frame_of(b, kind, n);                                                \
        assert_true(frame_.len >= 12);                                                                       \
        assert_int_equal(zkp_load_i32(frame_.ptr + 4), wanted_xid);                                          \
        assert_int_equal(zkp_load_i32(frame_.ptr + 8), op);                                                  \
    } while (0)

#define assert_no_frame(b, kind, n) assert_null(bench_frame_of(b, kind, n).ptr)

#define assert_closed_for(b, wanted)                                                                         \
    do {                                                                                                     \
        assert_non_null(bench_find(b, PX_ACTION_CLOSE));                                                     \
        assert_string_equal(px_close_reason_name(bench_find(b, PX_ACTION_CLOSE)->reason),                    \
                            px_close_reason_name(PX_CLOSE_##wanted));                                        \
    } while (0)

#define assert_outcome(b, wanted) assert_int_equal((b)->actions.outcome, PX_OUTCOME_##wanted)

/* The n-th frame to the client is this event. */
static inline bool bench_gave_event(const struct bench *b, uint32_t n, int32_t type, const char *path)
{
    struct zkp_slice frame = bench_frame_of(b, PX_ACTION_PUT_CLIENT, n);
    struct zkp_watcher_event event;

    return frame.len > 20 && zkp_load_i32(frame.ptr + 4) == ZKP_XID_EVENT &&
           zkp_watcher_event_decode(zkp_slice_of(frame.ptr + 20, frame.len - 20), &event) == RC_OK &&
           event.type == type && zkp_slice_eq(event.path, zkp_slice_str(path));
}

#endif
