/* What a client that connects now would get: /readyz, and isro on the client port. It follows from what the
 * workers were told and what they have met, not from what probes say of servers. Pure, any thread. */
#ifndef PROXY_CONTROL_OFFER_H
#define PROXY_CONTROL_OFFER_H

#include "proxy/net/directive.h"

enum px_offer_kind {
    PX_OFFER_NOTHING,
    PX_OFFER_READ_ONLY, /* a session for clients that take a server without a quorum */
    PX_OFFER_READ_WRITE,
};

struct px_offer_ask {
    const struct px_directive *directive; /* the newest */
    bool is_open;                         /* connections are accepted */
    uint32_t clients;                     /* that have a session, or wait for one */
    int32_t clients_max;                  /* limits.sessions */
    bool is_short;                        /* no descriptors are left for another client */
    int64_t refused_for_ms;               /* px_crew_refused_for_ms */
    bool is_elsewhere;                    /* px_crew_is_elsewhere */
};

struct px_offer {
    enum px_offer_kind kind;
    int64_t zxid;      /* the highest known of the servers it would go to */
    bool is_elsewhere; /* it would go to a server that the plan does not prefer: the others take nobody */
    const char *why;   /* NOTHING: constant, or borrowed from the directive; else "" */
};

struct px_offer px_offer(const struct px_offer_ask *ask);

#endif
