/* See offer.h. */
#include "proxy/control/offer.h"

#define REFUSED_MS 1000 /* one that was tried again elsewhere has had all servers meanwhile */

static void add_server(const struct px_directive *directive, const struct px_server_directive *server,
                       struct px_offer *offer)
{
    bool is_taken = server->in_use && server->admit && server->is_serving && server->address_count > 0;
    bool is_led = directive->has_leader || server->is_read_only;
    enum px_offer_kind kind = server->is_read_only ? PX_OFFER_READ_ONLY : PX_OFFER_READ_WRITE;
    if (!is_taken || !is_led)
        return;
    if (kind > offer->kind)
        offer->kind = kind;
    if (server->zxid > offer->zxid)
        offer->zxid = server->zxid;
}

static struct px_offer nothing(const char *why)
{
    return (struct px_offer){.kind = PX_OFFER_NOTHING, .why = why};
}

struct px_offer px_offer(const struct px_offer_ask *ask)
{
    struct px_offer offer = {.why = "", .is_elsewhere = ask->is_elsewhere};
    if (!ask->is_open)
        return nothing("no connections are accepted: starting, or ending");
    if ((int64_t)ask->clients >= ask->clients_max)
        return nothing("limits.sessions is reached");
    if (ask->is_short)
        return nothing("no descriptors are left for another client");
    if (ask->refused_for_ms >= REFUSED_MS)
        return nothing("every admitted server refuses new sessions");
    for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
        add_server(ask->directive, &ask->directive->servers[slot], &offer);
    if (offer.kind == PX_OFFER_NOTHING)
        offer.why = ask->directive->version > 0 ? ask->directive->why_waiting : "no server is known yet";
    return offer;
}
