/* Texts of four-letter words to the structs the facts are made of. Pure. */
#include <stdio.h>

#include "migrate/probe/probe_int.h"

void probe_mntr_init(struct mig_mntr *mntr)
{
    *mntr = (struct mig_mntr){-1, -1, -1, -1, -1, -1, "", -1, -1, -1};
}

static void number(struct zkp_slice text, const char *key, int64_t *field)
{
    int64_t value;
    if (zkp_mntr_number(text, key, &value) == RC_OK)
        *field = value;
}

/* Which keys there are depends on role and version; one that can't be read is not there, and voids no other.
 * An answer without the server's state is none of mntr's. */
static enum rc parse_mntr(struct zkp_slice text, struct mig_mntr *mntr)
{
    struct zkp_slice state, role;
    probe_mntr_init(mntr);
    number(text, "zk_synced_followers", &mntr->synced_followers);
    number(text, "zk_synced_non_voting_followers", &mntr->synced_non_voting);
    number(text, "zk_znode_count", &mntr->znode_count);
    number(text, "zk_ephemerals_count", &mntr->ephemerals_count);
    number(text, "zk_approximate_data_size", &mntr->data_size);
    number(text, "zk_global_sessions", &mntr->global_sessions);
    number(text, "zk_local_sessions", &mntr->local_sessions);
    number(text, "zk_digest_mismatches_count", &mntr->digest_mismatches);
    number(text, "zk_uptime", &mntr->uptime_ms);
    if (zkp_mntr_text(text, "zk_peer_state", &state) == RC_OK)
        snprintf(mntr->peer_state, sizeof mntr->peer_state, "%.*s", (int)state.len, (const char *)state.ptr);
    bool is_mntr = zkp_mntr_text(text, "zk_server_state", &role) == RC_OK || mntr->znode_count >= 0;
    return is_mntr ? RC_OK : RC_MALFORMED;
}

enum rc probe_parse_text(enum zkp_word word, struct zkp_slice text, struct probe_parsed *parsed)
{
    if (word == ZKP_WORD_SRVR)
        return zkp_srvr_parse(text, &parsed->srvr);
    if (word == ZKP_WORD_CONF)
        return zkp_conf_parse(text, &parsed->conf);
    if (word == ZKP_WORD_MNTR)
        return parse_mntr(text, &parsed->mntr);
    return RC_OK; /* cons, hash: lines are walked by whoever wants them */
}
