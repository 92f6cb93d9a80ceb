/* Who holds a session id: claims, releases by the wrong one, and two threads that want the same ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "proxy/net/owner_map.h"

#define IDS    200
#define ROUNDS 50

static uint64_t token_of(uint64_t worker, uint64_t number)
{
    return worker << PX_TOKEN_WORKER_SHIFT | number;
}

static void first_claim_wins(void **state)
{
    struct px_owner_map *map = px_owner_map_new();
    struct px_claim first = {.token = token_of(1, 5)};
    struct px_claim second = {.token = token_of(2, 5)};
    uint64_t holder = 0;

    (void)state;
    assert_non_null(map);
    assert_null(px_owner_find(map, 77, 1));
    assert_int_equal(px_owner_claim(map, &first, 77, &holder), RC_OK);
    assert_int_equal(px_owner_claim(map, &first, 77, &holder), RC_OK); /* already its own */
    assert_int_equal(px_owner_claim(map, &second, 77, &holder), RC_EXISTS);
    assert_int_equal(holder, first.token);
    assert_int_equal(px_token_worker(holder), 1);
    assert_ptr_equal(px_owner_find(map, 77, 1), &first);
    assert_null(px_owner_find(map, 77, 2)); /* not that worker's business */
    px_owner_release(map, &second);         /* holds nothing: no effect */
    assert_int_equal(px_owner_claim(map, &second, 77, &holder), RC_EXISTS);
    px_owner_release(map, &first);
    assert_int_equal(first.session_id, 0);
    assert_int_equal(px_owner_claim(map, &second, 77, &holder), RC_OK);
    assert_int_equal(px_owner_count(map), 1);
    px_owner_release(map, &second);
    px_owner_map_free(map);
}

/* As many as make every shard grow several times, and go in another order. */
static void many_are_found_again(void **state)
{
    static struct px_claim claims[20000];
    const int64_t count = sizeof(claims) / sizeof(claims[0]);
    struct px_owner_map *map = px_owner_map_new();
    uint64_t holder;

    (void)state;
    for (int64_t i = 0; i < count; i++) {
        claims[i].token = token_of(3, (uint64_t)i);
        assert_int_equal(px_owner_claim(map, &claims[i], (1ll << 56) + i, &holder), RC_OK);
    }
    assert_int_equal(px_owner_count(map), count);
    for (int64_t i = 0; i < count; i++)
        assert_ptr_equal(px_owner_find(map, (1ll << 56) + i, 3), &claims[i]);
    for (int64_t i = 0; i < count; i++)
        px_owner_release(map, &claims[(i * 7919) % count]);
    assert_int_equal(px_owner_count(map), 0);
    px_owner_map_free(map);
}

struct rival {
    struct px_owner_map *map;
    struct px_claim claim;
    int *inside; /* per id: how many believe they hold it; guarded by holding it */
    int clashes;
};

static void *compete(void *arg)
{
    struct rival *me = arg;
    uint64_t holder;

    for (int i = 0; i < IDS * ROUNDS; i++) {
        int64_t id = i % IDS + 1;
        if (px_owner_claim(me->map, &me->claim, id, &holder) != RC_OK)
            continue;
        me->clashes += ++me->inside[id] != 1;
        me->inside[id]--;
        px_owner_release(me->map, &me->claim);
    }
    return NULL;
}

static void one_holder_at_a_time(void **state)
{
    static int inside[IDS + 1];
    struct px_owner_map *map = px_owner_map_new();
    struct rival rivals[2] = {{map, {.token = token_of(0, 1)}, inside, 0},
                              {map, {.token = token_of(1, 1)}, inside, 0}};
    pthread_t other;

    (void)state;
    assert_int_equal(pthread_create(&other, NULL, compete, &rivals[1]), 0);
    compete(&rivals[0]);
    pthread_join(other, NULL);
    assert_int_equal(rivals[0].clashes + rivals[1].clashes, 0);
    assert_int_equal(px_owner_count(map), 0);
    px_owner_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_claim_wins),
        cmocka_unit_test(many_are_found_again),
        cmocka_unit_test(one_holder_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
