/* What comes in from the client ports: new connections, which go to a worker, and what the workers say about
 * theirs. Control thread. */
#include <string.h>
#include <unistd.h>

#include "migrate/monotonic.h"
#include "proxy/control/control_int.h"
#include "proxy/log.h"
#include "proxy/net/address.h"

/* Counts it, or says why not. */
static bool may_enter(struct px_control *control, const struct sockaddr *peer, struct px_origin **ret_origin)
{
    const struct conf *conf = control->conf;
    const struct px_origin_limits limits = {
        .open_max = (int64_t)conf->session_max + conf->silent_max,
        .connections_max = (uint32_t)conf->per_address.connections,
        .connects_per_second = (uint32_t)conf->per_address.connects_per_second,
        .exempts = &conf->per_address.exempt,
    };
    enum px_refusal refusal = px_origins_enter(control->origins, peer, &limits, mig_now_ms(), ret_origin);
    if (refusal == PX_REFUSAL_COUNT)
        return true;
    char text[PX_ADDRESS_TEXT_MAX];
    control->refused_clients[refusal]++;
    px_log(PX_LOG_WARN, "client.refused", "reason=%s key=%s peer=%s", px_refusal_name(refusal),
           px_refusal_key(refusal), px_address_text(peer, text, sizeof text));
    return false;
}

bool px_control_may_accept(void *context)
{
    struct px_control *control = context;
    const struct px_crew_totals totals = px_crew_totals(control->crew);
    return px_descriptors_may_accept(&control->descriptors, &totals, mig_now_ms());
}

void px_control_on_accepted(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len,
                            uint32_t index)
{
    struct px_control *control = context;
    bool is_own = px_witness_is_peer(control->witness, peer);
    struct px_origin *origin = NULL;
    if (!is_own && !may_enter(control, peer, &origin)) {
        close(fd);
        return;
    }
    struct px_adopt adopt = {.fd = fd,
                             .config_node = control->conf->listeners[index].config_node,
                             .listener = index,
                             .is_own = is_own,
                             .origin = origin};
    memcpy(&adopt.peer.storage, peer, peer_len);
    adopt.peer.length = peer_len;
    px_crew_adopt(control->crew, &adopt);
}

void px_control_on_message(void *context, struct px_msg *take_msg)
{
    struct px_control *control = context;
    switch (take_msg->kind) {
    case PX_MSG_WORD:
        px_words_answer(control->words, control->conf,
                        px_listeners_port(control->listeners, take_msg->word.listener), take_msg);
        break;
    case PX_MSG_SESSIONS:
        px_crew_sessions(control->crew, take_msg);
        break;
    case PX_MSG_KICK_PROBE:
        px_fleet_kick(control->fleet, MIG_PROBE_SRVR);
        break;
    case PX_MSG_DIRECTIVE:
    case PX_MSG_ADOPT:
    case PX_MSG_LIST:
    case PX_MSG_STOP:
    case PX_MSG_RELEASE:
    case PX_MSG_RELEASED:
    case PX_MSG_COUNT:
        break; /* never sent to control */
    }
    px_msg_free(take_msg);
}

struct px_offer px_control_offer(const struct px_control *control)
{
    const struct px_crew_totals totals = px_crew_totals(control->crew);
    const struct px_offer_ask ask = {
        .directive = px_director_current(control->director),
        .is_open = control->is_ready && control->ending == PX_RUNNING,
        .clients = totals.placed,
        .clients_max = control->conf->session_max,
        .is_short = px_descriptors_is_short(&control->descriptors, &totals),
        .refused_for_ms = px_crew_refused_for_ms(control->crew, mig_now_ms()),
        .is_elsewhere = px_crew_is_elsewhere(control->crew, mig_now_ms()),
    };
    return px_offer(&ask);
}

struct px_words_facts px_control_words_facts(void *context)
{
    const struct px_control *control = context;
    return (struct px_words_facts){.offer = px_control_offer(control), .clients_text = control->clients_text};
}
