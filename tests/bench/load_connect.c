/* Mode `connect`: new sessions, one after another in each of --in-flight places: connect, attach,
 * closeSession, end. What a proxy does per client that comes and goes. See load.h. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/bench/load.h"

struct visits {
    uint64_t begun;
    uint64_t ended;
};

static enum rc begin(struct load *load, struct load_session *session)
{
    struct visits *visits = load->mode_state;
    if (visits->begun == load->options.requests)
        return RC_OK;
    visits->begun++;
    session->id = 0;
    session->count = 0;
    return load_dial(load, session);
}

static enum rc on_replied(struct load *load, struct load_session *session,
                          const struct zkp_reply_header *header)
{
    struct visits *visits = load->mode_state;
    int64_t latency_ns;
    enum rc rc = load_land(load, session, header, &latency_ns);
    if (rc != RC_OK)
        return rc;
    visits->ended++;
    load_close(load, session);
    return begin(load, session);
}

static enum rc on_lost(struct load *load, struct load_session *session)
{
    return load_fail(load, session, RC_CLOSED, "disconnected before closeSession was answered");
}

static void print_result(const struct load *load, uint64_t count, int64_t took_ns, int64_t cpu_ns)
{
    double seconds = (double)took_ns / (double)BENCH_NS_PER_S;
    printf("{\"mode\": \"connect\", \"in_flight\": %u, \"connects\": %" PRIu64
           ", \"seconds\": %.6f, \"connects_per_second\": %.1f, \"cpu_ns\": ",
           load->options.sessions, count, seconds, (double)count / seconds);
    if (load->options.cpu_of > 0)
        printf("%" PRId64 ", ", cpu_ns);
    else
        printf("null, ");
    load_print_histogram("connect_us", &load->connects);
    printf("}\n");
}

enum rc load_connect(struct load *load)
{
    static const struct load_mode mode = {load_say_bye, on_replied, on_lost, NULL};
    struct visits visits = {0};
    enum rc rc = RC_OK;
    load->mode = &mode;
    load->mode_state = &visits;
    int64_t cpu_ns = bench_cpu_ns(load->options.cpu_of);
    int64_t began_ns = bench_now_ns();
    for (uint32_t i = 0; i < load->options.sessions && rc == RC_OK; i++)
        rc = begin(load, &load->sessions[i]);
    while (rc == RC_OK && visits.ended < load->options.requests)
        rc = load_turn(load, BENCH_NS_PER_S);
    if (rc == RC_OK)
        print_result(load, visits.ended, bench_now_ns() - began_ns,
                     bench_cpu_ns(load->options.cpu_of) - cpu_ns);
    return rc;
}
