/* The first frame of a client: how big it may be, what may stand behind its fields, and how little of what
 * comes before a session exists is kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/worker_bench.h"
#include "zkproto/opcode.h"

#define SID        0x100000000000077ll
#define SENT_AHEAD (48u * 1024u) /* fits into a socket pair */

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

static uint64_t closed(const struct bench *b, enum px_metric id)
{
    return px_metric_get(px_worker_metrics(b->workers[0]), id);
}

/* A greeting whose body has that many bytes; the surplus stands behind its fields. */
static uint32_t greeting(uint32_t body, uint8_t *frame)
{
    static const uint8_t none[ZKP_PASSWORD_LEN];

    memset(frame, 0xff, 4 + body);
    (void)bench_connect_frame(0, none, frame);
    zkp_store_i32(frame, (int32_t)body);
    return 4 + body;
}

static void expect_session(struct bench *b, int client)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int server = bench_accept(b); /* 45 bytes: what stood behind the fields, no server reads */

    bench_put(server, frame, bench_answer_frame(SID, frame));
    bench_get(client, frame, 41);
    assert_int_equal(zkp_load_i64(frame + 12), SID);
    close(client);
    close(server);
}

static void up_to_1_kb_may_stand_in_it(void **state)
{
    static const uint32_t lengths[] = {46, 100, 1023, 1024};
    struct bench *b = *state;
    uint8_t frame[4 + 1024];

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int client = bench_client(b, 0);
        bench_put(client, frame, greeting(lengths[i], frame));
        expect_session(b, client);
    }
    /* Byte by byte it is the same one. */
    int client = bench_client(b, 0);
    uint32_t length = greeting(1024, frame);
    for (uint32_t at = 0; at < length; at += 103) {
        bench_put(client, frame + at, length - at < 103 ? length - at : 103);
        BENCH_WAIT(bench_unread(client) == 0);
    }
    expect_session(b, client);
}

static void a_longer_one_is_refused_before_it_comes(void **state)
{
    static const int32_t lengths[] = {1025, 65536, 0xfffff, 0x100000, INT32_MAX};
    struct bench *b = *state;
    uint8_t prefix[4];

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        int client = bench_client(b, 0);
        zkp_store_i32(prefix, lengths[i]);
        bench_put(client, prefix, sizeof prefix);
        bench_expect_end(client);
        close(client);
        BENCH_WAIT(closed(b, PX_METRIC_CLOSED_FRAME_TOO_BIG) == i + 1);
    }
}

/* A Unix socket counts what was sent at once until all of it has been read. Once the session is granted the
 * rest is read, too. */
static void what_stands_behind_it_stays_in_the_socket(void **state)
{
    static uint8_t sent[SENT_AHEAD], arrived[SENT_AHEAD];
    struct bench *b = *state;
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = greeting(45, sent);
    uint32_t head = length;
    int client = bench_client(b, 0);

    while (length + 12 <= SENT_AHEAD) /* fewer requests than may be unanswered */
        length += bench_request_frame((int32_t)length, ZKP_OP_CREATE, sent + length);
    bench_put(client, sent, length);
    int server = bench_accept(b);
    assert_true(bench_unread(client) > 0);
    bench_put(server, frame, bench_answer_frame(SID, frame));
    bench_get(client, frame, 41);
    bench_get(server, arrived, length - head);
    assert_memory_equal(arrived, sent + head, length - head);
    BENCH_WAIT(bench_unread(client) == 0);
    close(client);
    close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(up_to_1_kb_may_stand_in_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_longer_one_is_refused_before_it_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stands_behind_it_stays_in_the_socket, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
