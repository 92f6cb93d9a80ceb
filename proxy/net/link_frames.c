/* Frames to events: the complete ones are walked in place, and what goes on unchanged is one send (design.md
 * §4, hot path). Worker thread. Where the bytes come from: link_read.c. */
#include <stdlib.h>

#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"
#include "zkproto/assert.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/request.h"
#include "zkproto/word.h"

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

bool px_conn_greets(const struct px_conn *conn)
{
    return conn->role == PX_CONN_CLIENT && px_session_state(conn->link->core) == PX_SESSION_GREETING;
}

enum px_event_kind px_link_kind_of(const struct px_conn *conn, enum px_event_kind client,
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

void px_link_step_bad(struct px_conn *conn, enum px_close_reason reason)
{
    struct px_event event = px_link_event(
        conn->link, px_link_kind_of(conn, PX_EVENT_CLIENT_BAD, PX_EVENT_SERVER_BAD, PX_EVENT_NEXT_BAD));

    event.reason = reason;
    px_link_step(conn->link, &event);
}

/* A stranger's length before the session may be anything; whoever has one is told what stands against it. */
static void step_bad_length(struct px_conn *conn, enum rc rc, struct zkp_slice in)
{
    bool is_client = conn->role == PX_CONN_CLIENT;
    bool is_over = rc == RC_TOO_BIG && conn->role != PX_CONN_NEXT;

    if (is_over && conn->link->is_established)
        px_link_log_too_big(conn, is_client ? "limits.request_bytes" : "limits.reply_bytes",
                            (uint32_t)zkp_load_i32(in.ptr), px_link_frame_max(conn),
                            zkp_slice_of(in.ptr + ZKP_FRAME_PREFIX, in.len - ZKP_FRAME_PREFIX));
    if (is_client)
        px_link_step_bad(conn, is_over ? PX_CLOSE_FRAME_TOO_BIG : PX_CLOSE_FRAME_LENGTH);
    else
        px_link_step_bad(conn, is_over ? PX_CLOSE_LIMIT : PX_CLOSE_SERVER_PROTOCOL);
}

static void hand_over_word(struct px_link *link, enum zkp_word word)
{
    struct px_msg *msg = px_msg_new(PX_MSG_WORD);
    struct px_event event = px_link_event(link, PX_EVENT_CLIENT_BAD);

    px_link_speak(link);
    if (msg != NULL) {
        msg->worker = link->worker->options.index;
        msg->word.fd = px_conn_detach(&link->client);
        msg->word.peer = px_link_peer(link);
        msg->word.word = word;
        msg->word.listener = link->listener;
        msg->word.origin = link->origin;
        link->origin = NULL;
        px_mailbox_push(link->worker->options.control, msg);
    }
    event.reason = msg != NULL ? PX_CLOSE_WORD : PX_CLOSE_NO_MEMORY;
    px_link_step(link, &event);
}

/* Before a session exists the four bytes of a length may be a word instead (protocol.md §1.5). */
static bool took_word(struct px_conn *conn, struct zkp_slice in)
{
    enum zkp_word word;

    if (!px_conn_greets(conn) || in.len < 4)
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

uint32_t px_link_frame_max(const struct px_conn *conn)
{
    const struct px_byte_limits *limits = &conn->link->worker->limits;

    switch (conn->role) {
    case PX_CONN_CLIENT:
        return conn->link->is_established ? limits->request : conn->link->worker->greeting_max;
    case PX_CONN_SERVER:
        return limits->reply;
    case PX_CONN_NEXT:
        break;
    }
    return px_session_state(conn->link->core) == PX_SESSION_RESTORING ? limits->whole : PX_CONNECT_FRAME_MAX;
}

/* With what an event says beyond the hot path's needs. */
static void step_transfer(struct px_link *link, const struct px_event *event)
{
    struct px_event full = px_link_event(link, event->kind);
    struct px_event more = *event;

    more.nobody_expires_ms = full.nobody_expires_ms;
    more.own_zxid = full.own_zxid;
    more.old_leads = full.old_leads;
    more.skips_drain = link->worker->skips_move_drain;
    more.skips_auth = link->worker->skips_auth;
    px_link_step(link, &more);
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
    struct px_walk *walk = link->walk;

    walk->event.length = frame->length;
    walk->event.body = frame->body;
    fill_server(link, conn->role == PX_CONN_NEXT ? link->attempt->slot : link->slot, &walk->event);
    walk->frame_left = frame->length - frame->body.len;
    walk->frame = zkp_slice_of(frame->body.ptr - ZKP_FRAME_PREFIX, ZKP_FRAME_PREFIX + frame->body.len);
    if (frame->length > ZKP_CLIENT_FRAME_MAX && conn->role == PX_CONN_CLIENT)
        px_link_note_big(link, frame->length, frame->body);
    if (link->attempt != NULL)
        step_transfer(link, &walk->event);
    else
        px_link_step(link, &walk->event);
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
    rc = zkp_frame_peek(in, px_link_frame_max(conn), &frame);
    if (rc == RC_AGAIN)
        return rc;
    if (rc != RC_OK) {
        step_bad_length(conn, rc, in);
        return RC_OK;
    }
    need = frame.body.len < frame.length ? frame_need(conn, &frame) : 0; /* all there: no need to ask */
    if (need > conn->link->worker->limits.whole) {
        px_link_log_too_big(conn, "limits.whole_bytes", frame.length, conn->link->worker->limits.whole,
                            frame.body);
        px_link_step_bad(conn, PX_CLOSE_LIMIT);
        return RC_OK;
    }
    if (need > frame.body.len) {
        px_conn_collect(conn, need);
        return RC_AGAIN;
    }
    if (px_conn_greets(conn) && !px_link_take_place(conn->link)) {
        px_link_step_bad(conn, PX_CLOSE_SESSIONS_FULL);
        return RC_OK;
    }
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
uint32_t px_link_walk(struct px_conn *conn, struct zkp_slice in)
{
    struct px_link *link = conn->link;
    struct px_walk walk = {.from = conn,
                           .to = conn->role == PX_CONN_CLIENT ? px_link_server(link) : &link->client,
                           .event = {.kind = px_link_kind_of(conn, PX_EVENT_CLIENT_FRAME,
                                                             PX_EVENT_SERVER_FRAME, PX_EVENT_NEXT_FRAME),
                                     .now_ms = link->worker->now_ms,
                                     .now_us = link->worker->now_us}};
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
    px_conn_collected(conn);
    done = px_link_walk(conn, px_buffer_slice(&conn->in));
    px_buffer_consume(&conn->in, done);
    px_conn_account(conn);
}
