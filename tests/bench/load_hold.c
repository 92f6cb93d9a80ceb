/* Mode `hold`: sessions that are simply there, with watches and pings; the first --probes of them also read,
 * one read every --probe-ms, due times fixed: what one of them had to wait at most is the pause it saw. Each
 * line on stdin is answered with a report on the time since the last; the end of stdin ends it. Disconnects
 * are counted, not fatal. See load.h. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/bench/load.h"
#include "zkproto/zkerr.h"

#define WATCH_FRAME_MAX 128u

struct hold {
    int64_t since_ns; /* the last report */
    uint64_t lost;
    uint64_t failed;
    bool is_probing;
    bool is_over;
};

static enum rc on_attached(struct load *load, struct load_session *session)
{
    (void)load;
    (void)session;
    return RC_OK;
}

static enum rc on_lost(struct load *load, struct load_session *session)
{
    struct hold *hold = load->mode_state;
    if (!hold->is_probing)
        return load_fail(load, session, RC_CLOSED, "disconnected before all was set up");
    hold->lost++;
    session->count = 0;
    return RC_OK;
}

static enum rc on_replied(struct load *load, struct load_session *session,
                          const struct zkp_reply_header *header)
{
    struct hold *hold = load->mode_state;
    int64_t latency_ns;
    enum rc rc = load_land(load, session, header, &latency_ns);
    if (rc != RC_OK)
        return rc;
    hold->failed += header->err != ZKP_ERR_OK && header->err != ZKP_ERR_NO_NODE;
    if (!hold->is_probing)
        return RC_OK;
    bench_histogram_add(&load->latency, (uint64_t)latency_ns);
    if (latency_ns > session->worst_ns)
        session->worst_ns = latency_ns;
    return RC_OK;
}

/* --- setting up --- */

/* Sessions begin at different paths, so that all paths get about the same number of watches. */
static enum rc set_watches(struct load *load, struct load_session *session)
{
    uint32_t index = (uint32_t)(session - load->sessions);
    for (uint32_t i = 0; i < load->options.watches; i++) {
        uint8_t buf[WATCH_FRAME_MAX];
        uint32_t path = (index * load->options.watches + i) % load->options.paths;
        struct zkp_slice frame = load_watch_frame(session->next_xid++, path, buf, sizeof buf);
        enum rc rc = load_send(load, session, frame);
        if (rc != RC_OK)
            return rc;
    }
    load_take_off(load, session, load->options.watches);
    return RC_OK;
}

static enum rc set_all_watches(struct load *load)
{
    enum rc rc = RC_OK;
    load->heard_ns = load->now_ns = bench_now_ns();
    for (uint32_t i = 0; i < load->options.sessions && rc == RC_OK; i++)
        rc = set_watches(load, &load->sessions[i]);
    while (rc == RC_OK && load_is_awaiting(load))
        rc = load_turn(load, BENCH_NS_PER_S);
    return rc;
}

/* --- reports --- */

static void worst_of_each(struct load *load, struct bench_histogram *worst)
{
    bench_histogram_clear(worst);
    for (uint32_t i = 0; i < load->options.probes; i++)
        if (load->sessions[i].worst_ns > 0)
            bench_histogram_add(worst, (uint64_t)load->sessions[i].worst_ns);
}

static void report(struct load *load, struct hold *hold)
{
    static struct bench_histogram worst; /* 30 KB */
    worst_of_each(load, &worst);
    printf("{\"mode\": \"hold\", \"sessions\": %u, \"watches\": %" PRIu64 ", \"lost\": %" PRIu64
           ", \"failed\": %" PRIu64 ", \"events\": %" PRIu64 ", \"seconds\": %.6f, ",
           load->attached, (uint64_t)load->attached * load->options.watches, hold->lost, hold->failed,
           load->events, (double)(load->now_ns - hold->since_ns) / (double)BENCH_NS_PER_S);
    load_print_histogram("latency_us", &load->latency);
    printf(", ");
    load_print_histogram("worst_us", &worst);
    printf("}\n");
    fflush(stdout);
}

static void forget(struct load *load, struct hold *hold)
{
    hold->since_ns = load->now_ns;
    bench_histogram_clear(&load->latency);
    for (uint32_t i = 0; i < load->options.sessions; i++)
        load->sessions[i].worst_ns = 0;
}

static void read_commands(struct load *load, struct hold *hold)
{
    char text[256];
    ssize_t got = read(STDIN_FILENO, text, sizeof text);
    load->stdin_ready = false;
    hold->is_over = got <= 0;
    for (ssize_t i = 0; i < got; i++) {
        if (text[i] == '\n') {
            report(load, hold);
            forget(load, hold);
        }
    }
}

static enum rc hold_on(struct load *load, struct hold *hold)
{
    enum rc rc = RC_OK;
    bool is_probing = load->options.probes > 0;
    load_pacer_start(load, load->options.probes,
                     load->options.probe_ms * (double)BENCH_NS_PER_MS / (load->options.probes + !is_probing));
    load->now_ns = load->pacer.start_ns;
    forget(load, hold);
    hold->is_probing = true;
    report(load, hold);
    while (rc == RC_OK && !hold->is_over) {
        int64_t wait_ns = BENCH_NS_PER_S;
        if (is_probing)
            rc = load_pace(load, &wait_ns);
        if (rc == RC_OK)
            rc = load_turn(load, wait_ns);
        if (load->stdin_ready)
            read_commands(load, hold);
    }
    return rc;
}

enum rc load_hold(struct load *load)
{
    static const struct load_mode mode = {on_attached, on_replied, on_lost, load_issue_due};
    struct hold hold = {0};
    load->mode = &mode;
    load->mode_state = &hold;
    enum rc rc = bench_loop_watch(load->loop, STDIN_FILENO, load);
    if (rc == RC_OK)
        rc = load_attach_all(load);
    if (rc == RC_OK && !load->options.is_bare)
        rc = load_make_paths(load);
    if (rc == RC_OK && load->options.watches > 0)
        rc = set_all_watches(load);
    if (rc == RC_OK)
        rc = hold_on(load, &hold);
    return rc == RC_OK ? load_farewell(load) : rc;
}
