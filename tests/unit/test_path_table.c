/* The table under the pool and the sets: probing, wrap-around, removal without tombstones, growing and
 * shrinking, against a plain array. Hashes are chosen so that they collide. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/session/path_table.h"

#define PATHS 600u

/* Paths are told apart by their address only. */
static char fakes[PATHS];

static struct px_path *fake(uint32_t i)
{
    return (struct px_path *)(void *)&fakes[i];
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static void assert_same(const struct px_path_table *table, const bool *is_in, const uint32_t *hashes)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < PATHS; i++) {
        const struct px_path_slot *slot = px_path_table_find(table, fake(i), hashes[i]);
        assert_int_equal(slot != NULL, is_in[i]);
        if (slot != NULL)
            assert_int_equal(slot->bits, i);
        count += is_in[i];
    }
    assert_int_equal(table->count, count);
    assert_true(table->capacity == 0 || table->count <= table->capacity / 4 * 3);
}

/* Random puts and removals that drift to full, then to empty. spread: how many different hashes. */
static void churn(uint32_t spread, uint32_t base)
{
    static bool is_in[PATHS];
    static uint32_t hashes[PATHS];
    struct px_path_table table = {0};
    uint32_t seed = spread;

    for (uint32_t i = 0; i < PATHS; i++)
        hashes[i] = base + next_random(&seed) % spread;
    for (uint32_t step = 0; step < 6000; step++) {
        uint32_t i = next_random(&seed) % PATHS;
        bool wants_in = next_random(&seed) % 8 < (step < 3000 ? 6u : 1u);
        if (wants_in && !is_in[i]) {
            assert_int_equal(px_path_table_reserve(&table), RC_OK);
            px_path_table_insert(&table, fake(i), hashes[i])->bits = i;
        } else if (!wants_in && is_in[i]) {
            px_path_table_erase(&table, px_path_table_find(&table, fake(i), hashes[i]));
        }
        is_in[i] = wants_in;
        if (step % 50 == 0)
            assert_same(&table, is_in, hashes);
    }
    for (uint32_t i = 0; i < PATHS; i++)
        if (is_in[i]) {
            px_path_table_erase(&table, px_path_table_find(&table, fake(i), hashes[i]));
            is_in[i] = false;
        }
    assert_null(table.slots); /* an empty one holds no memory */
}

static void spread_hashes(void **state)
{
    (void)state;
    churn(1u << 24, 0);
}

static void all_hashes_equal(void **state)
{
    (void)state;
    churn(1, 5);
}

static void few_hashes_around_the_end(void **state)
{
    (void)state;
    churn(40, UINT32_MAX - 20); /* runs go over the last slot to the first, in every capacity */
}

static void memory_per_entry(void **state)
{
    struct px_path_table table = {0};

    (void)state;
    for (uint32_t i = 0; i < PATHS; i++) {
        assert_int_equal(px_path_table_reserve(&table), RC_OK);
        px_path_table_insert(&table, fake(i), i);
        if (table.count >= 3) /* the smallest table has eight slots */
            assert_true(table.capacity * sizeof(struct px_path_slot) <= 48 * table.count);
    }
    px_path_table_done(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spread_hashes),
        cmocka_unit_test(all_hashes_equal),
        cmocka_unit_test(few_hashes_around_the_end),
        cmocka_unit_test(memory_per_entry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
