/* Blocks that go round: the last one given is the next one taken, and bursts go back to the kernel. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/session/block_cache.h"
#include "proxy/session/session.h"
#include "tests/unit/watch_bench.h"
#include "zkproto/opcode.h"

#define MANY 1000u /* several chunks */

static void last_in_first_out(void **state)
{
    struct px_block_cache cache = {0};
    void *first = px_block_take(&cache);
    void *second = px_block_take(&cache);

    (void)state;
    assert_non_null(first);
    assert_non_null(second);
    px_block_give(&cache, first);
    px_block_give(&cache, second);
    assert_ptr_equal(px_block_take(&cache), second);
    assert_ptr_equal(px_block_take(&cache), first);
    px_block_give(&cache, first);
    px_block_give(&cache, second);
    px_block_cache_done(&cache);
}

static void take_all(struct px_block_cache *cache, uint8_t *blocks[MANY])
{
    for (uint32_t i = 0; i < MANY; i++) {
        blocks[i] = px_block_take(cache);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)(i & 0xff), PX_BLOCK_BYTES);
    }
}

/* Each is found as it was left: no two overlap, and none its chunk's own data. */
static void give_some(struct px_block_cache *cache, uint8_t *blocks[MANY], uint32_t from, uint32_t step)
{
    for (uint32_t i = from; i < MANY; i += step) {
        for (uint32_t at = 0; at < PX_BLOCK_BYTES; at++)
            assert_int_equal(blocks[i][at], i & 0xff);
        px_block_give(cache, blocks[i]);
    }
}

static void a_burst_goes_back(void **state)
{
    static uint8_t *blocks[MANY];
    struct px_block_cache cache = {0};
    uint32_t chunks;

    (void)state;
    take_all(&cache, blocks);
    chunks = cache.chunk_count;
    assert_in_range(chunks, 5, 20);
    give_some(&cache, blocks, 0, 1);
    px_block_cache_trim(&cache); /* they were in use since the last one */
    assert_int_equal(cache.chunk_count, chunks);
    assert_int_equal(cache.spare_count, MANY);
    px_block_cache_trim(&cache); /* since this one they were not */
    assert_int_equal(cache.chunk_count, 1);
    take_all(&cache, blocks);
    assert_int_equal(cache.chunk_count, chunks);
    give_some(&cache, blocks, 0, 1);
    px_block_cache_done(&cache);
    assert_int_equal(cache.chunk_count, 0);
}

/* Half of them stay in use: what others left behind in their chunks is used again, before a new one. */
static void holes_are_filled(void **state)
{
    static uint8_t *blocks[MANY];
    static uint8_t *more[MANY / 2];
    struct px_block_cache cache = {0};
    uint32_t chunks;

    (void)state;
    take_all(&cache, blocks);
    chunks = cache.chunk_count;
    give_some(&cache, blocks, 1, 2);
    px_block_cache_trim(&cache);
    px_block_cache_trim(&cache);
    assert_in_range(cache.spare_count, 1, 100);
    for (uint32_t i = 0; i < MANY / 2; i++)
        more[i] = px_block_take(&cache);
    assert_int_equal(cache.chunk_count, chunks);
    give_some(&cache, blocks, 0, 2);
    for (uint32_t i = 0; i < MANY / 2; i++)
        px_block_give(&cache, more[i]);
    px_block_cache_done(&cache);
}

/* Whatever was outstanding, and however it ended: a session at rest has lent everything back. */
static void an_idle_session_owns_none(void **state)
{
    struct bench b;

    (void)state;
    bench_begin(&b);
    bench_reach(&b, PX_SESSION_ACTIVE);
    bench_read(&b, 1, ZKP_OP_GET_DATA, "/p", true); /* a request, its bytes, its wish */
    assert_int_equal(b.space.blocks.spare_count, 0);
    bench_request(&b, 2, ZKP_OP_RECONFIG); /* refused, by us */
    bench_reply(&b, 1, 5, 0);
    assert_int_equal(px_session_outstanding(b.session), 0);
    assert_int_equal(b.space.blocks.spare_count, 3);
    bench_read(&b, 3, ZKP_OP_GET_DATA, "/p", false);
    assert_int_equal(b.space.blocks.spare_count, 1); /* no wish */
    bench_reply(&b, 3, 6, -101);
    assert_int_equal(b.space.blocks.spare_count, 3);
    bench_read(&b, 4, ZKP_OP_GET_DATA, "/p", true);
    bench_end(&b); /* in the middle: the cache asserts that everything came back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_in_first_out),
        cmocka_unit_test(a_burst_goes_back),
        cmocka_unit_test(holes_are_filled),
        cmocka_unit_test(an_idle_session_owns_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
