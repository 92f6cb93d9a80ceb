/* Four-letter words: their detection on the client port and the parsing of servers' answers
 * (protocol.md §1.5). Pure. */
#ifndef ZKPROTO_WORD_H
#define ZKPROTO_WORD_H

#include "zkproto/err.h"
#include "zkproto/server.h"
#include "zkproto/slice.h"

#define ZKP_WORDS(X)                                                                                         \
    X(CONF, "conf")                                                                                          \
    X(CONS, "cons")                                                                                          \
    X(CRST, "crst")                                                                                          \
    X(DIRS, "dirs")                                                                                          \
    X(DUMP, "dump")                                                                                          \
    X(ENVI, "envi")                                                                                          \
    X(GTMK, "gtmk")                                                                                          \
    X(HASH, "hash")                                                                                          \
    X(ISRO, "isro")                                                                                          \
    X(MNTR, "mntr")                                                                                          \
    X(RUOK, "ruok")                                                                                          \
    X(SRST, "srst")                                                                                          \
    X(SRVR, "srvr")                                                                                          \
    X(STAT, "stat")                                                                                          \
    X(STMK, "stmk")                                                                                          \
    X(WCHC, "wchc")                                                                                          \
    X(WCHP, "wchp")                                                                                          \
    X(WCHS, "wchs")

enum zkp_word {
#define ZKP_WORD_ENUM(name, text) ZKP_WORD_##name,
    ZKP_WORDS(ZKP_WORD_ENUM)
#undef ZKP_WORD_ENUM
        ZKP_WORD_COUNT,
    ZKP_WORD_NONE = ZKP_WORD_COUNT
};

const char *zkp_word_text(enum zkp_word word);
enum zkp_word zkp_word_detect(const uint8_t bytes[4]); /* ZKP_WORD_NONE when it is no word */
enum zkp_word zkp_word_named(struct zkp_slice name);

/* What kind of answer a server gave (pitfall P28: three states, not two). */
enum zkp_answer {
    ZKP_ANSWER_DATA,
    ZKP_ANSWER_NOT_SERVING, /* "…not currently serving requests", isro's "null" */
    ZKP_ANSWER_NOT_ALLOWED, /* "… is not executed because it is not in the whitelist." */
    ZKP_ANSWER_EMPTY,       /* closed without bytes: connection limit, unknown word */
    ZKP_ANSWER_COUNT
};
enum zkp_answer zkp_answer_kind(struct zkp_slice text);

enum zkp_mode {
    ZKP_MODE_UNKNOWN,
    ZKP_MODE_LEADER,
    ZKP_MODE_FOLLOWER,
    ZKP_MODE_OBSERVER,
    ZKP_MODE_STANDALONE,
    ZKP_MODE_READ_ONLY,
    ZKP_MODE_PROXY, /* zkferry itself, or another one: no server */
};
const char *zkp_mode_name(enum zkp_mode mode);

#define ZKP_VERSION_TEXT_MAX 64u

struct zkp_srvr {
    char version[ZKP_VERSION_TEXT_MAX]; /* up to the first '-' or ',': "3.8.0" */
    enum zkp_mode mode;
    int64_t zxid;
    int64_t connections; /* includes the asker; counts are -1 when their line is missing */
    int64_t outstanding;
    int64_t node_count;
    double latency_avg_ms;
    bool is_keeper; /* ClickHouse Keeper: its own version numbers, "v23.3.1.2823" */
};
/* RC_MALFORMED when version, zxid or mode is missing. */
enum rc zkp_srvr_parse(struct zkp_slice text, struct zkp_srvr *ret_srvr);

/* Settings are -1 when their line is missing (a standalone server prints no limits). */
struct zkp_conf_answer {
    int32_t server_id;
    int32_t client_port; /* where it listens for clients; -1 = not shown, or TLS only */
    int32_t tick_time_ms;
    int32_t init_limit;
    int32_t sync_limit;
    int32_t max_client_cnxns; /* 0 = no limit */
    int32_t min_session_timeout_ms;
    int32_t max_session_timeout_ms;
    bool has_membership;
    struct zkp_config membership; /* with version */
};
/* RC_MALFORMED when serverId or tickTime is missing or a membership line is broken. */
enum rc zkp_conf_parse(struct zkp_slice text, struct zkp_conf_answer *ret_conf);

/* mntr: "key\tvalue" lines. A number is read as the field prints it: "5", and "5.0" or "1.0E7" where
 * ZooKeeper's PrometheusMetricsProvider makes doubles of all of them. RC_NOT_FOUND when the key is missing or
 * its value is NaN, which says the same; RC_MALFORMED when it is no whole number. */
enum rc zkp_mntr_text(struct zkp_slice text, const char *key, struct zkp_slice *ret_value);
enum rc zkp_mntr_number(struct zkp_slice text, const char *key, int64_t *ret_value);

/* cons / the client lines of stat: calls fn per connection. session_id 0 when the line has no sid. */
struct zkp_cons_line {
    struct zkp_slice address; /* "127.0.0.1:39884", "[::1]:…" as printed, without the slash */
    int64_t session_id;
};
typedef void zkp_cons_fn(void *context, const struct zkp_cons_line *line);
void zkp_cons_walk(struct zkp_slice text, zkp_cons_fn *fn, void *context);

/* hash (3.6 and newer): the whole tree's digest behind every 128th transaction, "100000080: -5472…" per line,
 * oldest first. Lines that are none are left out. */
struct zkp_digest {
    int64_t zxid;
    int64_t value; /* Java prints it with a sign */
};
typedef void zkp_digest_fn(void *context, const struct zkp_digest *digest);
void zkp_hash_walk(struct zkp_slice text, zkp_digest_fn *fn, void *context);

/* "3.8.0-11" -> comparable number 3*10^6+8*10^3+0; -1 when it does not start with digits. */
int64_t zkp_version_number(const char *version);

#endif
