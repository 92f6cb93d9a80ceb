/* Bytes to frames to events: one recv into the worker's scratch, the complete frames walked in place, one
 * send of the same bytes to the other side (design.md §4, hot path). Worker thread. */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"
#include "zkproto/assert.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/request.h"
#include "zkproto/word.h"

#define TURNS_MAX 4 /* recvs per callback: one peer may not hold the loop */
#define FILL_MIN  (16u * 1024u)

/* On the stack of link_walk. Frames that go on unchanged and follow each other are one run. */
struct px_walk {
    struct px_conn *from;
    struct px_conn *to;
    const uint8_t *run;
    uint32_t run_length;
    struct zkp_slice frame; /* the present one, prefix included, as far as it is there */
    uint32_t frame_left;    /* what of it is still to come */
    bool was_dropped;       /* it, or a ping that was looked at out of turn */
};

void px_walk_flush(struct px_link *link)
{
    struct px_walk *walk = link->walk;

    if (walk == NULL || walk->run_length == 0)
        return;
    px_conn_write(walk->to, walk->run, walk->run_length);
    walk->run_length = 0;
}

static void walk_extend(struct px_link *link, struct zkp_slice more)
{
    struct px_walk *walk = link->walk;

    if (walk->run_length > 0 && walk->run + walk->run_length != more.ptr)
        px_walk_flush(link);
    if (walk->run_length == 0)
        walk->run = more.ptr;
    walk->run_length += more.len;
}

static void walk_stream_rest(struct px_link *link, bool drops)
{
    link->walk->from->stream_left = link->walk->frame_left;
    link->walk->from->drops_stream = drops;
}

void px_walk_forward(struct px_link *link)
{
    walk_extend(link, link->walk->frame);
    walk_stream_rest(link, false);
}

void px_walk_drop(struct px_link *link)
{
    link->walk->was_dropped = true;
    walk_stream_rest(link, true);
}

void px_walk_hide_multi(struct px_link *link, uint64_t mask)
{
    struct zkp_slice frame = link->walk->frame;
    uint32_t head_length = 4 + 16; /* prefix and reply header */
    struct zkp_slice body;
    uint8_t *hidden;
    uint32_t length;

    ASSERT(link->walk->frame_left == 0 && frame.len >= head_length);
    px_walk_flush(link);
    body = zkp_slice_of(frame.ptr + head_length, frame.len - head_length);
    hidden = malloc(frame.len);
    if (hidden == NULL) {
        link->client.is_broken = true; /* without the reply the client can't go on */
        return;
    }
    length = zkp_multi_read_reply_hide(body, mask, hidden + head_length, frame.len - head_length);
    if (length == 0) {
        link->client.is_broken = true;
    } else {
        memcpy(hidden, frame.ptr, head_length);
        zkp_store_i32(hidden, (int32_t)(head_length - 4 + length));
        px_conn_write(&link->client, hidden, head_length + length);
    }
    free(hidden);
}

static enum px_event_kind kind_of(const struct px_conn *conn, enum px_event_kind client,
                                  enum px_event_kind server, enum px_event_kind next)
{
    switch (conn->role) {
    case PX_CONN_CLIENT:
        return client;
    case PX_CONN_SERVER:
        return server;
    case PX_CONN_NEXT:
        break;
    }
    return next;
}

static void step_bad(struct px_conn *conn, enum px_close_reason reason)
{
    struct px_event event =
        px_link_event(conn->link, kind_of(conn, PX_EVENT_CLIENT_BAD, PX_EVENT_SERVER_BAD, PX_EVENT_NEXT_BAD));

    event.reason = reason;
    px_link_step(conn->link, &event);
}

static enum px_close_reason bad_length(const struct px_conn *conn, enum rc rc)
{
    if (conn->role != PX_CONN_CLIENT)
        return PX_CLOSE_SERVER_PROTOCOL;
    return rc == RC_TOO_BIG ? PX_CLOSE_FRAME_TOO_BIG : PX_CLOSE_FRAME_LENGTH;
}

static void hand_over_word(struct px_link *link, enum zkp_word word)
{
    struct px_msg *msg = px_msg_new(PX_MSG_WORD);
    struct px_event event = px_link_event(link, PX_EVENT_CLIENT_BAD);

    if (msg != NULL) {
        msg->worker = link->worker->options.index;
        msg->word.fd = px_conn_detach(&link->client);
        msg->word.peer = px_link_peer(link);
        msg->word.word = word;
        msg->word.listener = link->listener;
        px_mailbox_push(link->worker->options.control, msg);
    }
    event.reason = msg != NULL ? PX_CLOSE_WORD : PX_CLOSE_NO_MEMORY;
    px_link_step(link, &event);
}

/* Before a session exists the four bytes of a length may be a word instead (protocol.md §1.5). */
static bool took_word(struct px_conn *conn, struct zkp_slice in)
{
    enum zkp_word word;

    if (conn->role != PX_CONN_CLIENT || px_session_state(conn->link->core) != PX_SESSION_GREETING ||
        in.len < 4)
        return false;
    word = zkp_word_detect(in.ptr);
    if (word == ZKP_WORD_NONE)
        return false;
    hand_over_word(conn->link, word);
    return true;
}

static uint32_t frame_need(const struct px_conn *conn, const struct zkp_frame *frame)
{
    switch (conn->role) {
    case PX_CONN_CLIENT:
        return px_session_client_need(conn->link->core, frame->length, frame->body);
    case PX_CONN_SERVER:
        return px_session_server_need(conn->link->core, frame->length, frame->body);
    case PX_CONN_NEXT:
        break;
    }
    return frame->length;
}

static uint32_t frame_max(const struct px_conn *conn)
{
    switch (conn->role) {
    case PX_CONN_CLIENT:
        return ZKP_CLIENT_FRAME_MAX;
    case PX_CONN_SERVER:
        return ZKP_SERVER_FRAME_MAX;
    case PX_CONN_NEXT:
        break;
    }
    return px_session_state(conn->link->core) == PX_SESSION_RESTORING ? PX_WHOLE_FRAME_MAX
                                                                      : PX_CONNECT_FRAME_MAX;
}

/* What a frame's event says beyond the hot path's needs. */
static void fill_transfer(const struct px_link *link, struct px_event *event)
{
    struct px_event full = px_link_event(link, event->kind);

    event->nobody_expires_ms = full.nobody_expires_ms;
    event->own_zxid = full.own_zxid;
    event->old_leads = full.old_leads;
    event->skips_drain = link->worker->skips_move_drain;
    event->skips_auth = link->worker->skips_auth;
}

static void fill_server(const struct px_link *link, uint32_t slot, struct px_event *event)
{
    const struct px_server_directive *server;

    if (slot == PX_SLOT_NONE)
        return;
    server = &link->worker->directive->servers[slot];
    event->check_is_harmful = server->check_is_harmful;
    event->watch_rule = server->has_watch_modes ? PX_WATCH_ALL_MODES : PX_WATCH_ONE_MODE;
}

static void step_frame(struct px_conn *conn, const struct zkp_frame *frame)
{
    struct px_link *link = conn->link;
    struct px_event event = {
        .kind = kind_of(conn, PX_EVENT_CLIENT_FRAME, PX_EVENT_SERVER_FRAME, PX_EVENT_NEXT_FRAME),
        .now_ms = link->worker->now_ms,
        .now_us = link->worker->now_us,
        .length = frame->length,
        .body = frame->body};

    fill_server(link, conn->role == PX_CONN_NEXT ? link->attempt->slot : link->slot, &event);
    if (link->attempt != NULL)
        fill_transfer(link, &event);
    link->walk->frame_left = frame->length - frame->body.len;
    link->walk->frame = zkp_slice_of(frame->body.ptr - ZKP_FRAME_PREFIX, ZKP_FRAME_PREFIX + frame->body.len);
    px_link_step(link, &event);
}

/* The frame at the front of `in`: *ret_used bytes are dealt with. RC_AGAIN: more is needed first. */
static enum rc take_frame(struct px_conn *conn, struct zkp_slice in, uint32_t *ret_used)
{
    struct zkp_frame frame;
    uint32_t need;
    enum rc rc;

    *ret_used = 0;
    if (took_word(conn, in))
        return RC_OK;
    rc = zkp_frame_peek(in, frame_max(conn), &frame);
    if (rc == RC_AGAIN)
        return rc;
    if (rc != RC_OK) {
        step_bad(conn, bad_length(conn, rc));
        return RC_OK;
    }
    need = frame_need(conn, &frame);
    if (need > PX_WHOLE_FRAME_MAX) {
        step_bad(conn, PX_CLOSE_LIMIT);
        return RC_OK;
    }
    if (need > frame.body.len)
        return RC_AGAIN;
    *ret_used = ZKP_FRAME_PREFIX + frame.body.len;
    step_frame(conn, &frame);
    return RC_OK;
}

static uint32_t take_stream(struct px_conn *conn, struct zkp_slice in)
{
    uint32_t length = conn->stream_left < in.len ? conn->stream_left : in.len;

    if (!conn->drops_stream)
        walk_extend(conn->link, zkp_slice_of(in.ptr, length));
    conn->stream_left -= length;
    return length;
}

static bool stops_here(const struct px_conn *conn)
{
    if (conn->fd < 0 || px_link_is_dead(conn->link))
        return true;
    if (conn->role == PX_CONN_NEXT && conn->link->attempt->is_adopted)
        return true; /* the rest is looked at in its new place */
    return (conn->pauses & PX_PAUSE_SESSION) != 0 && conn->stream_left == 0;
}

/* Returns how many bytes were dealt with; the rest has to be kept. */
static uint32_t link_walk(struct px_conn *conn, struct zkp_slice in)
{
    struct px_link *link = conn->link;
    struct px_walk walk = {.from = conn,
                           .to = conn->role == PX_CONN_CLIENT ? px_link_server(link) : &link->client};
    uint32_t done = 0;

    ASSERT(link->walk == NULL);
    link->walk = &walk;
    while (done < in.len && !stops_here(conn)) {
        struct zkp_slice rest = zkp_slice_of(in.ptr + done, in.len - done);
        uint32_t used = 0;
        if (conn->stream_left > 0)
            used = take_stream(conn, rest);
        else if (take_frame(conn, rest, &used) == RC_AGAIN)
            break;
        done += used;
    }
    px_walk_flush(link);
    link->walk = NULL;
    return done;
}

void px_link_walk_held(struct px_conn *conn)
{
    uint32_t done;

    conn->wants_walk = false;
    done = link_walk(conn, px_buffer_slice(&conn->in));
    px_buffer_consume(&conn->in, done);
}

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
    done = link_walk(conn, fresh);
    if (conn->fd < 0)
        return RC_OK;
    return px_buffer_append(&conn->in, fresh.ptr + done, fresh.len - done);
}

/* One recv: into scratch, or behind what was kept. RC_AGAIN = nothing more for now. */
static enum rc fill(struct px_conn *conn, uint32_t *ret_got)
{
    struct px_worker *worker = conn->link->worker;
    uint8_t *to = worker->scratch;
    uint32_t room = PX_SCRATCH_SIZE;
    ssize_t got;

    if (conn->in.length > 0) {
        if (px_buffer_reserve(&conn->in, FILL_MIN) != RC_OK)
            return RC_NOMEM;
        to = conn->in.bytes + conn->in.length;
        room = conn->in.capacity - conn->in.length;
    }
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
        if (zkp_frame_peek(rest, ZKP_CLIENT_FRAME_MAX, &frame) != RC_OK || frame.body.len < frame.length)
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
    if (conn->role == PX_CONN_NEXT && px_session_state(link->core) != PX_SESSION_RESTORING)
        px_link_dial_end(link, px_link_dial_closed(link));
    else if (conn->role == PX_CONN_NEXT)
        px_link_dial_end(link, PX_DIAL_CLOSED);
    else
        px_conn_close(conn);
    px_link_step_kind(link, kind_of(conn, PX_EVENT_CLIENT_GONE, PX_EVENT_SERVER_GONE, PX_EVENT_NEXT_GONE));
}

/* Adopted in the middle of its own batch: what is left is read in its new place. */
static bool has_moved_in(const struct px_conn *conn)
{
    return conn->role == PX_CONN_NEXT && conn->link->attempt->is_adopted;
}

static void pump(struct px_conn *conn)
{
    struct px_link *link = conn->link;

    for (int turn = 0; turn < TURNS_MAX && px_conn_may_read(conn) && !px_link_is_dead(link); turn++) {
        uint32_t got = 0;
        enum rc filled = fill(conn, &got);
        if (got > 0 && deliver(conn, got) != RC_OK)
            step_bad(conn, PX_CLOSE_NO_MEMORY);
        scan_pings(conn);
        if (has_moved_in(conn))
            return;
        if (filled == RC_CLOSED && conn->fd >= 0) {
            step_gone(conn);
            return;
        }
        if (filled == RC_NOMEM)
            step_bad(conn, PX_CLOSE_NO_MEMORY);
        if (filled != RC_OK)
            break;
    }
    if (conn->role == PX_CONN_SERVER)
        note_server(link);
}

void px_link_on_event(evutil_socket_t fd, short what, void *arg)
{
    struct px_conn *conn = arg;
    struct px_link *link = conn->link;

    (void)fd;
    px_worker_clock(link->worker);
    if ((what & EV_WRITE) != 0 && conn->is_connecting)
        px_link_dial_ready(link);
    else if ((what & EV_WRITE) != 0)
        px_conn_flush(conn);
    if ((what & EV_READ) != 0)
        pump(conn);
    else if ((what & EV_CLOSED) != 0 && conn->fd >= 0)
        step_gone(conn);
    px_link_settle(link);
}
