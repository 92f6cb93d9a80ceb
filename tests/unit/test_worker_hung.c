/* A server that accepts connections and says nothing, beside one that is well: whom cut-off sessions and new
 * clients choose. What hangs would take a session later, behind its back (protocol.md §3.3). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/worker_bench.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"

#define SID  0x1000000a5
#define WELL 0
#define HUNG 1
#define ZXID 2000

struct scene {
    struct bench bench;
    int hung; /* the listener of a server that never answers */
};

static int setup(void **state)
{
    static struct scene scene;

    bench_begin(&scene.bench, 1024);
    *state = &scene;
    return 0;
}

static int teardown(void **state)
{
    struct scene *here = *state;

    if (here->hung >= 0)
        close(here->hung);
    bench_end(&here->bench);
    return 0;
}

/* By the probes it is as good as the other one. */
static void add_hung(struct scene *here)
{
    struct bench *b = &here->bench;
    struct px_directive *next = bench_next(b);
    int well = b->listener;

    next->servers[HUNG] = next->servers[WELL];
    bench_listen(b, &next->servers[HUNG].addresses[0]);
    here->hung = b->listener;
    b->listener = well;
    bench_publish(b);
}

/* Connections it got since the last call. */
static uint32_t dials_of_hung(const struct scene *here)
{
    uint32_t count = 0;

    while (bench_readable(here->hung, 0)) {
        int fd = accept4(here->hung, NULL, NULL, SOCK_CLOEXEC);
        assert_true(fd >= 0);
        close(fd);
        count++;
    }
    return count;
}

/* The server's side of a session that comes back: its connect, and the sync it begins with. */
static int accept_again(struct bench *b, int64_t session_id)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int server = bench_accept(b);
    int32_t length;

    bench_put(server, frame, bench_answer_frame(session_id, frame));
    bench_get(server, frame, 4);
    length = zkp_load_i32(frame);
    bench_get(server, frame + 4, (size_t)length);
    assert_int_equal(zkp_load_i32(frame + 8), ZKP_OP_SYNC);
    bench_put(server, frame, bench_reply_frame(zkp_load_i32(frame + 4), ZXID, 0, frame));
    return server;
}

/* The proxy may ping first: nobody was heard for a while. */
static int32_t read_request(int server)
{
    uint8_t frame[64];

    bench_get(server, frame, 12);
    while (zkp_load_i32(frame + 8) == ZKP_OP_PING) {
        bench_put(server, frame, bench_reply_frame(ZKP_XID_PING, ZXID, 0, frame));
        bench_get(server, frame, 12);
    }
    return zkp_load_i32(frame + 4);
}

static void expect_served(struct bench_pair pair, int32_t xid)
{
    uint8_t frame[64];

    bench_put(pair.client, frame, bench_request_frame(xid, ZKP_OP_CREATE, frame));
    assert_int_equal(read_request(pair.server), xid);
    bench_put(pair.server, frame, bench_reply_frame(xid, ZXID, 0, frame));
    bench_get(pair.client, frame, 20);
}

/* A session of the server that is well, which has learnt that the other one hangs. */
static struct bench_pair open_and_learn(struct scene *here)
{
    struct bench_pair pair = bench_open(&here->bench, 0, SID);

    expect_served(pair, 1);
    add_hung(here);
    close(pair.server);
    BENCH_WAIT(bench_readable(here->hung, 0)); /* nobody knows better yet */
    pair.server = accept_again(&here->bench, SID);
    expect_served(pair, 2);
    assert_int_equal(dials_of_hung(here), 1);
    return pair;
}

static void a_cut_off_session_goes_home_rather_than_to_the_hung_one(void **state)
{
    struct scene *here = *state;
    struct bench_pair pair = open_and_learn(here);

    for (int32_t xid = 3; xid < 6; xid++) {
        close(pair.server);
        pair.server = accept_again(&here->bench, SID);
        expect_served(pair, xid);
    }
    assert_int_equal(dials_of_hung(here), 0);
    close(pair.client);
    close(pair.server);
}

static void new_clients_are_not_sent_to_the_hung_one(void **state)
{
    struct scene *here = *state;
    struct bench_pair first = open_and_learn(here);
    struct bench_pair more[3];

    for (uint32_t i = 0; i < 3; i++) /* although it has the fewest sessions */
        more[i] = bench_open(&here->bench, 0, SID + 1 + i);
    assert_int_equal(dials_of_hung(here), 0);
    for (uint32_t i = 0; i < 3; i++) {
        close(more[i].client);
        close(more[i].server);
    }
    close(first.client);
    close(first.server);
}

/* Nobody else is left: better it than none. */
static void without_another_one_the_hung_one_is_asked(void **state)
{
    struct scene *here = *state;
    struct bench_pair first = open_and_learn(here);
    struct px_directive *next = bench_next(&here->bench);
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    static const uint8_t none[ZKP_PASSWORD_LEN];

    next->servers[WELL].admit = false;
    bench_publish(&here->bench);
    int client = bench_client(&here->bench, 0);
    bench_put(client, frame, bench_connect_frame(0, none, frame));
    BENCH_WAIT(bench_readable(here->hung, 0));
    close(client);
    close(first.client);
    close(first.server);
}

/* A session whose server grants it so little that silence is told soon. */
static struct bench_pair open_brief(struct bench *b, int64_t session_id)
{
    static const uint8_t none[ZKP_PASSWORD_LEN];
    struct bench_pair pair = {.client = bench_client(b, 0), .session_id = session_id};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length;

    bench_put(pair.client, frame, bench_connect_frame(0, none, frame));
    pair.server = bench_accept(b);
    length = bench_answer_frame(session_id, frame);
    zkp_store_i32(frame + 8, 12000);
    bench_put(pair.server, frame, length);
    bench_get(pair.client, frame, 41);
    return pair;
}

/* The server can't answer what has not come whole; that makes it no server that hangs. Another session on it
 * is what can be asked with. */
static void half_a_request_is_no_silence(void **state)
{
    struct scene *here = *state;
    struct bench *b = &here->bench;
    struct bench_pair halved;
    struct bench_pair idle;
    uint8_t frame[64];

    bench_end(b);
    bench_begin_pulsed(b, 1024, 50);
    here->hung = -1;
    halved = open_brief(b, SID);
    idle = open_brief(b, SID + 1);
    bench_request_frame(7, ZKP_OP_SET_DATA, frame);
    zkp_store_i32(frame, 100000);
    bench_put(halved.client, frame, 12);
    bench_get(halved.server, frame, 12);
    bench_get(idle.server, frame, 12); /* its end, where the server was thought to hang */
    assert_int_equal(zkp_load_i32(frame + 8), ZKP_OP_PING);
    assert_false(bench_readable(halved.server, 0));
    close(halved.client);
    close(halved.server);
    close(idle.client);
    close(idle.server);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_cut_off_session_goes_home_rather_than_to_the_hung_one),
        CASE(new_clients_are_not_sent_to_the_hung_one),
        CASE(without_another_one_the_hung_one_is_asked),
        CASE(half_a_request_is_no_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
