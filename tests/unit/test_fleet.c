/* The fleet against a fake server in the same loop: what its last answer says becomes facts at once, and a
 * question that hangs does not hold up the one that decides. */
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/monotonic.h"
#include "proxy/control/fleet/fleet.h"

#define PROBE_TIMEOUT_MS 60000 /* far more than a turn of the loop takes, also on a busy machine */
#define LIMIT_MS         30000
#define HANGING_MAX      8

static const char *const not_serving = "This ZooKeeper instance is not currently serving requests\n";
static const char *const following =
    "Zookeeper version: 3.8.0-1, built on 2022\nLatency min/avg/max: 0/0.5/7\n"
    "Received: 4\nSent: 4\nConnections: 3\nOutstanding: 0\n"
    "Zxid: 0x100000007\nMode: follower\nNode count: 5\n";

struct world {
    struct event_base *base;
    struct evconnlistener *listener;
    const char *srvr; /* NULL: closed without an answer */
    uint32_t asked;   /* srvr, in all */
    uint32_t hanging_count;
    int hanging[HANGING_MAX]; /* every other word: no answer and no end */
    struct px_shared *shared;
    struct px_fleet *fleet;
    uint32_t changes;
    struct mig_facts facts;
    struct zkp_server spec;
};

static void on_word(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct world *w = arg;
    uint8_t bytes[4];
    if (read(fd, bytes, sizeof bytes) == 4 && zkp_word_detect(bytes) != ZKP_WORD_SRVR) {
        assert_in_range(w->hanging_count, 0, HANGING_MAX - 1);
        w->hanging[w->hanging_count++] = fd;
        return;
    }
    w->asked++;
    if (w->srvr)
        assert_int_equal(write(fd, w->srvr, strlen(w->srvr)), strlen(w->srvr));
    close(fd);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *arg)
{
    (void)listener;
    (void)address;
    (void)length;
    struct world *w = arg;
    assert_int_equal(event_base_once(w->base, fd, EV_READ, on_word, w, NULL), 0);
}

static void on_changed(void *context)
{
    struct world *w = context;
    w->changes++;
    px_fleet_facts(w->fleet, &w->facts);
}

static void listen_here(struct world *w)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    w->listener = evconnlistener_new_bind(w->base, on_accept, w, LEV_OPT_CLOSE_ON_FREE, -1,
                                          (struct sockaddr *)&address, sizeof address);
    assert_non_null(w->listener);
    assert_int_equal(getsockname(evconnlistener_get_fd(w->listener), (struct sockaddr *)&address, &length),
                     0);
    char line[100];
    struct err err;
    snprintf(line, sizeof line, "server.1=127.0.0.1:2888:3888:participant;127.0.0.1:%u",
             (unsigned)ntohs(address.sin_port));
    assert_int_equal(zkp_server_parse(zkp_slice_str(line), &w->spec, &err), RC_OK);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    struct conf *conf = calloc(1, sizeof *conf);
    assert_true(w && conf);
    w->base = event_base_new();
    w->shared = px_shared_new(1);
    w->srvr = following;
    listen_here(w);
    conf->probe_interval_ms = 60000; /* the first one, then only what is kicked */
    conf->probe_timeout_ms = PROBE_TIMEOUT_MS;
    w->fleet =
        px_fleet_new(w->base, NULL, w->shared, conf, on_changed, w); /* a numeric host needs no helper */
    free(conf);
    assert_int_equal(px_fleet_set(w->fleet, &w->spec, 1, NULL, 0), RC_OK);
    *state = w;
    return w->fleet ? 0 : -1;
}

static int teardown(void **state)
{
    struct world *w = *state;
    px_fleet_free(w->fleet);
    px_shared_free(w->shared);
    evconnlistener_free(w->listener);
    for (uint32_t i = 0; i < w->hanging_count; i++)
        close(w->hanging[i]);
    event_base_free(w->base);
    free(w);
    return 0;
}

/* Until srvr was answered so often in all, and told. */
static void run_until_asked(struct world *w, uint32_t count)
{
    int64_t end_ms = mig_now_ms() + LIMIT_MS;
    uint32_t changes = w->changes;
    while ((w->asked < count || w->changes == changes) && mig_now_ms() < end_ms)
        event_base_loop(w->base, EVLOOP_ONCE);
    assert_true(w->asked >= count && w->changes > changes);
}

static void test_a_kick_overtakes_a_hanging_question(void **state)
{
    struct world *w = *state;
    run_until_asked(w, 1);
    while (w->hanging_count == 0) /* conf */
        event_base_loop(w->base, EVLOOP_ONCE);
    for (uint32_t i = 0; i < 3; i++) {
        px_fleet_kick(w->fleet, MIG_PROBE_SRVR | MIG_PROBE_MNTR);
        run_until_asked(w, 2 + i);
    }
    assert_int_equal(w->hanging_count, 1);               /* the words behind it do wait */
    assert_int_equal(w->facts.servers[0].ours_least, 1); /* the one that asked */
    assert_int_equal(w->facts.servers[0].ours_most, 2);  /* counted or not: nobody knows */
}

static void test_the_last_answer_is_told_without_hysteresis(void **state)
{
    struct world *w = *state;
    run_until_asked(w, 1);
    assert_true(w->facts.servers[0].shows_service);
    assert_int_equal(w->facts.servers[0].not_serving_at_ms, 0);
    int64_t before_ms = mig_now_ms();
    w->srvr = not_serving;
    px_fleet_kick(w->fleet, MIG_PROBE_SRVR);
    run_until_asked(w, 2);
    assert_int_equal(w->facts.servers[0].health, MIG_HEALTH_SERVING); /* once is not enough for that */
    assert_false(w->facts.servers[0].shows_service);
    assert_in_range(w->facts.servers[0].not_serving_at_ms, before_ms, mig_now_ms());
    w->srvr = NULL; /* silence is no answer */
    px_fleet_kick(w->fleet, MIG_PROBE_SRVR);
    run_until_asked(w, 3);
    assert_false(w->facts.servers[0].shows_service);
    assert_int_equal(w->facts.servers[0].not_serving_at_ms, 0);
}

/* Two counters of the workers, not read in one moment: the part is never more than the whole. */
static void test_the_witness_is_one_of_our_sessions(void **state)
{
    struct world *w = *state;
    struct px_shared_slot *slot = &w->shared->slots[0];
    atomic_store(&slot->session_count, 3);
    atomic_store(&slot->own_count, 1);
    px_fleet_facts(w->fleet, &w->facts);
    assert_int_equal(w->facts.servers[0].our_sessions, 3);
    assert_int_equal(w->facts.servers[0].witness_sessions, 1);
    atomic_store(&slot->session_count, 0);
    px_fleet_facts(w->fleet, &w->facts);
    assert_int_equal(w->facts.servers[0].our_sessions, 0);
    assert_int_equal(w->facts.servers[0].witness_sessions, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_kick_overtakes_a_hanging_question),
        TEST(test_the_last_answer_is_told_without_hysteresis),
        TEST(test_the_witness_is_one_of_our_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
