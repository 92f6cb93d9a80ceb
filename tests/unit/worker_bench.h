/* Hands for the shell's tests: real workers, clients on socket pairs, a server on a Unix socket in the test's
 * own thread. Unix sockets tell with SIOCOUTQ when the other side has read: no sleeps. Header only. */
#ifndef TESTS_UNIT_WORKER_BENCH_H
#define TESTS_UNIT_WORKER_BENCH_H

#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proxy/net/worker.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"

#define BENCH_WORKERS     2u
#define BENCH_DEADLINE_MS 60000 /* only bounds a hang */

struct bench {
    struct px_shared *shared;
    struct px_mailbox *control;
    struct px_worker *workers[BENCH_WORKERS];
    struct px_directive *directive; /* the last published one, kept to derive the next */
    int listener;
    uint64_t connected; /* distinguishes session ids */
};

static inline int64_t bench_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Spins until `condition`; fails the test at the deadline. */
#define BENCH_WAIT(condition)                                                                                \
    do {                                                                                                     \
        int64_t until_ = bench_now_ms() + BENCH_DEADLINE_MS;                                                 \
        while (!(condition)) {                                                                               \
            assert_true(bench_now_ms() < until_);                                                            \
            sched_yield();                                                                                   \
        }                                                                                                    \
    } while (0)

static inline void bench_listen(struct bench *b, struct px_address *ret_address)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(sa_family_t); /* autobind: the kernel picks an abstract name */

    b->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(b->listener, (struct sockaddr *)&name, length), 0);
    assert_int_equal(listen(b->listener, 64), 0);
    ret_address->length = sizeof(ret_address->storage);
    assert_int_equal(getsockname(b->listener, (struct sockaddr *)&ret_address->storage, &ret_address->length),
                     0);
}

static inline void bench_publish(struct bench *b)
{
    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        px_worker_publish(b->workers[i], px_directive_ref(b->directive));
    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        BENCH_WAIT(atomic_load(&b->shared->workers[i].directive_version) == b->directive->version);
}

/* A changeable copy of the present directive; bench_publish sends it. */
static inline struct px_directive *bench_next(struct bench *b)
{
    struct px_directive *next = px_directive_next(b->directive);

    px_directive_unref(b->directive);
    b->directive = next;
    return next;
}

/* pulse_ms: of px_worker_options. */
static inline void bench_begin_pulsed(struct bench *b, uint32_t buffer_max, uint32_t pulse_ms)
{
    struct err err;

    memset(b, 0, sizeof(*b));
    b->shared = px_shared_new(BENCH_WORKERS);
    b->shared->limits.sessions_max = b->shared->limits.silent_max = 1000;
    b->shared->limits.handshake_timeout_ms = 60000;
    b->shared->limits.client_buffer_max = buffer_max;
    assert_int_equal(px_mailbox_new(&b->control, &err), RC_OK);
    for (uint32_t i = 0; i < BENCH_WORKERS; i++) {
        struct px_worker_options options = {
            .index = i, .shared = b->shared, .control = b->control, .pulse_ms = pulse_ms};
        assert_int_equal(px_worker_start(&options, &b->workers[i], &err), RC_OK);
    }
    b->directive = px_directive_new();
    b->directive->version = 1;
    b->directive->has_leader = true;
    b->directive->quiesce_timeout_ms = 60000;
    b->directive->moves_per_second = 1000;
    b->directive->servers[0].in_use = b->directive->servers[0].admit = true;
    b->directive->servers[0].is_serving = true;
    b->directive->servers[0].zxid = 1000;
    b->directive->servers[0].address_count = 1;
    bench_listen(b, &b->directive->servers[0].addresses[0]);
    bench_publish(b);
}

static inline void bench_begin(struct bench *b, uint32_t buffer_max)
{
    bench_begin_pulsed(b, buffer_max, UINT32_MAX); /* no ping but those asked for */
}

static inline void bench_end(struct bench *b)
{
    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        px_worker_stop(b->workers[i]);
    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        px_worker_join(b->workers[i]);
    for (uint32_t i = 0; i < BENCH_WORKERS; i++)
        px_worker_free(b->workers[i]);
    close(b->listener);
    px_directive_unref(b->directive);
    px_mailbox_free(b->control);
    px_shared_free(b->shared);
}

/* is_own: of the daemon itself. */
static inline int bench_adopt(struct bench *b, uint32_t worker, bool is_own)
{
    int pair[2];
    struct px_adopt adopt = {.config_node = CONF_GUARD_HIDE, .is_own = is_own};

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    adopt.fd = pair[1];
    assert_int_equal(fcntl(adopt.fd, F_SETFL, O_NONBLOCK), 0);
    px_worker_adopt(b->workers[worker], &adopt);
    return pair[0];
}

static inline int bench_client(struct bench *b, uint32_t worker)
{
    return bench_adopt(b, worker, false);
}

static inline uint32_t bench_unread(int fd)
{
    int count = 0;

    assert_int_equal(ioctl(fd, SIOCOUTQ, &count), 0);
    return (uint32_t)count;
}

static inline void bench_put(int fd, const void *bytes, size_t length)
{
    assert_int_equal(send(fd, bytes, length, MSG_NOSIGNAL), (ssize_t)length);
}

/* In two parts, the second only when the first was read. */
static inline void bench_put_split(int fd, const uint8_t *bytes, uint32_t length, uint32_t at)
{
    bench_put(fd, bytes, at);
    BENCH_WAIT(bench_unread(fd) == 0);
    bench_put(fd, bytes + at, length - at);
}

static inline bool bench_readable(int fd, int timeout_ms)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};

    return poll(&wait, 1, timeout_ms) == 1;
}

/* Reads exactly that many bytes. */
static inline void bench_get(int fd, uint8_t *bytes, size_t length)
{
    while (length > 0) {
        ssize_t got;
        assert_true(bench_readable(fd, BENCH_DEADLINE_MS));
        got = recv(fd, bytes, length, 0);
        assert_true(got > 0);
        bytes += got;
        length -= (size_t)got;
    }
}

static inline void bench_expect_end(int fd)
{
    uint8_t byte;

    assert_true(bench_readable(fd, BENCH_DEADLINE_MS));
    assert_true(recv(fd, &byte, 1, 0) <= 0);
}

static inline uint32_t bench_connect_frame(int64_t session_id, const uint8_t *password, uint8_t *frame)
{
    struct zkp_connect_request request = {.timeout_ms = 30000,
                                          .session_id = session_id,
                                          .password = {password, ZKP_PASSWORD_LEN},
                                          .has_read_only = true};

    return zkp_connect_request_frame(&request, frame, ZKP_CONNECT_FRAME_MAX);
}

static inline uint32_t bench_answer_frame(int64_t session_id, uint8_t *frame)
{
    uint8_t password[ZKP_PASSWORD_LEN] = {7};
    struct zkp_connect_response response = {.timeout_ms = 30000,
                                            .session_id = session_id,
                                            .password = {password, ZKP_PASSWORD_LEN},
                                            .has_read_only = true};

    return zkp_connect_response_frame(&response, frame, ZKP_CONNECT_FRAME_MAX);
}

/* The server's side of a dial: accepts and reads the ConnectRequest (49 bytes). */
static inline int bench_accept(struct bench *b)
{
    uint8_t frame[49];
    int fd;

    assert_true(bench_readable(b->listener, BENCH_DEADLINE_MS));
    fd = accept4(b->listener, NULL, NULL, SOCK_CLOEXEC);
    bench_get(fd, frame, sizeof(frame));
    assert_int_equal(zkp_load_i32(frame), 45);
    return fd;
}

/* A served session: the client's end and the server's end. */
struct bench_pair {
    int client;
    int server;
    int64_t session_id;
};

static inline struct bench_pair bench_open(struct bench *b, uint32_t worker, int64_t session_id)
{
    static const uint8_t none[ZKP_PASSWORD_LEN];
    struct bench_pair pair = {.client = bench_client(b, worker), .session_id = session_id};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];

    bench_put(pair.client, frame, bench_connect_frame(0, none, frame));
    pair.server = bench_accept(b);
    bench_put(pair.server, frame, bench_answer_frame(session_id, frame));
    bench_get(pair.client, frame, 41);
    assert_int_equal(zkp_load_i64(frame + 12), session_id);
    return pair;
}

static inline uint32_t bench_request_frame(int32_t xid, int32_t type, uint8_t *frame)
{
    zkp_store_i32(frame, 8);
    zkp_store_i32(frame + 4, xid);
    zkp_store_i32(frame + 8, type);
    return 12;
}

static inline uint32_t bench_reply_frame(int32_t xid, int64_t zxid, uint32_t body, uint8_t *frame)
{
    zkp_store_i32(frame, (int32_t)(16 + body));
    zkp_store_i32(frame + 4, xid);
    zkp_store_i64(frame + 8, zxid);
    zkp_store_i32(frame + 16, 0);
    return 20;
}

#endif
