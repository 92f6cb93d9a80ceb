/* Answers to four-letter words, each through every parser. Checked: values and addresses stay inside the
 * text, versions are terminated, and no answer gives no data. */
#include <stddef.h>

#include "zkproto/assert.h"
#include "zkproto/word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct zkp_slice input;

static void check_inside(struct zkp_slice s)
{
    ASSERT(s.len <= input.len);
    ASSERT(s.len == 0 || (s.ptr >= input.ptr && s.ptr + s.len <= input.ptr + input.len));
}

static void see_connection(void *context, const struct zkp_cons_line *line)
{
    (void)context;
    ASSERT(line->address.len > 0);
    check_inside(line->address);
}

static void see_digest(void *context, const struct zkp_digest *digest)
{
    (void)context;
    ASSERT(digest->zxid >= 0);
}

static bool parse_data(void)
{
    static struct zkp_conf_answer conf; /* 85 KiB */
    struct zkp_srvr srvr;
    bool is_srvr = zkp_srvr_parse(input, &srvr) == RC_OK;
    if (is_srvr) {
        ASSERT(strlen(srvr.version) < ZKP_VERSION_TEXT_MAX && srvr.latency_avg_ms >= 0);
        ASSERT(zkp_version_number(srvr.version) >= -1);
        ASSERT(zkp_mode_name(srvr.mode) != NULL);
    }
    bool is_conf = zkp_conf_parse(input, &conf) == RC_OK;
    ASSERT(!is_conf || (conf.server_id >= 0 && conf.tick_time_ms > 0));
    return is_srvr || is_conf;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"zk_server_state", "zk_synced_followers", "zk_peer_state", "", "z"};
    if (size > UINT16_MAX)
        return 0;
    input = zkp_slice_of(data, (uint32_t)size);
    enum zkp_answer kind = zkp_answer_kind(input);
    ASSERT((kind == ZKP_ANSWER_EMPTY) == (size == 0));
    if (parse_data())
        ASSERT(kind != ZKP_ANSWER_EMPTY);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct zkp_slice value;
        int64_t number;
        enum rc rc = zkp_mntr_text(input, keys[i], &value);
        if (rc == RC_OK)
            check_inside(value);
        ASSERT(zkp_mntr_number(input, keys[i], &number) != RC_OK || rc == RC_OK);
    }
    zkp_cons_walk(input, see_connection, NULL);
    zkp_hash_walk(input, see_digest, NULL);
    enum zkp_word word = zkp_word_named(input);
    ASSERT(word == ZKP_WORD_NONE || zkp_slice_eq(input, zkp_slice_str(zkp_word_text(word))));
    return 0;
}
