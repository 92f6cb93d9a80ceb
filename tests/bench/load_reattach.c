/* Mode `reattach`: all sessions go from one server to the other and back with --in-flight connects under way,
 * the old connection open until the new one is attached: the fastest that sessions can change servers, to
 * compare moves with. See load.h. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/bench/load.h"

static enum rc on_attached(struct load *load, struct load_session *session)
{
    (void)load;
    (void)session;
    return RC_OK;
}

static enum rc on_replied(struct load *load, struct load_session *session,
                          const struct zkp_reply_header *header)
{
    (void)header;
    return load_fail(load, session, RC_INVALID, "a reply that nobody asked for");
}

static enum rc on_lost(struct load *load, struct load_session *session)
{
    return load_fail(load, session, RC_CLOSED, "disconnected");
}

static void print_round(const struct load *load, uint32_t round, int64_t took_ns)
{
    double seconds = (double)took_ns / (double)BENCH_NS_PER_S;
    printf("{\"mode\": \"reattach\", \"round\": %u, \"sessions\": %u, \"in_flight\": %u, \"seconds\": %.6f, "
           "\"reattaches_per_second\": %.1f, ",
           round, load->attached, load->options.in_flight, seconds, (double)load->attached / seconds);
    load_print_histogram("connect_us", &load->connects);
    printf("}\n");
    fflush(stdout);
}

/* Sessions are parked one by one as their turn comes: load_dial_more takes only those without a connection.
 */
static enum rc park_and_dial(struct load *load)
{
    while (load->dialing < load->options.in_flight && load->next_to_dial < load->options.sessions) {
        struct load_session *session = &load->sessions[load->next_to_dial++];
        load_park(load, session);
        enum rc rc = load_dial(load, session);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static enum rc move_all(struct load *load)
{
    enum rc rc = RC_OK;
    load->next_to_dial = 0;
    do {
        rc = park_and_dial(load);
        if (rc == RC_OK)
            rc = load_turn(load, BENCH_NS_PER_S);
    } while (rc == RC_OK && (load->dialing > 0 || load->next_to_dial < load->options.sessions));
    return rc;
}

enum rc load_reattach(struct load *load)
{
    static const struct load_mode mode = {on_attached, on_replied, on_lost, NULL};
    load->mode = &mode;
    if (load->options.address_count != LOAD_ADDRESSES_MAX)
        return err_set(&load->err, RC_INVALID, "reattach needs two addresses");
    enum rc rc = load_attach_all(load);
    for (uint32_t round = 1; round <= load->options.rounds && rc == RC_OK; round++) {
        load->target = load->options.addresses[round % LOAD_ADDRESSES_MAX];
        bench_histogram_clear(&load->connects);
        int64_t began_ns = bench_now_ns();
        rc = move_all(load);
        if (rc == RC_OK)
            print_round(load, round, bench_now_ns() - began_ns);
    }
    return rc == RC_OK ? load_farewell(load) : rc;
}
