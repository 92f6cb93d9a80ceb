/* Nobody whom the plan prefers can be attached to, though probes say that they serve: clients, and sessions
 * that have lost their server, are given to the others, and it is told; moves stay, and say why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/net/metrics.h"
#include "tests/unit/worker_bench.h"
#include "zkproto/opcode.h"

#define SID 0x100000000000031

/* A second server, of the targets; every dial of it ends in bind(): the directory does not exist. */
static void add_unreachable(struct bench *b)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "/nonexistent/zkferry"};
    struct px_directive *next = bench_next(b);
    struct px_server_directive *target = &next->servers[1];

    *target = next->servers[0];
    target->id = 4;
    target->side = PX_SIDE_TARGET;
    next->bind_count[PX_SIDE_TARGET] = 1;
    memcpy(&next->binds[PX_SIDE_TARGET][0].storage, &name, sizeof(name));
    next->binds[PX_SIDE_TARGET][0].length = sizeof(name);
}

/* The plan prefers the target from now on. */
static void prefer_target(struct bench *b, bool stands_in)
{
    struct px_server_directive *source = &b->directive->servers[0];

    source->admit = source->admit_canaries = false;
    source->stands_in = stands_in;
    bench_publish(b);
}

static void mend(struct bench *b)
{
    bench_next(b)->bind_count[PX_SIDE_TARGET] = 0;
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

static void answer(struct bench *b, int client, int64_t session_id, int *ret_server)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];

    *ret_server = bench_accept(b);
    bench_put(*ret_server, frame, bench_answer_frame(session_id, frame));
    bench_get(client, frame, 41);
    assert_int_equal(zkp_load_i64(frame + 12), session_id);
}

/* A first reply, so that no marker is needed later. */
static void serve_one(struct bench_pair pair)
{
    uint8_t frame[64];

    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_CREATE, frame));
    bench_get(pair.server, frame, 12);
    bench_put(pair.server, frame, bench_reply_frame(1, 10, 0, frame));
    bench_get(pair.client, frame, 20);
}

static uint64_t metric(struct bench *b, enum px_metric which)
{
    return px_metric_get(px_worker_metrics(b->workers[0]), which);
}

static void a_client_is_given_to_one_that_works(void **state)
{
    struct bench *b = *state;
    struct px_shared_worker *row = &b->shared->workers[0];
    int clients[2], servers[2];
    uint64_t told = 0;
    int64_t until_ms = bench_now_ms() + BENCH_DEADLINE_MS;
    char why[128];
    int error = 0;

    add_unreachable(b);
    prefer_target(b, true);
    clients[0] = waiting_client(b);
    answer(b, clients[0], SID, &servers[0]);
    assert_int_equal(metric(b, PX_METRIC_ELSEWHERE), 1);
    assert_true(atomic_load(&row->shut_since_ms) > 0);
    assert_true(atomic_load(&row->elsewhere_ms) >= atomic_load(&row->shut_since_ms));
    assert_int_equal(px_shared_dial_trouble(b->shared, 1, bench_now_ms(), &error), PX_DIAL_LOCAL);
    px_dial_result_text(PX_DIAL_LOCAL, error, why, sizeof(why));
    assert_string_equal(why, "there is no way to it from here: No such file or directory");
    assert_int_equal(px_shared_dial_trouble(b->shared, 0, bench_now_ms(), &error), PX_DIAL_OK);
    /* The next one need not ask everybody for so long. */
    clients[1] = waiting_client(b);
    answer(b, clients[1], SID + 1, &servers[1]);
    assert_int_equal(metric(b, PX_METRIC_ELSEWHERE), 2);
    mend(b);
    for (int i = 0; i < 2; i++) {
        close(clients[i]);
        close(servers[i]);
    }
    /* The control: with a way to it, it is the preferred one that takes them, and nothing is said any more.
     */
    for (int more = 2; atomic_load(&row->shut_since_ms) != 0; more++) { /* it is asked once a second */
        clients[0] = waiting_client(b);
        answer(b, clients[0], SID + more, &servers[0]);
        told = metric(b, PX_METRIC_ELSEWHERE);
        if (atomic_load(&row->shut_since_ms) == 0)
            break;
        close(clients[0]);
        close(servers[0]);
        assert_true(bench_now_ms() < until_ms);
    }
    assert_int_equal(atomic_load(&b->shared->slots[1].session_count), 1);
    close(clients[0]);
    close(servers[0]);
    clients[0] = waiting_client(b);
    answer(b, clients[0], SID, &servers[0]);
    assert_int_equal(metric(b, PX_METRIC_ELSEWHERE), told);
    assert_int_equal(px_shared_dial_trouble(b->shared, 1, bench_now_ms(), &error), PX_DIAL_OK);
    close(clients[0]);
    close(servers[0]);
}

/* Who is no member, is drained or leaves in this moment, gets nobody, however long they wait. */
static void one_that_may_not_stand_in_gets_nobody(void **state)
{
    struct bench *b = *state;
    struct px_shared_worker *row = &b->shared->workers[0];
    int client, server;

    add_unreachable(b);
    prefer_target(b, false);
    client = waiting_client(b);
    BENCH_WAIT(atomic_load(&row->refused_ms) - atomic_load(&row->refused_since_ms) >= 2000);
    assert_false(bench_readable(b->listener, 0));
    mend(b);
    answer(b, client, SID, &server);
    assert_int_equal(atomic_load(&b->shared->slots[1].session_count), 1);
    assert_int_equal(metric(b, PX_METRIC_ELSEWHERE), 0);
    close(client);
    close(server);
}

static void a_session_without_its_server_is_given_to_one_that_works(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair;
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];

    add_unreachable(b);
    b->directive->bind_count[PX_SIDE_TARGET] = 0;
    prefer_target(b, true);
    pair = bench_open(b, 0, SID);
    assert_int_equal(atomic_load(&b->shared->slots[1].session_count), 1);
    serve_one(pair);
    bench_next(b)->bind_count[PX_SIDE_TARGET] = 1;
    bench_publish(b);
    close(pair.server);
    pair.server = bench_accept(b);
    bench_put(pair.server, frame, bench_answer_frame(SID, frame));
    bench_get(pair.server, frame, 17);
    assert_int_equal(zkp_load_i32(frame + 8), ZKP_OP_SYNC);
    bench_put(pair.server, frame, bench_reply_frame(INT32_MIN, 12, 0, frame));
    BENCH_WAIT(atomic_load(&b->shared->slots[0].session_count) == 1);
    assert_int_equal(metric(b, PX_METRIC_ELSEWHERE), 1);
    close(pair.client);
    close(pair.server);
}

/* It is to leave, and nobody takes it: counted by the reason, tried again later and later. */
static void moves_that_stay_say_why(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    int64_t began_ms, passed_ms;

    serve_one(pair);
    add_unreachable(b);
    b->directive->servers[0].empties = true;
    prefer_target(b, true);
    began_ms = bench_now_ms();
    BENCH_WAIT(metric(b, PX_METRIC_STAYED_LOCAL) == 3);
    passed_ms = bench_now_ms() - began_ms;
    assert_int_equal(metric(b, PX_METRIC_MOVE_STAYED), 3);
    assert_true(passed_ms >= 1000 + 2000); /* before the second, and before the third */
    assert_int_equal(metric(b, PX_METRIC_ELSEWHERE),
                     0); /* it has a server: that is no reason to go to another */
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
        cmocka_unit_test_setup_teardown(a_client_is_given_to_one_that_works, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_may_not_stand_in_gets_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_without_its_server_is_given_to_one_that_works, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(moves_that_stay_say_why, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
