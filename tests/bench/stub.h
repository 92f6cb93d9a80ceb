/* The parts of bench_stub: a server that speaks just enough of the protocol to stand behind a proxy while
 * load is put on it, and is faster than any real one. It has no tree: every path exists except
 * /zookeeper/config (as on a standalone server), writes are acknowledged and forgotten, watches never fire.
 * One thread. */
#ifndef TESTS_BENCH_STUB_H
#define TESTS_BENCH_STUB_H

#include "zkproto/cursor.h"
#include "zkproto/opcode.h"
#include "zkproto/word.h"

#define STUB_VALUE_MAX (64u * 1024u)
#define STUB_ANSWER_MAX                                                                                      \
    (STUB_VALUE_MAX + 1024u) /* the longest answer: a getData reply; paths are cut to fit */
#define STUB_TIMEOUT_MIN 4000
#define STUB_TIMEOUT_MAX 60000
#define STUB_FIRST_ZXID  0x100000001LL

struct stub_counts {
    uint64_t sessions;   /* new ones */
    uint64_t reattaches; /* connects that named a session */
    uint64_t words;
    uint64_t dropped;
    uint64_t requests[ZKP_OPX_COUNT];
};

/* What the answers depend on. */
struct stub_state {
    int32_t server_id;
    int64_t zxid; /* one more per write, so that clients see time go on */
    int64_t last_session;
    uint64_t drop_at; /* this getData (from 1) gets no reply: a fault that a load generator must notice; 0 =
                         none */
    uint32_t value_bytes;
    uint8_t value[STUB_VALUE_MAX];
    struct stub_counts counts;
};

/* server_id 1 to 127: the first byte of its session ids, as in ZooKeeper. */
void stub_state_init(struct stub_state *state, int32_t server_id, uint32_t value_bytes);
/* Writes the whole answer frame to a ConnectRequest: any session named is taken for alive. */
enum rc stub_connect(struct stub_state *state, struct zkp_slice body, struct zkp_wr *out) RC_MUST_CHECK;
/* Writes the answer frame to one request. RC_CLOSED: closeSession, the connection ends behind the answer;
 * RC_FULL, RC_MALFORMED: nothing sensible can be said. */
enum rc stub_answer(struct stub_state *state, struct zkp_slice body, struct zkp_wr *out) RC_MUST_CHECK;
/* The text for a four-letter word. */
void stub_word(struct stub_state *state, enum zkp_word word, uint16_t port, struct zkp_wr *out);

#endif
