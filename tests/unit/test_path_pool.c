/* Interned paths: one copy per path, gone with its last holder, whatever bytes it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/session/path_pool.h"

static int setup(void **state)
{
    *state = px_path_pool_new(42);
    return *state == NULL;
}

static int teardown(void **state)
{
    px_path_pool_free(*state); /* asserts that nothing is held */
    return 0;
}

static struct px_path *take(struct px_path_pool *pool, struct zkp_slice bytes)
{
    struct px_path *path = NULL;

    assert_int_equal(px_path_pool_take(pool, bytes, &path), RC_OK);
    return path;
}

static void equal_paths_are_one(void **state)
{
    struct px_path_pool *pool = *state;
    char copy[] = "/a/b";
    struct px_path *first = take(pool, zkp_slice_str("/a/b"));
    struct px_path *second = take(pool, zkp_slice_str(copy));

    copy[1] = 'x'; /* the bytes were copied */
    assert_ptr_equal(first, second);
    assert_int_equal(px_path_pool_count(pool), 1);
    assert_true(zkp_slice_eq(px_path_bytes(first), zkp_slice_str("/a/b")));
    px_path_drop(pool, first);
    assert_ptr_equal(px_path_pool_find(pool, zkp_slice_str("/a/b")), second);
    px_path_drop(pool, second);
    assert_null(px_path_pool_find(pool, zkp_slice_str("/a/b")));
    assert_int_equal(px_path_pool_count(pool), 0);
}

static void a_reference_more_keeps_it(void **state)
{
    struct px_path_pool *pool = *state;
    struct px_path *path = take(pool, zkp_slice_str("/a"));

    px_path_ref(path);
    px_path_drop(pool, path);
    assert_ptr_equal(px_path_pool_find(pool, zkp_slice_str("/a")), path);
    px_path_drop(pool, path);
    assert_int_equal(px_path_pool_count(pool), 0);
}

/* Servers register watches on malformed paths too. Lengths around the hash's words; what differs is last. */
static void any_bytes_are_a_path(void **state)
{
    static const uint8_t zeros[40] = {0};
    struct px_path_pool *pool = *state;
    struct px_path *paths[80];
    uint8_t tail[40] = {0};

    for (uint32_t length = 0; length < 40; length++)
        paths[length] = take(pool, zkp_slice_of(zeros, length));
    for (uint32_t length = 1; length <= 40; length++) {
        tail[length - 1] = 1;
        paths[39 + length] = take(pool, zkp_slice_of(tail, length));
        tail[length - 1] = 0;
    }
    assert_int_equal(px_path_pool_count(pool), 80);
    for (uint32_t i = 0; i < 80; i++)
        px_path_drop(pool, paths[i]);
}

static void many_paths_are_all_found(void **state)
{
    static struct px_path *paths[20000];
    struct px_path_pool *pool = *state;
    char text[64];

    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "/services/node-%d/members", i);
        paths[i] = take(pool, zkp_slice_str(text));
    }
    assert_int_equal(px_path_pool_count(pool), 20000);
    for (int i = 0; i < 20000; i += 2)
        px_path_drop(pool, paths[i]);
    for (int i = 0; i < 20000; i++) {
        snprintf(text, sizeof(text), "/services/node-%d/members", i);
        assert_ptr_equal(px_path_pool_find(pool, zkp_slice_str(text)), i % 2 == 0 ? NULL : paths[i]);
    }
    for (int i = 1; i < 20000; i += 2)
        px_path_drop(pool, paths[i]);
}

static void the_seed_moves_the_hashes(void **state)
{
    struct px_path_pool *other = px_path_pool_new(43);
    struct px_path *here = take(*state, zkp_slice_str("/lock"));
    struct px_path *there = take(other, zkp_slice_str("/lock"));

    assert_int_not_equal(px_path_hash(here), px_path_hash(there));
    px_path_drop(*state, here);
    px_path_drop(other, there);
    px_path_pool_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_paths_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_reference_more_keeps_it, setup, teardown),
        cmocka_unit_test_setup_teardown(any_bytes_are_a_path, setup, teardown),
        cmocka_unit_test_setup_teardown(many_paths_are_all_found, setup, teardown),
        cmocka_unit_test_setup_teardown(the_seed_moves_the_hashes, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
