/* Mode `run`: sessions that keep `outstanding` requests under way (closed loop), or get them at a fixed rate
 * (open loop; latency then counts from the moment a request was due, so that a stall is not hidden by the
 * requests it kept from being sent). Measures a window of time behind a warm-up, or exactly --requests
 * requests. See load.h. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/bench/load.h"
#include "zkproto/zkerr.h"

enum phase { WARMUP, MEASURE, OVER };

struct window {
    enum phase phase;
    int64_t began_ns;   /* of the phase */
    int64_t seconds_ns; /* of the measurement, once it is over */
    int64_t cpu_ns;     /* of options.cpu_of; at the beginning its clock, then what was used */
    int64_t own_cpu_ns;
    uint64_t allowed;  /* requests that may still be issued */
    uint64_t answered; /* in the measurement */
};

static enum rc on_attached(struct load *load, struct load_session *session)
{
    (void)load;
    (void)session;
    return RC_OK;
}

static enum rc on_lost(struct load *load, struct load_session *session)
{
    return load_fail(load, session, RC_CLOSED, "disconnected");
}

static void make_due(struct window *window, struct load_session *session, uint32_t count)
{
    if (window->allowed < count)
        count = (uint32_t)window->allowed;
    window->allowed -= count;
    session->due += count;
}

static enum rc on_replied(struct load *load, struct load_session *session,
                          const struct zkp_reply_header *header)
{
    struct window *window = load->mode_state;
    int64_t latency_ns;
    if (header->err != ZKP_ERR_OK)
        return load_fail(load, session, RC_REFUSED, zkp_err_name(header->err));
    enum rc rc = load_land(load, session, header, &latency_ns);
    if (rc != RC_OK)
        return rc;
    if (window->phase == MEASURE) {
        window->answered++;
        bench_histogram_add(&load->latency, (uint64_t)latency_ns);
    }
    if (load->pacer.interval_ns <= 0.0 && window->phase != OVER)
        make_due(window, session, 1);
    return RC_OK;
}

static enum rc on_drained(struct load *load, struct load_session *session)
{
    const struct window *window = load->mode_state;
    return window->phase == OVER ? RC_OK : load_issue_due(load, session);
}

/* --- the window --- */

static void measure_begins(struct load *load, struct window *window)
{
    window->phase = MEASURE;
    window->cpu_ns = bench_cpu_ns(load->options.cpu_of);
    window->own_cpu_ns = bench_cpu_ns(0);
    window->began_ns = bench_now_ns();
}

static void measure_ends(struct load *load, struct window *window)
{
    window->phase = OVER;
    window->seconds_ns = bench_now_ns() - window->began_ns;
    window->cpu_ns = bench_cpu_ns(load->options.cpu_of) - window->cpu_ns;
    window->own_cpu_ns = bench_cpu_ns(0) - window->own_cpu_ns;
}

static void step(struct load *load, struct window *window)
{
    int64_t age_ns = load->now_ns - window->began_ns;
    bool is_counted = load->options.requests > 0;
    if (window->phase == WARMUP && (is_counted || age_ns >= load->options.warmup_ns))
        measure_begins(load, window);
    else if (window->phase == MEASURE &&
             (is_counted ? window->answered == load->options.requests : age_ns >= load->options.measure_ns))
        measure_ends(load, window);
}

static enum rc pace(struct load *load, int64_t *ret_wait_ns)
{
    *ret_wait_ns = BENCH_NS_PER_MS; /* the window's ends are looked for that often at least */
    return load->pacer.interval_ns > 0.0 ? load_pace(load, ret_wait_ns) : RC_OK;
}

static enum rc fill(struct load *load, struct window *window)
{
    enum rc rc = RC_OK;
    load->now_ns = bench_now_ns();
    for (uint32_t i = 0; i < load->options.sessions && rc == RC_OK; i++) {
        make_due(window, &load->sessions[i], load->options.outstanding);
        rc = load_issue_due(load, &load->sessions[i]);
    }
    return rc;
}

static enum rc measure(struct load *load, struct window *window)
{
    double interval_ns = load->options.rate > 0.0 ? (double)BENCH_NS_PER_S / load->options.rate : 0.0;
    enum rc rc = RC_OK;
    load_pacer_start(load, load->options.sessions, interval_ns);
    window->began_ns = load->now_ns = load->pacer.start_ns;
    step(load, window);
    if (interval_ns <= 0.0)
        rc = fill(load, window);
    while (rc == RC_OK && window->phase != OVER) {
        int64_t wait_ns;
        rc = pace(load, &wait_ns);
        if (rc == RC_OK)
            rc = load_turn(load, wait_ns);
        step(load, window);
    }
    return rc;
}

static uint64_t backlog(const struct load *load)
{
    uint64_t sum = 0; /* due, and not issued when the window closed */
    for (uint32_t i = 0; i < load->options.sessions; i++)
        sum += load->sessions[i].due;
    return sum;
}

static void print_result(const struct load *load, const struct window *window, uint64_t left)
{
    const struct load_options *o = &load->options;
    double seconds = (double)window->seconds_ns / (double)BENCH_NS_PER_S;
    printf("{\"mode\": \"run\", \"op\": \"%s\", \"sessions\": %u, \"outstanding\": %u, \"rate\": %.1f, "
           "\"requests\": %" PRIu64
           ", \"seconds\": %.6f, \"requests_per_second\": %.1f, \"backlog\": %" PRIu64
           ", \"events\": %" PRIu64 ", \"generator_cpu_ns\": %" PRId64 ", \"cpu_ns\": ",
           o->op_name, o->sessions, o->outstanding, o->rate, window->answered, seconds,
           (double)window->answered / seconds, left, load->events, window->own_cpu_ns);
    if (o->cpu_of > 0)
        printf("%" PRId64 ", ", window->cpu_ns);
    else
        printf("null, ");
    load_print_histogram("latency_us", &load->latency);
    printf(", ");
    load_print_histogram("connect_us", &load->connects);
    printf("}\n");
}

enum rc load_run(struct load *load)
{
    static const struct load_mode mode = {on_attached, on_replied, on_lost, on_drained};
    struct window window = {.allowed = load->options.requests > 0 ? load->options.requests : UINT64_MAX};
    load->mode = &mode;
    load->mode_state = &window;
    enum rc rc = load_attach_all(load);
    if (rc == RC_OK && !load->options.is_bare)
        rc = load_make_paths(load);
    if (rc == RC_OK)
        rc = measure(load, &window);
    uint64_t left = backlog(load);
    if (rc == RC_OK)
        rc = load_farewell(load); /* every request gets its answer, or the run has failed */
    if (rc == RC_OK)
        print_result(load, &window, left);
    return rc;
}
