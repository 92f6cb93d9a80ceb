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
    struct px_request_queue queue;
    int32_t next_in = 0;
    int32_t next_out = 0;

    (void)state;
    px_request_queue_init(&queue);
    for (int round = 0; round < 200; round++) { /* three in, two out: wraps and grows */
        for (int i = 0; i < 3; i++)
            assert_int_equal(px_request_queue_push(&queue, request(next_in++)), RC_OK);
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
    px_request_queue_done(&queue);
}

static void a_few_need_no_ring(void **state)
{
    struct px_request_queue queue;

    (void)state;
    px_request_queue_init(&queue);
    for (int32_t i = 0; i < (int32_t)PX_REQUESTS_INLINE; i++)
        assert_int_equal(px_request_queue_push(&queue, request(i)), RC_OK);
    assert_null(queue.ring);
    assert_int_equal(px_request_queue_push(&queue, request(9)), RC_OK);
    assert_non_null(queue.ring);
    px_request_queue_trim(&queue); /* not empty: stays */
    assert_non_null(queue.ring);
    while (queue.count > 0)
        px_request_queue_pop(&queue);
    px_request_queue_trim(&queue);
    assert_null(queue.ring);
    assert_int_equal(px_request_queue_push(&queue, request(1)), RC_OK);
    px_request_queue_done(&queue);
}

static void has_a_limit(void **state)
{
    struct px_request_queue queue;

    (void)state;
    px_request_queue_init(&queue);
    for (uint32_t i = 0; i < PX_REQUESTS_MAX; i++)
        assert_int_equal(px_request_queue_push(&queue, request((int32_t)i)), RC_OK);
    assert_int_equal(px_request_queue_push(&queue, request(0)), RC_FULL);
    px_request_queue_done(&queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_while_growing),
        cmocka_unit_test(a_few_need_no_ring),
        cmocka_unit_test(has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
