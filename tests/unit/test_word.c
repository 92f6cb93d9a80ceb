/* Four-letter words and the recorded answers of a leader, a follower, a server without a quorum and one that
 * does not allow the word; the same texts as 3.4, 3.5 and 3.9 print them where they differ. */
#include "zkproto/word.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/captured.h"
#include "zkproto/frame.h"

static struct zkp_slice text(const char *t)
{
    return zkp_slice_str(t);
}

static void words_are_found_and_no_frame_looks_like_one(void **state)
{
    (void)state;
    for (int i = 0; i < ZKP_WORD_COUNT; i++) {
        const char *word = zkp_word_text((enum zkp_word)i);
        assert_int_equal(strlen(word), 4);
        assert_int_equal(zkp_word_detect((const uint8_t *)word), i);
        assert_int_equal(zkp_word_named(text(word)), i);
        struct zkp_frame frame;
        assert_int_equal(zkp_frame_peek(text(word), ZKP_CLIENT_FRAME_MAX, &frame), RC_TOO_BIG);
    }
    assert_int_equal(zkp_word_detect((const uint8_t *)"\0\0\0\55"), ZKP_WORD_NONE);
    assert_int_equal(zkp_word_detect((const uint8_t *)"SRVR"), ZKP_WORD_NONE);
    assert_int_equal(zkp_word_named(text("srv")), ZKP_WORD_NONE);
    assert_int_equal(zkp_word_named(text("srvrs")), ZKP_WORD_NONE);
    assert_int_equal(zkp_word_named(text("")), ZKP_WORD_NONE);
    assert_string_equal(zkp_word_text(ZKP_WORD_NONE), "none");
}

static void answers_have_four_kinds(void **state)
{
    (void)state;
    const struct {
        const char *answer;
        enum zkp_answer kind;
    } cases[] = {
        {CAPTURED_SRVR_LEADER, ZKP_ANSWER_DATA},
        {CAPTURED_MNTR_LEADER, ZKP_ANSWER_DATA},
        {CAPTURED_CONF_LEADER, ZKP_ANSWER_DATA},
        {CAPTURED_CONS_FOLLOWER, ZKP_ANSWER_DATA},
        {CAPTURED_RUOK, ZKP_ANSWER_DATA},
        {CAPTURED_ISRO, ZKP_ANSWER_DATA},
        {CAPTURED_NOT_SERVING, ZKP_ANSWER_NOT_SERVING},
        {CAPTURED_NOT_SERVING_ISRO, ZKP_ANSWER_NOT_SERVING},
        {CAPTURED_NOT_ALLOWED, ZKP_ANSWER_NOT_ALLOWED},
        {"", ZKP_ANSWER_EMPTY},
        {"\n", ZKP_ANSWER_DATA},
        {"abc", ZKP_ANSWER_DATA},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(zkp_answer_kind(text(cases[i].answer)), cases[i].kind);
    assert_int_equal(zkp_answer_kind((struct zkp_slice){0}), ZKP_ANSWER_EMPTY);
}

static void modes_have_names(void **state)
{
    (void)state;
    assert_string_equal(zkp_mode_name(ZKP_MODE_LEADER), "leader");
    assert_string_equal(zkp_mode_name(ZKP_MODE_READ_ONLY), "read-only");
    assert_string_equal(zkp_mode_name(ZKP_MODE_UNKNOWN), "unknown");
    assert_string_equal(zkp_mode_name((enum zkp_mode)99), "unknown");
}

static struct zkp_srvr srvr(const char *answer)
{
    struct zkp_srvr parsed;
    assert_int_equal(zkp_srvr_parse(text(answer), &parsed), RC_OK);
    return parsed;
}

static void recorded_srvr_is_read(void **state)
{
    (void)state;
    struct zkp_srvr leader = srvr(CAPTURED_SRVR_LEADER);
    assert_string_equal(leader.version, "3.8.0");
    assert_int_equal(leader.mode, ZKP_MODE_LEADER);
    assert_true(leader.zxid == 0x100000012);
    assert_int_equal(leader.connections, 1);
    assert_int_equal(leader.outstanding, 0);
    assert_int_equal(leader.node_count, 12);
    struct zkp_srvr follower = srvr(CAPTURED_SRVR_FOLLOWER);
    assert_int_equal(follower.mode, ZKP_MODE_FOLLOWER);
    assert_true(follower.latency_avg_ms > 2.9486 && follower.latency_avg_ms < 2.9488);
}

static void stat_is_read_like_srvr(void **state)
{
    (void)state;
    struct zkp_srvr stat = srvr(CAPTURED_STAT_LEADER), leader = srvr(CAPTURED_SRVR_LEADER);
    assert_int_equal(stat.mode, leader.mode);
    assert_true(stat.zxid == leader.zxid);
    assert_int_equal(stat.node_count, leader.node_count);
    assert_int_equal(srvr(CAPTURED_STAT_FOLLOWER).connections, 2);
}

static void other_versions_print_it_differently(void **state)
{
    (void)state;
    struct zkp_srvr old =
        srvr("Zookeeper version: 3.4.14-4c25d480e66aadd371de8bd2fd8da255ac140bcf, built on x\n"
             "Latency min/avg/max: 0/12/22\nReceived: 49\nMode: standalone\nZxid: 0x0\n");
    assert_string_equal(old.version, "3.4.14");
    assert_int_equal(old.mode, ZKP_MODE_STANDALONE);
    assert_true(old.latency_avg_ms > 11.9 && old.latency_avg_ms < 12.1);
    assert_int_equal(old.node_count, -1);
    struct zkp_srvr read_only = srvr("Zookeeper version: 3.9.5, built on x\n"
                                     "READ-ONLY mode; serving only read-only clients\n"
                                     "Zxid: 0xffffffffffffffff\nMode: read-only\nLatency min/avg/max: 0\n");
    assert_string_equal(read_only.version, "3.9.5");
    assert_int_equal(read_only.mode, ZKP_MODE_READ_ONLY);
    assert_true(read_only.zxid == -1);
    assert_true(read_only.latency_avg_ms < 0.1);
    assert_int_equal(srvr("Zookeeper version: 9\nZxid: 0x1\nMode: new\n").mode, ZKP_MODE_UNKNOWN);
}

/* As ClickHouse Keeper prints it (FourLetterCommand.cpp: ServerStatCommand). */
static void a_keeper_is_told_apart(void **state)
{
    (void)state;
    struct zkp_srvr keeper =
        srvr("ClickHouse Keeper version: v23.3.1.2823-testing-46e85357ce2da2a99f56ee83a079e892d7ec3726\n"
             "Latency min/avg/max: 0/0/0\nReceived: 1\nSent: 1\nConnections: 1\nOutstanding: 0\n"
             "Zxid: 0x24\nMode: leader\nNode count: 4\n");
    assert_true(keeper.is_keeper);
    assert_string_equal(keeper.version, "v23.3.1.2823");
    assert_int_equal(zkp_version_number(keeper.version), -1);
    assert_false(srvr(CAPTURED_SRVR_LEADER).is_keeper);
}

static void an_incomplete_srvr_is_malformed(void **state)
{
    (void)state;
    struct zkp_srvr parsed = {.zxid = 77};
    const char *too_long =
        "Zookeeper version: 0123456789012345678901234567890123456789012345678901234567890123\n"
        "Zxid: 0x1\nMode: leader\n";
    const char *const answers[] = {
        "",
        CAPTURED_NOT_SERVING,
        CAPTURED_NOT_ALLOWED,
        "Zxid: 0x1\nMode: leader\n",
        "Zookeeper version: 3.8.0\nMode: leader\n",
        "Zookeeper version: 3.8.0\nZxid: 0x1\n",
        "Zookeeper version: 3.8.0\nZxid: 1\nMode: leader\n",
        "Zookeeper version: 3.8.0\nZxid: 0x\nMode: leader\n",
        "Zookeeper version: 3.8.0\nZxid: 0x10000000000000000\nMode: leader\n",
        "Zookeeper version: \nZxid: 0x1\nMode: leader\n",
        too_long,
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        assert_int_equal(zkp_srvr_parse(text(answers[i]), &parsed), RC_MALFORMED);
    assert_true(parsed.zxid == 77);
    /* Cut anywhere before the mode. */
    const char *whole = CAPTURED_SRVR_LEADER;
    uint32_t mode_at = (uint32_t)(strstr(whole, "Mode:") - whole);
    for (uint32_t cut = 0; cut < mode_at; cut++)
        assert_int_equal(zkp_srvr_parse(zkp_slice_of(whole, cut), &parsed), RC_MALFORMED);
}

static void recorded_conf_is_read(void **state)
{
    (void)state;
    struct zkp_conf_answer conf;
    assert_int_equal(zkp_conf_parse(text(CAPTURED_CONF_LEADER), &conf), RC_OK);
    assert_int_equal(conf.server_id, 3);
    assert_int_equal(conf.tick_time_ms, 1000);
    assert_int_equal(conf.init_limit, 10);
    assert_int_equal(conf.sync_limit, 5);
    assert_int_equal(conf.max_client_cnxns, 0);
    assert_int_equal(conf.min_session_timeout_ms, 2000);
    assert_int_equal(conf.max_session_timeout_ms, 20000);
    assert_true(conf.has_membership);
    assert_int_equal(conf.membership.server_count, 3);
    assert_true(conf.membership.has_version);
    assert_true(conf.membership.version == 0x100000000);
    assert_int_equal(zkp_config_find(&conf.membership, 3)->client_port, 56753);
}

static void a_standalone_conf_has_no_membership(void **state)
{
    (void)state;
    struct zkp_conf_answer conf;
    assert_int_equal(
        zkp_conf_parse(text("clientPort=2181\ntickTime=2000\nmaxClientCnxns=60\nserverId=0\n"), &conf),
        RC_OK);
    assert_int_equal(conf.server_id, 0);
    assert_int_equal(conf.client_port, 2181);
    assert_int_equal(conf.max_client_cnxns, 60);
    assert_int_equal(conf.init_limit, -1);
    assert_false(conf.has_membership);
    assert_int_equal(conf.membership.server_count, 0);
}

static void a_broken_conf_is_malformed(void **state)
{
    (void)state;
    struct zkp_conf_answer conf = {.server_id = 77};
    const char *const answers[] = {
        "",
        CAPTURED_NOT_SERVING,
        CAPTURED_NOT_ALLOWED,
        "serverId=1\n",
        "tickTime=2000\n",
        "serverId=1\ntickTime=99999999999\n",
        "serverId=1\ntickTime=2000\nmembership: \nserver.1=broken\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        assert_int_equal(zkp_conf_parse(text(answers[i]), &conf), RC_MALFORMED);
    assert_int_equal(conf.server_id, 77);
}

static void mntr_keys_are_whole_words(void **state)
{
    (void)state;
    struct zkp_slice value;
    int64_t number;
    assert_int_equal(zkp_mntr_text(text(CAPTURED_MNTR_LEADER), "zk_server_state", &value), RC_OK);
    assert_true(zkp_slice_eq(value, text("leader")));
    assert_int_equal(zkp_mntr_text(text(CAPTURED_MNTR_LEADER), "zk_peer_state", &value), RC_OK);
    assert_true(zkp_slice_eq(value, text("leading - broadcast")));
    assert_int_equal(zkp_mntr_number(text(CAPTURED_MNTR_LEADER), "zk_synced_followers", &number), RC_OK);
    assert_int_equal(number, 2);
    assert_int_equal(zkp_mntr_number(text(CAPTURED_MNTR_LEADER), "zk_last_client_response_size", &number),
                     RC_OK);
    assert_int_equal(number, -1);
    assert_int_equal(zkp_mntr_text(text(CAPTURED_MNTR_LEADER), "zk_synced", &value), RC_NOT_FOUND);
    assert_int_equal(zkp_mntr_number(text(CAPTURED_MNTR_LEADER), "synced_followers", &number), RC_NOT_FOUND);
    assert_int_equal(zkp_mntr_number(text("zk_avg_latency\t0.5\n"), "zk_avg_latency", &number), RC_MALFORMED);
    assert_int_equal(zkp_mntr_number(text(CAPTURED_MNTR_LEADER), "zk_version", &number), RC_MALFORMED);
    assert_int_equal(zkp_mntr_number(text(CAPTURED_NOT_SERVING), "zk_version", &number), RC_NOT_FOUND);
    assert_int_equal(zkp_mntr_number(text("a\t9223372036854775808\n"), "a", &number), RC_MALFORMED);
    assert_int_equal(number, -1); /* untouched by the failures */
}

/* PrometheusMetricsProvider makes doubles of all numbers; none of it may go through a double here. */
static void numbers_are_read_as_they_are_printed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t number;
        enum rc rc;
    } rows[] = {
        {"5", 5, RC_OK},
        {"5.0", 5, RC_OK},
        {"0.0", 0, RC_OK},
        {"-1.0", -1, RC_OK},
        {"1.0E7", 10000000, RC_OK},
        {"1.2345678E7", 12345678, RC_OK},
        {"1.23456789e+8", 0, RC_MALFORMED}, /* Java prints no plus */
        {"9007199254740993", 9007199254740993, RC_OK},
        {"9.007199254740993E15", 9007199254740993, RC_OK},
        {"1.5E0", 0, RC_MALFORMED},
        {"12.5", 0, RC_MALFORMED},
        {"1.0E-1", 0, RC_MALFORMED},
        {"NaN", 0, RC_NOT_FOUND},
        {"Infinity", 0, RC_MALFORMED},
        {"1.0E19", 0, RC_MALFORMED},
        {"1.0E400", 0, RC_MALFORMED},
        {"1.0E", 0, RC_MALFORMED},
        {".5", 0, RC_MALFORMED},
        {"-", 0, RC_MALFORMED},
        {"", 0, RC_MALFORMED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[64];
        int64_t number = 0;
        snprintf(line, sizeof line, "zk_other\tNaN\nzk_x\t%s\n", rows[i].text);
        assert_int_equal(zkp_mntr_number(text(line), "zk_x", &number), rows[i].rc);
        assert_int_equal(number, rows[i].number);
    }
}

struct lines {
    uint32_t count;
    struct zkp_cons_line lines[4];
};

static void see(void *context, const struct zkp_cons_line *line)
{
    struct lines *seen = context;
    assert_true(seen->count < 4);
    seen->lines[seen->count++] = *line;
}

static struct lines walk(const char *answer)
{
    struct lines seen = {.count = 0};
    zkp_cons_walk(text(answer), see, &seen);
    return seen;
}

static void recorded_connections_are_walked(void **state)
{
    (void)state;
    struct lines cons = walk(CAPTURED_CONS_FOLLOWER);
    assert_int_equal(cons.count, 2);
    assert_true(zkp_slice_eq(cons.lines[0].address, text("127.0.0.1:42612")));
    assert_true(cons.lines[0].session_id == 0x10000328f060000);
    assert_true(zkp_slice_eq(cons.lines[1].address, text("127.0.0.1:42626")));
    assert_true(cons.lines[1].session_id == 0); /* the asker */
    assert_int_equal(walk(CAPTURED_STAT_FOLLOWER).count, 2);
    assert_int_equal(walk(CAPTURED_SRVR_LEADER).count, 0);
    assert_int_equal(walk(CAPTURED_NOT_SERVING).count, 0);
    assert_int_equal(walk("").count, 0);
}

static void ipv6_and_negative_ids_are_walked(void **state)
{
    (void)state;
    struct lines cons = walk(" /0:0:0:0:0:0:0:1:5[1](queued=0,sid=0xff00000000000001,lop=PING)\n"
                             " /[0:0:0:0:0:0:0:1]:5[0](queued=0)\n"
                             " host.example/10.0.0.1:7[1](sid=0x1)");
    assert_int_equal(cons.count, 3);
    assert_true(zkp_slice_eq(cons.lines[0].address, text("0:0:0:0:0:0:0:1:5")));
    assert_true(cons.lines[0].session_id == (int64_t)0xff00000000000001);
    assert_true(zkp_slice_eq(cons.lines[1].address, text("[0:0:0:0:0:0:0:1]:5")));
    assert_true(zkp_slice_eq(cons.lines[2].address, text("10.0.0.1:7")));
    assert_true(cons.lines[2].session_id == 1);
}

static void other_lines_are_no_connections(void **state)
{
    (void)state;
    const char *const lines[] = {" /",       " /(",     " /[",          " /[1](",
                                 " a[1](x)", " (/a[1]", " /a(sid=0x1)", "/a[1](x)"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(walk(lines[i]).count, 0);
}

static void on_digest(void *context, const struct zkp_digest *digest)
{
    char *seen = context;
    sprintf(seen + strlen(seen), "%" PRIx64 "=%" PRId64 " ", (uint64_t)digest->zxid, digest->value);
}

static void digests_are_walked(void **state)
{
    (void)state;
    char seen[256] = "";
    zkp_hash_walk(text("100000080: -9223372036854775807\n100000100: 77\n\nx: 1\n80: y\n80\n"
                       "8000000000000000: 1\n180: 5"),
                  on_digest, seen);
    assert_string_equal(seen, "100000080=-9223372036854775807 100000100=77 180=5 ");
}

static void versions_compare_as_numbers(void **state)
{
    (void)state;
    assert_int_equal(zkp_version_number("3.8.0"), 3008000);
    assert_int_equal(zkp_version_number("3.8.0-11"), 3008000);
    assert_int_equal(zkp_version_number("3.4.14"), 3004014);
    assert_int_equal(zkp_version_number("3.10.0-SNAPSHOT"), 3010000);
    assert_int_equal(zkp_version_number("3.9"), 3009000);
    assert_int_equal(zkp_version_number("4"), 4000000);
    assert_int_equal(zkp_version_number("999.999.999"), 999999999);
    assert_int_equal(zkp_version_number("3.1000.0"), -1);
    assert_int_equal(zkp_version_number("99999999999999999999"), -1);
    assert_int_equal(zkp_version_number("v3"), -1);
    assert_int_equal(zkp_version_number(""), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_found_and_no_frame_looks_like_one),
        cmocka_unit_test(answers_have_four_kinds),
        cmocka_unit_test(modes_have_names),
        cmocka_unit_test(recorded_srvr_is_read),
        cmocka_unit_test(stat_is_read_like_srvr),
        cmocka_unit_test(other_versions_print_it_differently),
        cmocka_unit_test(a_keeper_is_told_apart),
        cmocka_unit_test(an_incomplete_srvr_is_malformed),
        cmocka_unit_test(recorded_conf_is_read),
        cmocka_unit_test(a_standalone_conf_has_no_membership),
        cmocka_unit_test(a_broken_conf_is_malformed),
        cmocka_unit_test(mntr_keys_are_whole_words),
        cmocka_unit_test(numbers_are_read_as_they_are_printed),
        cmocka_unit_test(recorded_connections_are_walked),
        cmocka_unit_test(ipv6_and_negative_ids_are_walked),
        cmocka_unit_test(other_lines_are_no_connections),
        cmocka_unit_test(digests_are_walked),
        cmocka_unit_test(versions_compare_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
