/* Sessions that go first in a switch, on real workers: who they are, that they alone move, where new ones and
 * those that come back begin, and how they are counted. Slot 0 is the server that all leave in the end. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/worker_bench.h"
#include "zkproto/opcode.h"

#define SID   0x100000000000000ll
#define SHARE 500u /* 5 % */

static const struct px_canary by_share = {.round = 7, .share = SHARE};

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

/* The first id from there on that is, or is not, among the share. */
static int64_t id_from(int64_t id, bool is_canary)
{
    while (px_canary_has(&by_share, id, NULL) != is_canary)
        id++;
    return id;
}

static struct px_canary by_address(const char *network)
{
    struct px_canary canary = {.round = 8, .clients.count = 1};

    assert_true(conf_network_parse(network, &canary.clients.items[0]));
    return canary;
}

/* A second server, as good as the first: canaries go there, the others stay. */
static void publish_canary(struct bench *b, struct px_canary canary)
{
    struct px_directive *next = bench_next(b);

    next->servers[1] = next->servers[0];
    next->servers[1].admit = false;
    next->servers[1].admit_canaries = true;
    next->servers[0].canaries_empty = true;
    next->canary = canary;
    bench_publish(b);
    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        assert_int_equal(atomic_load(&b->shared->workers[i].canary_round), canary.round);
}

static void publish_way_back(struct bench *b)
{
    struct px_directive *next = bench_next(b);

    next->canary = (struct px_canary){.round = 0};
    next->servers[0].canaries_empty = false;
    next->servers[1].admit_canaries = false;
    next->servers[1].empties = next->servers[1].canaries_empty = true;
    bench_publish(b);
}

static uint32_t sessions_on(const struct bench *b, uint32_t slot)
{
    return atomic_load(&b->shared->slots[slot].session_count);
}

static uint32_t canaries_on(const struct bench *b, uint32_t slot)
{
    return atomic_load(&b->shared->slots[slot].canary_count);
}

/* The old server's side of a move of a session that has had no reply yet: a marker. */
static void serve_marker(struct bench_pair *pair)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];

    bench_get(pair->server, frame, 12);
    assert_int_equal(zkp_load_i32(frame + 8), ZKP_OP_PING);
    bench_put(pair->server, frame, bench_reply_frame(-2, 11, 0, frame));
}

/* The same session on a new connection. */
static void serve_move(struct bench *b, struct bench_pair *pair)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int next = bench_accept(b);

    bench_put(next, frame, bench_answer_frame(pair->session_id, frame));
    bench_expect_end(pair->server);
    close(pair->server);
    pair->server = next;
}

static void close_pair(struct bench_pair pair)
{
    close(pair.client);
    close(pair.server);
}

static void ask(const struct bench_pair *pair)
{
    uint8_t frame[64];

    bench_put(pair->client, frame, bench_request_frame(1, ZKP_OP_CREATE, frame));
    bench_get(pair->server, frame, 12);
    bench_put(pair->server, frame, bench_reply_frame(1, 12, 0, frame));
    bench_get(pair->client, frame, 20);
}

static uint64_t answered(const struct bench *b, enum px_group group)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        for (uint32_t bucket = 0; bucket <= PX_LATENCY_BUCKETS; bucket++)
            sum += atomic_load(&px_worker_metrics(b->workers[i])->group_latency[group][bucket]);
    return sum;
}

static uint64_t metric(const struct bench *b, enum px_metric id)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        sum += px_metric_get(px_worker_metrics(b->workers[i]), id);
    return sum;
}

/* Ids as servers make them: their own id in the top byte, then a time, counting up. */
static void the_share_is_respected(void **state)
{
    (void)state;
    static const uint32_t shares[] = {1, 100, 500, 2500, 5000};
    for (uint32_t s = 0; s < sizeof(shares) / sizeof(shares[0]); s++)
        for (int64_t server = 1; server <= 3; server++) {
            const struct px_canary canary = {.round = 1, .share = shares[s]};
            uint32_t count = 0;
            for (int64_t i = 0; i < 100000; i++)
                count += px_canary_has(&canary, server << 56 | (0x18f2c3a40000ll + i), NULL);
            uint32_t wanted = shares[s] * 10;
            assert_in_range(count, wanted - wanted / 10 - 8, wanted + wanted / 10 + 8);
        }
}

/* Who is one with a share is one with every larger one; and the hash is the same for ever. */
static void the_choice_is_stable(void **state)
{
    (void)state;
    const struct px_canary more = {.round = 2, .share = 2 * SHARE};
    for (int64_t id = SID; id < SID + 2000; id++)
        assert_true(!px_canary_has(&by_share, id, NULL) || px_canary_has(&more, id, NULL));
    assert_int_equal(id_from(SID, true) - SID, 31);
    const struct px_canary off = {.round = 0, .share = PX_SHARE_WHOLE};
    assert_false(px_canary_has(&off, SID, NULL));
    assert_false(px_canary_has(&more, 0, NULL)); /* no id yet */
}

static void canaries_alone_move(void **state)
{
    struct bench *b = *state;
    struct bench_pair first = bench_open(b, 0, id_from(SID, true));
    struct bench_pair other = bench_open(b, 1, id_from(SID, false));

    publish_canary(b, by_share);
    serve_marker(&first);
    serve_move(b, &first);
    ask(&first);
    ask(&other);
    assert_int_equal(sessions_on(b, 0), 1);
    assert_int_equal(sessions_on(b, 1), 1);
    assert_int_equal(canaries_on(b, 0), 0);
    assert_int_equal(canaries_on(b, 1), 1);
    assert_int_equal(answered(b, PX_GROUP_CANARY), 1);
    assert_int_equal(answered(b, PX_GROUP_REST), 1);
    publish_way_back(b);
    serve_move(b, &first);
    BENCH_WAIT(sessions_on(b, 0) == 2 && sessions_on(b, 1) == 0);
    assert_int_equal(canaries_on(b, 0) + canaries_on(b, 1), 0);
    assert_int_equal(metric(b, PX_METRIC_MOVE_DONE), 2);
    close_pair(first);
    close_pair(other);
}

/* Its id is known only when a server has given it: it begins like the others and goes over at once. */
static void a_new_session_of_the_share_goes_over(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair;

    publish_canary(b, by_share);
    pair = bench_open(b, 0, id_from(SID, true));
    serve_marker(&pair);
    serve_move(b, &pair);
    BENCH_WAIT(sessions_on(b, 1) == 1);
    assert_int_equal(canaries_on(b, 1), 1);
    close_pair(pair);
    BENCH_WAIT(canaries_on(b, 1) == 0);
}

/* After a restart of the proxy, or a lost connection: the id is in the ConnectRequest. */
static void one_that_comes_back_goes_there_at_once(void **state)
{
    struct bench *b = *state;
    const uint8_t password[ZKP_PASSWORD_LEN] = {7};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int64_t id = id_from(SID, true);
    struct bench_pair pair = {.session_id = id};

    publish_canary(b, by_share);
    pair.client = bench_client(b, 1);
    bench_put(pair.client, frame, bench_connect_frame(id, password, frame));
    pair.server = bench_accept(b);
    bench_put(pair.server, frame, bench_answer_frame(id, frame));
    bench_get(pair.client, frame, 41);
    assert_int_equal(sessions_on(b, 1), 1);
    assert_int_equal(canaries_on(b, 1), 1);
    close_pair(pair);
}

static struct bench_pair open_from(struct bench *b, const char *host, int64_t session_id)
{
    static const uint8_t none[ZKP_PASSWORD_LEN];
    struct sockaddr_in peer = {.sin_family = AF_INET};
    struct px_adopt adopt = {.config_node = CONF_GUARD_HIDE, .peer.length = sizeof(peer)};
    struct bench_pair pair = {.session_id = session_id};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int ends[2];

    assert_int_equal(inet_pton(AF_INET, host, &peer.sin_addr), 1);
    memcpy(&adopt.peer.storage, &peer, sizeof(peer));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pair.client = ends[0];
    adopt.fd = ends[1];
    assert_int_equal(fcntl(adopt.fd, F_SETFL, O_NONBLOCK), 0);
    px_worker_adopt(b->workers[0], &adopt);
    bench_put(pair.client, frame, bench_connect_frame(0, none, frame));
    pair.server = bench_accept(b);
    bench_put(pair.server, frame, bench_answer_frame(session_id, frame));
    bench_get(pair.client, frame, 41);
    return pair;
}

static void clients_are_known_by_their_address(void **state)
{
    struct bench *b = *state;
    struct bench_pair early = open_from(b, "10.1.2.3", SID + 1);
    struct bench_pair late;
    struct bench_pair other;

    publish_canary(b, by_address("10.1.0.0/16"));
    serve_marker(&early);
    serve_move(b, &early);
    late = open_from(b, "10.1.200.9", SID + 2); /* goes there at once */
    other = open_from(b, "10.2.0.1", SID + 3);
    assert_int_equal(sessions_on(b, 0), 1);
    assert_int_equal(sessions_on(b, 1), 2);
    assert_int_equal(canaries_on(b, 1), 2);
    close_pair(early);
    close_pair(late);
    close_pair(other);
}

/* Cut off by its server, unanswered write and all: a trouble of its own group. */
static void troubles_are_counted_by_group(void **state)
{
    struct bench *b = *state;
    struct bench_pair other = bench_open(b, 1, id_from(SID, false));
    struct bench_pair first = bench_open(b, 0, id_from(SID, true));
    uint8_t frame[64];

    publish_canary(b, by_share);
    serve_marker(&first);
    serve_move(b, &first);
    bench_put(first.client, frame, bench_request_frame(2, ZKP_OP_CREATE, frame));
    bench_get(first.server, frame, 12);
    close(first.server);
    bench_expect_end(first.client);
    BENCH_WAIT(metric(b, PX_METRIC_TROUBLES_CANARY) == 1);
    assert_int_equal(metric(b, PX_METRIC_TROUBLES_REST), 0);
    bench_put(other.client, frame, bench_request_frame(2, ZKP_OP_CREATE, frame));
    bench_get(other.server, frame, 12);
    close(other.server);
    bench_expect_end(other.client);
    BENCH_WAIT(metric(b, PX_METRIC_TROUBLES_REST) == 1);
    assert_int_equal(metric(b, PX_METRIC_TROUBLES_CANARY), 1);
    close(first.client);
    close(other.client);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_share_is_respected),
        cmocka_unit_test(the_choice_is_stable),
        CASE(canaries_alone_move),
        CASE(a_new_session_of_the_share_goes_over),
        CASE(one_that_comes_back_goes_there_at_once),
        CASE(clients_are_known_by_their_address),
        CASE(troubles_are_counted_by_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
