/* See stream.h. */
#include "tests/bench/stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/clock.h"
#include "tests/bench/sockets.h"
#include "zkproto/frame.h"

struct bench_loop *bench_loop_new(void)
{
    struct bench_loop *loop = malloc(sizeof *loop);
    if (!loop)
        return NULL;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        free(loop);
        return NULL;
    }
    return loop;
}

void bench_loop_free(struct bench_loop *loop)
{
    if (!loop)
        return;
    close(loop->epoll_fd);
    free(loop);
}

/* Without a timeout the older call, which tools like valgrind 3.19 know. */
int bench_loop_wait(struct bench_loop *loop, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = timeout_ns / BENCH_NS_PER_S, .tv_nsec = timeout_ns % BENCH_NS_PER_S};
    int count = timeout_ns < 0 ? epoll_wait(loop->epoll_fd, loop->events, BENCH_EVENTS_MAX, -1)
                               : epoll_pwait2(loop->epoll_fd, loop->events, BENCH_EVENTS_MAX, &timeout, NULL);
    return count > 0 ? count : 0; /* EINTR: an empty turn */
}

enum rc bench_loop_watch(struct bench_loop *loop, int fd, void *owner)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = owner};
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? RC_OK : RC_IO;
}

static enum rc arm(struct bench_stream *stream, int operation, bool writes)
{
    struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0u), .data.ptr = stream->owner};
    return epoll_ctl(stream->loop->epoll_fd, operation, stream->fd, &event) == 0 ? RC_OK : RC_IO;
}

enum rc bench_loop_serve(struct bench_loop *loop, struct sockaddr_in *address, void *stdin_owner,
                         int *ret_listener)
{
    char host[INET_ADDRSTRLEN];
    *ret_listener = bench_listen(address);
    if (*ret_listener < 0 || bench_loop_watch(loop, *ret_listener, ret_listener) != RC_OK ||
        bench_loop_watch(loop, STDIN_FILENO, stdin_owner) != RC_OK) {
        perror("listen");
        return RC_IO;
    }
    printf("{\"address\": \"%s:%u\"}\n", inet_ntop(AF_INET, &address->sin_addr, host, sizeof host),
           ntohs(address->sin_port));
    fflush(stdout);
    return RC_OK;
}

enum rc bench_stream_open(struct bench_stream *stream, struct bench_loop *loop, int fd, bool is_dialing,
                          void *owner)
{
    *stream = (struct bench_stream){.loop = loop, .owner = owner, .fd = fd, .is_dialing = is_dialing};
    enum rc rc = arm(stream, EPOLL_CTL_ADD, is_dialing);
    if (rc != RC_OK)
        bench_stream_close(stream);
    return rc;
}

enum rc bench_stream_connected(struct bench_stream *stream)
{
    int error = bench_dial_error(stream->fd);
    if (error != 0) {
        errno = error;
        return RC_IO;
    }
    stream->is_dialing = false;
    return stream->out.len > 0 ? bench_stream_flush(stream) : arm(stream, EPOLL_CTL_MOD, false);
}

static enum rc append(struct bench_bytes *bytes, struct zkp_slice more)
{
    if (bytes->len + more.len > bytes->capacity) {
        uint32_t capacity = (bytes->len + more.len) * 2u;
        uint8_t *grown = realloc(bytes->ptr, capacity);
        if (!grown)
            return RC_NOMEM;
        bytes->ptr = grown;
        bytes->capacity = capacity;
    }
    if (more.len > 0)
        memcpy(bytes->ptr + bytes->len, more.ptr, more.len);
    bytes->len += more.len;
    return RC_OK;
}

static void bytes_free(struct bench_bytes *bytes)
{
    free(bytes->ptr);
    *bytes = (struct bench_bytes){0};
}

enum rc bench_stream_receive(struct bench_stream *stream, struct zkp_slice *ret_bytes)
{
    uint8_t *scratch = stream->loop->scratch;
    uint32_t kept = stream->rest.len;
    if (kept >= BENCH_SCRATCH)
        return RC_TOO_BIG;
    ssize_t got = recv(stream->fd, scratch + kept, BENCH_SCRATCH - kept, 0);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? RC_AGAIN : RC_IO;
    if (got == 0)
        return RC_CLOSED;
    if (kept > 0)
        memcpy(scratch, stream->rest.ptr, kept);
    bytes_free(&stream->rest);
    *ret_bytes = zkp_slice_of(scratch, kept + (uint32_t)got);
    return RC_OK;
}

enum rc bench_stream_keep(struct bench_stream *stream, struct zkp_slice rest)
{
    return rest.len > 0 ? append(&stream->rest, rest) : RC_OK;
}

/* RC_OK with *sent = 0 when the kernel takes nothing now. */
static enum rc send_some(int fd, struct zkp_slice bytes, uint32_t *sent)
{
    ssize_t took = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    *sent = took > 0 ? (uint32_t)took : 0u;
    return took >= 0 || errno == EAGAIN || errno == EINTR ? RC_OK : RC_IO;
}

enum rc bench_stream_send(struct bench_stream *stream, struct zkp_slice bytes)
{
    uint32_t sent = 0;
    if (bytes.len == 0)
        return RC_OK;
    if (stream->out.len > 0)
        return append(&stream->out, bytes);
    enum rc rc = send_some(stream->fd, bytes, &sent);
    if (rc != RC_OK || sent == bytes.len)
        return rc;
    rc = append(&stream->out, zkp_slice_of(bytes.ptr + sent, bytes.len - sent));
    return rc == RC_OK ? arm(stream, EPOLL_CTL_MOD, true) : rc;
}

enum rc bench_stream_flush(struct bench_stream *stream)
{
    uint32_t sent = 0;
    enum rc rc = send_some(stream->fd, zkp_slice_of(stream->out.ptr, stream->out.len), &sent);
    if (rc != RC_OK)
        return rc;
    stream->out.len -= sent;
    memmove(stream->out.ptr, stream->out.ptr + sent, stream->out.len);
    if (stream->out.len > 0)
        return RC_OK;
    bytes_free(&stream->out);
    return arm(stream, EPOLL_CTL_MOD, false);
}

int bench_stream_release(struct bench_stream *stream)
{
    int fd = stream->fd;
    (void)epoll_ctl(stream->loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* it was added by bench_stream_open */
    stream->fd = -1;
    bench_stream_close(stream);
    return fd;
}

void bench_stream_close(struct bench_stream *stream)
{
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    bytes_free(&stream->rest);
    bytes_free(&stream->out);
}

enum rc bench_frame_next(struct zkp_slice *bytes, struct zkp_slice *ret_body)
{
    struct zkp_frame frame;
    enum rc rc = zkp_frame_peek(*bytes, BENCH_SCRATCH - ZKP_FRAME_PREFIX, &frame);
    if (rc != RC_OK)
        return rc;
    if (frame.body.len < frame.length)
        return RC_AGAIN;
    *ret_body = frame.body;
    bytes->ptr += ZKP_FRAME_PREFIX + frame.length;
    bytes->len -= ZKP_FRAME_PREFIX + frame.length;
    return RC_OK;
}
