/* The shell with real workers: split frames, big frames, guard over the wire, takeover between workers,
 * return, hold, words, failed dials. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>

#include "proxy/net/owner_map.h"
#include "tests/unit/worker_bench.h"
#include "zkproto/opcode.h"
#include "zkproto/request.h"

#define SID  0x100000000000042ll
#define MANY 24u

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

static void close_pair(struct bench_pair pair)
{
    close(pair.client);
    close(pair.server);
}

static uint64_t metric(const struct bench *b, enum px_metric id)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        sum += px_metric_get(px_worker_metrics(b->workers[i]), id);
    return sum;
}

/* A conversation whose every byte is known: requests as sent, as they must arrive, replies likewise. */
struct talk {
    uint8_t sent[512], arrives[512], replied[512], seen[512];
    uint32_t sent_length, arrives_length, replied_length, seen_length;
};

static void add(uint8_t *to, uint32_t *length, const void *bytes, uint32_t count)
{
    memcpy(to + *length, bytes, count);
    *length += count;
}

static uint32_t config_read_frame(int32_t xid, uint8_t *frame)
{
    struct zkp_wr w = zkp_wr_over(frame, 64);
    uint8_t *mark = zkp_wr_frame_begin(&w);

    zkp_wr_i32(&w, xid);
    zkp_wr_i32(&w, ZKP_OP_GET_DATA);
    zkp_wr_buf(&w, zkp_slice_str("/zookeeper/config"));
    zkp_wr_bool(&w, false);
    zkp_wr_frame_end(&w, mark);
    return zkp_wr_len(&w);
}

/* create; read of the config node (hidden); reconfig (answered by the proxy); ping; an event in between. */
static void make_talk(struct talk *talk)
{
    uint8_t frame[256] = {0};
    uint32_t length = bench_request_frame(1, ZKP_OP_CREATE, frame);

    memset(talk, 0, sizeof(*talk));
    add(talk->sent, &talk->sent_length, frame, length);
    length = config_read_frame(2, frame);
    add(talk->sent, &talk->sent_length, frame, length);
    add(talk->arrives, &talk->arrives_length, talk->sent, talk->sent_length);
    length = bench_request_frame(3, ZKP_OP_RECONFIG, frame);
    add(talk->sent, &talk->sent_length, frame, length);
    length = bench_request_frame(-2, ZKP_OP_PING, frame);
    add(talk->sent, &talk->sent_length, frame, length);
    add(talk->arrives, &talk->arrives_length, frame, length);

    length = bench_reply_frame(1, 10, 0, frame);
    add(talk->replied, &talk->replied_length, frame, length);
    length = bench_reply_frame(-1, -1, 0, frame);
    add(talk->replied, &talk->replied_length, frame, length);
    add(talk->seen, &talk->seen_length, talk->replied, talk->replied_length);
    memset(frame, 0, sizeof(frame));
    bench_reply_frame(2, 11, 4 + 3 + 68, frame);
    zkp_store_i32(frame + 20, 3);
    add(talk->replied, &talk->replied_length, frame, 20 + 4 + 3 + 68);
    bench_reply_frame(2, 11, 4 + 68, frame); /* the same, without its data */
    zkp_store_i32(frame + 20, 0);
    add(talk->seen, &talk->seen_length, frame, 20 + 4 + 68);
    bench_reply_frame(3, 11, 0, frame); /* reconfig: -123 */
    zkp_store_i32(frame + 16, -123);
    add(talk->seen, &talk->seen_length, frame, 20);
    length = bench_reply_frame(-2, 12, 0, frame);
    add(talk->replied, &talk->replied_length, frame, length);
    add(talk->seen, &talk->seen_length, frame, length);
}

static void talk_split(struct bench *b, const struct talk *talk, uint32_t request_at, uint32_t reply_at)
{
    struct bench_pair pair = bench_open(b, 0, SID + (int64_t)++b->connected);
    uint8_t got[512];

    bench_put_split(pair.client, talk->sent, talk->sent_length, request_at);
    bench_get(pair.server, got, talk->arrives_length);
    assert_memory_equal(got, talk->arrives, talk->arrives_length);
    bench_put_split(pair.server, talk->replied, talk->replied_length, reply_at);
    bench_get(pair.client, got, talk->seen_length);
    assert_memory_equal(got, talk->seen, talk->seen_length);
    close_pair(pair);
}

static void any_split_gives_the_same_bytes(void **state)
{
    struct bench *b = *state;
    struct talk talk;

    make_talk(&talk);
    for (uint32_t at = 1; at < talk.sent_length; at++)
        talk_split(b, &talk, at, 1 + at % (talk.replied_length - 1));
    for (uint32_t at = 1; at < talk.replied_length; at++)
        talk_split(b, &talk, 1 + at % (talk.sent_length - 1), at);
}

static void the_connect_frame_too(void **state)
{
    struct bench *b = *state;
    static const uint8_t none[ZKP_PASSWORD_LEN];
    uint8_t request[ZKP_CONNECT_FRAME_MAX];
    uint8_t answer[ZKP_CONNECT_FRAME_MAX];
    uint8_t got[64];
    uint32_t length = bench_connect_frame(0, none, request);

    for (uint32_t at = 1; at < length; at++) {
        struct bench_pair pair = {.client = bench_client(b, 1)};
        uint32_t answer_length = bench_answer_frame(SID, answer);
        bench_put_split(pair.client, request, length, at);
        pair.server = bench_accept(b);
        bench_put_split(pair.server, answer, answer_length, 1 + at % (answer_length - 1));
        bench_get(pair.client, got, answer_length);
        assert_memory_equal(got, answer, answer_length);
        close_pair(pair);
        BENCH_WAIT(px_owner_count(b->shared->owners) == 0);
    }
}

/* Requests sent before the ConnectResponse wait for it (Java sends auth and SetWatches that early). */
static void early_requests_wait(void **state)
{
    struct bench *b = *state;
    static const uint8_t none[ZKP_PASSWORD_LEN];
    uint8_t bytes[ZKP_CONNECT_FRAME_MAX + 12];
    uint8_t got[64];
    uint32_t length = bench_connect_frame(0, none, bytes);
    struct bench_pair pair = {.client = bench_client(b, 0)};

    length += bench_request_frame(-4, ZKP_OP_AUTH, bytes + length);
    bench_put(pair.client, bytes, length);
    pair.server = bench_accept(b); /* 49 bytes and no more */
    assert_false(bench_readable(pair.server, 0));
    bench_put(pair.server, bytes, bench_answer_frame(SID, bytes));
    bench_get(pair.server, got, 12);
    assert_int_equal(zkp_load_i32(got + 4), -4);
    close_pair(pair);
}

static uint32_t put_some(int fd, const uint8_t *bytes, uint32_t length)
{
    uint32_t put = 0;
    ssize_t sent = 1;

    while (put < length && sent > 0) {
        sent = send(fd, bytes + put, length - put, MSG_NOSIGNAL);
        put += sent > 0 ? (uint32_t)sent : 0;
    }
    return put;
}

/* Of one connection: what is there is compared with what was sent. */
static uint32_t get_some(int fd, const uint8_t *bytes, uint32_t length)
{
    static uint8_t got[256 * 1024];
    uint32_t done = 0;
    ssize_t now = 1;

    while (done < length && now > 0) {
        now = recv(fd, got, sizeof(got), MSG_DONTWAIT);
        assert_int_not_equal(now, 0);
        if (now > 0) {
            assert_true((uint32_t)now <= length - done);
            assert_memory_equal(got, bytes + done, (size_t)now);
            done += (uint32_t)now;
        }
    }
    return done;
}

/* The same bytes on all connections, of which put[i] are sent: until all have come, nothing lost or changed.
 */
static void carry_all(const int *from, const int *to, uint32_t count, const uint8_t *bytes, uint32_t length,
                      uint32_t *put)
{
    uint32_t got[MANY] = {0};
    uint32_t left = count;

    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(fcntl(from[i], F_SETFL, O_NONBLOCK), 0);
    while (left > 0) {
        left = count;
        for (uint32_t i = 0; i < count; i++) {
            put[i] += put_some(from[i], bytes + put[i], length - put[i]);
            got[i] += get_some(to[i], bytes + got[i], length - got[i]);
            left -= got[i] == length;
        }
        poll(NULL, 0, left > 0 ? 1 : 0);
    }
}

static void carry(int from, int to, const uint8_t *bytes, uint32_t length, uint32_t put)
{
    carry_all(&from, &to, 1, bytes, length, &put);
}

static void big_replies_stream_under_back_pressure(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    const uint32_t size = 8u * 1024 * 1024; /* over the 1 MiB that bounds requests only */
    uint8_t *reply = malloc(20 + size);
    uint8_t got[12];
    uint32_t put = bench_reply_frame(1, 10, size, reply);

    for (uint32_t i = 0; i < size; i++)
        reply[put + i] = (uint8_t)(i * 2654435761u >> 24);
    bench_put(pair.client, got, bench_request_frame(1, ZKP_OP_GET_CHILDREN, got));
    bench_get(pair.server, got, 12);
    assert_int_equal(fcntl(pair.server, F_SETFL, O_NONBLOCK), 0);
    for (put = 0; metric(b, PX_METRIC_BACK_PRESSURE) == 0;) { /* the client reads nothing */
        ssize_t sent = send(pair.server, reply + put, 20 + size - put, MSG_NOSIGNAL);
        put += sent > 0 ? (uint32_t)sent : 0;
        assert_true(put < 20 + size); /* pressed back long before all was taken */
    }
    carry(pair.server, pair.client, reply, 20 + size, put);
    free(reply);
    close_pair(pair);
}

static void set_limits(struct bench *b, struct px_byte_limits limits)
{
    bench_next(b)->limits = limits;
    bench_publish(b);
}

/* The servers' jute.maxbuffer is not ours to know: a request streams, however long it is, and is not kept. */
static void big_requests_stream_under_back_pressure(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    const uint32_t length = 4 + 24u * 1024 * 1024;
    uint8_t *request = malloc(length);
    uint32_t put;

    for (uint32_t i = 0; i < length; i++)
        request[i] = (uint8_t)(i * 2654435761u >> 24);
    bench_request_frame(1, ZKP_OP_MULTI, request);
    zkp_store_i32(request, (int32_t)(length - 4));
    assert_int_equal(fcntl(pair.client, F_SETFL, O_NONBLOCK), 0);
    for (put = 0; metric(b, PX_METRIC_BACK_PRESSURE) == 0;) { /* the server reads nothing */
        ssize_t sent = send(pair.client, request + put, length - put, MSG_NOSIGNAL);
        put += sent > 0 ? (uint32_t)sent : 0;
        assert_true(put < length); /* pressed back long before all was taken */
    }
    carry(pair.client, pair.server, request, length, put);
    free(request);
    close_pair(pair);
}

static void a_request_over_our_own_limit_ends_its_session_only(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    struct bench_pair other = bench_open(b, 0, SID + 1);
    uint8_t frame[64];

    set_limits(b, (struct px_byte_limits){.request = 100000});
    bench_request_frame(1, ZKP_OP_SET_DATA, frame);
    zkp_store_i32(frame, 100000);
    bench_put(other.client, frame, 12);
    bench_get(other.server, frame, 12);
    assert_int_equal(zkp_load_i32(frame), 100000);
    zkp_store_i32(frame, 100001);
    bench_put(pair.client, frame, 12);
    bench_expect_end(pair.client);
    bench_expect_end(pair.server);
    BENCH_WAIT(metric(b, PX_METRIC_CLOSED_FRAME_TOO_BIG) == 1);
    set_limits(b, (struct px_byte_limits){0});
    close_pair(pair);
    close_pair(other);
}

static void a_reply_over_our_own_limit_too(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frame[64];

    set_limits(b, (struct px_byte_limits){.reply = 100000});
    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_GET_CHILDREN, frame));
    bench_get(pair.server, frame, 12);
    bench_reply_frame(1, 10, 100001 - 16, frame);
    bench_put(pair.server, frame, 20);
    bench_expect_end(pair.client);
    BENCH_WAIT(metric(b, PX_METRIC_CLOSED_LIMIT) == 1);
    assert_int_equal(metric(b, PX_METRIC_DECODE_CLIENT), 0);
    set_limits(b, (struct px_byte_limits){0});
    close_pair(pair);
}

/* What must be there whole is kept up to a limit, and goes on as it was. */
static void a_whole_request_has_a_limit_of_its_own(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    const uint32_t length = 4 + 3u * 1024 * 1024;
    uint8_t *request = calloc(1, length); /* auth of zeros */

    bench_request_frame(-4, ZKP_OP_AUTH, request);
    zkp_store_i32(request, (int32_t)(length - 4));
    carry(pair.client, pair.server, request, length, 0);
    zkp_store_i32(request, 5 * 1024 * 1024);
    assert_true(send(pair.client, request, 1000, MSG_NOSIGNAL) == 1000);
    bench_expect_end(pair.client);
    BENCH_WAIT(metric(b, PX_METRIC_CLOSED_LIMIT) == 1);
    free(request);
    close_pair(pair);
}

struct crowd {
    struct bench_pair pairs[MANY];
    int clients[MANY];
    int servers[MANY];
    uint32_t put[MANY];
};

/* All send the first bytes of the same frame for as long as anybody is read on; nobody reads. What the
 * workers hold at most meanwhile. */
static uint64_t crowd_push(struct bench *b, struct crowd *crowd, const uint8_t *bytes, uint32_t length)
{
    uint64_t most = 0;

    for (uint32_t i = 0; i < MANY; i++) {
        crowd->pairs[i] = bench_open(b, 0, SID + i);
        crowd->clients[i] = crowd->pairs[i].client;
        crowd->servers[i] = crowd->pairs[i].server;
        assert_int_equal(fcntl(crowd->clients[i], F_SETFL, O_NONBLOCK), 0);
    }
    for (uint32_t idle = 0; idle < 200; idle++) {
        uint64_t held = metric(b, PX_METRIC_HELD_BYTES);
        most = held > most ? held : most;
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t now = put_some(crowd->clients[i], bytes + crowd->put[i], length - crowd->put[i]);
            crowd->put[i] += now;
            idle = now > 0 ? 0 : idle;
        }
        poll(NULL, 0, 1);
    }
    return most;
}

static void crowd_end(struct bench *b, struct crowd *crowd)
{
    for (uint32_t i = 0; i < MANY; i++)
        close_pair(crowd->pairs[i]);
    BENCH_WAIT(metric(b, PX_METRIC_HELD_BYTES) == 0);
}

/* Long frames that must be there whole are collected for so many clients at a time. Whoever else waits is not
 * read, and all come through. */
static void whole_frames_take_turns(void **state)
{
    struct bench *b = *state;
    const uint32_t length = 4 + 3u * 1024 * 1024;
    uint8_t *request = calloc(1, length);
    struct crowd crowd = {0};
    uint32_t full = 0;

    bench_request_frame(-4, ZKP_OP_AUTH, request);
    zkp_store_i32(request, (int32_t)(length - 4));
    crowd_push(b, &crowd, request, length - 100);
    for (uint32_t i = 0; i < MANY; i++)
        full += crowd.put[i] == length - 100;
    assert_in_range(full, 1, 16);
    carry_all(crowd.clients, crowd.servers, MANY, request, length, crowd.put);
    crowd_end(b, &crowd);
    free(request);
}

/* Many clients of a server that has stopped reading: what waits for it is bounded in sum, too. */
static void all_buffers_together_have_a_limit(void **state)
{
    struct bench *b = *state;
    const uint32_t length = 12u * 1024 * 1024;
    uint8_t *request = calloc(1, length);
    struct crowd crowd = {0};

    set_limits(b, (struct px_byte_limits){.held = 2 * BENCH_WORKERS * 1024 * 1024});
    bench_request_frame(1, ZKP_OP_SET_DATA, request);
    zkp_store_i32(request, (int32_t)(length - 4));
    assert_in_range(crowd_push(b, &crowd, request, length), 2u * 1024 * 1024, 5u * 1024 * 1024);
    carry_all(crowd.clients, crowd.servers, MANY, request, length, crowd.put);
    crowd_end(b, &crowd);
    free(request);
}

static void a_successor_waits_for_the_holder(void **state)
{
    struct bench *b = *state;
    const uint8_t password[ZKP_PASSWORD_LEN] = {7};
    struct bench_pair old = bench_open(b, 0, SID);
    int successor = bench_client(b, 1);
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int server;

    bench_put(successor, frame, bench_connect_frame(SID, password, frame));
    bench_expect_end(old.client);
    bench_expect_end(old.server);
    server = bench_accept(b);
    bench_put(server, frame, bench_answer_frame(SID, frame));
    bench_get(successor, frame, 41);
    assert_int_equal(zkp_load_i64(frame + 12), SID);
    assert_int_equal(px_owner_count(b->shared->owners), 1);
    close_pair(old);
    close(successor);
    close(server);
}

static void a_wrong_password_takes_nothing(void **state)
{
    struct bench *b = *state;
    const uint8_t password[ZKP_PASSWORD_LEN] = {8};
    struct bench_pair held = bench_open(b, 0, SID);
    int thief = bench_client(b, 1);
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];

    bench_put(thief, frame, bench_connect_frame(SID, password, frame));
    bench_get(thief, frame, 41);
    assert_int_equal(zkp_load_i32(frame + 8), 0); /* timeout 0: expired */
    assert_int_equal(zkp_load_i64(frame + 12), 0);
    bench_expect_end(thief);
    bench_put(held.client, frame, bench_request_frame(1, ZKP_OP_CREATE, frame));
    bench_get(held.server, frame, 12);
    close(thief);
    close_pair(held);
}

static const uint8_t owners[ZKP_PASSWORD_LEN] = {7};
static const uint8_t guessed[ZKP_PASSWORD_LEN] = {8};

static int bench_resume(struct bench *b, uint32_t worker, const uint8_t *password)
{
    int fd = bench_client(b, worker);
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];

    bench_put(fd, frame, bench_connect_frame(SID, password, frame));
    return fd;
}

static void expect_answer(int fd, int64_t session_id)
{
    uint8_t frame[41];

    bench_get(fd, frame, sizeof(frame));
    assert_int_equal(zkp_load_i64(frame + 12), session_id);
}

static void answer_dial(int server, int64_t session_id)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint32_t length = session_id != 0 ? bench_answer_frame(session_id, frame)
                                      : zkp_connect_expired_frame(true, frame, sizeof(frame));

    bench_put(server, frame, length);
}

/* The owner comes back, and before its server has answered others try the id with passwords of their own. */
static void guesses_take_nothing_from_one_who_comes_back(void **state)
{
    struct bench *b = *state;
    int owner = bench_resume(b, 0, owners);
    int server = bench_accept(b);
    int thieves[20];

    for (uint32_t i = 0; i < 20; i++)
        thieves[i] = bench_resume(b, i % 2, guessed);
    assert_false(bench_readable(owner, 100)); /* nobody is answered yet, and nobody closed */
    assert_false(bench_readable(thieves[0], 0));
    answer_dial(server, SID);
    expect_answer(owner, SID);
    for (uint32_t i = 0; i < 20; i++) {
        expect_answer(thieves[i], 0);
        bench_expect_end(thieves[i]);
        close(thieves[i]);
    }
    assert_int_equal(metric(b, PX_METRIC_TAKEOVERS), 0);
    close(owner);
    close(server);
}

/* The thief was first: its server's refusal ends its hold, and the owner has its turn. */
static void a_guess_that_came_first_keeps_nobody_out(void **state)
{
    struct bench *b = *state;
    int thief = bench_resume(b, 0, guessed);
    int refusing = bench_accept(b);
    int owner = bench_resume(b, 1, owners);
    int server;

    assert_false(bench_readable(owner, 100));
    answer_dial(refusing, 0);
    expect_answer(thief, 0);
    server = bench_accept(b);
    answer_dial(server, SID);
    expect_answer(owner, SID);
    close(thief);
    close(refusing);
    close(owner);
    close(server);
}

/* The same password twice is the same client twice: the newest connection has it. */
static void who_comes_back_twice_waits_for_nothing(void **state)
{
    struct bench *b = *state;
    int first = bench_resume(b, 0, owners);
    int unanswered = bench_accept(b);
    int second = bench_resume(b, 1, owners);
    int server = bench_accept(b);

    bench_expect_end(first);
    answer_dial(server, SID);
    expect_answer(second, SID);
    close(first);
    close(unanswered);
    close(second);
    close(server);
}

/* A second server, as good as the first, that all sessions of the first are to leave for. */
static void empty_the_first(struct bench *b)
{
    struct px_directive *next = bench_next(b);

    next->servers[1] = next->servers[0];
    next->servers[0].admit = false;
    next->servers[0].empties = true;
    bench_publish(b);
}

/* The server's side of our marker. */
static void answer_ping(int server, int64_t zxid)
{
    uint8_t frame[64];

    bench_get(server, frame, 12);
    assert_int_equal(zkp_load_i32(frame + 8), ZKP_OP_PING);
    bench_put(server, frame, bench_reply_frame(-2, zxid, 0, frame));
}

static void a_return_waits_for_the_reply(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frame[64];

    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_SASL, frame)); /* can't be moved */
    bench_get(pair.server, frame, 12);
    bench_put(pair.server, frame, bench_reply_frame(1, 0, 0, frame));
    bench_get(pair.client, frame, 20);
    bench_put(pair.client, frame, bench_request_frame(2, ZKP_OP_CREATE, frame));
    bench_get(pair.server, frame, 12);
    empty_the_first(b);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].moving_count) == 1);
    assert_false(bench_readable(pair.client, 0));
    bench_put(pair.server, frame, bench_reply_frame(2, 10, 0, frame));
    bench_get(pair.client, frame, 20);
    bench_expect_end(pair.client);
    bench_expect_end(pair.server);
    assert_int_equal(metric(b, PX_METRIC_RETURN_DONE), 1);
    assert_int_equal(metric(b, PX_METRIC_INSTEAD_SASL), 1);
    close_pair(pair);
}

/* Quiet, marker, ConnectRequest with the session's id: then its requests go to the other server. */
static void a_move_keeps_the_clients_socket(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int next;

    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_CREATE, frame));
    bench_get(pair.server, frame, 12);
    empty_the_first(b);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].moving_count) == 1);
    bench_put(pair.client, frame, bench_request_frame(2, ZKP_OP_CREATE, frame)); /* has to wait */
    bench_put(pair.server, frame, bench_reply_frame(1, 10, 0, frame));
    bench_get(pair.client, frame, 20); /* this reply is the marker */
    next = bench_accept(b);
    bench_put(next, frame, bench_answer_frame(SID, frame));
    bench_expect_end(pair.server);
    bench_get(next, frame, 12);
    assert_int_equal(zkp_load_i32(frame + 4), 2);
    bench_put(next, frame, bench_reply_frame(2, 12, 0, frame));
    bench_get(pair.client, frame, 20);
    assert_int_equal(metric(b, PX_METRIC_MOVE_DONE), 1);
    assert_int_equal(atomic_load(&b->shared->slots[0].session_count), 0);
    assert_int_equal(atomic_load(&b->shared->slots[1].session_count), 1);
    close(next);
    close_pair(pair);
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

/* As bench_accept, and answers: whichever of the sessions it is. */
static int accept_any(struct bench *b)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int fd;

    assert_true(bench_readable(b->listener, BENCH_DEADLINE_MS));
    fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
    bench_get(fd, frame, 49);
    bench_put(fd, frame, bench_answer_frame(zkp_load_i64(frame + 20), frame));
    return fd;
}

/* The others begin when it has answered; none of them looks for it meanwhile, finds it taken, and stays. */
static void a_server_not_proven_is_tried_by_one(void **state)
{
    enum { SESSIONS = 3 };
    struct bench *b = *state;
    struct bench_pair pairs[SESSIONS];
    int next[SESSIONS];

    for (int i = 0; i < SESSIONS; i++) {
        pairs[i] = bench_open(b, 0, SID + i);
        serve_one(pairs[i]);
    }
    empty_the_first(b);
    for (int i = 0; i < SESSIONS; i++)
        next[i] = accept_any(b);
    BENCH_WAIT(metric(b, PX_METRIC_MOVE_DONE) == SESSIONS);
    assert_int_equal(metric(b, PX_METRIC_MOVE_STAYED), 0);
    for (int i = 0; i < SESSIONS; i++) {
        close(next[i]);
        close_pair(pairs[i]);
    }
}

/* The target closes: nobody else takes it, the session goes back to its server, which is asked again. */
static void a_refused_move_takes_the_session_back(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int back;

    empty_the_first(b);
    answer_ping(pair.server, 11);
    close(bench_accept(b)); /* it has read the ConnectRequest: who owns the session now? */
    bench_expect_end(pair.server);
    back = bench_accept(b);
    bench_put(back, frame, bench_answer_frame(SID, frame));
    bench_get(back, frame, 17); /* sync */
    assert_int_equal(zkp_load_i32(frame + 8), ZKP_OP_SYNC);
    bench_put(back, frame, bench_reply_frame(INT32_MIN, 12, 0, frame));
    bench_put(pair.client, frame, bench_request_frame(2, ZKP_OP_CREATE, frame));
    bench_get(back, frame, 12);
    assert_int_equal(metric(b, PX_METRIC_CLOSED_SERVER_GONE), 0);
    close(back);
    close_pair(pair);
}

/* A ping of the client while its requests wait is answered here; what stands around it keeps its order. */
static void pings_are_answered_in_a_hold(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    struct px_directive *next = bench_next(b);
    uint8_t frames[64];
    uint32_t length = bench_request_frame(1, ZKP_OP_CREATE, frames);

    next->hold = (struct px_hold){.id = 9, .deadline_ms = bench_now_ms() + 60000};
    bench_publish(b);
    answer_ping(pair.server, 11);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].unquiesced_count) == 0);
    length += bench_request_frame(-2, ZKP_OP_PING, frames + length);
    length += bench_request_frame(2, ZKP_OP_CREATE, frames + length);
    bench_put_split(pair.client, frames, length, 20);
    bench_get(pair.client, frames, 20);
    assert_int_equal(zkp_load_i32(frames + 4), -2);
    BENCH_WAIT(metric(b, PX_METRIC_PINGS_ANSWERED) == 1);
    bench_next(b)->hold.id = 0;
    bench_publish(b);
    bench_get(pair.server, frames, 24);
    assert_int_equal(zkp_load_i32(frames + 4), 1);
    assert_int_equal(zkp_load_i32(frames + 16), 2);
    close_pair(pair);
}

/* closeSession and FIN in one packet, in a hold: the session ends when the hold does, not by its timeout. */
static void the_last_request_survives_the_fin(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    struct px_directive *next = bench_next(b);
    uint8_t frame[64];

    next->hold = (struct px_hold){.id = 9, .deadline_ms = bench_now_ms() + 60000};
    bench_publish(b);
    answer_ping(pair.server, 11);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].unquiesced_count) == 0);
    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_CLOSE_SESSION, frame));
    assert_int_equal(shutdown(pair.client, SHUT_WR), 0);
    BENCH_WAIT(bench_unread(pair.client) == 0);
    bench_next(b)->hold.id = 0;
    bench_publish(b);
    bench_get(pair.server, frame, 12);
    assert_int_equal(zkp_load_i32(frame + 8), ZKP_OP_CLOSE_SESSION);
    close_pair(pair);
}

/* The server's end is masked: a read goes on elsewhere, with a sync before it. */
static void a_lost_servers_read_goes_on(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int next;

    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_GET_ACL, frame));
    bench_get(pair.server, frame, 12);
    close(pair.server);
    next = bench_accept(b); /* the only server there is */
    bench_put(next, frame, bench_answer_frame(SID, frame));
    bench_get(next, frame, 17);
    bench_put(next, frame, bench_reply_frame(INT32_MIN, 12, 0, frame));
    bench_get(next, frame, 12);
    assert_int_equal(zkp_load_i32(frame + 4), 1);
    bench_put(next, frame, bench_reply_frame(1, 12, 0, frame));
    bench_get(pair.client, frame, 20);
    assert_int_equal(metric(b, PX_METRIC_REATTACH_DONE), 1);
    close(next);
    close(pair.client);
}

static void a_hold_lets_requests_wait(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    struct px_directive *next = bench_next(b);
    uint8_t frame[64];

    next->hold = (struct px_hold){.id = 9, .deadline_ms = bench_now_ms() + 60000};
    bench_publish(b);
    answer_ping(pair.server, 11);
    BENCH_WAIT(atomic_load(&b->shared->workers[0].hold_id) == 9 &&
               atomic_load(&b->shared->workers[0].unquiesced_count) == 0);
    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_CREATE, frame));
    BENCH_WAIT(bench_unread(pair.client) == 0);
    bench_put(pair.server, frame, bench_reply_frame(-1, -1, 0, frame));
    bench_get(pair.client, frame, 20);            /* events still come: the worker has been at work … */
    assert_false(bench_readable(pair.server, 0)); /* … and has not passed the request on */
    bench_next(b)->hold.id = 0;
    bench_publish(b);
    bench_get(pair.server, frame, 12);
    assert_int_equal(zkp_load_i32(frame + 4), 1);
    close_pair(pair);
}

static void a_hold_ends_by_itself(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frame[64];

    bench_next(b)->hold = (struct px_hold){.id = 9, .deadline_ms = bench_now_ms() + 1500};
    bench_publish(b);
    answer_ping(pair.server, 11);
    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_CREATE, frame));
    bench_get(pair.server, frame, 12);
    assert_true(metric(b, PX_METRIC_HOLD_TIMED_OUT) >= 1);
    close_pair(pair);
}

static void a_refused_dial_is_tried_elsewhere(void **state)
{
    struct bench *b = *state;
    struct px_directive *next = bench_next(b);
    struct bench_pair pair;

    next->servers[1] = next->servers[0]; /* a name nobody listens to, and fewer sessions than slot 0 */
    next->servers[1].addresses[0].length = sizeof(sa_family_t) + 6;
    memcpy(((struct sockaddr_un *)&next->servers[1].addresses[0].storage)->sun_path, "\0nobod", 6);
    atomic_store(&b->shared->slots[0].session_count, 1);
    bench_publish(b);
    pair = bench_open(b, 0, SID);
    assert_int_equal(atomic_load(&b->shared->slots[1].dials[PX_DIAL_REFUSED]), 1);
    assert_int_equal(atomic_load(&b->shared->slots[1].connect_count), 0);
    atomic_fetch_sub(&b->shared->slots[0].session_count, 1);
    close_pair(pair);
}

static void lost_writes_are_told_apart(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frame[64];

    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_CREATE, frame));
    bench_get(pair.server, frame, 12);
    close(pair.server);
    bench_expect_end(pair.client);
    assert_int_equal(metric(b, PX_METRIC_CLOSED_UNKNOWN_OUTCOME), 1);
    close(pair.client);
}

/* A read behind a write is answered, the write is not: one batch in which the reply before it still counts.
 */
static void a_write_passed_over_is_told(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frames[128];
    uint32_t length = bench_request_frame(1, ZKP_OP_GET_ACL, frames);

    length += bench_request_frame(2, ZKP_OP_CREATE, frames + length);
    length += bench_request_frame(3, ZKP_OP_GET_ACL, frames + length);
    bench_put(pair.client, frames, length);
    bench_get(pair.server, frames, length);
    length = bench_reply_frame(1, 11, 0, frames);
    length += bench_reply_frame(3, 12, 0, frames + length);
    bench_put(pair.server, frames, length);
    bench_get(pair.client, frames, 20);
    assert_int_equal(zkp_load_i32(frames + 4), 1);
    bench_expect_end(pair.client);
    bench_expect_end(pair.server);
    assert_int_equal(metric(b, PX_METRIC_CLOSED_UNKNOWN_OUTCOME), 1);
    assert_int_equal(metric(b, PX_METRIC_MISFIT_SKIPPED), 1);
    close_pair(pair);
}

/* The server's side of an attachment after a loss; the frames of its unanswered reads come next. */
static int attach_again(struct bench *b)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    int server = bench_accept(b);

    bench_put(server, frame, bench_answer_frame(SID, frame));
    bench_get(server, frame, 17);
    bench_put(server, frame, bench_reply_frame(INT32_MIN, 12, 0, frame));
    return server;
}

/* Whatever a server says that is no answer, a read goes on elsewhere. */
static void nonsense_of_a_server_is_its_own_end(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    uint8_t frame[64];

    bench_put(pair.client, frame, bench_request_frame(1, ZKP_OP_GET_ACL, frame));
    bench_get(pair.server, frame, 12);
    bench_put(pair.server, frame, bench_reply_frame(7, 12, 0, frame)); /* nobody has asked */
    bench_expect_end(pair.server);
    close(pair.server);
    pair.server = attach_again(b);
    bench_get(pair.server, frame, 12);
    bench_put(pair.server, "\xff\xff\xff\xff", 4); /* no length */
    bench_expect_end(pair.server);
    close(pair.server);
    pair.server = attach_again(b);
    bench_get(pair.server, frame, 12);
    bench_put(pair.server, "\0\0\0\3abc", 7); /* no header */
    bench_expect_end(pair.server);
    close(pair.server);
    pair.server = attach_again(b);
    bench_get(pair.server, frame, 12);
    assert_int_equal(zkp_load_i32(frame + 4), 1);
    bench_put(pair.server, frame, bench_reply_frame(1, 12, 0, frame));
    bench_get(pair.client, frame, 20);
    assert_int_equal(zkp_load_i32(frame + 4), 1);
    assert_int_equal(metric(b, PX_METRIC_REATTACH_DONE), 3);
    assert_int_equal(metric(b, PX_METRIC_MISFIT_UNASKED), 1);
    assert_int_equal(metric(b, PX_METRIC_MISFIT_UNREADABLE), 2);
    assert_int_equal(metric(b, PX_METRIC_CLOSED_SERVER_PROTOCOL), 0);
    close_pair(pair);
}

static void nonsense_is_closed(void **state)
{
    struct bench *b = *state;
    static const char *const nonsense[] = {"\xff\xff\xff\xff", "\0\0\0\0", "\0\x10\0\0", "GET "};

    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        int client = bench_client(b, 0);
        bench_put(client, nonsense[i], 4);
        bench_expect_end(client);
        close(client);
    }
    assert_int_equal(metric(b, PX_METRIC_DECODE_CLIENT), 4);
}

static void keep_msg(void *context, struct px_msg *take_msg)
{
    struct px_msg **kept = context;

    px_msg_free(*kept);
    *kept = take_msg;
}

static void a_word_goes_to_control(void **state)
{
    struct bench *b = *state;
    struct event_base *base = event_base_new();
    struct px_msg *msg = NULL;
    int client = bench_client(b, 0);
    uint8_t got[4];

    assert_int_equal(px_mailbox_attach(b->control, base, keep_msg, &msg), RC_OK);
    bench_put(client, "ruok", 4);
    while (msg == NULL)
        event_base_loop(base, EVLOOP_ONCE);
    assert_int_equal(msg->kind, PX_MSG_WORD);
    assert_int_equal(msg->word.word, ZKP_WORD_RUOK);
    bench_put(msg->word.fd, "imok", 4);
    bench_get(client, got, 4);
    px_msg_free(msg);
    px_mailbox_detach(b->control);
    event_base_free(base);
    close(client);
}

/* A request about "/w": a read with the watch flag, or an addWatch, mode persistent. */
static void ask_watch(const struct bench_pair *pair, int32_t xid, int32_t type)
{
    uint8_t frame[64];
    struct zkp_wr w = zkp_wr_over(frame, sizeof(frame));
    uint8_t *mark = zkp_wr_frame_begin(&w);

    zkp_wr_i32(&w, xid);
    zkp_wr_i32(&w, type);
    zkp_wr_buf(&w, zkp_slice_str("/w"));
    if (type == ZKP_OP_ADD_WATCH)
        zkp_wr_i32(&w, 0);
    else
        zkp_wr_bool(&w, true);
    zkp_wr_frame_end(&w, mark);
    bench_put_split(pair->client, frame, zkp_wr_len(&w), zkp_wr_len(&w) - 1); /* the flag comes later */
    bench_get(pair->server, frame, zkp_wr_len(&w));
    bench_put(pair->server, frame, bench_reply_frame(xid, xid, 0, frame));
    bench_get(pair->client, frame, 20);
}

static void watches_follow_events_in_pieces(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);
    struct zkp_watcher_event event = {ZKP_EVENT_DATA_CHANGED, 3, zkp_slice_str("/w")};
    uint8_t frame[64];
    uint32_t length = zkp_watcher_event_frame(-1, &event, frame, sizeof(frame));

    for (uint32_t at = 1; at < length; at++) {
        uint8_t seen[64];
        ask_watch(&pair, (int32_t)at, ZKP_OP_GET_DATA);
        BENCH_WAIT(metric(b, PX_METRIC_WATCHES_DATA) == 1);
        bench_put_split(pair.server, frame, length, at);
        bench_get(pair.client, seen, length);
        assert_memory_equal(seen, frame, length);
        BENCH_WAIT(metric(b, PX_METRIC_WATCHES_DATA) == 0);
    }
    close_pair(pair);
}

/* The directive knows the server's version (ZOOKEEPER-4466). */
static void watch_modes_by_the_servers_version(void **state)
{
    struct bench *b = *state;
    struct bench_pair pair = bench_open(b, 0, SID);

    ask_watch(&pair, 1, ZKP_OP_ADD_WATCH);
    ask_watch(&pair, 2, ZKP_OP_GET_CHILDREN);
    BENCH_WAIT(metric(b, PX_METRIC_WATCHES_CHILD) == 1);
    assert_int_equal(metric(b, PX_METRIC_WATCHES_PERSISTENT), 1); /* left in the data table */
    ask_watch(&pair, 3, ZKP_OP_GET_DATA);
    BENCH_WAIT(metric(b, PX_METRIC_WATCHES_DATA) == 1);
    BENCH_WAIT(metric(b, PX_METRIC_WATCHES_PERSISTENT) == 0);
    bench_next(b)->servers[0].has_watch_modes = true;
    bench_publish(b);
    ask_watch(&pair, 4, ZKP_OP_ADD_WATCH);
    BENCH_WAIT(metric(b, PX_METRIC_WATCHES_PERSISTENT) == 1);
    assert_int_equal(metric(b, PX_METRIC_WATCHES_DATA), 1);
    assert_int_equal(metric(b, PX_METRIC_WATCHES_CHILD), 1);
    close_pair(pair);
    BENCH_WAIT(metric(b, PX_METRIC_WATCHES_PERSISTENT) == 0);
    assert_int_equal(metric(b, PX_METRIC_WATCH_OVERFLOW), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(any_split_gives_the_same_bytes),
        CASE(the_connect_frame_too),
        CASE(early_requests_wait),
        CASE(big_replies_stream_under_back_pressure),
        CASE(big_requests_stream_under_back_pressure),
        CASE(a_request_over_our_own_limit_ends_its_session_only),
        CASE(a_reply_over_our_own_limit_too),
        CASE(a_whole_request_has_a_limit_of_its_own),
        CASE(whole_frames_take_turns),
        CASE(all_buffers_together_have_a_limit),
        CASE(a_successor_waits_for_the_holder),
        CASE(a_wrong_password_takes_nothing),
        CASE(guesses_take_nothing_from_one_who_comes_back),
        CASE(a_guess_that_came_first_keeps_nobody_out),
        CASE(who_comes_back_twice_waits_for_nothing),
        CASE(a_return_waits_for_the_reply),
        CASE(a_move_keeps_the_clients_socket),
        CASE(a_server_not_proven_is_tried_by_one),
        CASE(a_refused_move_takes_the_session_back),
        CASE(pings_are_answered_in_a_hold),
        CASE(the_last_request_survives_the_fin),
        CASE(a_lost_servers_read_goes_on),
        CASE(a_hold_lets_requests_wait),
        CASE(a_hold_ends_by_itself),
        CASE(a_refused_dial_is_tried_elsewhere),
        CASE(lost_writes_are_told_apart),
        CASE(a_write_passed_over_is_told),
        CASE(nonsense_of_a_server_is_its_own_end),
        CASE(nonsense_is_closed),
        CASE(a_word_goes_to_control),
        CASE(watches_follow_events_in_pieces),
        CASE(watch_modes_by_the_servers_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
