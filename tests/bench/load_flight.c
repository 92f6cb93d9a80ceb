/* Issuing requests and pairing replies: see load.h. ZooKeeper answers a session's requests in order, so the
 * oldest flight is the one that lands; its xid follows from the newest. */
#include "tests/bench/load.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/opcode.h"

#define BATCH_BYTES (64u * 1024u) /* requests that go into one send; larger ones go alone */

void load_pacer_start(struct load *load, uint32_t sessions, double interval_ns)
{
    load->pacer =
        (struct load_pacer){.start_ns = bench_now_ns(), .interval_ns = interval_ns, .sessions = sessions};
    for (uint32_t i = 0; i < load->options.sessions; i++) {
        load->sessions[i].due = 0;
        load->sessions[i].issued = 0;
    }
}

static uint64_t next_random(struct load *load)
{
    load->random ^= load->random << 13; /* xorshift64: cheap, and the same in every run */
    load->random ^= load->random >> 7;
    load->random ^= load->random << 17;
    return load->random;
}

static const struct load_frame *choose_frame(struct load *load)
{
    uint64_t random = next_random(load);
    enum load_op op = (random >> 32) % 100u < load->options.set_percent ? LOAD_SET : load->options.op;
    return &load->frames[op][(uint32_t)random % load->options.paths];
}

/* When the session's next request is due: sessions take turns. Closed loop: now. */
static int64_t due_ns(const struct load *load, const struct load_session *session)
{
    const struct load_pacer *pacer = &load->pacer;
    if (pacer->interval_ns <= 0.0)
        return load->now_ns;
    uint64_t n = session->issued * pacer->sessions + (uint64_t)(session - load->sessions);
    return pacer->start_ns + (int64_t)((double)n * pacer->interval_ns);
}

static void push_flight(struct load *load, struct load_session *session, int64_t at_ns)
{
    session->flights[(session->first + session->count) % load->options.outstanding] = at_ns;
    session->count++;
    session->issued++;
}

void load_take_off(struct load *load, struct load_session *session, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        push_flight(load, session, load->now_ns);
}

/* Up to `count` requests in one send. */
static enum rc issue(struct load *load, struct load_session *session, uint32_t count)
{
    uint8_t batch[BATCH_BYTES];
    uint32_t length = 0;
    enum rc rc = RC_OK;
    for (uint32_t i = 0; i < count && rc == RC_OK; i++) {
        const struct load_frame *frame = choose_frame(load);
        if (length + frame->len > sizeof batch) {
            rc = load_send(load, session, zkp_slice_of(batch, length));
            length = 0;
        }
        memcpy(batch + length, frame->ptr, frame->len);
        zkp_store_i32(batch + length + ZKP_FRAME_PREFIX, session->next_xid++);
        length += frame->len;
        push_flight(load, session, due_ns(load, session));
    }
    return rc == RC_OK ? load_send(load, session, zkp_slice_of(batch, length)) : rc;
}

enum rc load_issue_due(struct load *load, struct load_session *session)
{
    uint32_t room = load->options.outstanding - session->count;
    uint32_t count = session->due < room ? session->due : room;
    if (count == 0 || session->state != LOAD_ATTACHED)
        return RC_OK; /* it stays due: its latency counts from then */
    session->due -= count;
    return issue(load, session, count);
}

enum rc load_pace(struct load *load, int64_t *ret_wait_ns)
{
    struct load_pacer *pacer = &load->pacer;
    int64_t next_ns;
    load->now_ns = bench_now_ns();
    for (;;) {
        next_ns = pacer->start_ns + (int64_t)((double)pacer->handed_out * pacer->interval_ns);
        if (next_ns > load->now_ns)
            break;
        struct load_session *session = &load->sessions[pacer->handed_out++ % pacer->sessions];
        session->due++;
        enum rc rc = load_issue_due(load, session);
        if (rc != RC_OK)
            return rc;
    }
    *ret_wait_ns = next_ns - load->now_ns;
    return RC_OK;
}

enum rc load_land(struct load *load, struct load_session *session, const struct zkp_reply_header *header,
                  int64_t *ret_latency_ns)
{
    int32_t expected = session->next_xid - (int32_t)session->count;
    if (session->count == 0 || header->xid != expected)
        return load_fail(load, session, RC_INVALID, "a reply to another request than the oldest");
    *ret_latency_ns = load->now_ns - session->flights[session->first];
    session->first = (session->first + 1u) % load->options.outstanding;
    session->count--;
    return RC_OK;
}

/* --- the end --- */

static enum rc nobody_attaches(struct load *load, struct load_session *session)
{
    return load_fail(load, session, RC_INVALID, "attached at the end");
}

static enum rc bye_replied(struct load *load, struct load_session *session,
                           const struct zkp_reply_header *header)
{
    int64_t latency_ns;
    enum rc rc = load_land(load, session, header, &latency_ns);
    if (rc == RC_OK)
        load_close(load, session);
    return rc;
}

static enum rc bye_lost(struct load *load, struct load_session *session)
{
    return load_fail(load, session, RC_CLOSED, "disconnected before closeSession was answered");
}

enum rc load_say_bye(struct load *load, struct load_session *session)
{
    struct zkp_request_header header = {.xid = session->next_xid++, .type = ZKP_OP_CLOSE_SESSION};
    uint8_t frame[ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN];
    uint32_t length = zkp_request_header_frame(header, frame, sizeof frame);
    load_take_off(load, session, 1);
    return load_send(load, session, zkp_slice_of(frame, length));
}

static enum rc quiesce(struct load *load)
{
    enum rc rc = RC_OK;
    for (uint32_t i = 0; i < load->options.sessions; i++)
        load->sessions[i].due = 0;
    while (rc == RC_OK && load_is_awaiting(load))
        rc = load_turn(load, BENCH_NS_PER_S);
    return rc;
}

enum rc load_farewell(struct load *load)
{
    static const struct load_mode bye = {nobody_attaches, bye_replied, bye_lost, NULL};
    enum rc rc = quiesce(load);
    load->mode = &bye;
    load->heard_ns = load->now_ns = bench_now_ns();
    for (uint32_t i = 0; i < load->options.sessions && rc == RC_OK; i++)
        if (load->sessions[i].state == LOAD_ATTACHED)
            rc = load_say_bye(load, &load->sessions[i]);
    while (rc == RC_OK && load->attached > 0)
        rc = load_turn(load, BENCH_NS_PER_S);
    return rc;
}
