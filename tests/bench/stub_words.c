/* Four-letter words of bench_stub, in the words of a leader of 3.8.0 that is alone: without one, zkferryd
 * would let new clients wait for an election. Pure. */
#include <stdio.h>

#include "tests/bench/stub.h"

#define TEXT_MAX_BYTES 1024u
#define VERSION        "3.8.0-bench_stub, built on 2022-01-01"

static int srvr_text(const struct stub_state *state, const char *head, char *text)
{
    return snprintf(text, TEXT_MAX_BYTES,
                    "Zookeeper version: " VERSION "\n%sLatency min/avg/max: 0/0.0/0\nReceived: 1\nSent: 1\n"
                    "Connections: 1\nOutstanding: 0\nZxid: 0x%llx\nMode: leader\nNode count: 5\n"
                    "Proposal sizes last/min/max: -1/-1/-1\n",
                    head, (unsigned long long)state->zxid);
}

static int mntr_text(char *text)
{
    return snprintf(text, TEXT_MAX_BYTES,
                    "zk_version\t" VERSION "\nzk_server_state\tleader\nzk_peer_state\tleading - broadcast\n"
                    "zk_num_alive_connections\t1\nzk_outstanding_requests\t0\nzk_znode_count\t5\n"
                    "zk_ephemerals_count\t0\nzk_watch_count\t0\nzk_approximate_data_size\t44\n"
                    "zk_global_sessions\t1\nzk_synced_followers\t0\n");
}

static int conf_text(const struct stub_state *state, uint16_t port, char *text)
{
    return snprintf(text, TEXT_MAX_BYTES,
                    "clientPort=%u\nsecureClientPort=-1\ndataDir=/\ntickTime=2000\nmaxClientCnxns=0\n"
                    "minSessionTimeout=%d\nmaxSessionTimeout=%d\nserverId=%d\ninitLimit=10\nsyncLimit=5\n",
                    port, STUB_TIMEOUT_MIN, STUB_TIMEOUT_MAX, state->server_id);
}

void stub_word(struct stub_state *state, enum zkp_word word, uint16_t port, struct zkp_wr *out)
{
    char text[TEXT_MAX_BYTES];
    int length;
    state->counts.words++;
    if (word == ZKP_WORD_RUOK)
        length = snprintf(text, sizeof text, "imok");
    else if (word == ZKP_WORD_ISRO)
        length = snprintf(text, sizeof text, "rw");
    else if (word == ZKP_WORD_SRVR)
        length = srvr_text(state, "", text);
    else if (word == ZKP_WORD_STAT)
        length = srvr_text(state, "Clients:\n\n", text);
    else if (word == ZKP_WORD_MNTR)
        length = mntr_text(text);
    else if (word == ZKP_WORD_CONF)
        length = conf_text(state, port, text);
    else
        length = snprintf(text, sizeof text, "%s is not executed because it is not in the whitelist.\n",
                          zkp_word_text(word));
    zkp_wr_raw(out, zkp_slice_of(text, (uint32_t)length));
}
