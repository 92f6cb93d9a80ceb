/* bench_stub: a ZooKeeper server in appearance (stub.h) on an epoll loop. Per turn and connection one recv
 * and one send. Prints {"address": …} when it listens, and its counts when stdin closes, which ends it. One
 * thread. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/sockets.h"
#include "tests/bench/stream.h"
#include "tests/bench/stub.h"
#include "zkproto/frame.h"

#define OUT_BYTES (512u * 1024u) /* answers of one turn; sent earlier when it fills */

struct conn {
    struct bench_stream stream;
    bool is_attached; /* its ConnectRequest was answered */
};

struct stub {
    struct bench_loop *loop;
    int listener;
    struct sockaddr_in address;
    struct stub_state state;
    uint8_t out[OUT_BYTES];
};

static void conn_free(struct conn *conn)
{
    bench_stream_close(&conn->stream);
    free(conn);
}

static void accept_all(struct stub *stub)
{
    int fd;
    while ((fd = bench_accept(stub->listener)) >= 0) {
        struct conn *conn = calloc(1, sizeof *conn);
        if (!conn || bench_stream_open(&conn->stream, stub->loop, fd, false, conn) != RC_OK) {
            free(conn);
            return;
        }
    }
}

static enum rc answer_one(struct stub *stub, struct conn *conn, struct zkp_slice body, struct zkp_wr *out)
{
    if (conn->is_attached)
        return stub_answer(&stub->state, body, out);
    conn->is_attached = true;
    return stub_connect(&stub->state, body, out);
}

static enum rc send_out(struct conn *conn, struct zkp_wr *out)
{
    enum rc rc = bench_stream_send(&conn->stream, zkp_slice_of(out->begin, zkp_wr_len(out)));
    *out = zkp_wr_over(out->begin, OUT_BYTES);
    return rc;
}

static enum rc answer_frames(struct stub *stub, struct conn *conn, struct zkp_slice *bytes,
                             struct zkp_wr *out)
{
    struct zkp_slice body;
    enum rc rc;
    while ((rc = bench_frame_next(bytes, &body)) == RC_OK) {
        rc = answer_one(stub, conn, body, out);
        if (rc == RC_OK && zkp_wr_len(out) > OUT_BYTES - STUB_ANSWER_MAX)
            rc = send_out(conn, out);
        if (rc != RC_OK)
            return rc;
    }
    return rc;
}

/* A word instead of a first frame, as servers tell them apart (protocol.md §1.5). */
static enum zkp_word word_in(const struct conn *conn, struct zkp_slice bytes)
{
    return conn->is_attached || bytes.len < ZKP_FRAME_PREFIX ? ZKP_WORD_NONE : zkp_word_detect(bytes.ptr);
}

/* RC_OK: the connection goes on. */
static enum rc serve(struct stub *stub, struct conn *conn)
{
    struct zkp_slice bytes;
    struct zkp_wr out = zkp_wr_over(stub->out, OUT_BYTES);
    enum rc rc = bench_stream_receive(&conn->stream, &bytes);
    if (rc != RC_OK)
        return rc == RC_AGAIN ? RC_OK : rc;
    enum zkp_word word = word_in(conn, bytes);
    if (word != ZKP_WORD_NONE) {
        stub_word(&stub->state, word, ntohs(stub->address.sin_port), &out);
        rc = RC_CLOSED;
    } else {
        rc = answer_frames(stub, conn, &bytes, &out);
    }
    enum rc sent = send_out(conn, &out);
    if (rc != RC_AGAIN || sent != RC_OK)
        return rc != RC_AGAIN ? rc : sent;
    return bench_stream_keep(&conn->stream, bytes);
}

static void on_event(struct stub *stub, struct conn *conn, uint32_t events)
{
    enum rc rc = RC_OK;
    if (events & EPOLLOUT)
        rc = bench_stream_flush(&conn->stream);
    if (rc == RC_OK && (events & ~(uint32_t)EPOLLOUT))
        rc = serve(stub, conn);
    if (rc != RC_OK)
        conn_free(conn);
}

/* Whatever is written there is not ours to read; the end of it is ours, too. */
static bool stdin_has_ended(void)
{
    char byte;
    ssize_t got = read(STDIN_FILENO, &byte, 1);
    return got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN);
}

static void run(struct stub *stub)
{
    for (;;) {
        int count = bench_loop_wait(stub->loop, -1);
        for (int i = 0; i < count; i++) {
            const struct epoll_event *event = &stub->loop->events[i];
            if (event->data.ptr == &stub->listener)
                accept_all(stub);
            else if (event->data.ptr != stub)
                on_event(stub, event->data.ptr, event->events);
            else if (stdin_has_ended())
                return;
        }
    }
}

static void print_counts(const struct stub_counts *counts)
{
    printf("{\"sessions\": %" PRIu64 ", \"reattaches\": %" PRIu64 ", \"words\": %" PRIu64
           ", \"dropped\": %" PRIu64 ", \"requests\": {",
           counts->sessions, counts->reattaches, counts->words, counts->dropped);
    for (uint32_t op = 0; op < ZKP_OPX_COUNT; op++)
        printf("%s\"%s\": %" PRIu64, op > 0 ? ", " : "", zkp_op_row((enum zkp_op_index)op)->name,
               counts->requests[op]);
    printf("}}\n");
}

static _Noreturn void usage(void)
{
    fputs("usage: bench_stub [--listen HOST:PORT] [--id N] [--value-size BYTES] [--drop N]\n"
          "Ends when stdin closes. --drop N: the Nth getData gets no reply.\n",
          stderr);
    exit(2);
}

static void parse(int argc, char **argv, struct stub *stub)
{
    static const struct option options[] = {{"listen", required_argument, NULL, 'l'},
                                            {"id", required_argument, NULL, 'i'},
                                            {"value-size", required_argument, NULL, 'v'},
                                            {"drop", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    const char *listen = "127.0.0.1:0";
    uint64_t drop_at = 0, value_bytes = 100, id = 1;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'l')
            listen = optarg;
        else if (option == 'i')
            id = strtoull(optarg, NULL, 10);
        else if (option == 'v')
            value_bytes = strtoull(optarg, NULL, 10);
        else if (option == 'd')
            drop_at = strtoull(optarg, NULL, 10);
        else
            usage();
    }
    if (optind != argc || value_bytes > STUB_VALUE_MAX || id < 1 || id > 127 ||
        !bench_address_parse(listen, &stub->address))
        usage();
    stub_state_init(&stub->state, (int32_t)id, (uint32_t)value_bytes);
    stub->state.drop_at = drop_at;
}

int main(int argc, char **argv)
{
    struct stub *stub = calloc(1, sizeof *stub);
    if (!stub)
        return 1;
    parse(argc, argv, stub);
    bench_files_raise();
    stub->loop = bench_loop_new();
    if (!stub->loop || bench_loop_serve(stub->loop, &stub->address, stub, &stub->listener) != RC_OK)
        return 1;
    run(stub);
    print_counts(&stub->state.counts);
    bench_loop_free(stub->loop);
    free(stub);
    return 0;
}
