/* Exported sessions that were damaged: refused, or a session that can go on. What is taken is exported again
 * and is the same, byte for byte but for the order of watches; then it serves, loses its server and dies, and
 * no invariant of the core breaks on the way. */
#include <stdlib.h>
#include <string.h>

#include "proxy/session/export.h"
#include "zkproto/assert.h"
#include "zkproto/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

#define REPLIES 64

static void step(struct px_session *session, struct px_event event)
{
    struct px_actions actions;

    event.now_ms = 1000;
    px_session_step(session, &event, &actions);
    while (actions.has_more) {
        event.kind = PX_EVENT_CONTINUE;
        px_session_step(session, &event, &actions);
    }
}

/* Every request that is awaited gets an answer: with an error every other time. */
static void answer_all(struct px_session *session, struct zkp_slice bytes)
{
    for (uint32_t at = 0; at + 4 <= bytes.len && at < REPLIES * 4; at++) {
        uint8_t body[16] = {0};
        memcpy(body, bytes.ptr + at, 4); /* the xids are in there */
        zkp_store_i64(body + 4, at % 3 == 0 ? 0 : 1000 + at);
        zkp_store_i32(body + 12, at % 2 == 0 ? 0 : -101);
        struct px_event event = {
            .kind = PX_EVENT_SERVER_FRAME, .length = sizeof(body), .body = zkp_slice_of(body, sizeof(body))};
        if (px_session_server_need(session, event.length, event.body) <= event.length)
            step(session, event);
        if (px_session_state(session) == PX_SESSION_DEAD)
            return;
    }
}

static void lose_server(struct px_session *session)
{
    step(session, (struct px_event){.kind = PX_EVENT_SERVER_GONE});
    step(session, (struct px_event){.kind = PX_EVENT_ROUTED});
    step(session, (struct px_event){.kind = PX_EVENT_DIALLED});
    step(session, (struct px_event){.kind = PX_EVENT_NEXT_GONE});
    step(session, (struct px_event){.kind = PX_EVENT_STOP});
}

static struct px_session *take(struct zkp_slice bytes, struct px_watch_space *space)
{
    struct px_session *session;

    return px_session_import(bytes, space, &session) == RC_OK ? session : NULL;
}

static void check_twin(const struct px_session *session, uint32_t length, struct px_watch_space *space)
{
    struct px_buffer again = {0};
    struct px_session *twin;

    ASSERT(px_session_export(session, &again) == RC_OK);
    ASSERT(again.length == length);
    twin = take(px_buffer_slice(&again), space);
    ASSERT(twin != NULL);
    lose_server(twin);
    px_session_free(twin);
    px_buffer_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct px_watch_space space;
    struct px_session *session;

    if (size > UINT32_MAX || px_watch_space_init(&space, 1) != RC_OK)
        return 0;
    session = take(zkp_slice_of(bytes, (uint32_t)size), &space);
    if (session != NULL) {
        check_twin(session, (uint32_t)size, &space);
        answer_all(session, zkp_slice_of(bytes, (uint32_t)size));
        lose_server(session);
        px_session_free(session);
    }
    px_watch_space_done(&space); /* asserts that no path is held */
    return 0;
}
