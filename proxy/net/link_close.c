/* The end of a link: sockets closed in the way the reason asks for, claims and counts given back. Worker
 * thread. */
#include "proxy/log.h"
#include "proxy/net/address.h"
#include "proxy/net/linger.h"
#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"

/* After these the client's socket is worth an orderly end: it has something to read, or will come back. */
static bool ends_orderly(enum px_close_reason reason)
{
    switch (reason) {
    case PX_CLOSE_CLOSE_SESSION:
    case PX_CLOSE_RETURNED:
    case PX_CLOSE_SERVER_GONE:
    case PX_CLOSE_REFUSED:
    case PX_CLOSE_UNKNOWN_OUTCOME:
    case PX_CLOSE_EVENTS_UNKNOWN:
    case PX_CLOSE_EXPIRED:
    case PX_CLOSE_WRONG_PASSWORD:
    case PX_CLOSE_NO_SERVER:
        return true;
    case PX_CLOSE_CLIENT_GONE:
    case PX_CLOSE_SILENT:
    case PX_CLOSE_SUPERSEDED:
    case PX_CLOSE_OWNER_CONFLICT:
    case PX_CLOSE_HANDSHAKE_TIMEOUT:
    case PX_CLOSE_SESSIONS_FULL:
    case PX_CLOSE_SILENT_FULL:
    case PX_CLOSE_ADDRESS_SILENT:
    case PX_CLOSE_FRAME_LENGTH:
    case PX_CLOSE_FRAME_TOO_BIG:
    case PX_CLOSE_BAD_CONNECT:
    case PX_CLOSE_BAD_REQUEST:
    case PX_CLOSE_SERVER_PROTOCOL:
    case PX_CLOSE_LIMIT:
    case PX_CLOSE_NO_MEMORY:
    case PX_CLOSE_SHUTDOWN:
    case PX_CLOSE_WORD:
    case PX_CLOSE_COUNT:
        break;
    }
    return false;
}

static void close_client(struct px_link *link, enum px_close_reason reason)
{
    struct px_conn *client = &link->client;

    if (client->fd >= 0 && !client->is_broken && ends_orderly(reason))
        px_linger_start(link->worker, px_conn_detach(client), &client->out, link->origin);
    else {
        px_conn_close(client);
        px_origin_leave(link->origin);
    }
    link->origin = NULL;
}

static void log_close(const struct px_link *link, enum px_close_reason reason)
{
    struct px_session_facts facts;
    char peer[PX_ADDRESS_TEXT_MAX];
    bool is_usual =
        reason == PX_CLOSE_CLIENT_GONE || reason == PX_CLOSE_CLOSE_SESSION || reason == PX_CLOSE_WORD;
    enum px_log_level level = is_usual ? PX_LOG_DEBUG : PX_LOG_INFO;

    if ((int)level < atomic_load_explicit(&px_log_threshold, memory_order_relaxed))
        return;
    px_session_facts_get(link->core, &facts);
    px_log(level, "client.closed", "reason=%s peer=%s sid=0x%llx slot=%d zxid=0x%llx received=%llu",
           px_close_reason_name(reason),
           px_address_text((const struct sockaddr *)&link->peer, peer, sizeof(peer)), /* family 0: "?" */
           (unsigned long long)facts.session_id, (int)link->slot, (unsigned long long)facts.last_zxid,
           (unsigned long long)facts.received_count);
}

/* Nobody can tell afterwards without these what the server has passed over. */
static void log_misfit(const struct px_link *link, enum px_misfit misfit)
{
    struct px_session_facts facts;
    struct zkp_reply_header header = {0};
    uint32_t length = 0;

    if (link->walk != NULL && zkp_reply_header_decode(link->walk->event.body, &header) == RC_OK)
        length = link->walk->event.length;
    px_session_facts_get(link->core, &facts);
    px_log(PX_LOG_WARN, "server.misfit",
           "what=%s sid=0x%llx slot=%d length=%u xid=%d zxid=0x%llx err=%d awaited_xid=%d awaited_op=%s "
           "outstanding=%u",
           px_misfit_name(misfit), (unsigned long long)facts.session_id, (int)link->slot, length, header.xid,
           (unsigned long long)header.zxid, header.err, facts.awaited_xid, zkp_op_row(facts.awaited_op)->name,
           px_session_outstanding(link->core));
}

/* Like one that has closed. What came before the misfit in the same batch is passed on by the walk. */
void px_link_lose_server(struct px_link *link, enum px_misfit misfit)
{
    log_misfit(link, misfit);
    px_metric_add(link->worker->metrics, PX_METRIC_MISFIT_SKIPPED + misfit, 1);
    if (misfit == PX_MISFIT_UNREADABLE)
        px_metric_add(link->worker->metrics, PX_METRIC_DECODE_SERVER, 1);
    px_conn_close(&link->server);
    link->deferred = PX_EVENT_SERVER_GONE;
}

/* The core is DEAD already: sockets, claims and counts follow; memory waits for the sweep. */
void px_link_die(struct px_link *link, enum px_close_reason reason)
{
    px_walk_flush(link);
    log_close(link, reason);
    px_link_count_close(link, reason);
    px_link_dial_end(link, reason == PX_CLOSE_EXPIRED ? PX_DIAL_EXPIRED : PX_DIAL_ABANDONED);
    if (link->attempt != NULL)
        px_conn_close(&link->attempt->next);
    px_conn_close(&link->server);
    close_client(link, reason);
    px_link_give_place(link);
    px_link_unclaim(link);
    if (link->is_established)
        px_link_count_session(link, link->slot, false);
}
