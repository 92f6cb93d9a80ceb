/* Mode `reattach`: all sessions go from one server to the other and back with --in-flight of them under way,
 * the old connection open until the new one is attached: the fastest that sessions can change servers, to
 * compare moves with. With --watches each also sets its watches again, as it must to be of use to a client.
 * See load.h. */
#include <inttypes.h>
#include <stdio.h>

#include "tests/bench/load.h"
#include "zkproto/request.h"

#define WATCH_FRAME_MAX (64u + LOAD_WATCHES_AGAIN_MAX * (LOAD_PATH_MAX + 4u))

struct reattach {
    bool has_watches;   /* all sessions have theirs */
    uint32_t restoring; /* sessions that wait for the answer to SetWatches */
};

/* The same paths as in load_hold.c. The zxid is so high that nothing is caught up with. */
static struct zkp_slice watches_frame(const struct load *load, struct load_session *session,
                                      uint8_t buf[WATCH_FRAME_MAX])
{
    char texts[LOAD_WATCHES_AGAIN_MAX][LOAD_PATH_MAX];
    struct zkp_slice paths[LOAD_WATCHES_AGAIN_MAX];
    const struct zkp_slice *lists[ZKP_LIST_COUNT] = {[ZKP_LIST_DATA] = paths};
    const uint32_t counts[ZKP_LIST_COUNT] = {[ZKP_LIST_DATA] = load->options.watches};
    uint32_t index = (uint32_t)(session - load->sessions);
    for (uint32_t i = 0; i < load->options.watches; i++) {
        load_path((index * load->options.watches + i) % load->options.paths, texts[i]);
        paths[i] = zkp_slice_str(texts[i]);
    }
    uint32_t length =
        zkp_set_watches_frame(session->next_xid++, false, INT64_MAX, lists, counts, buf, WATCH_FRAME_MAX);
    return zkp_slice_of(buf, length);
}

static enum rc restore(struct load *load, struct load_session *session)
{
    struct reattach *reattach = load->mode_state;
    uint8_t buf[WATCH_FRAME_MAX];
    reattach->restoring++;
    load_take_off(load, session, 1);
    return load_send(load, session, watches_frame(load, session, buf));
}

static enum rc on_attached(struct load *load, struct load_session *session)
{
    const struct reattach *reattach = load->mode_state;
    return reattach->has_watches ? restore(load, session) : RC_OK;
}

static enum rc on_replied(struct load *load, struct load_session *session,
                          const struct zkp_reply_header *header)
{
    struct reattach *reattach = load->mode_state;
    int64_t latency_ns;
    if (reattach->restoring == 0)
        return load_fail(load, session, RC_INVALID, "a reply that nobody asked for");
    if (header->err != 0)
        return load_fail(load, session, RC_REFUSED, "SetWatches failed");
    reattach->restoring--;
    return load_land(load, session, header, &latency_ns);
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
    const struct reattach *reattach = load->mode_state;
    while (load->dialing + reattach->restoring < load->options.in_flight &&
           load->next_to_dial < load->options.sessions) {
        struct load_session *session = &load->sessions[load->next_to_dial++];
        load_park(load, session);
        enum rc rc = load_dial(load, session);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

static bool is_under_way(const struct load *load)
{
    const struct reattach *reattach = load->mode_state;
    return load->dialing + reattach->restoring > 0;
}

static enum rc move_all(struct load *load)
{
    enum rc rc = RC_OK;
    load->next_to_dial = 0;
    do {
        rc = park_and_dial(load);
        if (rc == RC_OK)
            rc = load_turn(load, BENCH_NS_PER_S);
    } while (rc == RC_OK && (is_under_way(load) || load->next_to_dial < load->options.sessions));
    return rc;
}

/* SetWatches on a node that is not there would fire at once: the nodes come first. */
static enum rc set_watches(struct load *load)
{
    enum rc rc = load->options.is_bare ? RC_OK : load_make_paths(load);
    load->heard_ns = load->now_ns = bench_now_ns();
    for (uint32_t i = 0; i < load->options.sessions && rc == RC_OK; i++)
        rc = restore(load, &load->sessions[i]);
    while (rc == RC_OK && is_under_way(load))
        rc = load_turn(load, BENCH_NS_PER_S);
    return rc;
}

static enum rc set_up(struct load *load)
{
    struct reattach *reattach = load->mode_state;
    enum rc rc = load_attach_all(load);
    if (rc == RC_OK && load->options.watches > 0)
        rc = set_watches(load);
    reattach->has_watches = load->options.watches > 0;
    return rc;
}

enum rc load_reattach(struct load *load)
{
    static const struct load_mode mode = {on_attached, on_replied, on_lost, NULL};
    struct reattach reattach = {0};
    load->mode = &mode;
    load->mode_state = &reattach;
    if (load->options.address_count != LOAD_ADDRESSES_MAX)
        return err_set(&load->err, RC_INVALID, "reattach needs two addresses");
    if (load->options.watches > LOAD_WATCHES_AGAIN_MAX)
        return err_set(&load->err, RC_INVALID, "reattach: at most %u watches", LOAD_WATCHES_AGAIN_MAX);
    enum rc rc = set_up(load);
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
