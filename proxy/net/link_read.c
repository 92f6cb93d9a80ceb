/* Reading: one recv into the worker's scratch, or behind what was kept, and a walk over it; what a client
 * sends while its requests wait is kept and searched for pings. Worker thread. */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"
#include "zkproto/assert.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"

#define TURNS_MAX 4 /* recvs per callback: one peer may not hold the loop */
#define FILL_MIN  (16u * 1024u)

/* What a batch of replies tells about its server, once per batch. */
static void note_server(struct px_link *link)
{
    struct px_worker *worker = link->worker;
    int64_t zxid = px_session_last_zxid(link->core);

    if (!link->is_established || px_link_is_dead(link))
        return;
    worker->slot_pinged_ms[link->slot] = 0;
    if (zxid > worker->slot_zxid[link->slot]) {
        worker->slot_zxid[link->slot] = zxid;
        px_shared_zxid_raise(worker->shared, link->slot, zxid);
    }
    if (worker->now_ms - worker->slot_reply_ms[link->slot] >= 100) {
        worker->slot_reply_ms[link->slot] = worker->now_ms;
        atomic_store_explicit(&worker->shared->slots[link->slot].last_reply_ms, worker->now_ms,
                              memory_order_relaxed);
    }
}

/* Walks what came, behind what was kept, and keeps the rest. */
static enum rc deliver(struct px_conn *conn, uint32_t got)
{
    struct zkp_slice fresh = zkp_slice_of(conn->link->worker->scratch, got);
    uint32_t done;

    if (conn->in.length > 0) {
        conn->in.length += got;
        px_link_walk_held(conn);
        return RC_OK;
    }
    done = px_link_walk(conn, fresh);
    if (conn->fd < 0 || done == fresh.len)
        return RC_OK;
    if (px_buffer_append(&conn->in, fresh.ptr + done, fresh.len - done) != RC_OK)
        return RC_NOMEM;
    px_conn_account(conn);
    return RC_OK;
}

/* Of a client without a session no more is read than its longest greeting: what it sends behind that stays in
 * the socket until somebody wants it. */
static uint32_t most_to_read(const struct px_conn *conn)
{
    if (!px_conn_greets(conn))
        return UINT32_MAX;
    return ZKP_FRAME_PREFIX + conn->link->worker->greeting_max - conn->in.length;
}

/* One recv: into scratch, or behind what was kept. RC_AGAIN = nothing more for now. */
static enum rc fill(struct px_conn *conn, uint32_t *ret_got)
{
    struct px_worker *worker = conn->link->worker;
    uint32_t most = most_to_read(conn);
    uint8_t *to = worker->scratch;
    uint32_t room = px_worker_is_short(worker) ? PX_HELD_LITTLE : PX_SCRATCH_SIZE;
    ssize_t got;

    if (conn->in.length > 0) {
        if (px_buffer_reserve(&conn->in, most < FILL_MIN ? most : FILL_MIN) != RC_OK)
            return RC_NOMEM;
        to = conn->in.bytes + conn->in.length;
        room = conn->in.capacity - conn->in.length;
    }
    if (room > most)
        room = most;
    do
        got = recv(conn->fd, to, room, 0);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return RC_CLOSED;
    if (got < 0)
        return errno == EAGAIN ? RC_AGAIN : RC_CLOSED;
    if (conn->role == PX_CONN_CLIENT)
        px_metric_add(worker->metrics, PX_METRIC_CLIENT_BYTES_IN, (uint64_t)got);
    *ret_got = (uint32_t)got;
    return (uint32_t)got < room ? RC_AGAIN : RC_OK; /* less than asked for: the socket is dry */
}

/* --- a client whose requests wait --- */

static bool is_ping(struct zkp_slice body)
{
    return body.len == ZKP_REQUEST_HEADER_LEN && zkp_load_i32(body.ptr + 4) == ZKP_OP_PING;
}

/* True when the core has answered it. */
static bool step_ping(struct px_link *link)
{
    struct px_walk walk = {.from = &link->client, .to = px_link_server(link)};
    struct px_event event = px_link_event(link, PX_EVENT_CLIENT_PING);

    ASSERT(link->walk == NULL);
    link->walk = &walk; /* the action that drops the frame finds nothing left to drop */
    px_link_step(link, &event);
    link->walk = NULL;
    if (walk.was_dropped)
        px_metric_add(link->worker->metrics, PX_METRIC_PINGS_ANSWERED, 1);
    return walk.was_dropped;
}

/* Pings among what waits are answered where that is honest, and taken out; the rest stays in order. */
static void scan_pings(struct px_conn *conn)
{
    struct zkp_frame frame;

    while (px_conn_keeps(conn) && conn->stream_left == 0 && conn->scanned < conn->in.length) {
        struct zkp_slice all = px_buffer_slice(&conn->in);
        struct zkp_slice rest = zkp_slice_of(all.ptr + conn->scanned, all.len - conn->scanned);
        if (zkp_frame_peek(rest, px_link_frame_max(conn), &frame) != RC_OK || frame.body.len < frame.length)
            return; /* not all there; a bad length is dealt with when its turn comes */
        if (is_ping(frame.body) && step_ping(conn->link))
            px_buffer_cut(&conn->in, conn->scanned, ZKP_FRAME_PREFIX + frame.length);
        else
            conn->scanned += ZKP_FRAME_PREFIX + frame.length;
    }
}

/* --- reading --- */

static void step_gone(struct px_conn *conn)
{
    struct px_link *link = conn->link;

    if (conn->role == PX_CONN_CLIENT && px_conn_keeps(conn) && conn->in.length > 0) {
        conn->is_ended = true; /* what it sent before, closeSession perhaps, comes first */
        return;
    }
    if (conn->role == PX_CONN_SERVER)
        px_link_log_lost_big(link);
    if (conn->role == PX_CONN_NEXT && px_session_state(link->core) != PX_SESSION_RESTORING)
        px_link_dial_end(link, px_link_dial_closed(link));
    else if (conn->role == PX_CONN_NEXT)
        px_link_dial_end(link, PX_DIAL_CLOSED);
    else
        px_conn_close(conn);
    px_link_step_kind(link,
                      px_link_kind_of(conn, PX_EVENT_CLIENT_GONE, PX_EVENT_SERVER_GONE, PX_EVENT_NEXT_GONE));
}

/* Adopted in the middle of its own batch: what is left is read in its new place. */
static bool has_moved_in(const struct px_conn *conn)
{
    return conn->role == PX_CONN_NEXT && conn->link->attempt->is_adopted;
}

/* Its peer has as much as it may have already: what is read now would only wait. */
static bool is_pressed(const struct px_conn *conn)
{
    const struct px_conn *peer =
        conn->role == PX_CONN_CLIENT ? px_link_server(conn->link) : &conn->link->client;

    return peer->out.length > 0 && peer->out.length > px_link_out_max(conn->link);
}

/* is_at_end: its FIN is behind what there is to read, and comes once that has been settled. */
static void pump(struct px_conn *conn, bool is_at_end)
{
    struct px_link *link = conn->link;

    conn->has_more = true;
    for (int turn = 0; turn < TURNS_MAX && px_conn_may_read(conn) && !px_link_is_dead(link); turn++) {
        uint32_t got = 0;
        enum rc filled = fill(conn, &got);
        if (got > 0 && deliver(conn, got) != RC_OK)
            px_link_step_bad(conn, PX_CLOSE_NO_MEMORY);
        scan_pings(conn);
        if (has_moved_in(conn))
            return;
        if (filled == RC_OK && is_pressed(conn))
            break;
        if (filled == RC_CLOSED && conn->fd >= 0) {
            step_gone(conn);
            return;
        }
        if (filled == RC_NOMEM)
            px_link_step_bad(conn, PX_CLOSE_NO_MEMORY);
        if (filled == RC_AGAIN) {
            conn->has_more = is_at_end && got > 0;
            break;
        }
    }
    if (conn->role == PX_CONN_SERVER)
        note_server(link);
}

void px_link_on_event(struct px_polled *polled, uint32_t what)
{
    struct px_conn *conn = (struct px_conn *)((char *)polled - offsetof(struct px_conn, polled));
    struct px_link *link = conn->link;

    px_worker_clock(link->worker);
    if ((what & EPOLLOUT) != 0 && conn->is_connecting)
        (void)px_link_dial_ready(link);
    else if ((what & EPOLLOUT) != 0)
        px_conn_flush(conn);
    if ((what & EPOLLIN) != 0)
        pump(conn, (what & EPOLLRDHUP) != 0);
    else if ((what & EPOLLRDHUP) != 0 && conn->fd >= 0)
        step_gone(conn);
    px_link_settle(link);
}
