/* The session core under random events and bytes from both sides. Invariants: an answer is forwarded only for
 * a request that was forwarded, in order; the zxid never goes down; the dead stay silent; the watches are
 * those of a simple model that sees the same frames; no sanitizer trip. Input: a byte of event kind, a byte
 * of length, that many bytes, and so on. */
#include <stdlib.h>
#include <string.h>

#include "proxy/session/request_queue.h"
#include "proxy/session/session.h"
#include "tests/unit/watch_model.h"
#include "zkproto/assert.h"
#include "zkproto/cursor.h"

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
        struct px_event event = {.kind = (enum px_event_kind)(bytes[0] % PX_EVENT_COUNT),
                                 .now_ms = now_ms,
                                 .reason = PX_CLOSE_FRAME_LENGTH,
                                 .length = length,
                                 .deadline_ms = now_ms + 50,
                                 .check_is_harmful = (bytes[0] & 0x80) != 0,
                                 .watch_rule =
                                     (bytes[0] & 0x20) != 0 ? PX_WATCH_ALL_MODES : PX_WATCH_ONE_MODE};
        uint8_t *copy = malloc(length + 1); /* exact size: ASan sees every read too far */
        if (copy == NULL)
            break;
        memcpy(copy, bytes + 2, length);
        event.body = zkp_slice_of(copy, length);
        now_ms += bytes[0] & 0x40 ? 20 : 0;
        /* RC_OK framing never hands over an empty frame. */
        if ((length > 0 || (event.kind != PX_EVENT_CLIENT_FRAME && event.kind != PX_EVENT_SERVER_FRAME)) &&
            has_enough(session, &event))
            step(session, &event, &tally, &model);
        free(copy);
        bytes += 2 + length;
        size -= 2 + length;
    }
    px_session_free(session);
    px_watch_space_done(&space); /* asserts that no path is held */
    return 0;
}
