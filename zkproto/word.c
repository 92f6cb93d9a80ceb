/* Four-letter words and the answers to them (protocol.md §1.5; servers' command/ classes print them). Pure,
 * any thread. Answers are text for people and differ between versions: keys are looked up, order and unknown
 * lines ignored. */
#include "zkproto/word.h"

#include "zkproto/text_int.h"

static const char words[ZKP_WORD_COUNT][5] = {
#define ZKP_WORD_ROW(name, text) [ZKP_WORD_##name] = (text),
    ZKP_WORDS(ZKP_WORD_ROW)
#undef ZKP_WORD_ROW
};

const char *zkp_word_text(enum zkp_word word)
{
    return (unsigned)word < ZKP_WORD_COUNT ? words[word] : "none";
}

enum zkp_word zkp_word_detect(const uint8_t bytes[4])
{
    for (unsigned i = 0; i < ZKP_WORD_COUNT; i++) {
        if (memcmp(words[i], bytes, 4) == 0)
            return (enum zkp_word)i;
    }
    return ZKP_WORD_NONE;
}

enum zkp_word zkp_word_named(struct zkp_slice name)
{
    return name.len == 4 ? zkp_word_detect(name.ptr) : ZKP_WORD_NONE;
}

enum zkp_answer zkp_answer_kind(struct zkp_slice text)
{
    struct zkp_slice line, rest;
    if (!zkp_text_next(&text, '\n', &line))
        return ZKP_ANSWER_EMPTY;
    /* "null" is isro's way to say it (IsroCommand.java). */
    if (zkp_text_after(line, "This ZooKeeper instance is not currently serving requests", &rest) ||
        zkp_text_is(line, "null"))
        return ZKP_ANSWER_NOT_SERVING;
    /* The asked word stands first (NopCommand.java). */
    if (zkp_text_after(zkp_text_from(line, 4), " is not executed because it is not in the whitelist.", &rest))
        return ZKP_ANSWER_NOT_ALLOWED;
    return ZKP_ANSWER_DATA;
}

static const char *const mode_names[] = {
    [ZKP_MODE_UNKNOWN] = "unknown",       [ZKP_MODE_LEADER] = "leader",
    [ZKP_MODE_FOLLOWER] = "follower",     [ZKP_MODE_OBSERVER] = "observer",
    [ZKP_MODE_STANDALONE] = "standalone", [ZKP_MODE_READ_ONLY] = "read-only",
    [ZKP_MODE_PROXY] = "proxy",
};
#define MODE_COUNT (sizeof mode_names / sizeof mode_names[0])

const char *zkp_mode_name(enum zkp_mode mode)
{
    return (unsigned)mode < MODE_COUNT ? mode_names[mode] : mode_names[ZKP_MODE_UNKNOWN];
}

static enum zkp_mode mode_named(struct zkp_slice name)
{
    for (unsigned i = 0; i < MODE_COUNT; i++) {
        if (zkp_text_is(name, mode_names[i]))
            return (enum zkp_mode)i;
    }
    return ZKP_MODE_UNKNOWN;
}

/* The trimmed rest of the first line that starts with key. */
static bool value_find(struct zkp_slice text, const char *key, struct zkp_slice *ret_value)
{
    struct zkp_slice line, rest;
    while (zkp_text_next(&text, '\n', &line)) {
        if (zkp_text_after(line, key, &rest)) {
            *ret_value = zkp_text_trim(rest);
            return true;
        }
    }
    return false;
}

/* -1 when the line is missing or no number: callers show it as unknown. */
static int64_t count_find(struct zkp_slice text, const char *key)
{
    struct zkp_slice value;
    int64_t count;
    if (!value_find(text, key, &value) || !zkp_text_i64(value, INT64_MIN, INT64_MAX, &count))
        return -1;
    return count;
}

static bool version_find(struct zkp_slice text, bool *ret_is_keeper, char ret_version[ZKP_VERSION_TEXT_MAX])
{
    struct zkp_slice value;
    bool is_zookeeper = value_find(text, "Zookeeper version:", &value);
    *ret_is_keeper = !is_zookeeper && value_find(text, "ClickHouse Keeper version:", &value);
    if (!is_zookeeper && !*ret_is_keeper)
        return false;
    value.len = zkp_text_index(value, ',');
    value.len = zkp_text_index(value, '-');
    return value.len > 0 && zkp_text_copy(value, ret_version, ZKP_VERSION_TEXT_MAX);
}

static bool zxid_find(struct zkp_slice text, int64_t *ret_zxid)
{
    struct zkp_slice value, digits;
    uint64_t zxid; /* Long.toHexString */
    if (!value_find(text, "Zxid:", &value) || !zkp_text_after(value, "0x", &digits))
        return false;
    if (!zkp_text_u64(digits, 16, &zxid))
        return false;
    *ret_zxid = (int64_t)zxid;
    return true;
}

/* "2" or "2.9487"; not strtod, which depends on the locale and needs a NUL. */
static double decimal_parse(struct zkp_slice text)
{
    uint32_t dot = zkp_text_index(text, '.');
    struct zkp_slice fraction = zkp_text_from(text, dot + 1);
    uint64_t whole, parts;
    if (!zkp_text_u64(zkp_slice_of(text.ptr, dot), 10, &whole))
        return 0;
    double value = (double)whole;
    if (!zkp_text_u64(fraction, 10, &parts))
        return value;
    double scale = 1;
    for (uint32_t i = 0; i < fraction.len; i++)
        scale *= 10;
    return value + (double)parts / scale;
}

/* "Latency min/avg/max: 0/2.9487/22"; avg is an int up to 3.5. */
static double latency_find(struct zkp_slice text)
{
    struct zkp_slice value, min, avg;
    if (!value_find(text, "Latency min/avg/max:", &value) || !zkp_text_next(&value, '/', &min) ||
        !zkp_text_next(&value, '/', &avg))
        return 0;
    return decimal_parse(avg);
}

enum rc zkp_srvr_parse(struct zkp_slice text, struct zkp_srvr *ret_srvr)
{
    struct zkp_srvr srvr = {0};
    struct zkp_slice mode;
    if (!version_find(text, &srvr.is_keeper, srvr.version) || !zxid_find(text, &srvr.zxid) ||
        !value_find(text, "Mode:", &mode))
        return RC_MALFORMED;
    srvr.mode = mode_named(mode);
    srvr.connections = count_find(text, "Connections:");
    srvr.outstanding = count_find(text, "Outstanding:");
    srvr.node_count = count_find(text, "Node count:");
    srvr.latency_avg_ms = latency_find(text);
    *ret_srvr = srvr;
    return RC_OK;
}

static int32_t setting_find(struct zkp_slice text, const char *key)
{
    struct zkp_slice value;
    int64_t setting;
    if (!value_find(text, key, &value) || !zkp_text_i64(value, INT32_MIN, INT32_MAX, &setting))
        return -1;
    return (int32_t)setting;
}

/* The lines behind "membership:", where 3.8 prints a blank after the colon. */
static bool membership_find(struct zkp_slice text, struct zkp_slice *ret_membership)
{
    struct zkp_slice line;
    while (zkp_text_next(&text, '\n', &line)) {
        if (zkp_text_is(zkp_text_trim(line), "membership:")) {
            *ret_membership = text;
            return true;
        }
    }
    return false;
}

enum rc zkp_conf_parse(struct zkp_slice text, struct zkp_conf_answer *ret_conf)
{
    struct zkp_slice membership;
    struct zkp_conf_answer conf = {
        .server_id = setting_find(text, "serverId="),
        .client_port = setting_find(text, "clientPort="),
        .tick_time_ms = setting_find(text, "tickTime="),
        .init_limit = setting_find(text, "initLimit="),
        .sync_limit = setting_find(text, "syncLimit="),
        .max_client_cnxns = setting_find(text, "maxClientCnxns="),
        .min_session_timeout_ms = setting_find(text, "minSessionTimeout="),
        .max_session_timeout_ms = setting_find(text, "maxSessionTimeout="),
        .has_membership = membership_find(text, &membership),
    };
    if (conf.server_id < 0 || conf.tick_time_ms <= 0)
        return RC_MALFORMED;
    if (conf.has_membership && zkp_config_parse(membership, &conf.membership, NULL) != RC_OK)
        return RC_MALFORMED;
    *ret_conf = conf;
    return RC_OK;
}

enum rc zkp_mntr_text(struct zkp_slice text, const char *key, struct zkp_slice *ret_value)
{
    struct zkp_slice line, rest;
    while (zkp_text_next(&text, '\n', &line)) {
        if (zkp_text_after(line, key, &rest) && rest.len > 0 && rest.ptr[0] == '\t') {
            *ret_value = zkp_text_trim(rest);
            return RC_OK;
        }
    }
    return RC_NOT_FOUND;
}

enum rc zkp_mntr_number(struct zkp_slice text, const char *key, int64_t *ret_value)
{
    struct zkp_slice value;
    enum rc rc = zkp_mntr_text(text, key, &value);
    if (rc != RC_OK)
        return rc;
    if (zkp_text_is(value, "NaN"))
        return RC_NOT_FOUND;
    return zkp_text_whole(value, ret_value) ? RC_OK : RC_MALFORMED;
}

/* "…,sid=0x1000020f5ad0000,…" among the parenthesised fields, else 0. */
static int64_t sid_find(struct zkp_slice fields)
{
    struct zkp_slice field, digits;
    uint64_t sid;
    while (zkp_text_next(&fields, ',', &field)) {
        if (zkp_text_after(field, "sid=0x", &digits) && zkp_text_u64(digits, 16, &sid))
            return (int64_t)sid;
    }
    return 0;
}

/* " /127.0.0.1:39884[1](queued=0,…)": a slash, the address, [interest ops], (fields). The last bracket before
 * the parenthesis counts, as newer Javas print IPv6 addresses in brackets too. */
static bool cons_line_parse(struct zkp_slice line, struct zkp_cons_line *ret_line)
{
    uint32_t slash = zkp_text_index(line, '/');
    uint32_t open = zkp_text_index(line, '(');
    if (open == line.len || slash > open)
        return false;
    uint32_t bracket = open;
    while (bracket > slash && line.ptr[bracket] != '[')
        bracket--;
    if (bracket <= slash + 1)
        return false;
    ret_line->address = zkp_slice_of(line.ptr + slash + 1, bracket - slash - 1);
    struct zkp_slice fields = zkp_text_from(line, open + 1);
    fields.len = zkp_text_index(fields, ')');
    ret_line->session_id = sid_find(fields);
    return true;
}

void zkp_cons_walk(struct zkp_slice text, zkp_cons_fn *fn, void *context)
{
    struct zkp_slice line;
    struct zkp_cons_line parsed;
    while (zkp_text_next(&text, '\n', &line)) {
        if (line.len > 0 && line.ptr[0] == ' ' && cons_line_parse(line, &parsed))
            fn(context, &parsed);
    }
}

static bool digest_line_parse(struct zkp_slice line, struct zkp_digest *ret_digest)
{
    uint32_t colon = zkp_text_index(line, ':');
    uint64_t zxid;
    int64_t value;
    if (colon == line.len || !zkp_text_u64(zkp_slice_of(line.ptr, colon), 16, &zxid) || zxid > INT64_MAX ||
        !zkp_text_i64(zkp_text_trim(zkp_text_from(line, colon + 1)), INT64_MIN, INT64_MAX, &value))
        return false;
    *ret_digest = (struct zkp_digest){.zxid = (int64_t)zxid, .value = value};
    return true;
}

void zkp_hash_walk(struct zkp_slice text, zkp_digest_fn *fn, void *context)
{
    struct zkp_slice line;
    struct zkp_digest digest;
    while (zkp_text_next(&text, '\n', &line))
        if (digest_line_parse(line, &digest))
            fn(context, &digest);
}

int64_t zkp_version_number(const char *version)
{
    int64_t number = 0;
    for (int part = 0; part < 3; part++) {
        int64_t value = 0;
        bool is_digit_first = *version >= '0' && *version <= '9';
        if (!is_digit_first && part == 0)
            return -1;
        for (; *version >= '0' && *version <= '9'; version++)
            value = value < 1000 ? value * 10 + (*version - '0') : value;
        if (value > 999) /* would spill into the part before */
            return -1;
        number = number * 1000 + value;
        if (*version == '.')
            version++;
    }
    return number;
}
