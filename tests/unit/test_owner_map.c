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

static void first_claim_wins(void **state)
{
    struct px_owner_map *map = px_owner_map_new();
    struct px_owner first = {.worker = 1, .token = 5};
    struct px_owner second = {.worker = 2, .token = 5};
    struct px_owner holder = {0};

    (void)state;
    assert_non_null(map);
    assert_int_equal(px_owner_claim(map, 77, first, &holder), RC_OK);
    assert_int_equal(px_owner_claim(map, 77, first, &holder), RC_OK); /* already its own */
    assert_int_equal(px_owner_claim(map, 77, second, &holder), RC_EXISTS);
    assert_int_equal(holder.worker, 1);
    assert_int_equal(holder.token, 5);
    px_owner_release(map, 77, second); /* holds nothing: no effect */
    assert_int_equal(px_owner_claim(map, 77, second, &holder), RC_EXISTS);
    px_owner_release(map, 77, first);
    assert_int_equal(px_owner_claim(map, 77, second, &holder), RC_OK);
    assert_int_equal(px_owner_count(map), 1);
    px_owner_map_free(map);
}

struct rival {
    struct px_owner_map *map;
    struct px_owner owner;
    int *inside; /* per id: how many believe they hold it; guarded by holding it */
    int clashes;
};

static void *compete(void *arg)
{
    struct rival *me = arg;
    struct px_owner holder;

    for (int i = 0; i < IDS * ROUNDS; i++) {
        int64_t id = i % IDS + 1;
        if (px_owner_claim(me->map, id, me->owner, &holder) != RC_OK)
            continue;
        me->clashes += ++me->inside[id] != 1;
        me->inside[id]--;
        px_owner_release(me->map, id, me->owner);
    }
    return NULL;
}

static void one_holder_at_a_time(void **state)
{
    static int inside[IDS + 1];
    struct px_owner_map *map = px_owner_map_new();
    struct rival rivals[2] = {{map, {0, 1}, inside, 0}, {map, {1, 1}, inside, 0}};
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
        cmocka_unit_test(one_holder_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
