/* See probe_parse.h. */
#include "migrate/probe_parse.h"

static int64_t number_or_unknown(struct zkp_slice text, const char *key)
{
    int64_t value;
    return zkp_mntr_number(text, key, &value) == RC_OK ? value : -1;
}

static void parse_mntr(struct zkp_slice text, struct mig_mntr *ret_mntr)
{
    *ret_mntr = (struct mig_mntr){
        .synced_followers = number_or_unknown(text, "zk_synced_followers"),
        .synced_non_voting = number_or_unknown(text, "zk_synced_non_voting_followers"),
        .znode_count = number_or_unknown(text, "zk_znode_count"),
        .ephemerals_count = number_or_unknown(text, "zk_ephemerals_count"),
        .data_size = number_or_unknown(text, "zk_approximate_data_size"),
        .global_sessions = number_or_unknown(text, "zk_global_sessions"),
    };
    struct zkp_slice state;
    if (zkp_mntr_text(text, "zk_peer_state", &state) == RC_OK && state.len < sizeof ret_mntr->peer_state)
        memcpy(ret_mntr->peer_state, state.ptr, state.len);
}

static enum rc parse_data(enum zkp_word word, struct zkp_slice bytes, struct mig_probe_room *room,
                          struct mig_probe_answer *answer)
{
    enum rc rc = RC_OK;
    struct zkp_slice any;
    if (word == ZKP_WORD_SRVR) {
        rc = zkp_srvr_parse(bytes, &room->srvr);
        answer->srvr = &room->srvr;
    } else if (word == ZKP_WORD_CONF) {
        rc = zkp_conf_parse(bytes, &room->conf);
        answer->conf = &room->conf;
    } else if (word == ZKP_WORD_MNTR) {
        rc = zkp_mntr_text(bytes, "zk_server_state", &any);
        parse_mntr(bytes, &room->mntr);
        answer->mntr = &room->mntr;
    } else {
        answer->cons = bytes;
    }
    return rc;
}

void mig_probe_parse(enum zkp_word word, struct zkp_slice bytes, struct mig_probe_room *room,
                     struct mig_probe_answer *ret_answer)
{
    switch (zkp_answer_kind(bytes)) {
    case ZKP_ANSWER_DATA:
        ret_answer->kind = MIG_PROBE_KIND_DATA;
        if (parse_data(word, bytes, room, ret_answer) != RC_OK)
            *ret_answer = (struct mig_probe_answer){.kind = MIG_PROBE_KIND_MALFORMED};
        return;
    case ZKP_ANSWER_NOT_SERVING:
        ret_answer->kind = MIG_PROBE_KIND_NOT_SERVING;
        return;
    case ZKP_ANSWER_NOT_ALLOWED:
        ret_answer->kind = MIG_PROBE_KIND_NOT_ALLOWED;
        return;
    case ZKP_ANSWER_EMPTY:
    case ZKP_ANSWER_COUNT:
        break;
    }
    ret_answer->kind = MIG_PROBE_KIND_EMPTY;
}
