/* The next server becomes the server (the core's ADOPT). Worker thread.
 * The core decides while frames of one of the two connections are being walked, so that the sockets change
 * places only after the walk: until then px_link_server says where bytes go. */
#include <stdlib.h>

#include "migrate/sockets.h"
#include "proxy/log.h"
#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"

struct px_conn *px_link_server(struct px_link *link)
{
    return link->attempt != NULL && link->attempt->is_adopted ? &link->attempt->next : &link->server;
}

/* The plan prefers others. */
static bool is_elsewhere(const struct px_link *link, uint32_t slot)
{
    const struct px_server_directive *server = &link->worker->directive->servers[slot];

    return server->stands_in && !px_server_admits(server, link->is_canary);
}

void px_link_adopt_next(struct px_link *link, int64_t session_id)
{
    struct px_attempt *attempt = link->attempt;
    uint32_t old_slot = link->slot;
    struct px_session_facts facts;

    px_session_facts_get(link->core, &facts);
    px_shared_zxid_raise(link->worker->shared, attempt->slot, facts.marker);
    link->worker->slot_reply_ms[attempt->slot] = link->worker->now_ms;
    link->worker->slot_pinged_ms[attempt->slot] = 0;
    px_link_dial_end(link, PX_DIAL_OK);
    px_conn_close(&link->server);
    if (link->is_established)
        px_link_count_session(link, old_slot, false);
    if (attempt->slot != old_slot && is_elsewhere(link, attempt->slot))
        px_worker_note_elsewhere(link->worker, attempt->slot);
    link->slot = attempt->slot;
    link->awaited_zxid = 0;
    link->is_established = true;
    px_link_count_session(link, link->slot, true);
    attempt->is_adopted = true;
    mig_socket_outlast(link->client.fd, facts.timeout_ms);
    px_link_claim_established(link, session_id);
    px_link_judge_canary(link, session_id);
    px_log(PX_LOG_DEBUG, "session.established", "sid=0x%llx slot=%u from=%d", (unsigned long long)session_id,
           link->slot, (int)old_slot);
}

static bool wants_attempt(const struct px_link *link)
{
    switch (px_session_state(link->core)) {
    case PX_SESSION_WAITING:
    case PX_SESSION_DIALING:
    case PX_SESSION_SEEKING:
    case PX_SESSION_JOINING:
    case PX_SESSION_RESTORING:
        return true;
    case PX_SESSION_GREETING:
    case PX_SESSION_CLAIMING:
    case PX_SESSION_ACTIVE:
    case PX_SESSION_RETURNING:
    case PX_SESSION_HOLDING:
    case PX_SESSION_HELD:
    case PX_SESSION_LEAVING:
    case PX_SESSION_ENDING:
    case PX_SESSION_DEAD:
    case PX_SESSION_STATE_COUNT:
        break;
    }
    return false;
}

void px_link_move_in(struct px_link *link)
{
    struct px_attempt *attempt = link->attempt;

    if (attempt == NULL || link->walk != NULL)
        return;
    if (attempt->is_adopted && !px_link_is_dead(link))
        px_conn_take_over(&link->server, &attempt->next);
    else if (wants_attempt(link))
        return;
    px_link_attempt_free(link); /* the session has moved, or stays where it is */
}

void px_link_attempt_free(struct px_link *link)
{
    if (link->attempt == NULL)
        return;
    px_conn_done(&link->attempt->next);
    free(link->attempt);
    link->attempt = NULL;
}
