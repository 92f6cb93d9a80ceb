/* The FIFO of unanswered requests: order over growth and wrap-around, limit, giving memory back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/session/request_queue.h"

static struct px_request request(int32_t xid)
{
    return (struct px_request){.xid = xid};
}

static void keeps_order_while_growing(void **state)
{
    struct px_block_cache blocks = {0};
    struct px_request_queue queue = {0};
    int32_t next_in = 0;
    int32_t next_out = 0;

    (void)state;
    for (int round = 0; round < 200; round++) { /* three in, two out: wraps and grows */
        for (int i = 0; i < 3; i++)
            assert_int_equal(px_request_queue_push(&queue, &blocks, request(next_in++)), RC_OK);
        for (int i = 0; i < 2; i++) {
            assert_int_equal(px_request_queue_head(&queue)->xid, next_out++);
            px_request_queue_pop(&queue);
        }
    }
    while (px_request_queue_head(&queue) != NULL) {
        assert_int_equal(px_request_queue_head(&queue)->xid, next_out++);
        px_request_queue_pop(&queue);
    }
    assert_int_equal(next_out, next_in);
    px_request_queue_done(&queue, &blocks);
    px_block_cache_done(&blocks);
}

static void a_few_live_in_a_block(void **state)
{
    struct px_block_cache blocks = {0};
    struct px_request_queue queue = {0};

    (void)state;
    for (int32_t i = 0; i < 32; i++)
        assert_int_equal(px_request_queue_push(&queue, &blocks, request(i)), RC_OK);
    px_request_queue_trim(&queue, &blocks); /* not empty: stays */
    assert_non_null(queue.ring);
    while (queue.count > 0)
        px_request_queue_pop(&queue);
    px_request_queue_trim(&queue, &blocks);
    assert_null(queue.ring);
    assert_int_equal(blocks.spare_count, 1);
    assert_int_equal(px_request_queue_push(&queue, &blocks, request(1)), RC_OK);
    assert_int_equal(blocks.spare_count, 0);
    px_request_queue_done(&queue, &blocks);
    px_block_cache_done(&blocks);
}

/* One more than fits: its block goes back at once, and the larger ring never does. */
static void many_need_an_array(void **state)
{
    struct px_block_cache blocks = {0};
    struct px_request_queue queue = {0};

    (void)state;
    for (int32_t i = 0; i < 33; i++)
        assert_int_equal(px_request_queue_push(&queue, &blocks, request(i)), RC_OK);
    assert_int_equal(blocks.spare_count, 1);
    while (queue.count > 0)
        px_request_queue_pop(&queue);
    px_request_queue_trim(&queue, &blocks);
    assert_null(queue.ring);
    assert_int_equal(blocks.spare_count, 1);
    px_block_cache_done(&blocks);
}

static void has_a_limit(void **state)
{
    struct px_block_cache blocks = {0};
    struct px_request_queue queue = {0};

    (void)state;
    for (uint32_t i = 0; i < PX_REQUESTS_MAX; i++)
        assert_int_equal(px_request_queue_push(&queue, &blocks, request((int32_t)i)), RC_OK);
    assert_int_equal(px_request_queue_push(&queue, &blocks, request(0)), RC_FULL);
    px_request_queue_done(&queue, &blocks);
    px_block_cache_done(&blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_while_growing),
        cmocka_unit_test(a_few_live_in_a_block),
        cmocka_unit_test(many_need_an_array),
        cmocka_unit_test(has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
