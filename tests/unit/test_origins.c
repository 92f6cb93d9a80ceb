/* What each client address has open: exact limits, by address or /64, and a table that does not grow with who
 * came. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/net/origins.h"

#define MINUTE  60000
#define NOW     1000000
#define ADMITS  PX_REFUSAL_COUNT
#define THREADS 4
#define EACH    20000u

static struct px_origins *origins;
static struct conf_networks exempts;
static struct px_origin_limits limits;

static int setup(void **state)
{
    (void)state;
    origins = px_origins_new(0x1234567890abcdef);
    exempts = (struct conf_networks){.count = 0};
    limits = (struct px_origin_limits){.open_max = 1000000, .exempts = &exempts};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    px_origins_free(origins);
    return 0;
}

static struct sockaddr_storage address_of(const char *text)
{
    struct sockaddr_storage storage = {.ss_family = AF_INET};
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(&storage, &v4, sizeof v4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
        memcpy(&storage, &v6, sizeof v6);
    }
    return storage;
}

static enum px_refusal enter(const char *text, int64_t now_ms, struct px_origin **ret_origin)
{
    struct sockaddr_storage storage = address_of(text);

    return px_origins_enter(origins, (const struct sockaddr *)&storage, &limits, now_ms, ret_origin);
}

static void connections_of_one_address(void **state)
{
    (void)state;
    struct px_origin *shares[4];
    limits.connections_max = 3;
    for (int i = 0; i < 3; i++)
        assert_int_equal(enter("10.0.0.1", NOW, &shares[i]), ADMITS);
    assert_int_equal(enter("10.0.0.1", NOW, &shares[3]), PX_REFUSAL_ADDRESS_CONNECTIONS);
    assert_int_equal(enter("10.0.0.2", NOW, &shares[3]), ADMITS); /* another one */
    px_origin_leave(shares[0]);
    assert_int_equal(enter("10.0.0.1", NOW, &shares[0]), ADMITS);
    assert_int_equal(px_origins_open(origins), 4);
    limits.connections_max = 2; /* by a reload: nobody is cut, nobody is added */
    px_origin_leave(shares[0]);
    assert_int_equal(enter("10.0.0.1", NOW, &shares[0]), PX_REFUSAL_ADDRESS_CONNECTIONS);
    limits.connections_max = 0;
    assert_int_equal(enter("10.0.0.1", NOW, &shares[0]), ADMITS);
    assert_true(conf_network_parse("10.0.0.0/30", &exempts.items[0]));
    exempts.count = 1;
    limits.connections_max = 1;
    for (int i = 0; i < 10; i++)
        assert_int_equal(enter("10.0.0.1", NOW, &shares[0]), ADMITS);
}

static void connections_in_all(void **state)
{
    (void)state;
    struct px_origin *share;
    limits.open_max = 2;
    assert_int_equal(enter("10.0.0.1", NOW, &share), ADMITS);
    assert_int_equal(enter("10.0.0.2", NOW, &share), ADMITS);
    assert_int_equal(enter("10.0.0.3", NOW, &share), PX_REFUSAL_CONNECTIONS);
    assert_int_equal(px_origins_count(origins), 2); /* who is refused there is not remembered */
    px_origin_leave(share);
    assert_int_equal(enter("10.0.0.3", NOW, &share), ADMITS);
}

/* Pairs that count as one, and pairs that do not. */
static void one_host_is_one_address_or_one_64(void **state)
{
    (void)state;
    static const char *const same[][2] = {
        {"10.0.0.1", "::ffff:10.0.0.1"}, {"2001:db8::1", "2001:db8::ffff:2"}, {"::1", "::2"}};
    static const char *const others[][2] = {
        {"10.1.0.1", "10.1.0.2"}, {"2001:db8:0:1::1", "2001:db8:0:2::1"}, {"0.0.0.0", "0:0:0:7::"}};
    struct px_origin *share;
    limits.connections_max = 1;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(enter(same[i][0], NOW, &share), ADMITS);
        assert_int_equal(enter(same[i][1], NOW, &share), PX_REFUSAL_ADDRESS_CONNECTIONS);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_int_equal(enter(others[i][0], NOW, &share), ADMITS);
        assert_int_equal(enter(others[i][1], NOW, &share), ADMITS);
    }
}

static uint32_t admitted(const char *text, uint32_t tries, int64_t now_ms)
{
    struct px_origin *share;
    uint32_t count = 0;

    for (uint32_t i = 0; i < tries; i++)
        if (enter(text, now_ms, &share) == ADMITS) {
            px_origin_leave(share);
            count++;
        }
    return count;
}

static void connects_per_second(void **state)
{
    (void)state;
    limits.connects_per_second = 10;
    assert_int_equal(admitted("10.0.0.1", 100, NOW), 10);
    assert_int_equal(admitted("10.0.0.1", 100, NOW + 100), 1);
    assert_int_equal(admitted("10.0.0.1", 100, NOW + 600), 5);
    assert_int_equal(admitted("10.0.0.2", 100, NOW + 600), 10);
    assert_int_equal(admitted("10.0.0.1", 100, NOW + MINUTE), 10); /* not a minute's worth */
    /* Who goes on trying gets his share and no more. */
    uint32_t sum = 0;
    for (int64_t ms = 1; ms <= 10000; ms++)
        sum += admitted("10.0.0.1", 1, NOW + MINUTE + ms);
    assert_int_equal(sum, 100);
    limits.connects_per_second = 2; /* a reload: what was saved up is cut */
    assert_int_equal(admitted("10.0.0.2", 100, NOW + MINUTE), 2);
    limits.connects_per_second = 0;
    assert_int_equal(admitted("10.0.0.2", 100, NOW + MINUTE), 100);
}

static void silent_ones(void **state)
{
    (void)state;
    struct px_origin *share;
    struct px_origin *again;
    assert_int_equal(enter("10.0.0.1", NOW, &share), ADMITS);
    assert_int_equal(enter("10.0.0.1", NOW, &again), ADMITS);
    assert_true(px_origin_silence_take(share, 1));
    assert_false(px_origin_silence_take(again, 1));
    assert_true(px_origin_silence_take(again, 0));
    assert_false(px_origin_silence_take(again, 2));
    px_origin_silence_give(share);
    assert_true(px_origin_silence_take(share, 2));
    assert_true(conf_network_parse("10.0.0.1", &exempts.items[0]));
    exempts.count = 1;
    assert_int_equal(enter("10.0.0.1", NOW, &again), ADMITS);
    assert_true(px_origin_silence_take(again, 1));
    assert_true(px_origin_silence_take(NULL, 1)); /* our own */
    px_origin_silence_give(NULL);
    px_origin_leave(NULL);
}

static void who_has_gone_is_forgotten(void **state)
{
    (void)state;
    struct px_origin *stays;
    limits.connects_per_second = 10;
    assert_int_equal(enter("10.0.0.1", NOW, &stays), ADMITS);
    assert_int_equal(admitted("10.0.0.2", 100, NOW), 10);
    px_origins_tick(origins, NOW + 999);
    assert_int_equal(px_origins_count(origins), 2);
    assert_int_equal(admitted("10.0.0.2", 100, NOW), 0); /* its second is not over */
    px_origins_tick(origins, NOW + 3000);
    assert_int_equal(px_origins_count(origins), 1);
    px_origin_leave(stays);
    px_origins_tick(origins, NOW + 5000);
    assert_int_equal(px_origins_count(origins), 0);
}

static void the_table_is_as_big_as_what_is_open(void **state)
{
    (void)state;
    struct px_origin *open[100];
    char text[64];
    uint32_t most = 0;
    for (uint32_t i = 0; i < 100000; i++) {
        struct px_origin *share;
        snprintf(text, sizeof text, "2001:db8:%x:%x::1", i >> 16, i & 0xffff);
        assert_int_equal(enter(text, NOW, &share), ADMITS); /* all within their second */
        if (i < 100)
            open[i] = share;
        else
            px_origin_leave(share);
        if (px_origins_count(origins) > most)
            most = px_origins_count(origins);
    }
    assert_true(most > PX_ORIGINS_IDLE_MAX / 2);
    assert_true(most <= PX_ORIGINS_IDLE_MAX + 101);
    for (uint32_t i = 0; i < 100; i++)
        px_origin_leave(open[i]);
    px_origins_tick(origins, NOW + MINUTE);
    assert_int_equal(px_origins_count(origins), 0);
    assert_int_equal(px_origins_open(origins), 0);
}

/* Workers close while control accepts and forgets. */
static void *leave_all(void *arg)
{
    struct px_origin **shares = arg;

    for (uint32_t i = 0; i < EACH; i++) {
        if (px_origin_silence_take(shares[i], 3))
            px_origin_silence_give(shares[i]);
        px_origin_leave(shares[i]);
    }
    return NULL;
}

static void many_threads_close(void **state)
{
    (void)state;
    static struct px_origin *shares[THREADS][EACH];
    pthread_t threads[THREADS];
    char text[32];
    for (uint32_t i = 0; i < EACH; i++)
        for (uint32_t t = 0; t < THREADS; t++) {
            snprintf(text, sizeof text, "10.0.%u.%u", i >> 8 & 0xff, i & 0xff);
            assert_int_equal(enter(text, NOW, &shares[t][i]), ADMITS);
        }
    for (uint32_t t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, leave_all, shares[t]), 0);
    for (int64_t turn = 1; px_origins_open(origins) > 0; turn++)
        px_origins_tick(origins, NOW + turn * 2000);
    for (uint32_t t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    px_origins_tick(origins, INT64_MAX / 2);
    assert_int_equal(px_origins_count(origins), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(connections_of_one_address, setup, teardown),
        cmocka_unit_test_setup_teardown(connections_in_all, setup, teardown),
        cmocka_unit_test_setup_teardown(one_host_is_one_address_or_one_64, setup, teardown),
        cmocka_unit_test_setup_teardown(connects_per_second, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(who_has_gone_is_forgotten, setup, teardown),
        cmocka_unit_test_setup_teardown(the_table_is_as_big_as_what_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(many_threads_close, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
