/* Sockets, their events and buffers; see conn.h. */
#include "proxy/net/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"
#include "proxy/session/session.h"

/* What a client may send ahead while its requests wait; then it is no longer read. */
#define KEEP_MAX (256u * 1024u)

void px_conn_init(struct px_conn *conn, struct px_link *link, enum px_conn_role role)
{
    *conn = (struct px_conn){.link = link, .fd = -1, .role = role, .polled.fn = px_link_on_event};
}

void px_conn_open(struct px_conn *conn, int take_fd)
{
    struct px_link *link = conn->link;
    enum px_conn_role role = conn->role;

    px_conn_done(conn);
    px_conn_init(conn, link, role);
    conn->fd = take_fd;
    if (take_fd >= 0)
        px_shared_descriptors_add(link->worker->shared, 1);
}

int px_conn_detach(struct px_conn *conn)
{
    int fd = conn->fd;

    if (fd >= 0)
        px_shared_descriptors_add(conn->link->worker->shared, -1);
    px_poller_remove(&conn->link->worker->poller, &conn->polled, fd);
    px_conn_collected(conn);
    conn->fd = -1;
    conn->is_connecting = false;
    return fd;
}

void px_conn_close(struct px_conn *conn)
{
    int fd = px_conn_detach(conn);

    if (fd >= 0)
        close(fd);
}

void px_conn_done(struct px_conn *conn)
{
    px_conn_close(conn);
    px_buffer_done(&conn->in);
    px_buffer_done(&conn->out);
    px_conn_account(conn);
}

void px_conn_account(struct px_conn *conn)
{
    uint32_t held_bytes = conn->in.capacity + conn->out.capacity;

    conn->link->worker->held_bytes += held_bytes;
    conn->link->worker->held_bytes -= conn->held_bytes;
    conn->held_bytes = held_bytes;
}

void px_conn_collect(struct px_conn *conn, uint32_t need)
{
    struct px_worker *worker = conn->link->worker;

    if (conn->role == PX_CONN_NEXT || need <= (px_worker_is_short(worker) ? PX_HELD_LITTLE : PX_COLLECT_FREE))
        return;
    if (worker->collector_count < PX_COLLECTORS_MAX) {
        worker->collector_count++;
        conn->is_collecting = true;
        return;
    }
    conn->pauses |= PX_PAUSE_PLACE;
    worker->wants_places = true;
}

void px_conn_collected(struct px_conn *conn)
{
    if (!conn->is_collecting)
        return;
    conn->is_collecting = false;
    conn->link->worker->collector_count--;
}

void px_conn_take_over(struct px_conn *to, struct px_conn *from)
{
    bool is_broken = from->is_broken;

    px_conn_open(to, px_conn_detach(from));
    to->is_broken = is_broken;
    to->in = from->in;
    to->out = from->out;
    from->in = from->out = (struct px_buffer){0};
    px_conn_account(from);
    px_conn_account(to);
    to->wants_walk = to->in.length > 0;
}

static bool is_stopped_by_session(const struct px_conn *conn)
{
    return (conn->pauses & PX_PAUSE_SESSION) != 0 && conn->stream_left == 0;
}

bool px_conn_may_read(const struct px_conn *conn)
{
    if (conn->fd < 0 || conn->is_connecting ||
        (conn->pauses & (PX_PAUSE_PEER_FULL | PX_PAUSE_INFLIGHT | PX_PAUSE_PLACE)) != 0)
        return false;
    if (is_stopped_by_session(conn))
        return px_conn_keeps(conn) &&
               conn->in.length < (px_worker_is_short(conn->link->worker) ? PX_HELD_LITTLE : KEEP_MAX);
    return !conn->is_ended;
}

bool px_conn_is_mid_frame(const struct px_conn *conn)
{
    return conn->stream_left > 0 || (conn->role != PX_CONN_CLIENT && conn->in.length > 0);
}

void px_conn_pause_session(struct px_conn *conn)
{
    conn->pauses |= PX_PAUSE_SESSION;
}

void px_conn_resume_session(struct px_conn *conn)
{
    conn->pauses &= (uint8_t)~PX_PAUSE_SESSION;
    conn->scanned = 0;
    conn->wants_walk = conn->in.length > 0;
}

bool px_conn_pause(struct px_conn *conn, enum px_pause why, bool is_on)
{
    bool was_on = (conn->pauses & why) != 0;

    if (is_on)
        conn->pauses |= (uint8_t)why;
    else
        conn->pauses &= (uint8_t)~why;
    return was_on != is_on;
}

/* While a client waits for its first server it is not read, but its end must be seen. Later, unread requests
 * may stand before its FIN (closeSession among them), so only reading tells. */
static bool watches_for_end(const struct px_conn *conn)
{
    enum px_session_state state = px_session_state(conn->link->core);

    return conn->role == PX_CONN_CLIENT &&
           (state == PX_SESSION_CLAIMING || state == PX_SESSION_WAITING || state == PX_SESSION_DIALING);
}

bool px_conn_keeps(const struct px_conn *conn)
{
    return conn->role == PX_CONN_CLIENT && is_stopped_by_session(conn) && !conn->is_ended &&
           !watches_for_end(conn);
}

static uint32_t conn_needs(const struct px_conn *conn)
{
    uint32_t needs = 0;

    if (conn->fd < 0)
        return 0;
    if (px_conn_may_read(conn))
        needs |= PX_CONN_READS;
    else if (watches_for_end(conn))
        needs |= EPOLLRDHUP;
    if (conn->is_connecting || conn->out.length > 0)
        needs |= EPOLLOUT;
    return needs == 0 ? needs : needs | EPOLLET;
}

void px_conn_arm(struct px_conn *conn)
{
    struct px_poller *poller = &conn->link->worker->poller;
    uint32_t needs = conn_needs(conn);

    if (needs == conn->polled.armed && !(conn->has_more && (needs & EPOLLIN) != 0))
        return;
    conn->has_more = false;
    if (needs == 0)
        px_poller_remove(poller, &conn->polled, conn->fd);
    else if (px_poller_set(poller, &conn->polled, conn->fd, needs) != RC_OK)
        conn->is_broken = true; /* out of kernel memory: this connection can't go on */
}

static void conn_break(struct px_conn *conn)
{
    conn->is_broken = true;
    px_buffer_done(&conn->out);
    px_conn_account(conn);
}

/* What the kernel took of bytes; a failure breaks the connection and takes them all. */
static uint32_t conn_send(struct px_conn *conn, const void *bytes, uint32_t length)
{
    ssize_t sent;

    do
        sent = send(conn->fd, bytes, length, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
        conn_break(conn);
        return length;
    }
    if (sent > 0 && conn->role == PX_CONN_CLIENT)
        px_metric_add(conn->link->worker->metrics, PX_METRIC_CLIENT_BYTES_OUT, (uint64_t)sent);
    return sent < 0 ? 0 : (uint32_t)sent;
}

void px_conn_write(struct px_conn *conn, const void *bytes, uint32_t length)
{
    uint32_t sent = 0;

    if (conn->fd < 0 || conn->is_broken || length == 0)
        return;
    if (conn->out.length == 0 && !conn->is_connecting)
        sent = conn_send(conn, bytes, length);
    if (sent == length || conn->is_broken)
        return;
    if (px_buffer_append(&conn->out, (const uint8_t *)bytes + sent, length - sent) == RC_OK)
        px_conn_account(conn);
    else
        conn_break(conn);
}

void px_conn_flush(struct px_conn *conn)
{
    struct zkp_slice rest = px_buffer_slice(&conn->out);
    uint32_t sent;

    if (conn->fd < 0 || conn->is_connecting || rest.len == 0)
        return;
    sent = conn_send(conn, rest.ptr, rest.len);
    if (conn->is_broken)
        return;
    px_buffer_consume(&conn->out, sent);
    px_conn_account(conn);
}
