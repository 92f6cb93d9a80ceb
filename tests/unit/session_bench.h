/* Hands for the session core's tests: frames in, actions out as text of bytes. Header only. */
#ifndef TESTS_UNIT_SESSION_BENCH_H
#define TESTS_UNIT_SESSION_BENCH_H

#include <stdlib.h>
#include <string.h>

#include "proxy/session/session.h"
#include "zkproto/assert.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"
#include "zkproto/header.h"

#define BENCH_SID        0x100000000000001ll
#define BENCH_TIMEOUT_MS 6000

/* A session and what it has said last. */
struct bench {
    struct px_watch_space space;
    struct px_session *session;
    struct px_actions actions;
    int64_t now_ms;
    enum px_watch_rule watch_rule; /* of its server */
};

static inline const struct px_actions *bench_step(struct bench *b, struct px_event event)
{
    event.now_ms = b->now_ms;
    event.now_us = (uint32_t)(b->now_ms * 1000);
    event.watch_rule = b->watch_rule;
    px_session_step(b->session, &event, &b->actions);
    return &b->actions;
}

static inline const struct px_actions *bench_kind(struct bench *b, enum px_event_kind kind)
{
    return bench_step(b, (struct px_event){.kind = kind, .deadline_ms = b->now_ms + 1000});
}

static inline const struct px_actions *bench_frame(struct bench *b, enum px_event_kind kind, const void *body,
                                                   uint32_t length)
{
    return bench_step(b,
                      (struct px_event){.kind = kind, .length = length, .body = zkp_slice_of(body, length)});
}

/* A request {xid, type, rest}. */
static inline const struct px_actions *bench_request(struct bench *b, int32_t xid, int32_t type)
{
    uint8_t body[8];

    zkp_store_i32(body, xid);
    zkp_store_i32(body + 4, type);
    return bench_frame(b, PX_EVENT_CLIENT_FRAME, body, sizeof(body));
}

static inline const struct px_actions *bench_reply(struct bench *b, int32_t xid, int64_t zxid, int32_t err)
{
    uint8_t body[16];

    zkp_store_i32(body, xid);
    zkp_store_i64(body + 4, zxid);
    zkp_store_i32(body + 12, err);
    return bench_frame(b, PX_EVENT_SERVER_FRAME, body, sizeof(body));
}

static inline const struct px_actions *bench_next_reply(struct bench *b, int32_t xid, int64_t zxid,
                                                        int32_t err)
{
    uint8_t body[16];

    zkp_store_i32(body, xid);
    zkp_store_i64(body + 4, zxid);
    zkp_store_i32(body + 12, err);
    return bench_frame(b, PX_EVENT_NEXT_FRAME, body, sizeof(body));
}

static inline const struct px_actions *bench_connect(struct bench *b, int64_t session_id, bool has_read_only)
{
    static const uint8_t password[ZKP_PASSWORD_LEN] = {1, 2, 3};
    struct zkp_connect_request request = {.timeout_ms = BENCH_TIMEOUT_MS,
                                          .session_id = session_id,
                                          .password = {password, sizeof(password)},
                                          .has_read_only = has_read_only};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_request_frame(&request, frame, sizeof(frame));

    return bench_frame(b, PX_EVENT_CLIENT_FRAME, frame + 4, length - 4);
}

static inline const struct px_actions *bench_answer(struct bench *b, int32_t timeout_ms, int64_t session_id,
                                                    bool has_read_only)
{
    static const uint8_t password[ZKP_PASSWORD_LEN] = {9, 8, 7};
    struct zkp_connect_response response = {.timeout_ms = timeout_ms,
                                            .session_id = session_id,
                                            .password = {password, sizeof(password)},
                                            .has_read_only = has_read_only};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = zkp_connect_response_frame(&response, frame, sizeof(frame));

    return bench_frame(b, PX_EVENT_NEXT_FRAME, frame + 4, length - 4);
}

static inline void bench_begin(struct bench *b)
{
    *b = (struct bench){.now_ms = 1};
    ASSERT(px_watch_space_init(&b->space, 1) == RC_OK);
    b->session = px_session_new(true, 5000, &b->space);
}

static inline void bench_end(struct bench *b)
{
    px_session_free(b->session);
    b->session = NULL;
    px_watch_space_done(&b->space); /* asserts that no path is held any more */
}

/* One that becomes quiet: its marker went out and came back. */
static inline void bench_mark(struct bench *b, enum px_event_kind kind)
{
    bench_kind(b, kind);
    bench_kind(b, PX_EVENT_SETTLE);
    bench_reply(b, ZKP_XID_PING, 50, 0);
}

/* From ACTIVE, by a move. */
static inline void bench_transfer(struct bench *b, enum px_session_state state)
{
    bench_mark(b, PX_EVENT_MOVE);
    if (state == PX_SESSION_LEAVING)
        return;
    bench_kind(b, PX_EVENT_SETTLE);
    if (state == PX_SESSION_SEEKING)
        return;
    bench_kind(b, PX_EVENT_ROUTED); /* known_zxid 0: behind */
    bench_kind(b, PX_EVENT_DIALLED);
    if (state == PX_SESSION_RESTORING)
        bench_answer(b, BENCH_TIMEOUT_MS, BENCH_SID, true);
}

/* Leads a fresh session to a state by the shortest way. */
static inline void bench_reach(struct bench *b, enum px_session_state state)
{
    if (state == PX_SESSION_GREETING)
        return;
    if (state == PX_SESSION_DEAD) {
        bench_kind(b, PX_EVENT_STOP);
        return;
    }
    bench_connect(b, state == PX_SESSION_CLAIMING ? BENCH_SID : 0, true);
    if (state == PX_SESSION_CLAIMING || state == PX_SESSION_WAITING)
        return;
    bench_kind(b, PX_EVENT_ROUTED);
    if (state == PX_SESSION_DIALING)
        return;
    bench_kind(b, PX_EVENT_DIALLED);
    bench_answer(b, BENCH_TIMEOUT_MS, BENCH_SID, true);
    if (state == PX_SESSION_ENDING)
        bench_request(b, 1, -11);
    if (state == PX_SESSION_RETURNING)
        bench_kind(b, PX_EVENT_RETURN);
    if (state == PX_SESSION_HOLDING || state == PX_SESSION_HELD)
        bench_mark(b, PX_EVENT_HOLD);
    if (state == PX_SESSION_HELD)
        bench_kind(b, PX_EVENT_SETTLE);
    if (state >= PX_SESSION_LEAVING && state <= PX_SESSION_RESTORING)
        bench_transfer(b, state);
}

static inline const struct px_action *bench_find(const struct bench *b, enum px_action_kind kind)
{
    for (uint32_t i = 0; i < b->actions.count; i++)
        if (b->actions.list[i].kind == kind)
            return &b->actions.list[i];
    return NULL;
}

/* What a PUT action points to; a null slice when there is none. */
static inline struct zkp_slice bench_put(const struct bench *b, enum px_action_kind kind)
{
    const struct px_action *action = bench_find(b, kind);

    return action == NULL ? (struct zkp_slice){0} : action->slice;
}

/* The bytes of the n-th SEND_CLIENT or SEND_SERVER; a null slice when there is none. */
static inline struct zkp_slice bench_sent(const struct bench *b, enum px_action_kind kind, uint32_t n)
{
    for (uint32_t i = 0; i < b->actions.count; i++) {
        const struct px_action *action = &b->actions.list[i];
        if (action->kind == kind && n-- == 0)
            return zkp_slice_of(b->actions.bytes + action->send.offset, action->send.length);
    }
    return (struct zkp_slice){0};
}

#endif
