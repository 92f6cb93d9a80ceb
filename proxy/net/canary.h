/* Which sessions go first in a switch: those of some clients, by their address, and a share of all, by a hash
 * of the session id, so that it is always the same ones: also after a restart of the proxy, and on whichever
 * worker their clients come back. Pure; any thread. Not here: where they go (route.h, worker_leave.c). */
#ifndef PROXY_NET_CANARY_H
#define PROXY_NET_CANARY_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/network.h"

#define PX_SHARE_WHOLE 10000u

/* Part of a directive: compared as bytes. round 0 = nobody is. */
struct px_canary {
    uint32_t round; /* grows with each try: workers report the one they work by */
    uint32_t share; /* of PX_SHARE_WHOLE */
    struct conf_networks clients;
};

/* session_id 0: not known yet, only the address decides. peer NULL: of no network. */
bool px_canary_has(const struct px_canary *canary, int64_t session_id, const struct sockaddr *peer);

#endif
