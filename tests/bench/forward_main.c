/* bench_forward: the least that anything between a client and a server can do, the floor of the benchmark.
 * Accepts, dials the upstream, and passes bytes on: one recv and one send per direction and batch, nothing
 * else. No limits and no time-outs: its peers are the load generator and servers of this bench. Ends when
 * stdin closes. One thread. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/sockets.h"
#include "tests/bench/stream.h"

struct pair;

struct end {
    struct bench_stream stream;
    struct pair *pair;
    struct end *other;
};

/* Both ends die together; freed behind the turn, because the other end's event may still be in the batch. */
struct pair {
    struct end client;
    struct end server;
    struct pair *next_dead;
    bool is_dead;
};

struct forward {
    struct bench_loop *loop;
    int listener;
    struct sockaddr_in address;
    struct sockaddr_in upstream;
    struct pair *dead;
};

static void pair_bury(struct forward *forward, struct pair *pair)
{
    if (pair->is_dead)
        return;
    pair->is_dead = true;
    bench_stream_close(&pair->client.stream);
    bench_stream_close(&pair->server.stream);
    pair->next_dead = forward->dead;
    forward->dead = pair;
}

static void sweep(struct forward *forward)
{
    while (forward->dead) {
        struct pair *pair = forward->dead;
        forward->dead = pair->next_dead;
        free(pair);
    }
}

static enum rc open_end(struct forward *forward, struct pair *pair, struct end *end, struct end *other,
                        int fd)
{
    end->pair = pair;
    end->other = other;
    return bench_stream_open(&end->stream, forward->loop, fd, end == &pair->server, end);
}

static void pair_new(struct forward *forward, int client_fd)
{
    struct pair *pair = calloc(1, sizeof *pair);
    int server_fd = pair ? bench_dial(&forward->upstream) : -1;
    if (server_fd < 0) {
        free(pair);
        close(client_fd);
        return;
    }
    enum rc client = open_end(forward, pair, &pair->client, &pair->server, client_fd);
    enum rc server = open_end(forward, pair, &pair->server, &pair->client, server_fd);
    if (client != RC_OK || server != RC_OK)
        pair_bury(forward, pair);
}

static void accept_all(struct forward *forward)
{
    int fd;
    while ((fd = bench_accept(forward->listener)) >= 0)
        pair_new(forward, fd);
}

/* A send while the other end still dials waits in its stream like one that the kernel refused. */
static enum rc pass_on(struct end *from)
{
    struct zkp_slice bytes;
    enum rc rc = bench_stream_receive(&from->stream, &bytes);
    if (rc != RC_OK)
        return rc == RC_AGAIN ? RC_OK : rc;
    return bench_stream_send(&from->other->stream, bytes);
}

static void on_event(struct forward *forward, struct end *end, uint32_t events)
{
    enum rc rc = RC_OK;
    if (end->pair->is_dead)
        return;
    if (end->stream.is_dialing && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        rc = bench_stream_connected(&end->stream);
    else if (events & EPOLLOUT)
        rc = bench_stream_flush(&end->stream);
    if (rc == RC_OK && (events & ~(uint32_t)EPOLLOUT))
        rc = pass_on(end);
    if (rc != RC_OK)
        pair_bury(forward, end->pair);
}

static void run(struct forward *forward)
{
    char byte;
    for (;; sweep(forward)) {
        int count = bench_loop_wait(forward->loop, -1);
        for (int i = 0; i < count; i++) {
            const struct epoll_event *event = &forward->loop->events[i];
            if (event->data.ptr == &forward->listener)
                accept_all(forward);
            else if (event->data.ptr != forward)
                on_event(forward, event->data.ptr, event->events);
            else if (read(STDIN_FILENO, &byte, 1) == 0)
                return;
        }
    }
}

int main(int argc, char **argv)
{
    struct forward forward = {0};
    if (argc != 3 || !bench_address_parse(argv[1], &forward.address) ||
        !bench_address_parse(argv[2], &forward.upstream)) {
        fputs("usage: bench_forward LISTEN-HOST:PORT UPSTREAM-HOST:PORT\n", stderr);
        return 2;
    }
    bench_files_raise();
    forward.loop = bench_loop_new();
    if (!forward.loop ||
        bench_loop_serve(forward.loop, &forward.address, &forward, &forward.listener) != RC_OK)
        return 1;
    run(&forward);
    bench_loop_free(forward.loop);
    return 0;
}
