/* See canary.h. */
#include "proxy/net/canary.h"

#include <stddef.h>

/* The finalizer of splitmix64: ids count up and have the server's id in their top byte, so that every bit has
 * to reach every other. Never change it: other sessions would be canaries after an upgrade in mid-plan. */
static uint64_t mix(uint64_t id)
{
    id = (id ^ id >> 30) * 0xbf58476d1ce4e5b9u;
    id = (id ^ id >> 27) * 0x94d049bb133111ebu;
    return id ^ id >> 31;
}

bool px_canary_has(const struct px_canary *canary, int64_t session_id, const struct sockaddr *peer)
{
    if (canary->round == 0)
        return false;
    if (session_id != 0 && (mix((uint64_t)session_id) >> 32) * PX_SHARE_WHOLE >> 32 < canary->share)
        return true;
    return peer != NULL && conf_networks_have(&canary->clients, peer);
}
