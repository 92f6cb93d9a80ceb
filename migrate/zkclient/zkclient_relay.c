/* See zkclient_relay.h. */
#include "migrate/zkclient/zkclient_relay.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "migrate/monotonic.h"
#include "migrate/sockets.h"
#include "migrate/zkclient/zkclient_ledger.h"
#include "zkproto/assert.h"
#include "zkproto/connect.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"

#define READ_MAX     65536u
#define QUEUE_MAX    (256u * 1024u) /* not taken by one side: the other is not read */
#define LEAVE_MS     3000
#define GOODBYE_XID  INT32_MAX
#define HEADER_BYTES (ZKP_FRAME_PREFIX + ZKP_REPLY_HEADER_LEN)
#define OLD_RESPONSE 36u /* a ConnectResponse without its last byte, of servers before 3.4 */

struct zk_relay {
    struct zk_relay *next; /* of those that are leaving */
    struct event_base *base;
    void (*stirred)(void *context);
    void *context;
    enum zk_relay_state state;
    struct err loss;
    struct zk_ledger ledger;
    int fd;                      /* the leg's; the bufferevent's once there is one */
    struct bufferevent *server;  /* NULL = not connected */
    struct bufferevent *library; /* NULL = not come yet */
    int library_fd;              /* JOINING: its end, to shut it */
    const struct zk_door *door;
    struct event
        *waiting; /* for the leg, then for the library at the door, in the end for the server's end */
};

static struct zk_relay *s_leaving; /* one thread has all connections (zkclient.h) */

/* --- life --- */

static void drop_waiting(struct zk_relay *relay)
{
    if (relay->waiting != NULL)
        event_free(relay->waiting);
    relay->waiting = NULL;
}

static void drop_leg(struct zk_relay *relay)
{
    if (relay->server != NULL)
        bufferevent_free(relay->server);
    else if (relay->fd >= 0)
        close(relay->fd);
    relay->server = NULL;
    relay->fd = -1;
}

static void drop_library(struct zk_relay *relay)
{
    if (relay->library != NULL)
        bufferevent_free(relay->library);
    relay->library = NULL;
}

void zk_relay_free(struct zk_relay *relay)
{
    if (relay == NULL)
        return;
    drop_waiting(relay);
    drop_leg(relay);
    drop_library(relay);
    free(relay);
}

static void become(struct zk_relay *relay, enum zk_relay_state state)
{
    relay->state = state;
    relay->stirred(relay->context);
}

/* The end of the stream; the descriptor lives until the library has seen it. */
static void end_library(struct zk_relay *relay)
{
    shutdown(bufferevent_getfd(relay->library), SHUT_WR);
}

/* relay->loss is set. */
static void lose(struct zk_relay *relay)
{
    drop_waiting(relay);
    drop_leg(relay);
    if (relay->state == ZK_RELAY_JOINING)
        shutdown(relay->library_fd, SHUT_RDWR);
    if (relay->library != NULL) {
        bufferevent_disable(relay->library, EV_READ);
        if (evbuffer_get_length(bufferevent_get_output(relay->library)) == 0)
            end_library(relay);
    }
    become(relay, ZK_RELAY_LOST);
}

static void lose_because(struct zk_relay *relay, enum rc code, const char *text)
{
    err_set(&relay->loss, code, "%s", text);
    lose(relay);
}

/* --- frames --- */

/* The first frame of a buffer when it is there as a whole, contiguous and borrowed. RC_AGAIN: not yet. */
static enum rc whole_frame(struct evbuffer *buffer, uint32_t length, struct zkp_slice *ret_body)
{
    size_t whole = ZKP_FRAME_PREFIX + (size_t)length;
    if (evbuffer_get_length(buffer) < whole)
        return RC_AGAIN;
    const uint8_t *bytes = evbuffer_pullup(buffer, (ev_ssize_t)whole);
    if (bytes == NULL)
        return RC_NOMEM;
    *ret_body = zkp_slice_of(bytes + ZKP_FRAME_PREFIX, length);
    return RC_OK;
}

/* The length of the server's first frame, as soon as the ledger can judge it: before the frame is kept. */
static enum rc judged_length(struct zk_relay *relay, struct evbuffer *from, uint32_t *ret_length)
{
    uint8_t begin[HEADER_BYTES];
    ev_ssize_t there = evbuffer_copyout(from, begin, sizeof begin);
    if (there < (ev_ssize_t)ZKP_FRAME_PREFIX)
        return RC_AGAIN;
    struct zkp_frame frame;
    if (zkp_frame_peek(zkp_slice_of(begin, (uint32_t)there), ZKP_SERVER_FRAME_MAX, &frame) != RC_OK)
        return err_set(&relay->loss, RC_MALFORMED, "a frame of %d bytes", zkp_load_i32(begin));
    if (frame.body.len < frame.length && frame.body.len < ZKP_REPLY_HEADER_LEN && relay->ledger.is_attached)
        return RC_AGAIN;
    *ret_length = frame.length;
    return zk_ledger_length(&relay->ledger, frame.length, frame.body, &relay->loss);
}

/* The library expects the answer to its ConnectRequest with the byte that old servers leave out. */
static void pass_old_response(struct evbuffer *from, struct evbuffer *to)
{
    uint8_t frame[ZKP_FRAME_PREFIX + OLD_RESPONSE + 1] = {0};
    evbuffer_remove(from, frame, sizeof frame - 1);
    zkp_store_i32(frame, (int32_t)OLD_RESPONSE + 1);
    evbuffer_add(to, frame, sizeof frame);
}

static enum rc pass_reply(struct zk_relay *relay)
{
    struct evbuffer *from = bufferevent_get_input(relay->server);
    bool is_attached = relay->ledger.is_attached;
    uint32_t length = 0;
    struct zkp_slice body;
    enum rc rc = judged_length(relay, from, &length);
    if (rc == RC_OK)
        rc = whole_frame(from, length, &body);
    if (rc == RC_OK)
        rc = zk_ledger_reply(&relay->ledger, body, &relay->loss);
    if (rc != RC_OK)
        return rc;
    struct evbuffer *to = bufferevent_get_output(relay->library);
    if (!is_attached && length == OLD_RESPONSE)
        pass_old_response(from, to);
    else
        evbuffer_remove_buffer(from, to, ZKP_FRAME_PREFIX + (size_t)length);
    return RC_OK;
}

static enum rc pass_request(struct zk_relay *relay)
{
    struct evbuffer *from = bufferevent_get_input(relay->library);
    uint8_t prefix[ZKP_FRAME_PREFIX];
    struct zkp_slice body;
    if (evbuffer_copyout(from, prefix, sizeof prefix) < (ev_ssize_t)sizeof prefix)
        return RC_AGAIN;
    int32_t length = zkp_load_i32(prefix);
    if (length <= 0 || (uint32_t)length > ZKP_CLIENT_FRAME_MAX)
        return err_set(&relay->loss, RC_FULL, "a request of %d bytes can't be sent", length);
    enum rc rc = whole_frame(from, (uint32_t)length, &body);
    if (rc == RC_OK)
        rc = zk_ledger_request(&relay->ledger, body, &relay->loss);
    if (rc == RC_OK)
        evbuffer_remove_buffer(from, bufferevent_get_output(relay->server),
                               ZKP_FRAME_PREFIX + (size_t)length);
    return rc;
}

/* --- both sides --- */

/* All frames that are there; what `to` does not take stops `from`. */
static void pass_all(struct zk_relay *relay, enum rc (*pass)(struct zk_relay *relay),
                     struct bufferevent *from, struct bufferevent *const *to)
{
    enum rc rc;
    do
        rc = pass(relay);
    while (rc == RC_OK);
    if (rc == RC_NOMEM)
        lose_because(relay, RC_NOMEM, "out of memory");
    else if (rc != RC_AGAIN)
        lose(relay);
    else if (*to != NULL && evbuffer_get_length(bufferevent_get_output(*to)) > QUEUE_MAX)
        bufferevent_disable(from, EV_READ);
}

static void on_server_read(struct bufferevent *from, void *arg)
{
    struct zk_relay *relay = arg;
    pass_all(relay, pass_reply, from, &relay->library);
}

static void on_library_read(struct bufferevent *from, void *arg)
{
    struct zk_relay *relay = arg;
    pass_all(relay, pass_request, from, &relay->server);
}

/* Everything has been taken by this side. */
static void on_server_drained(struct bufferevent *to, void *arg)
{
    (void)to;
    struct zk_relay *relay = arg;
    if (relay->library != NULL)
        bufferevent_enable(relay->library, EV_READ);
}

static void on_library_drained(struct bufferevent *to, void *arg)
{
    (void)to;
    struct zk_relay *relay = arg;
    if (relay->state == ZK_RELAY_LOST)
        end_library(relay);
    else
        bufferevent_enable(relay->server, EV_READ);
}

static void on_server_end(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    struct zk_relay *relay = arg;
    if ((what & BEV_EVENT_EOF) != 0)
        lose_because(relay, RC_CLOSED, "the server closed the connection");
    else
        lose_because(relay, RC_IO, strerror(EVUTIL_SOCKET_ERROR()));
}

static void on_library_end(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    (void)what;
    struct zk_relay *relay = arg;
    if (relay->state != ZK_RELAY_LOST)
        lose_because(relay, RC_CLOSED, "closed by the client library");
}

static struct bufferevent *side_new(struct zk_relay *relay, int fd, bufferevent_data_cb on_read,
                                    bufferevent_data_cb on_drained, bufferevent_event_cb on_end)
{
    struct bufferevent *bev = bufferevent_socket_new(relay->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (bev == NULL)
        return NULL;
    bufferevent_setcb(bev, on_read, on_drained, on_end, relay);
    bufferevent_set_max_single_read(bev, READ_MAX);
    bufferevent_enable(bev, EV_READ);
    return bev;
}

/* --- the library comes --- */

static void on_door(evutil_socket_t door_fd, short what, void *arg)
{
    (void)door_fd;
    (void)what;
    struct zk_relay *relay = arg;
    int fd = -1;
    enum rc rc = zk_door_admit(relay->door, zk_door_port_of(relay->library_fd), &fd, &relay->loss);
    if (rc == RC_AGAIN)
        return;
    if (rc != RC_OK) {
        lose(relay);
        return;
    }
    drop_waiting(relay);
    relay->library = side_new(relay, fd, on_library_read, on_library_drained, on_library_end);
    if (relay->library == NULL) {
        close(fd);
        lose_because(relay, RC_NOMEM, "out of memory");
        return;
    }
    become(relay, ZK_RELAY_OPEN);
}

void zk_relay_join(struct zk_relay *relay, const struct zk_door *door, int library_fd)
{
    ASSERT(relay->state == ZK_RELAY_READY);
    relay->state = ZK_RELAY_JOINING;
    relay->door = door;
    relay->library_fd = library_fd;
    relay->waiting = event_new(relay->base, door->fd, EV_READ | EV_PERSIST, on_door, relay);
    if (relay->waiting == NULL || event_add(relay->waiting, NULL) != 0)
        lose_because(relay, RC_NOMEM, "out of memory");
}

/* --- the leg --- */

static void on_dialed(evutil_socket_t fd, short what, void *arg)
{
    struct zk_relay *relay = arg;
    int error = 0;
    socklen_t length = sizeof error;
    if ((what & EV_TIMEOUT) != 0) {
        lose_because(relay, RC_TIMEOUT, "connecting took too long");
        return;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        error = errno;
    if (error == 0) {
        relay->server = side_new(relay, fd, on_server_read, on_server_drained, on_server_end);
        error = relay->server == NULL ? ENOMEM : 0;
    }
    if (error != 0) {
        lose_because(relay, RC_IO, strerror(error));
        return;
    }
    drop_waiting(relay);
    become(relay, ZK_RELAY_READY);
}

static enum rc dial(struct zk_relay *relay, const struct mig_address *server, int32_t dial_ms,
                    struct err *err)
{
    const struct sockaddr *to = (const struct sockaddr *)&server->storage;
    const struct timeval wait = {.tv_sec = dial_ms / 1000, .tv_usec = dial_ms % 1000 * 1000};
    relay->fd = mig_socket_new(to->sa_family);
    if (relay->fd < 0)
        return err_set(err, RC_IO, "%s", strerror(errno));
    if (connect(relay->fd, to, server->length) != 0 && errno != EINPROGRESS)
        return err_set(err, RC_IO, "%s", strerror(errno));
    relay->waiting = event_new(relay->base, relay->fd, EV_WRITE, on_dialed, relay);
    if (relay->waiting == NULL || event_add(relay->waiting, &wait) != 0)
        return err_set(err, RC_NOMEM, "out of memory");
    return RC_OK;
}

enum rc zk_relay_new(struct event_base *base, const struct mig_address *server, int32_t dial_ms,
                     void (*stirred)(void *context), void *context, struct zk_relay **ret_relay,
                     struct err *err)
{
    struct zk_relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL)
        return err_set(err, RC_NOMEM, "out of memory");
    relay->base = base;
    relay->stirred = stirred;
    relay->context = context;
    relay->fd = relay->library_fd = -1;
    enum rc rc = dial(relay, server, dial_ms, err);
    if (rc != RC_OK)
        zk_relay_free(relay);
    else
        *ret_relay = relay;
    return rc;
}

enum zk_relay_state zk_relay_state(const struct zk_relay *relay)
{
    return relay->state;
}

const struct err *zk_relay_loss(const struct zk_relay *relay)
{
    return &relay->loss;
}

enum rc zk_relay_local_address(const struct zk_relay *relay, struct mig_address *ret_address)
{
    struct mig_address address = {.length = sizeof address.storage};
    if (relay->fd < 0 || getsockname(relay->fd, (struct sockaddr *)&address.storage, &address.length) != 0)
        return RC_NOT_FOUND;
    *ret_address = address;
    return RC_OK;
}

/* --- leaving --- */

static void left(struct zk_relay *relay)
{
    LL_DELETE(s_leaving, relay);
    zk_relay_free(relay);
}

static void on_leave_read(struct bufferevent *bev, void *arg)
{
    (void)arg;
    struct evbuffer *input = bufferevent_get_input(bev);
    evbuffer_drain(input, evbuffer_get_length(input));
}

static void on_leave_end(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    (void)what;
    left(arg);
}

static void on_leave_late(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    left(arg);
}

/* False: there is nothing to wait for. */
static bool say_goodbye(struct zk_relay *relay)
{
    const struct timeval wait = {.tv_sec = LEAVE_MS / 1000};
    const struct zkp_request_header header = {.xid = GOODBYE_XID, .type = ZKP_OP_CLOSE_SESSION};
    uint8_t frame[ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN];
    if (relay->state != ZK_RELAY_OPEN || !relay->ledger.is_attached || relay->ledger.session_id == 0)
        return false;
    relay->waiting = evtimer_new(relay->base, on_leave_late, relay);
    bufferevent_setcb(relay->server, on_leave_read, NULL, on_leave_end, relay);
    return relay->waiting != NULL && event_add(relay->waiting, &wait) == 0 &&
           bufferevent_write(relay->server, frame, zkp_request_header_frame(header, frame, sizeof frame)) ==
               0 &&
           bufferevent_enable(relay->server, EV_READ) == 0;
}

void zk_relay_leave(struct zk_relay *relay)
{
    if (relay == NULL)
        return;
    drop_library(relay);
    if (say_goodbye(relay))
        LL_PREPEND(s_leaving, relay);
    else
        zk_relay_free(relay);
}

/* Sends what is left and reads to the end, or until the deadline. */
static void see_off(struct zk_relay *relay, int64_t deadline_ms)
{
    struct evbuffer *output = bufferevent_get_output(relay->server);
    uint8_t bytes[4096];
    bufferevent_disable(relay->server, EV_READ | EV_WRITE);
    evbuffer_unfreeze(output, 1); /* its bufferevent is not asked any more */
    for (int64_t now_ms = mig_now_ms(); now_ms < deadline_ms; now_ms = mig_now_ms()) {
        bool has_output = evbuffer_get_length(output) > 0;
        struct pollfd wait = {.fd = relay->fd, .events = (short)(POLLIN | (has_output ? POLLOUT : 0))};
        if (poll(&wait, 1, (int)(deadline_ms - now_ms)) < 0 && errno != EINTR)
            return;
        if (has_output && (wait.revents & POLLOUT) != 0)
            evbuffer_write(output, relay->fd);
        ssize_t n = recv(relay->fd, bytes, sizeof bytes, 0);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
    }
}

void zk_relay_finish(const struct event_base *base, int32_t wait_ms)
{
    int64_t deadline_ms = mig_now_ms() + wait_ms;
    struct zk_relay *relay;
    struct zk_relay *next;
    LL_FOREACH_SAFE(s_leaving, relay, next)
    {
        if (relay->base != base)
            continue;
        see_off(relay, deadline_ms);
        left(relay);
    }
}
