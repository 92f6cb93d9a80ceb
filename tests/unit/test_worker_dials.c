/* Dials that fail at once, before anything has left this host: no local address, no descriptor. Whoever walks
 * the list of those who wait must not meet them again in the same walk, and they must wait before the next
 * try; everything else on the worker goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <sys/resource.h>

#include "tests/unit/worker_bench.h"
#include "zkproto/opcode.h"

#define SID 0x100000000000011
/* The slowest pace that would still be a mistake: a dial that failed at once is tried again after 100 ms. */
#define RETRY_LEAST_MS 90

static uint8_t reply[64];

static uint64_t dials(struct bench *b, enum px_dial_result result)
{
    return atomic_load(&b->shared->slots[0].dials[result]);
}

/* Every dial ends in bind(): the directory does not exist. */
static void break_bind(struct bench *b)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/zkferry"};
    struct px_directive *next = bench_next(b);

    next->bind_count[next->servers[0].side] = 1;
    memcpy(&next->binds[next->servers[0].side][0].storage, &name, sizeof(name));
    next->binds[next->servers[0].side][0].length = sizeof(name);
    bench_publish(b);
}

static void mend_bind(struct bench *b)
{
    struct px_directive *next = bench_next(b);

    next->bind_count[next->servers[0].side] = 0;
    bench_publish(b);
}

static int waiting_client(struct bench *b)
{
    static const uint8_t none[ZKP_PASSWORD_LEN];
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int fd = bench_client(b, 0);

    bench_put(fd, frame, bench_connect_frame(0, none, frame));
    return fd;
}

/* The next dial gets that session id. */
static int answer_dial(struct bench *b, int64_t session_id)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int server = bench_accept(b);

    bench_put(server, frame, bench_answer_frame(session_id, frame));
    return server;
}

/* All that wait get a server, in whatever order they come to it. */
static void serve_waiting(struct bench *b, const int *clients, int count)
{
    int servers[32];
    uint8_t answer[41];

    for (int i = 0; i < count; i++)
        servers[i] = answer_dial(b, SID + 1 + i);
    for (int i = 0; i < count; i++) {
        bench_get(clients[i], answer, sizeof(answer));
        close(clients[i]);
        close(servers[i]);
    }
}

/* One round trip of a session that has its server. */
static void ping(struct bench_pair pair)
{
    uint8_t frame[64];

    bench_put(pair.client, frame, bench_request_frame(-2, ZKP_OP_PING, frame));
    bench_get(pair.server, frame, 12);
    bench_put(pair.server, frame, bench_reply_frame(-2, 2000, 0, frame));
    bench_get(pair.client, reply, 20);
}

/* Two that wait make a circle when each goes to the end of the list that is walked; every directive walks it.
 */
static void the_worker_goes_on_without_a_local_address(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    int waiting[2];

    break_bind(b);
    waiting[0] = waiting_client(b);
    waiting[1] = waiting_client(b);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].waiting_count) == 2);
    for (int i = 0; i < 5; i++) {
        bench_next(b);
        bench_publish(b); /* waits until it is applied */
        ping(pair);
    }
    assert_true(dials(b, PX_DIAL_LOCAL) >= 2);
    mend_bind(b);
    serve_waiting(b, waiting, 2);
    close(pair.client);
    close(pair.server);
}

/* The same for sessions that have lost their server. */
static void sessions_without_a_server_make_no_circle(void **state)
{
    struct bench *b = *state;
    struct bench_pair pairs[2] = {bench_open(b, 0, SID), bench_open(b, 0, SID + 1)};

    ping(pairs[0]);
    ping(pairs[1]);
    break_bind(b);
    close(pairs[0].server);
    close(pairs[1].server);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].detached_count) == 2);
    for (int i = 0; i < 5; i++) {
        bench_next(b);
        bench_publish(b);
    }
    assert_true(dials(b, PX_DIAL_LOCAL) >= 1);
    mend_bind(b);
    for (int i = 0; i < 2; i++)
        pairs[i].server = answer_dial(b, SID + i);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].detached_count) == 0);
    for (int i = 0; i < 2; i++) {
        close(pairs[i].client);
        close(pairs[i].server);
    }
}

/* Traffic of others turns the loop; each turn must not dial anew for those that wait. */
static void a_dial_that_failed_at_once_waits(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    int waiting[2];
    uint64_t before;
    int64_t began_ms, passed_ms;

    break_bind(b);
    waiting[0] = waiting_client(b);
    waiting[1] = waiting_client(b);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].waiting_count) == 2);
    before = dials(b, PX_DIAL_LOCAL);
    began_ms = bench_now_ms();
    for (int i = 0; i < 2000; i++)
        ping(pair);
    passed_ms = bench_now_ms() - began_ms;
    assert_true(dials(b, PX_DIAL_LOCAL) - before <= 2 * (uint64_t)(passed_ms / RETRY_LEAST_MS + 1));
    close(waiting[0]);
    close(waiting[1]);
    close(pair.client);
    close(pair.server);
}

/* /readyz asks for it: how long new sessions have been refused, and that one was granted since. */
static void refusals_are_told_to_control(void **state)
{
    struct bench *b = *state;
    struct px_shared_worker *row = &b->shared->workers[0];
    struct bench_pair pair = bench_open(b, 0, SID);
    int waiting[1];
    int64_t granted_ms = atomic_load(&row->granted_ms);

    assert_true(granted_ms > 0);
    assert_int_equal(atomic_load(&row->refused_ms), 0);
    break_bind(b);
    waiting[0] = waiting_client(b);
    BENCH_WAIT(atomic_load(&row->refused_ms) - atomic_load(&row->refused_since_ms) >= 2 * RETRY_LEAST_MS);
    assert_true(atomic_load(&row->refused_since_ms) >= granted_ms);
    assert_int_equal(atomic_load(&row->granted_ms), granted_ms);
    mend_bind(b);
    serve_waiting(b, waiting, 1);
    BENCH_WAIT(atomic_load(&row->refused_since_ms) == 0);
    assert_true(atomic_load(&row->granted_ms) >= atomic_load(&row->refused_ms));
    close(pair.client);
    close(pair.server);
}

/* Out of descriptors: says nothing about the server, and one dial in a while is enough for all who wait. */
static void a_shortage_is_not_the_servers(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    struct rlimit limit, none;
    int waiting[20];
    uint64_t before;
    int64_t began_ms, passed_ms;
    int lowest; /* the descriptor that the next socket would get */

    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++)
        waiting[i] = bench_client(b, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    lowest = dup(STDERR_FILENO);
    assert_true(lowest > 0 && close(lowest) == 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)lowest, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    before = dials(b, PX_DIAL_SHORTAGE);
    began_ms = bench_now_ms();
    for (size_t i = 0; i < sizeof(waiting) / sizeof(waiting[0]); i++) {
        static const uint8_t nobody[ZKP_PASSWORD_LEN];
        uint8_t frame[ZKP_CONNECT_FRAME_MAX];
        bench_put(waiting[i], frame, bench_connect_frame(0, nobody, frame));
    }
    BENCH_WAIT(atomic_load(&b->shared->workers[0].waiting_count) == 20);
    for (int i = 0; i < 5; i++) {
        bench_next(b);
        bench_publish(b);
        ping(pair);
    }
    BENCH_WAIT(dials(b, PX_DIAL_SHORTAGE) - before >= 3); /* it is tried again */
    passed_ms = bench_now_ms() - began_ms;
    assert_true(dials(b, PX_DIAL_SHORTAGE) - before <= (uint64_t)(passed_ms / RETRY_LEAST_MS + 1));
    assert_int_equal(dials(b, PX_DIAL_LOCAL), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    serve_waiting(b, waiting, sizeof(waiting) / sizeof(waiting[0]));
    close(pair.client);
    close(pair.server);
}

static int setup(void **state)
{
    static struct bench b;

    bench_begin(&b, 64 * 1024);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    bench_end(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_worker_goes_on_without_a_local_address, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_without_a_server_make_no_circle, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dial_that_failed_at_once_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(refusals_are_told_to_control, setup, teardown),
        cmocka_unit_test_setup_teardown(a_shortage_is_not_the_servers, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
