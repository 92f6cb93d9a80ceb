/* Sessions of bench_load: dialing, attaching, cutting what comes into frames, pings. See load.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/load.h"
#include "tests/bench/sockets.h"
#include "zkproto/frame.h"
#include "zkproto/opcode.h"

#define PING_LOOK_NS (BENCH_NS_PER_S / 2)

enum rc load_fail(struct load *load, const struct load_session *session, enum rc rc, const char *text)
{
    return err_set(&load->err, rc, "session %ld: %s", (long)(session - load->sessions), text);
}

static void sessions_init(struct load *load)
{
    for (uint32_t i = 0; i < load->options.sessions; i++) {
        load->sessions[i].stream.fd = -1;
        load->sessions[i].parked_fd = -1;
        load->sessions[i].next_xid = 1;
    }
}

enum rc load_init(struct load *load, const struct load_options *options)
{
    *load =
        (struct load){.options = *options, .target = options->addresses[0], .random = 0x9e3779b97f4a7c15u};
    load->loop = bench_loop_new();
    load->sessions = calloc(options->sessions, sizeof *load->sessions);
    if (!load->loop || !load->sessions)
        return err_set(&load->err, RC_NOMEM, "no memory for %u sessions", options->sessions);
    sessions_init(load);
    return load_frames_init(load);
}

void load_done(struct load *load)
{
    for (uint32_t i = 0; load->sessions && i < load->options.sessions; i++) {
        load_close(load, &load->sessions[i]);
        free(load->sessions[i].flights);
    }
    free(load->sessions);
    load_frames_done(load);
    bench_loop_free(load->loop);
}

/* --- connecting --- */

enum rc load_dial(struct load *load, struct load_session *session)
{
    int fd = bench_dial(&load->target);
    if (fd < 0 || bench_stream_open(&session->stream, load->loop, fd, true, session) != RC_OK)
        return load_fail(load, session, RC_IO, strerror(errno));
    session->state = LOAD_DIALING;
    session->dialed_ns = load->heard_ns = bench_now_ns(); /* a new wait begins */
    load->dialing++;
    return RC_OK;
}

enum rc load_dial_more(struct load *load)
{
    while (load->dialing < load->options.in_flight && load->next_to_dial < load->options.sessions) {
        enum rc rc = load_dial(load, &load->sessions[load->next_to_dial++]);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc ask_attach(struct load *load, struct load_session *session)
{
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    if (bench_stream_connected(&session->stream) != RC_OK)
        return load_fail(load, session, RC_IO, strerror(errno));
    struct zkp_connect_request request = {
        .timeout_ms = load->options.timeout_ms,
        .session_id = session->id,
        .password = zkp_slice_of(session->password, ZKP_PASSWORD_LEN),
        .has_read_only = true,
    };
    session->state = LOAD_ATTACHING;
    return load_send(load, session,
                     zkp_slice_of(frame, zkp_connect_request_frame(&request, frame, sizeof frame)));
}

static enum rc take_attached(struct load *load, struct load_session *session, struct zkp_slice body)
{
    struct zkp_connect_response response;
    if (zkp_connect_response_decode(body, &response) != RC_OK || response.password.len != ZKP_PASSWORD_LEN)
        return load_fail(load, session, RC_MALFORMED, "not a ConnectResponse");
    if (response.timeout_ms <= 0 || (session->id != 0 && session->id != response.session_id))
        return load_fail(load, session, RC_REFUSED, "expired, or another's session");
    session->id = response.session_id;
    memcpy(session->password, response.password.ptr, ZKP_PASSWORD_LEN);
    if (session->parked_fd >= 0)
        close(session->parked_fd);
    session->parked_fd = -1;
    session->state = LOAD_ATTACHED;
    load->dialing--;
    load->attached++;
    bench_histogram_add(&load->connects, (uint64_t)(load->now_ns - session->dialed_ns));
    return load->mode->attached(load, session);
}

void load_close(struct load *load, struct load_session *session)
{
    load->attached -= session->state == LOAD_ATTACHED;
    load->dialing -= session->state == LOAD_DIALING || session->state == LOAD_ATTACHING;
    session->state = LOAD_CLOSED;
    bench_stream_close(&session->stream);
    if (session->parked_fd >= 0)
        close(session->parked_fd);
    session->parked_fd = -1;
}

void load_park(struct load *load, struct load_session *session)
{
    load->attached -= session->state == LOAD_ATTACHED;
    session->state = LOAD_CLOSED;
    session->parked_fd = bench_stream_release(&session->stream);
}

enum rc load_attach_all(struct load *load)
{
    enum rc rc = load_dial_more(load);
    while (rc == RC_OK && load->attached < load->options.sessions) {
        rc = load_turn(load, BENCH_NS_PER_S);
        if (rc == RC_OK)
            rc = load_dial_more(load);
    }
    return rc;
}

/* --- frames --- */

enum rc load_send(struct load *load, struct load_session *session, struct zkp_slice bytes)
{
    session->sent_ns = load->now_ns;
    enum rc rc = bench_stream_send(&session->stream, bytes);
    return rc == RC_OK ? rc : load_fail(load, session, rc, "sending failed");
}

static enum rc take_frame(struct load *load, struct load_session *session, struct zkp_slice body)
{
    struct zkp_reply_header header;
    if (session->state == LOAD_ATTACHING)
        return take_attached(load, session, body);
    if (zkp_reply_header_decode(body, &header) != RC_OK)
        return load_fail(load, session, RC_MALFORMED, "not a reply");
    load->events += header.xid == ZKP_XID_EVENT;
    if (header.xid == ZKP_XID_EVENT || header.xid == ZKP_XID_PING)
        return RC_OK;
    return load->mode->replied(load, session, &header);
}

static enum rc take_frames(struct load *load, struct load_session *session, struct zkp_slice bytes)
{
    struct zkp_slice body;
    enum rc rc;
    while ((rc = bench_frame_next(&bytes, &body)) == RC_OK) {
        rc = take_frame(load, session, body);
        if (rc != RC_OK || session->state == LOAD_CLOSED)
            return rc;
    }
    if (rc != RC_AGAIN)
        return load_fail(load, session, rc, "not a frame");
    rc = bench_stream_keep(&session->stream, bytes);
    if (rc != RC_OK || !load->mode->drained || session->state != LOAD_ATTACHED)
        return rc;
    return load->mode->drained(load, session);
}

static enum rc receive(struct load *load, struct load_session *session)
{
    struct zkp_slice bytes;
    enum rc rc = bench_stream_receive(&session->stream, &bytes);
    if (rc == RC_AGAIN)
        return RC_OK;
    if (rc != RC_OK) {
        load_close(load, session);
        return load->mode->lost(load, session);
    }
    load->now_ns = load->heard_ns = bench_now_ns();
    return take_frames(load, session, bytes);
}

static enum rc on_event(struct load *load, struct load_session *session, uint32_t events)
{
    enum rc rc = RC_OK;
    if (session->state == LOAD_CLOSED)
        return RC_OK;
    load->now_ns = bench_now_ns();
    if (session->state == LOAD_DIALING)
        return ask_attach(load, session);
    if (events & EPOLLOUT)
        rc = bench_stream_flush(&session->stream);
    if (rc == RC_OK && (events & ~(uint32_t)EPOLLOUT))
        rc = receive(load, session);
    return rc;
}

/* --- the turn --- */

bool load_is_awaiting(const struct load *load)
{
    for (uint32_t i = 0; i < load->options.sessions; i++)
        if (load->sessions[i].count > 0)
            return true;
    return load->dialing > 0;
}

/* As client libraries do: after a third of the timeout without a request. */
static enum rc keep_alive(struct load *load)
{
    struct zkp_request_header ping = {.xid = ZKP_XID_PING, .type = ZKP_OP_PING};
    uint8_t frame[ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN];
    int64_t quiet_ns = load->options.timeout_ms * BENCH_NS_PER_MS / 3;
    uint32_t length = zkp_request_header_frame(ping, frame, sizeof frame);
    load->pinged_ns = load->now_ns;
    for (uint32_t i = 0; i < load->options.sessions; i++) {
        struct load_session *session = &load->sessions[i];
        if (session->state != LOAD_ATTACHED || load->now_ns - session->sent_ns < quiet_ns)
            continue;
        enum rc rc = load_send(load, session, zkp_slice_of(frame, length));
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc look_around(struct load *load)
{
    load->now_ns = bench_now_ns();
    if (load->now_ns - load->pinged_ns < PING_LOOK_NS)
        return RC_OK;
    if (load->now_ns - load->heard_ns > LOAD_STALL_NS && load_is_awaiting(load))
        return err_set(&load->err, RC_TIMEOUT, "no answer for %lld s: something was lost",
                       LOAD_STALL_NS / BENCH_NS_PER_S);
    return keep_alive(load);
}

enum rc load_turn(struct load *load, int64_t timeout_ns)
{
    int count = bench_loop_wait(load->loop, timeout_ns < PING_LOOK_NS ? timeout_ns : PING_LOOK_NS);
    for (int i = 0; i < count; i++) {
        const struct epoll_event *event = &load->loop->events[i];
        enum rc rc = RC_OK;
        if (event->data.ptr == load)
            load->stdin_ready = true;
        else
            rc = on_event(load, event->data.ptr, event->events);
        if (rc != RC_OK)
            return rc;
    }
    return look_around(load);
}
