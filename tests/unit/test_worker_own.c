/* A session of the daemon itself is served like any other, and counted beside the clients'. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/worker_bench.h"

#define SID 0x1000000a5

static int setup(void **state)
{
    static struct bench bench;

    bench_begin(&bench, 1024);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    bench_end(*state);
    return 0;
}

static bool is_counted(struct bench *b, uint32_t sessions, uint32_t own)
{
    return atomic_load(&b->shared->slots[0].session_count) == sessions &&
           atomic_load(&b->shared->slots[0].own_count) == own;
}

static void it_is_counted_beside_the_clients(void **state)
{
    static const uint8_t none[ZKP_PASSWORD_LEN];
    struct bench *b = *state;
    struct bench_pair client = bench_open(b, 0, SID);
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];

    BENCH_WAIT(is_counted(b, 1, 0));
    int own = bench_adopt(b, 1, true);
    bench_put(own, frame, bench_connect_frame(0, none, frame));
    int server = bench_accept(b);
    assert_true(is_counted(b, 1, 0)); /* not established yet */
    bench_put(server, frame, bench_answer_frame(SID + 1, frame));
    bench_get(own, frame, 41);
    BENCH_WAIT(is_counted(b, 2, 1));
    close(own);
    BENCH_WAIT(is_counted(b, 1, 0));
    close(server);
    close(client.client);
    BENCH_WAIT(is_counted(b, 0, 0));
    close(client.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_counted_beside_the_clients, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
