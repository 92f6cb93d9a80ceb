/* Blocks that go round: the last one given is the next one taken, and spare ones have a limit. */
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

static void last_in_first_out(void **state)
{
    struct px_block_cache cache = {0};
    void *first = px_block_take(&cache);
    void *second = px_block_take(&cache);

    (void)state;
    assert_non_null(first);
    assert_non_null(second);
    memset(first, 0xff, PX_BLOCK_BYTES);
    px_block_give(&cache, first);
    px_block_give(&cache, second);
    assert_ptr_equal(px_block_take(&cache), second);
    assert_ptr_equal(px_block_take(&cache), first);
    px_block_give(&cache, first);
    px_block_give(&cache, second);
    px_block_cache_done(&cache);
    assert_int_equal(cache.count, 0);
}

static void spare_ones_have_a_limit(void **state)
{
    static void *blocks[PX_BLOCKS_SPARE_MAX + 1];
    struct px_block_cache cache = {0};

    (void)state;
    for (uint32_t i = 0; i <= PX_BLOCKS_SPARE_MAX; i++)
        blocks[i] = px_block_take(&cache);
    for (uint32_t i = 0; i <= PX_BLOCKS_SPARE_MAX; i++)
        px_block_give(&cache, blocks[i]);
    assert_int_equal(cache.count, PX_BLOCKS_SPARE_MAX);
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
    assert_int_equal(b.space.blocks.count, 0);
    bench_request(&b, 2, ZKP_OP_RECONFIG); /* refused, by us */
    bench_reply(&b, 1, 5, 0);
    assert_int_equal(px_session_outstanding(b.session), 0);
    assert_int_equal(b.space.blocks.count, 3);
    bench_read(&b, 3, ZKP_OP_GET_DATA, "/p", false);
    assert_int_equal(b.space.blocks.count, 1); /* no wish */
    bench_reply(&b, 3, 6, -101);
    assert_int_equal(b.space.blocks.count, 3);
    bench_read(&b, 4, ZKP_OP_GET_DATA, "/p", true);
    bench_end(&b); /* in the middle: the leak check of a sanitizer build tells */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(last_in_first_out),
        cmocka_unit_test(spare_ones_have_a_limit),
        cmocka_unit_test(an_idle_session_owns_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
