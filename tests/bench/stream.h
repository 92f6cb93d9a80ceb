/* An epoll loop and byte streams on it, made to be cheap: per turn one recv into the loop's scratch memory
 * and one send straight from the caller's; a stream owns memory only for what the kernel refused or for half
 * a frame. Level-triggered; a write event is asked for only while bytes wait. One thread per loop. */
#ifndef TESTS_BENCH_STREAM_H
#define TESTS_BENCH_STREAM_H

#include <netinet/in.h>
#include <sys/epoll.h>

#include "zkproto/err.h"
#include "zkproto/slice.h"

#define BENCH_SCRATCH    (256u * 1024u) /* one recv; also the longest frame any program here understands */
#define BENCH_EVENTS_MAX 256

struct bench_loop {
    int epoll_fd;
    struct epoll_event events[BENCH_EVENTS_MAX]; /* of the last wait; data.ptr is the stream's owner */
    uint8_t scratch[BENCH_SCRATCH];
};

/* A heap copy, owned by its stream. */
struct bench_bytes {
    uint8_t *ptr;
    uint32_t len;
    uint32_t capacity;
};

/* fd -1 = closed. All zero is no valid stream: bench_stream_open first. */
struct bench_stream {
    struct bench_loop *loop;
    void *owner;
    int fd;
    bool is_dialing;
    struct bench_bytes rest; /* received, not yet a whole frame */
    struct bench_bytes out;  /* refused by the kernel */
};

/* NULL with errno on failure. */
struct bench_loop *bench_loop_new(void);
void bench_loop_free(struct bench_loop *loop); /* NULL is fine; its streams must be closed */
/* Number of events in loop->events; 0 after timeout_ns (negative = none). */
int bench_loop_wait(struct bench_loop *loop, int64_t timeout_ns);
/* A descriptor that is no stream (a listener, stdin): read events carry `owner`. */
enum rc bench_loop_watch(struct bench_loop *loop, int fd, void *owner) RC_MUST_CHECK;

/* For the programs that serve: listens (port 0 = any free one), prints {"address": …}, watches the listener,
 * whose events carry ret_listener itself, and stdin. RC_IO: the cause was printed. */
enum rc bench_loop_serve(struct bench_loop *loop, struct sockaddr_in *address, void *stdin_owner,
                         int *ret_listener) RC_MUST_CHECK;

/* Takes fd. is_dialing: a write event comes when the connect is decided. RC_IO: fd is closed. */
enum rc bench_stream_open(struct bench_stream *stream, struct bench_loop *loop, int fd, bool is_dialing,
                          void *owner) RC_MUST_CHECK;
/* After a write event of a dialing stream. RC_OK: connected; RC_IO: refused. */
enum rc bench_stream_connected(struct bench_stream *stream) RC_MUST_CHECK;
/* One recv. RC_OK: *ret_bytes is what was kept and what came, borrowed until the loop's next recv; what is no
 * whole frame goes back with bench_stream_keep. RC_AGAIN: nothing there. RC_CLOSED, RC_IO: the end;
 * RC_TOO_BIG. */
enum rc bench_stream_receive(struct bench_stream *stream, struct zkp_slice *ret_bytes) RC_MUST_CHECK;
enum rc bench_stream_keep(struct bench_stream *stream, struct zkp_slice rest) RC_MUST_CHECK;
/* One send; what the kernel refuses is copied and sent on write events by bench_stream_flush. */
enum rc bench_stream_send(struct bench_stream *stream, struct zkp_slice bytes) RC_MUST_CHECK;
enum rc bench_stream_flush(struct bench_stream *stream) RC_MUST_CHECK;
/* The descriptor, still open and no longer watched; the stream is closed. */
int bench_stream_release(struct bench_stream *stream);
/* Closes and frees what it owns; again is harmless. */
void bench_stream_close(struct bench_stream *stream);

/* Cuts the first frame's body off *bytes. RC_AGAIN: not whole yet; RC_MALFORMED or RC_TOO_BIG: no frame. */
enum rc bench_frame_next(struct zkp_slice *bytes, struct zkp_slice *ret_body) RC_MUST_CHECK;

#endif
