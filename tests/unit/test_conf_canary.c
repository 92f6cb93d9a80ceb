/* migration.canary: networks and percentages, the nested section, its mistakes, its defaults, its reload. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_int.h"

#define HEAD                                                                                                 \
    "source: \"server.1=10.0.0.1:2888:3888;2181\"\n"                                                         \
    "target: \"server.2=10.0.0.2:2888:3888;2181\"\n"                                                         \
    "credentials: {super_file: /x}\n"
#define MIGRATION(canary) HEAD "migration: {kind: migrate, canary: " canary "}\n"
#define NETWORKS_ALLOWED  "allowed is a list of at most 16 networks ADDRESS/BITS, no bits set behind BITS"
#define NAMES             "allowed here is share, clients, observe, errors, latency, latency_floor, expired, returned"

static struct conf *load(const char *text)
{
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    if (conf_parse_text("f", zkp_slice_str(text), CONF_SECRETS_SKIP, &conf, &problems) != RC_OK)
        fail_msg("%s", problems.text);
    return conf;
}

static void assert_refused(const char *text, const char *expected)
{
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    assert_int_equal(conf_parse_text("f", zkp_slice_str(text), CONF_SECRETS_SKIP, &conf, &problems),
                     RC_INVALID);
    assert_string_equal(problems.text, expected);
    conf_problems_done(&problems);
}

static void nobody_goes_first_by_default(void **state)
{
    (void)state;
    struct conf *conf = load(HEAD "migration: {kind: migrate}\n");
    assert_false(conf_canary_is_on(&conf->canary));
    conf_free(conf);
}

static void the_section_and_its_defaults(void **state)
{
    (void)state;
    struct conf *conf = load(MIGRATION("{share: 2.5%, clients: [10.1.0.0/16, \"fd00::/8\"]}"));
    const struct conf_canary *canary = &conf->canary;
    assert_true(conf_canary_is_on(canary));
    assert_int_equal(canary->share, 250);
    assert_int_equal(canary->clients.count, 2);
    assert_int_equal(canary->observe_ms, 300000);
    assert_int_equal(canary->errors, 100);
    assert_int_equal(canary->latency, 30000);
    assert_int_equal(canary->latency_floor_ms, 50);
    assert_int_equal(canary->expired, 0);
    assert_int_equal(canary->returned, 10);
    conf_free(conf);
    conf = load(MIGRATION("{clients: [10.1.2.3]}"));
    assert_true(conf_canary_is_on(&conf->canary));
    assert_int_equal(conf->canary.share, 0);
    conf_free(conf);
}

static void mistakes_say_what_is_allowed(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {MIGRATION("{}"), "f:4: migration.canary: names nobody, allowed is a share above 0%, or clients, or "
                          "no such section"},
        {MIGRATION("{share: 0.05}"), "f:4: migration.canary.share: \"0.05\" is not a percentage, allowed is "
                                     "0% to 50%"},
        {MIGRATION("{share: 51%}"), "f:4: migration.canary.share: \"51%\" is out of range, allowed is 0% to "
                                    "50%"},
        {MIGRATION("{clients: [10.1.2.3/16]}"),
         "f:4: migration.canary.clients: \"10.1.2.3/16\" is not a network, " NETWORKS_ALLOWED},
        {MIGRATION("{clients: [10.1.0.0/16, 10.1.0.0/16]}"),
         "f:4: migration.canary.clients: \"10.1.0.0/16\" is given twice, " NETWORKS_ALLOWED},
        {MIGRATION("{clients: 10.1.0.0/16}"),
         "f:4: migration.canary.clients: \"10.1.0.0/16\" is not a list, " NETWORKS_ALLOWED},
        {MIGRATION("{shar: 5%}"), "f:4: migration.canary.shar: unknown key, did you mean "
                                  "migration.canary.share?"},
        {MIGRATION("{zzzzzzzz: 5%}"), "f:4: migration.canary.zzzzzzzz: unknown key, " NAMES},
        {MIGRATION("5%"),
         "f:4: migration.canary: is not a section, allowed is a mapping with share, clients, "
         "observe, errors, latency, latency_floor, expired, returned"},
        {HEAD "canary: {share: 5%}\n",
         "f:4: canary: unknown key, allowed here is listen, workers, state_dir, "
         "source, target, credentials, migration, bind, guard, words, limits, "
         "probes, state_root"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(cases[i][0], cases[i][1]);
}

static void a_running_plan_keeps_its_canaries(void **state)
{
    (void)state;
    static const char *const changes[] = {"{share: 6%, clients: [10.1.0.0/16]}", "{share: 5%}",
                                          "{share: 5%, clients: [10.2.0.0/16]}"};
    static const char *const refused[] = {"migration.canary.share", "migration.canary.clients",
                                          "migration.canary.clients"};
    for (size_t i = 0; i < 3; i++) {
        char text[600];
        char refusals[200];
        (void)snprintf(text, sizeof(text), HEAD "migration: {kind: migrate, canary: %s}\n", changes[i]);
        struct conf *old = load(MIGRATION("{share: 5%, clients: [10.1.0.0/16]}"));
        struct conf *new = load(text);
        conf_reload_refusals(old, new, true, refusals, sizeof(refusals));
        assert_string_equal(refusals, refused[i]);
        conf_reload_refusals(old, new, false, refusals, sizeof(refusals));
        assert_string_equal(refusals, "");
        conf_free(old);
        conf_free(new);
    }
}

static void shares_print_as_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t share;
    } cases[] = {{"0%", 0}, {"5%", 500}, {"0.5%", 50}, {"12.25%", 1225}, {"0.01%", 1}, {"100000%", 10000000}};
    static const char *const wrong[] = {"",    "%",      "5",   "0.05", ".5%",
                                        "5.%", "1.234%", "5 %", "-1%",  "1234567%"};
    int64_t share = -1;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[32];
        assert_true(conf_share_parse(cases[i].text, &share));
        assert_int_equal(share, cases[i].share);
        conf_share_format(cases[i].share, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(conf_share_parse(wrong[i], &share));
}

static void networks_are_checked_and_printed(void **state)
{
    (void)state;
    static const char *const right[][2] = {{"10.1.0.0/16", "10.1.0.0/16"}, {"10.1.2.3", "10.1.2.3/32"},
                                           {"0.0.0.0/0", "0.0.0.0/0"},     {"10.1.2.128/25", "10.1.2.128/25"},
                                           {"fd00::/8", "fd00::/8"},       {"0:0::1", "::1/128"}};
    static const char *const wrong[] = {
        "",           "/8",           "10.1/16",     "10.0.0.0/33", "10.0.0.0/",    "host/8",
        "10.0.0.1/8", "10.0.0.0/8/8", "10.0.0.0/-1", "fd00::/129",  "10.1.2.64/25", "10.0.0.0/0008"};
    struct conf_network network;
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
        char text[CONF_NETWORK_TEXT_MAX];
        assert_true(conf_network_parse(right[i][0], &network));
        conf_network_format(&network, text);
        assert_string_equal(text, right[i][1]);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (conf_network_parse(wrong[i], &network))
            fail_msg("accepted: %s", wrong[i]);
}

static bool contains(const struct conf_networks *networks, const char *host)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1)
        return conf_networks_have(networks, (const struct sockaddr *)&v4);
    assert_int_equal(inet_pton(AF_INET6, host, &v6.sin6_addr), 1);
    return conf_networks_have(networks, (const struct sockaddr *)&v6);
}

static void networks_contain_their_clients(void **state)
{
    (void)state;
    struct conf *conf = load(MIGRATION("{clients: [10.1.0.0/16, 10.9.9.128/25, \"fd00::/8\"]}"));
    const struct conf_networks *networks = &conf->canary.clients;
    static const char *const inside[] = {"10.1.0.0",   "10.1.255.255", "10.9.9.128",
                                         "10.9.9.255", "fd12::1",      "::ffff:10.1.2.3"};
    static const char *const outside[] = {"10.2.0.0", "10.0.255.255",    "10.9.9.127", "fe00::1",
                                          "::1",      "::ffff:10.2.2.3", "a01::"};
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
        if (!contains(networks, inside[i]))
            fail_msg("%s is outside", inside[i]);
    for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
        if (contains(networks, outside[i]))
            fail_msg("%s is inside", outside[i]);
    struct sockaddr unix_socket = {.sa_family = AF_UNIX};
    assert_false(conf_networks_have(networks, &unix_socket));
    conf_free(conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_goes_first_by_default),
        cmocka_unit_test(the_section_and_its_defaults),
        cmocka_unit_test(mistakes_say_what_is_allowed),
        cmocka_unit_test(a_running_plan_keeps_its_canaries),
        cmocka_unit_test(shares_print_as_they_are_written),
        cmocka_unit_test(networks_are_checked_and_printed),
        cmocka_unit_test(networks_contain_their_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
