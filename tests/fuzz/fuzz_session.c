/* The session core under random events and bytes from both sides. Invariants: an answer is forwarded only for
 * a request that was forwarded, in order; the zxid never goes down; the dead stay silent; no sanitizer trip.
 * Input: a byte of event kind, a byte of length, that many bytes, and so on. */
#include <stdlib.h>
#include <string.h>

#include "proxy/session/session.h"
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

/* The shell steps a frame only when what the core asked for is there. */
static bool has_enough(const struct px_session *session, const struct px_event *event)
{
    if (event->kind == PX_EVENT_CLIENT_FRAME)
        return px_session_client_need(session, event->length, event->body) <= event->body.len;
    if (event->kind == PX_EVENT_SERVER_FRAME)
        return px_session_server_need(session, event->length, event->body) <= event->body.len;
    return true;
}

static void step(struct px_session *session, const struct px_event *event, struct tally *tally)
{
    struct px_event next = *event;
    struct px_actions actions;
    bool was_dead = px_session_state(session) == PX_SESSION_DEAD;

    px_session_step(session, &next, &actions);
    ASSERT(!was_dead || actions.count == 0);
    check_actions(session, &next, &actions, tally);
    while (actions.has_more) {
        next.kind = PX_EVENT_CONTINUE;
        px_session_step(session, &next, &actions);
        check_actions(session, &next, &actions, tally);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct px_session *session = px_session_new(true, 1000);
    struct tally tally = {.zxid = INT64_MIN};
    int64_t now_ms = 0;

    if (session == NULL)
        return 0;
    while (size >= 2) {
        uint32_t length = bytes[1] < size - 2 ? bytes[1] : (uint32_t)(size - 2);
        struct px_event event = {.kind = (enum px_event_kind)(bytes[0] % PX_EVENT_COUNT),
                                 .now_ms = now_ms,
                                 .reason = PX_CLOSE_FRAME_LENGTH,
                                 .length = length,
                                 .deadline_ms = now_ms + 50,
                                 .check_is_harmful = (bytes[0] & 0x80) != 0};
        uint8_t *copy = malloc(length + 1); /* exact size: ASan sees every read too far */
        if (copy == NULL)
            break;
        memcpy(copy, bytes + 2, length);
        event.body = zkp_slice_of(copy, length);
        now_ms += bytes[0] & 0x40 ? 20 : 0;
        /* RC_OK framing never hands over an empty frame. */
        if ((length > 0 || (event.kind != PX_EVENT_CLIENT_FRAME && event.kind != PX_EVENT_SERVER_FRAME)) &&
            has_enough(session, &event))
            step(session, &event, &tally);
        free(copy);
        bytes += 2 + length;
        size -= 2 + length;
    }
    px_session_free(session);
    return 0;
}
