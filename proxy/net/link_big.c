/* Frames that are longer than somebody allows, told with the name of what has to be changed: a limit of our
 * own, or, as far as anybody can know, the servers' jute.maxbuffer. Worker thread. */
#include "proxy/log.h"
#include "proxy/net/address.h"
#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"

static const char *op_name(const struct px_session_facts *facts, const struct px_conn *conn,
                           struct zkp_slice body)
{
    struct zkp_request_header header;

    if (conn->role != PX_CONN_CLIENT)
        return zkp_op_row(facts->awaited_op)->name;
    return zkp_request_header_decode(body, &header) == RC_OK ? zkp_op_row(zkp_op_index(header.type))->name
                                                             : "?";
}

void px_link_log_too_big(const struct px_conn *conn, const char *key, uint32_t length, uint32_t limit,
                         struct zkp_slice body)
{
    const struct px_link *link = conn->link;
    struct px_session_facts facts;
    char peer[PX_ADDRESS_TEXT_MAX];

    px_session_facts_get(link->core, &facts);
    px_log(PX_LOG_WARN, "frame.too_big", "peer=%s sid=0x%llx from=%s op=%s key=%s bytes=%u limit=%u",
           px_address_text((const struct sockaddr *)&link->peer, peer, sizeof(peer)),
           (unsigned long long)facts.session_id, conn->role == PX_CONN_CLIENT ? "client" : "server",
           op_name(&facts, conn, body), key, length, limit);
}

void px_link_note_big(struct px_link *link, uint32_t length, struct zkp_slice body)
{
    struct px_worker *worker = link->worker;

    worker->bigs[worker->next_big++ % PX_BIGS] =
        (struct px_big){.token = link->claim.token, .xid = zkp_load_i32(body.ptr), .length = length};
}

void px_link_log_lost_big(const struct px_link *link)
{
    const struct px_worker *worker = link->worker;
    struct px_session_facts facts;
    char peer[PX_ADDRESS_TEXT_MAX];

    px_session_facts_get(link->core, &facts);
    for (uint32_t i = 0; i < PX_BIGS; i++) {
        const struct px_big *big = &worker->bigs[i];
        if (big->token != link->claim.token || big->xid != facts.awaited_xid)
            continue;
        px_log(PX_LOG_WARN, "request.lost", "peer=%s sid=0x%llx server=%d op=%s bytes=%u why=%s",
               px_address_text((const struct sockaddr *)&link->peer, peer, sizeof(peer)),
               (unsigned long long)facts.session_id, (int)worker->directive->servers[link->slot].id,
               zkp_op_row(facts.awaited_op)->name, big->length,
               "the server closed instead of answering: its jute.maxbuffer may be smaller");
        return;
    }
}
