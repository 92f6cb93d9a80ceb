/* The session core under random events and bytes from both sides. Invariants: an answer is forwarded only for
 * a request that was forwarded, in order; the zxid never goes down; the dead stay silent; the watches are
 * those of a simple model that sees the same frames; no sanitizer trip. Input: a byte of event kind and flags
 * (see event_of), a byte of length, that many bytes, and so on. */
#include <stdlib.h>
#include <string.h>

#include "proxy/session/request_queue.h"
#include "proxy/session/session.h"
#include "tests/unit/watch_model.h"
#include "zkproto/assert.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct tally {
    uint64_t forwarded; /* requests given to the server */
    uint64_t answered;  /* their replies given to the client */
    int64_t zxid;
};

static void check_actions(struct px_session *session, const struct px_event *event,
                          const struct px_actions *actions, struct tally *tally)
{
    bool passes = false;

    for (uint32_t i = 0; i < actions->count; i++) {
        const struct px_action *action = &actions->list[i];
        passes = passes || action->kind == PX_ACTION_FORWARD;
        if (action->kind == PX_ACTION_SEND_CLIENT || action->kind == PX_ACTION_SEND_SERVER)
            ASSERT(action->send.offset + action->send.length <= actions->bytes_length);
    }
    if (event->kind == PX_EVENT_CLIENT_FRAME && passes)
        tally->forwarded++;
    if (actions->note == PX_NOTE_REPLY)
        tally->answered++;
    ASSERT(tally->answered <= tally->forwarded);
    if (px_session_state(session) >= PX_SESSION_ACTIVE && px_session_state(session) < PX_SESSION_DEAD) {
        ASSERT(px_session_last_zxid(session) >= tally->zxid);
        tally->zxid = px_session_last_zxid(session);
    }
}

/* auth and sasl wait in a queue of their own, and what is answered locally never had a watch. */
static bool is_in_pipeline(const struct px_actions *actions)
{
    return zkp_op_row(actions->op)->class != ZKP_CLASS_OUT_OF_BAND;
}

/* Those of a move are kept for a while and go to the client in one piece. */
static void see_kept_events(struct watch_model *model, struct zkp_slice frames)
{
    while (frames.len > 0) {
        uint32_t length = ZKP_FRAME_PREFIX + (uint32_t)zkp_load_i32(frames.ptr);
        ASSERT(length <= frames.len);
        if (zkp_load_i32(frames.ptr + ZKP_FRAME_PREFIX) == ZKP_XID_EVENT)
            model_on_event(model, zkp_slice_of(frames.ptr + ZKP_FRAME_PREFIX, length - ZKP_FRAME_PREFIX));
        frames = zkp_slice_of(frames.ptr + length, frames.len - length);
    }
}

static void check_watches(const struct px_session *session, const struct px_event *event,
                          const struct px_actions *actions, struct watch_model *model)
{
    model->rule = event->watch_rule;
    if (actions->note == PX_NOTE_REQUEST && actions->request_kind != PX_REQUEST_LOCAL &&
        is_in_pipeline(actions))
        model_on_request(model, event->body);
    if (actions->note == PX_NOTE_REPLY && is_in_pipeline(actions))
        model_on_reply(model, zkp_load_i32(event->body.ptr + 12));
    if (actions->note == PX_NOTE_EVENT)
        model_on_event(model, event->body);
    for (uint32_t i = 0; i < actions->count; i++)
        if (actions->list[i].kind == PX_ACTION_PUT_CLIENT)
            see_kept_events(model, actions->list[i].slice);
    model_check(model, px_session_watches(session));
}

/* The shell steps a frame only when what the core asked for is there. */
static bool has_enough(const struct px_session *session, const struct px_event *event)
{
    if (event->kind == PX_EVENT_CLIENT_FRAME)
        return px_session_client_need(session, event->length, event->body) <= event->body.len;
    if (event->kind == PX_EVENT_SERVER_FRAME)
        return px_session_server_need(session, event->length, event->body) <= event->body.len;
    return true;
}

static void step(struct px_session *session, const struct px_event *event, struct tally *tally,
                 struct watch_model *model)
{
    struct px_event next = *event;
    struct px_actions actions;
    bool was_dead = px_session_state(session) == PX_SESSION_DEAD;

    px_session_step(session, &next, &actions);
    ASSERT(!was_dead || actions.count == 0);
    check_actions(session, &next, &actions, tally);
    check_watches(session, &next, &actions, model);
    while (actions.has_more) {
        next.kind = PX_EVENT_CONTINUE;
        px_session_step(session, &next, &actions);
        check_actions(session, &next, &actions, tally);
    }
}

/* The corpus names kinds by their place here: new ones are appended. */
static const enum px_event_kind kinds[] = {
    PX_EVENT_CLIENT_FRAME, PX_EVENT_SERVER_FRAME, PX_EVENT_NEXT_FRAME,  PX_EVENT_CLIENT_BAD,
    PX_EVENT_SERVER_BAD,   PX_EVENT_NEXT_BAD,     PX_EVENT_CLIENT_GONE, PX_EVENT_SERVER_GONE,
    PX_EVENT_NEXT_GONE,    PX_EVENT_SILENT,       PX_EVENT_ADMITTED,    PX_EVENT_DENIED,
    PX_EVENT_ROUTED,       PX_EVENT_UNROUTED,     PX_EVENT_DIALLED,     PX_EVENT_RETURN,
    PX_EVENT_MOVE,         PX_EVENT_HOLD,         PX_EVENT_RELEASE,     PX_EVENT_SETTLE,
    PX_EVENT_CLIENT_PING,  PX_EVENT_PING,         PX_EVENT_APPLIED,     PX_EVENT_SUPERSEDE,
    PX_EVENT_CONFLICT,     PX_EVENT_STOP,         PX_EVENT_TICK,
};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))
_Static_assert(KIND_COUNT == PX_EVENT_COUNT - 1, "all but CONTINUE, which only follows has_more");

static bool is_frame(enum px_event_kind kind)
{
    return kind == PX_EVENT_CLIENT_FRAME || kind == PX_EVENT_SERVER_FRAME || kind == PX_EVENT_NEXT_FRAME;
}

/* The five low bits are the kind, the others flags. Where no frame comes its length is the known zxid. */
static struct px_event event_of(uint8_t first, uint32_t length, int64_t now_ms)
{
    return (struct px_event){.kind = kinds[(first & 0x1f) % KIND_COUNT],
                             .now_ms = now_ms,
                             .reason = PX_CLOSE_FRAME_LENGTH,
                             .length = length,
                             .deadline_ms = now_ms + 50,
                             .known_zxid = length,
                             .check_is_harmful = (first & 0x80) != 0,
                             .old_leads = (first & 0x80) != 0,
                             .watch_rule = (first & 0x20) != 0 ? PX_WATCH_ALL_MODES : PX_WATCH_ONE_MODE};
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct watch_model model;
    struct px_watch_space space;
    struct px_session *session;
    struct tally tally = {.zxid = INT64_MIN};
    int64_t now_ms = 0;

    if (px_watch_space_init(&space, 1) != RC_OK)
        return 0;
    session = px_session_new(true, 1000, &space);
    ASSERT(session != NULL);
    model.row_count = model.head = model.tail = 0;
    model.is_unknown = model.is_full = false;
    while (size >= 2) {
        uint32_t length = bytes[1] < size - 2 ? bytes[1] : (uint32_t)(size - 2);
        struct px_event event = event_of(bytes[0], length, now_ms);
        uint8_t *copy = malloc(length + 1); /* exact size: ASan sees every read too far */
        if (copy == NULL)
            break;
        memcpy(copy, bytes + 2, length);
        event.body = zkp_slice_of(copy, length);
        now_ms += bytes[0] & 0x40 ? 20 : 0;
        /* RC_OK framing never hands over an empty frame. */
        if ((length > 0 || !is_frame(event.kind)) && has_enough(session, &event))
            step(session, &event, &tally, &model);
        free(copy);
        bytes += 2 + length;
        size -= 2 + length;
    }
    px_session_free(session);
    px_watch_space_done(&space); /* asserts that no path is held */
    return 0;
}
