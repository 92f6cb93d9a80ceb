/* The witness's second session: a client with a persistent watch on the witness's node and a recursive one on
 * the state root, as caches have them (the C client library knows neither). Where events of such a watch may
 * have been missed, its client is cut (proxy/session/session_finish.c), and so is this one: that is all it
 * tells. Servers before 3.6 have no such watches, then there is nothing to lose. Control thread; never waits.
 */
#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrate/monotonic.h"
#include "proxy/control/witness/witness_int.h"
#include "proxy/log.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"

#define TIMEOUT_MS   20000
#define DIAL_WAIT_MS 1000 /* between two attempts */
/* A path under the state root and a header; longer frames are not for us. */
#define REQUEST_MAX (ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN + 4u + WITNESS_PATH_MAX + 4u)

enum { XID_PERSISTENT = 1, XID_RECURSIVE, XID_CLOSE };
enum { MODE_PERSISTENT, MODE_RECURSIVE };

static void hang_up(struct witness_watcher *watcher, enum witness_watcher_stage next)
{
    if (watcher->event) {
        int fd = event_get_fd(watcher->event);
        event_free(watcher->event);
        close(fd);
    }
    watcher->event = NULL;
    watcher->length = 0;
    watcher->stage = next;
}

/* Before the watches are set nothing is lost with it. */
static void lose(struct px_witness *w, const char *why)
{
    bool is_fault = w->watcher.stage == WATCHER_WATCHING && w->state == WITNESS_RUNNING;
    hang_up(&w->watcher, WATCHER_IDLE);
    if (!is_fault)
        return;
    const struct mig_witness_event event = {.kind = MIG_WITNESS_WATCHES_LOST, .now_ms = mig_now_ms()};
    px_log(PX_LOG_WARN, "witness.watches_lost", "plan=%s why=%s", w->result.plan_id, why);
    witness_judge(w, &event);
}

/* --- saying --- */

/* A few small frames in twenty seconds: what does not fit into the socket means that nobody reads it. */
static void say(struct px_witness *w, const uint8_t *frame, uint32_t length)
{
    w->watcher.said_ms = mig_now_ms();
    if (send(event_get_fd(w->watcher.event), frame, length, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)length)
        lose(w, "it can't be written to");
}

static void say_request(struct px_witness *w, int32_t xid, int32_t type)
{
    uint8_t frame[ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN];
    const struct zkp_request_header header = {.xid = xid, .type = type};
    say(w, frame, zkp_request_header_frame(header, frame, sizeof frame));
}

static void say_add_watch(struct px_witness *w, int32_t xid, const char *path, int32_t mode)
{
    uint8_t frame[REQUEST_MAX];
    struct zkp_wr wr = zkp_wr_over(frame, sizeof frame);
    uint8_t *mark = zkp_wr_frame_begin(&wr);
    zkp_wr_i32(&wr, xid);
    zkp_wr_i32(&wr, ZKP_OP_ADD_WATCH);
    zkp_wr_buf(&wr, zkp_slice_str(path));
    zkp_wr_i32(&wr, mode);
    zkp_wr_frame_end(&wr, mark);
    if (w->watcher.event)
        say(w, frame, zkp_wr_len(&wr));
}

static void say_connect(struct px_witness *w)
{
    static const uint8_t password[ZKP_PASSWORD_LEN];
    const struct zkp_connect_request request = {
        .timeout_ms = TIMEOUT_MS, .password = zkp_slice_of(password, sizeof password), .has_read_only = true};
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    w->watcher.stage = WATCHER_GREETING;
    say(w, frame, zkp_connect_request_frame(&request, frame, sizeof frame));
}

/* --- hearing --- */

static void on_connected(struct px_witness *w, struct zkp_slice body)
{
    struct zkp_connect_response response;
    if (zkp_connect_response_decode(body, &response) != RC_OK || response.timeout_ms <= 0) {
        lose(w, "no session");
        return;
    }
    w->watcher.stage = WATCHER_ARMING;
    w->watcher.set_count = 0;
    say_add_watch(w, XID_PERSISTENT, w->path, MODE_PERSISTENT);
    say_add_watch(w, XID_RECURSIVE, w->root, MODE_RECURSIVE);
}

static void on_set(struct px_witness *w, const struct zkp_reply_header *header)
{
    if (header->err != 0) {
        px_log(PX_LOG_INFO, "witness.watches_refused", "plan=%s err=%d", w->result.plan_id, header->err);
        hang_up(&w->watcher, WATCHER_UNABLE);
        return;
    }
    if (++w->watcher.set_count < 2)
        return;
    w->watcher.stage = WATCHER_WATCHING;
    px_log(PX_LOG_INFO, "witness.watching", "plan=%s", w->result.plan_id);
}

/* Events and answers to pings are signs of life and no more. */
static void on_frame(struct px_witness *w, struct zkp_slice body)
{
    struct zkp_reply_header header;
    if (w->watcher.stage == WATCHER_GREETING)
        on_connected(w, body);
    else if (zkp_reply_header_decode(body, &header) != RC_OK)
        lose(w, "no reply");
    else if (header.xid == XID_PERSISTENT || header.xid == XID_RECURSIVE)
        on_set(w, &header);
}

static void take_frames(struct px_witness *w)
{
    struct witness_watcher *watcher = &w->watcher;
    uint32_t done = 0;
    while (watcher->event) {
        struct zkp_frame frame;
        const struct zkp_slice in = zkp_slice_of(watcher->bytes + done, watcher->length - done);
        enum rc rc = zkp_frame_peek(in, sizeof watcher->bytes - ZKP_FRAME_PREFIX, &frame);
        if (rc != RC_OK && rc != RC_AGAIN) {
            lose(w, "a frame that can't be read");
            return;
        }
        if (rc == RC_AGAIN || frame.body.len < frame.length)
            break;
        done += ZKP_FRAME_PREFIX + frame.length;
        on_frame(w, frame.body);
    }
    if (!watcher->event)
        return;
    watcher->length -= done;
    memmove(watcher->bytes, watcher->bytes + done, watcher->length);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct px_witness *w = arg;
    struct witness_watcher *watcher = &w->watcher;
    (void)what;
    ssize_t got = recv(fd, watcher->bytes + watcher->length, sizeof watcher->bytes - watcher->length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        lose(w, got == 0 ? "closed" : "reset");
        return;
    }
    watcher->length += (uint32_t)got;
    watcher->heard_ms = mig_now_ms();
    take_frames(w);
}

/* --- dialling --- */

static bool listen_on(struct px_witness *w, int fd, short what, event_callback_fn fn)
{
    struct event *event = event_new(w->base, fd, what, fn, w);
    if (w->watcher.event)
        event_free(w->watcher.event);
    w->watcher.event = event;
    return event && event_add(event, NULL) == 0;
}

static void on_dialled(evutil_socket_t fd, short what, void *arg)
{
    struct px_witness *w = arg;
    int trouble = 0;
    socklen_t length = sizeof trouble;
    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &trouble, &length) != 0 || trouble != 0) {
        lose(w, "refused");
        return;
    }
    if (listen_on(w, fd, EV_READ | EV_PERSIST, on_readable))
        say_connect(w);
    else if (w->watcher.event)
        lose(w, "out of memory");
    else
        close(fd);
}

static void dial(struct px_witness *w)
{
    const struct mig_address *to = &w->watcher.address;
    int fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    w->watcher.said_ms = w->watcher.heard_ms = mig_now_ms();
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)&to->storage, to->length) != 0 && errno != EINPROGRESS) {
        close(fd);
        return;
    }
    w->watcher.stage = WATCHER_DIALLING;
    if (listen_on(w, fd, EV_WRITE, on_dialled))
        return;
    if (w->watcher.event)
        hang_up(&w->watcher, WATCHER_IDLE);
    else
        close(fd);
}

/* --- life --- */

void witness_watcher_begin(struct px_witness *w, const struct mig_address *to)
{
    w->watcher = (struct witness_watcher){.address = *to};
}

void witness_watcher_turn(struct px_witness *w)
{
    struct witness_watcher *watcher = &w->watcher;
    int64_t now_ms = mig_now_ms();
    switch (watcher->stage) {
    case WATCHER_IDLE:
        if (now_ms - watcher->said_ms >= DIAL_WAIT_MS)
            dial(w);
        return;
    case WATCHER_DIALLING:
    case WATCHER_GREETING: /* a connect may wait for as long as its timeout */
        if (now_ms - watcher->heard_ms >= TIMEOUT_MS)
            lose(w, "no answer");
        return;
    case WATCHER_ARMING:
    case WATCHER_WATCHING:
        if (now_ms - watcher->heard_ms >= TIMEOUT_MS / 3 * 2)
            lose(w, "silence");
        else if (now_ms - watcher->said_ms >= TIMEOUT_MS / 3)
            say_request(w, ZKP_XID_PING, ZKP_OP_PING);
        return;
    case WATCHER_UNABLE:
        return;
    }
}

/* A closeSession that can't be sent leaves the session to expire. */
void witness_watcher_end(struct px_witness *w)
{
    enum witness_watcher_stage stage = w->watcher.stage;
    w->watcher.stage = WATCHER_IDLE;
    if (stage == WATCHER_ARMING || stage == WATCHER_WATCHING)
        say_request(w, XID_CLOSE, ZKP_OP_CLOSE_SESSION);
    hang_up(&w->watcher, WATCHER_IDLE);
}

bool witness_watcher_is_peer(const struct px_witness *w, const struct sockaddr *peer)
{
    struct mig_address local = {.length = sizeof local.storage};
    return w->watcher.event &&
           getsockname(event_get_fd(w->watcher.event), (struct sockaddr *)&local.storage, &local.length) ==
               0 &&
           witness_is_same(&local, peer);
}
