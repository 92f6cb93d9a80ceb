/* The prober against a fake server in the same loop: every kind of answer, health, schedule, AdminServer, and
 * a free at any moment. */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/monotonic.h"
#include "migrate/probe/probe.h"

#define TIMEOUT_MS      150   /* where it is to pass */
#define LONG_TIMEOUT_MS 60000 /* elsewhere: this process may be kept from running */
#define OPEN_FILES      1024

static const char *const not_serving = "This ZooKeeper instance is not currently serving requests\n";
static const char *const srvr_text =
    "Zookeeper version: 3.8.0-1, built on 2022\nLatency min/avg/max: 0/0.5/7\n"
    "Received: 4\nSent: 4\nConnections: 2\nOutstanding: 0\n"
    "Zxid: 0x100000007\nMode: follower\nNode count: 5\n";
static const char *const conf_text = "clientPort=1\nserverId=4\ntickTime=1000\nmaxClientCnxns=60\n"
                                     "membership: \nserver.4=a:1:2:participant;a:3\nversion=100000242";
static const char *const mntr_text =
    "zk_version\t3.8.0\nzk_uptime\t1626\nzk_znode_count\t5\nzk_peer_state\tleading - broadcast\n"
    "zk_synced_followers\t2\n";
static const char *const not_allowed = "conf is not executed because it is not in the whitelist.\n";

/* The server's side and what the prober's owner saw. */
struct world {
    struct event_base *base;
    struct evconnlistener *listener;
    struct evhttp *http;
    const char *http_text[2]; /* first and second command asked; NULL = 404 */
    uint32_t http_count;
    const char *texts[ZKP_WORD_COUNT]; /* NULL: closed without an answer */
    bool starves;                      /* this process gets no new descriptor once it has been asked */
    bool is_hanging;
    int hanging; /* the connection left open, -1 = none */
    uint32_t accepted;
    struct mig_address address;
    uint16_t admin_port;
    struct mig_prober *prober;
    bool free_in_answer;
    bool free_in_health;
    bool kick_in_answer;
    bool has_live_sessions;
    uint32_t answers;
    struct mig_probe_answer last;
    struct zkp_srvr srvr;
    struct zkp_conf_answer conf;
    struct mig_mntr mntr;
    char cons[64];
    char reason[128];
    uint32_t healths;
    enum mig_health health;
};

/* --- the fake server -------------------------------------------------------------------------------------
 */

/* Every number below is in use: nobody gets a new one, whatever is closed meanwhile. */
static void set_descriptors(rlim_t count)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = count;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void on_word(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct world *w = arg;
    uint8_t bytes[4];
    if (w->starves)
        set_descriptors(STDERR_FILENO + 1);
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n <= 0) { /* the prober was freed before it could ask */
        close(fd);
        return;
    }
    assert_int_equal(n, 4);
    enum zkp_word word = zkp_word_detect(bytes);
    assert_in_range(word, 0, ZKP_WORD_COUNT - 1);
    const char *text = w->texts[word];
    if (text != NULL)
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *arg)
{
    (void)listener;
    (void)address;
    (void)length;
    struct world *w = arg;
    w->accepted++;
    if (w->is_hanging)
        w->hanging = fd;
    else
        assert_int_equal(event_base_once(w->base, fd, EV_READ, on_word, w, NULL), 0);
}

static void on_http(struct evhttp_request *request, void *arg)
{
    struct world *w = arg;
    assert_in_range(w->http_count, 0, 1);
    const char *text = w->http_text[w->http_count++];
    if (text == NULL) {
        evhttp_send_reply(request, HTTP_NOTFOUND, NULL, NULL);
        return;
    }
    struct evbuffer *body = evbuffer_new();
    evbuffer_add(body, text, strlen(text));
    evhttp_send_reply(request, HTTP_OK, NULL, body);
    evbuffer_free(body);
}

/* --- the owner -------------------------------------------------------------------------------------------
 */

static void on_answer(void *context, const struct mig_probe_answer *answer)
{
    struct world *w = context;
    w->answers++;
    w->last = *answer;
    snprintf(w->reason, sizeof w->reason, "%s", answer->reason);
    if (answer->srvr != NULL)
        w->srvr = *answer->srvr;
    if (answer->conf != NULL)
        w->conf = *answer->conf;
    if (answer->mntr != NULL)
        w->mntr = *answer->mntr;
    if (answer->cons.ptr != NULL)
        snprintf(w->cons, sizeof w->cons, "%.*s", (int)answer->cons.len, (const char *)answer->cons.ptr);
    if (w->kick_in_answer) {
        w->kick_in_answer = false;
        mig_prober_kick(w->prober, MIG_PROBE_SRVR);
    }
    if (w->free_in_answer) {
        mig_prober_free(w->prober);
        w->prober = NULL;
    }
}

static void on_health(void *context, enum mig_health health, const char *reason)
{
    struct world *w = context;
    (void)reason;
    w->healths++;
    w->health = health;
    if (w->free_in_health) {
        mig_prober_free(w->prober);
        w->prober = NULL;
    }
}

static bool has_live_sessions(void *context)
{
    const struct world *w = context;
    return w->has_live_sessions;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

/* A new one, in place of the one before. */
static void open_prober(struct world *w, int32_t timeout_ms)
{
    const struct mig_prober_callbacks callbacks = {
        .context = w, .answer = on_answer, .health = on_health, .has_live_sessions = has_live_sessions};
    const struct mig_prober_options options = {.timeout_ms = timeout_ms, .admin_port = w->admin_port};
    mig_prober_free(w->prober);
    assert_int_equal(mig_prober_new(w->base, &w->address, &options, &callbacks, &w->prober), RC_OK);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -1;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    w->hanging = -1;
    w->base = event_base_new();
    w->listener = evconnlistener_new_bind(w->base, on_accept, w, LEV_OPT_CLOSE_ON_FREE, 8,
                                          (struct sockaddr *)&any, sizeof any);
    w->http = evhttp_new(w->base);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(w->http, "127.0.0.1", 0);
    evhttp_set_gencb(w->http, on_http, w);
    w->texts[ZKP_WORD_SRVR] = srvr_text;
    w->texts[ZKP_WORD_CONF] = conf_text;
    w->texts[ZKP_WORD_MNTR] = mntr_text;
    w->texts[ZKP_WORD_CONS] = " /127.0.0.1:1[0](queued=0)\n";
    w->admin_port = port_of(evhttp_bound_socket_get_fd(bound));
    *state = w;
    if (mig_address_numeric("127.0.0.1", port_of(evconnlistener_get_fd(w->listener)), &w->address) != RC_OK)
        return -1;
    open_prober(w, LONG_TIMEOUT_MS);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    mig_prober_free(w->prober);
    if (w->hanging >= 0)
        close(w->hanging);
    if (w->listener != NULL)
        evconnlistener_free(w->listener);
    evhttp_free(w->http);
    event_base_free(w->base);
    free(w);
    return 0;
}

static void wait_answers(struct world *w, uint32_t count)
{
    while (w->answers < count)
        assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
}

static void ask(struct world *w, uint32_t words)
{
    mig_prober_kick(w->prober, words);
    wait_answers(w, w->answers + 1);
}

/* From here on connections are refused: nobody listens on the port. */
static void stop_listening(struct world *w)
{
    evconnlistener_free(w->listener);
    w->listener = NULL;
}

/* --- answers ---------------------------------------------------------------------------------------------
 */

static void words_are_understood(void **state)
{
    struct world *w = *state;
    int64_t before_ms = mig_now_ms();
    mig_prober_kick(w->prober, MIG_PROBE_SRVR | MIG_PROBE_CONF | MIG_PROBE_MNTR | MIG_PROBE_CONS);
    assert_int_equal(w->answers, 0);
    wait_answers(w, 4);
    assert_int_equal(w->srvr.zxid, 0x100000007);
    assert_int_equal(w->srvr.mode, ZKP_MODE_FOLLOWER);
    assert_int_equal(w->conf.server_id, 4);
    assert_int_equal(w->conf.membership.version, 0x100000242);
    assert_int_equal(w->mntr.znode_count, 5);
    assert_int_equal(w->mntr.synced_followers, 2);
    assert_int_equal(w->mntr.synced_non_voting, -1);
    assert_int_equal(w->mntr.uptime_ms, 1626);
    assert_string_equal(w->mntr.peer_state, "leading - broadcast");
    assert_string_equal(w->cons, w->texts[ZKP_WORD_CONS]);
    assert_true(w->last.asked_at_ms >= before_ms && w->last.observed_at_ms >= w->last.asked_at_ms);
    assert_int_equal(w->accepted, 4);
}

static void assert_answer(struct world *w, enum mig_probe_kind kind, const char *reason)
{
    assert_int_equal(w->last.kind, kind);
    assert_string_equal(w->reason, reason);
}

static void other_answers_are_told_apart(void **state)
{
    struct world *w = *state;
    w->texts[ZKP_WORD_SRVR] = not_serving;
    ask(w, MIG_PROBE_SRVR);
    assert_answer(w, MIG_PROBE_KIND_NOT_SERVING, "not serving");
    w->texts[ZKP_WORD_SRVR] = NULL;
    ask(w, MIG_PROBE_SRVR);
    assert_answer(w, MIG_PROBE_KIND_EMPTY, "closed without an answer");
    w->texts[ZKP_WORD_SRVR] = "HTTP/1.1 400 Bad Request\n";
    ask(w, MIG_PROBE_SRVR);
    assert_answer(w, MIG_PROBE_KIND_MALFORMED, "answer not understood");
    open_prober(w, TIMEOUT_MS);
    w->is_hanging = true;
    ask(w, MIG_PROBE_SRVR);
    assert_answer(w, MIG_PROBE_KIND_TIMED_OUT, "no answer in time");
    assert_true(w->last.observed_at_ms - w->last.asked_at_ms >= TIMEOUT_MS);
    open_prober(w, LONG_TIMEOUT_MS);
    stop_listening(w);
    ask(w, MIG_PROBE_SRVR);
    assert_answer(w, MIG_PROBE_KIND_CONN_REFUSED, "connection refused");
}

/* --- health ----------------------------------------------------------------------------------------------
 */

static void health_falls_after_two_and_rises_after_one(void **state)
{
    struct world *w = *state;
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_SERVING);
    w->texts[ZKP_WORD_SRVR] = not_serving;
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_SERVING);
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_NOT_SERVING);
    w->texts[ZKP_WORD_SRVR] = NULL; /* among the bad ones the last answer counts */
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_DOWN);
    w->texts[ZKP_WORD_SRVR] = srvr_text;
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_SERVING);
    assert_int_equal(w->healths, 4);
    w->texts[ZKP_WORD_CONF] = NULL; /* other words say nothing about it */
    ask(w, MIG_PROBE_CONF);
    ask(w, MIG_PROBE_CONF);
    assert_int_equal(mig_prober_health(w->prober), MIG_HEALTH_SERVING);
}

static void one_good_answer_starts_the_count_anew(void **state)
{
    struct world *w = *state;
    ask(w, MIG_PROBE_SRVR);
    for (int i = 0; i < 3; i++) {
        w->texts[ZKP_WORD_SRVR] = NULL;
        ask(w, MIG_PROBE_SRVR);
        w->texts[ZKP_WORD_SRVR] = srvr_text;
        ask(w, MIG_PROBE_SRVR);
    }
    assert_int_equal(w->healths, 1);
}

/* What px_words prints: a line that leads to zkferry, by DNS or a virtual address. */
static void a_proxy_is_told_from_a_server(void **state)
{
    struct world *w = *state;
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_SERVING);
    w->texts[ZKP_WORD_SRVR] = "Zookeeper version: zkferry-0.1, built on -\nLatency min/avg/max: 0/0.0/0\n"
                              "Received: 4\nSent: 4\nConnections: 2\nOutstanding: 0\n"
                              "Zxid: 0x100000007\nMode: proxy\nNode count: 0\n";
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_PROXY); /* at once: no second answer is waited for */
    w->texts[ZKP_WORD_SRVR] = srvr_text;
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_SERVING);
}

static void a_server_with_live_sessions_is_full_not_down(void **state)
{
    struct world *w = *state;
    w->has_live_sessions = true;
    w->texts[ZKP_WORD_SRVR] = NULL;
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_FULL);
    stop_listening(w);
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_FULL);
    w->has_live_sessions = false;
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_DOWN);
}

static void a_silent_server_is_down_whatever_it_did_before(void **state)
{
    struct world *w = *state;
    open_prober(w, TIMEOUT_MS);
    w->has_live_sessions = true;
    w->is_hanging = true;
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_DOWN);
}

/* What this host lacks is nothing that is wrong with the server. */
static void a_server_is_not_down_for_want_of_our_descriptors(void **state)
{
    struct world *w = *state;
    ask(w, MIG_PROBE_SRVR);
    set_descriptors(STDERR_FILENO + 1);
    for (int i = 0; i < 5; i++) {
        ask(w, MIG_PROBE_SRVR);
        assert_answer(w, MIG_PROBE_KIND_NOT_ASKED, "not asked: Too many open files");
    }
    set_descriptors(OPEN_FILES);
    assert_int_equal(w->accepted, 1);
    assert_int_equal(w->healths, 1);
    assert_int_equal(w->health, MIG_HEALTH_SERVING);
}

/* It may be back by now, and may not be given up for good. */
static void a_server_that_is_not_asked_is_not_down_any_more(void **state)
{
    struct world *w = *state;
    ask(w, MIG_PROBE_SRVR);
    w->texts[ZKP_WORD_SRVR] = NULL;
    ask(w, MIG_PROBE_SRVR);
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_DOWN);
    set_descriptors(STDERR_FILENO + 1);
    ask(w, MIG_PROBE_SRVR);
    set_descriptors(OPEN_FILES);
    assert_int_equal(w->health, MIG_HEALTH_UNKNOWN);
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->health, MIG_HEALTH_DOWN);
}

/* evhttp does not say why there was no connection: that AdminServer does not answer would be a lie. */
static void an_admin_server_is_not_asked_without_descriptors(void **state)
{
    struct world *w = *state;
    w->texts[ZKP_WORD_SRVR] = "srvr is not executed because it is not in the whitelist.\n";
    w->starves = true;
    ask(w, MIG_PROBE_SRVR);
    set_descriptors(OPEN_FILES);
    assert_answer(w, MIG_PROBE_KIND_NOT_ASKED, "not asked: Too many open files");
    w->starves = false;
    w->admin_port = 0;
    open_prober(w, LONG_TIMEOUT_MS);
    ask(w, MIG_PROBE_SRVR);
    assert_answer(w, MIG_PROBE_KIND_NOT_ALLOWED, "word not allowed: not in 4lw.commands.whitelist");
}

/* --- schedule --------------------------------------------------------------------------------------------
 */

static void an_interval_repeats_and_stops(void **state)
{
    struct world *w = *state;
    mig_prober_set_interval(w->prober, MIG_PROBE_SRVR, 1);
    wait_answers(w, 3);
    mig_prober_set_interval(w->prober, MIG_PROBE_SRVR, 0);
    uint32_t before = w->answers;
    ask(w, MIG_PROBE_CONF); /* at most the one that was under way comes before it */
    while (w->last.word != ZKP_WORD_CONF)
        wait_answers(w, w->answers + 1);
    assert_true(w->answers <= before + 2);
}

/* What was asked for after the question had been sent needs a question of its own. */
static void a_kick_during_a_question_asks_again(void **state)
{
    struct world *w = *state;
    mig_prober_kick(w->prober, MIG_PROBE_SRVR);
    while (w->accepted == 0)
        assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
    assert_int_equal(w->answers, 0);
    mig_prober_kick(w->prober, MIG_PROBE_SRVR);
    wait_answers(w, 2);
    assert_int_equal(w->accepted, 2);
    w->kick_in_answer = true;
    ask(w, MIG_PROBE_SRVR);
    wait_answers(w, 4);
    assert_int_equal(w->accepted, 4);
}

/* --- AdminServer -----------------------------------------------------------------------------------------
 */

static const char *const configuration_json =
    "{\"client_port\":1,\"tick_time\":500,\"max_client_cnxns\":0,\"min_session_timeout\":1000,"
    "\"max_session_timeout\":10000,\"server_id\":4,\"command\":\"configuration\",\"error\":null}";
static const char *const voting_view_json =
    "{\"current_config\":{\"4\":{\"server_addresses\":[\"127.0.0.1:27511\"],\"election_addresses\":"
    "[\"127.0.0.1:27521\"],\"client_address\":\"127.0.0.1:27501\",\"learner_type\":\"participant\"},"
    "\"5\":{\"server_addresses\":[\"[::1]:2888\",\"h:2888\"],\"election_addresses\":[\"[::1]:3888\",\"h:"
    "3889\"],"
    "\"client_address\":\"\",\"learner_type\":\"participant\"}},\"command\":\"voting_view\",\"error\":null}";

static void a_forbidden_word_is_asked_at_the_admin_server(void **state)
{
    struct world *w = *state;
    w->texts[ZKP_WORD_CONF] = not_allowed;
    w->http_text[0] = configuration_json;
    w->http_text[1] = voting_view_json;
    ask(w, MIG_PROBE_CONF);
    assert_int_equal(w->last.kind, MIG_PROBE_KIND_DATA);
    assert_true(w->last.from_admin_server);
    assert_int_equal(w->conf.server_id, 4);
    assert_int_equal(w->conf.max_session_timeout_ms, 10000);
    assert_true(w->conf.has_membership);
    assert_false(w->conf.membership.has_version);
    assert_int_equal(w->conf.membership.server_count, 2);
    assert_int_equal(w->conf.membership.servers[0].client_port, 27501);
    assert_int_equal(w->conf.membership.servers[1].address_count, 2);
    assert_int_equal(w->conf.membership.servers[1].addresses[1].election_port, 3889);
}

static void assert_jute(struct world *w, const char *json, int64_t wanted)
{
    w->http_count = 0;
    w->http_text[0] = json;
    ask(w, MIG_PROBE_PROPERTIES);
    assert_int_equal(w->last.kind, MIG_PROBE_KIND_DATA);
    assert_int_equal(w->last.jute_max_bytes, wanted);
}

/* As Java reads it (Integer.decode); whatever is no number is as good as not there. */
static void the_longest_request_is_asked_at_the_admin_server(void **state)
{
    struct world *w = *state;
    assert_jute(w, "{\"jute.maxbuffer\":\"8388608\",\"command\":\"system_properties\",\"error\":null}",
                8388608);
    assert_jute(w, "{\"jute.maxbuffer\":\"0x3fffff\",\"command\":\"system_properties\"}", 0x3fffff);
    assert_jute(w, "{\"java.home\":\"/\",\"command\":\"system_properties\",\"error\":null}", 0xfffff);
    assert_jute(w, "{\"jute.maxbuffer\":\"4m\",\"command\":\"system_properties\"}", 0xfffff);
    assert_jute(w, "{\"jute.maxbuffer\":\"4294967296\",\"command\":\"system_properties\"}", 0xfffff);
    assert_int_equal(w->accepted, 0); /* no word shows it */
    w->http_count = 0;
    w->http_text[0] = configuration_json;
    ask(w, MIG_PROBE_PROPERTIES);
    assert_int_equal(w->last.kind, MIG_PROBE_KIND_MALFORMED);
}

static void an_admin_server_can_be_of_no_help(void **state)
{
    struct world *w = *state;
    w->texts[ZKP_WORD_CONF] = not_allowed;
    ask(w, MIG_PROBE_CONF);
    assert_answer(w, MIG_PROBE_KIND_NOT_ALLOWED, "word not allowed: AdminServer answers HTTP 404");
    w->http_count = 0;
    w->http_text[0] = "{\"error\":\"This ZooKeeper instance is not currently serving requests\"}";
    ask(w, MIG_PROBE_CONF);
    assert_answer(w, MIG_PROBE_KIND_NOT_SERVING, "not serving");
    w->http_count = 0;
    w->http_text[0] = "<html>";
    ask(w, MIG_PROBE_CONF);
    assert_answer(w, MIG_PROBE_KIND_MALFORMED, "answer not understood: AdminServer");
    w->texts[ZKP_WORD_CONS] = "cons is not executed because it is not in the whitelist.\n";
    ask(w, MIG_PROBE_CONS); /* has no counterpart there */
    assert_answer(w, MIG_PROBE_KIND_NOT_ALLOWED, "word not allowed: not in 4lw.commands.whitelist");
}

/* As PrometheusMetricsProvider has it: doubles, and a line that is no number. None of it voids another. */
static void mntr_of_a_metrics_provider(void **state)
{
    struct world *w = *state;
    w->texts[ZKP_WORD_MNTR] = "zk_version\t3.8.0-1, built on 2022-02-25\nzk_server_state\tleader\n"
                              "zk_znode_count\t1.2E7\nzk_ephemerals_count\tNaN\nzk_synced_followers\t2.0\n"
                              "zk_approximate_data_size\tsome\nzk_uptime\t1626.0\n";
    ask(w, MIG_PROBE_MNTR);
    assert_answer(w, MIG_PROBE_KIND_DATA, "");
    assert_int_equal(w->mntr.znode_count, 12000000);
    assert_int_equal(w->mntr.synced_followers, 2);
    assert_int_equal(w->mntr.uptime_ms, 1626);
    assert_int_equal(w->mntr.ephemerals_count, -1);
    assert_int_equal(w->mntr.data_size, -1);
    w->texts[ZKP_WORD_MNTR] = "zk_version\t3.8.0-1\nzk_server_state\tfollower\nzk_znode_count\tNaN\n";
    ask(w, MIG_PROBE_MNTR);
    assert_answer(w, MIG_PROBE_KIND_DATA, "");
    assert_int_equal(w->mntr.znode_count, -1);
    w->texts[ZKP_WORD_MNTR] = "mntr is not executed because it is not in the whitelist.\n";
    w->http_count = 0;
    w->http_text[0] = "{\"command\":\"monitor\",\"server_state\":\"leader\",\"znode_count\":8.0,"
                      "\"synced_followers\":1.0,\"ephemerals_count\":0.5,\"error\":null}";
    ask(w, MIG_PROBE_MNTR);
    assert_answer(w, MIG_PROBE_KIND_DATA, "");
    assert_int_equal(w->mntr.znode_count, 8);
    assert_int_equal(w->mntr.synced_followers, 1);
    assert_int_equal(w->mntr.ephemerals_count, -1);
}

static void srvr_and_mntr_have_counterparts_too(void **state)
{
    struct world *w = *state;
    w->texts[ZKP_WORD_SRVR] = "srvr is not executed because it is not in the whitelist.\n";
    w->texts[ZKP_WORD_MNTR] = "mntr is not executed because it is not in the whitelist.\n";
    w->http_text[0] = "{\"version\":\"3.8.0-x, built\",\"server_stats\":{\"server_state\":\"leader\","
                      "\"last_processed_zxid\":4294967303,\"outstanding_requests\":1,\"avg_latency\":0.25,"
                      "\"num_alive_client_connections\":9},\"node_count\":6,\"error\":null}";
    w->http_text[1] = "{\"znode_count\":8,\"peer_state\":\"leading - broadcast\",\"synced_followers\":2,"
                      "\"synced_non_voting_followers\":1,\"error\":null}";
    ask(w, MIG_PROBE_SRVR);
    assert_int_equal(w->last.kind, MIG_PROBE_KIND_DATA);
    assert_string_equal(w->srvr.version, "3.8.0");
    assert_int_equal(w->srvr.mode, ZKP_MODE_LEADER);
    assert_int_equal(w->srvr.zxid, 0x100000007);
    assert_int_equal(w->srvr.node_count, 6);
    assert_int_equal(w->health, MIG_HEALTH_SERVING);
    ask(w, MIG_PROBE_MNTR);
    assert_int_equal(w->last.kind, MIG_PROBE_KIND_DATA);
    assert_int_equal(w->mntr.znode_count, 8);
    assert_int_equal(w->mntr.synced_non_voting, 1);
    assert_int_equal(w->mntr.ephemerals_count, -1);
}

/* --- free ------------------------------------------------------------------------------------------------
 */

static void free_inside_callbacks(void **state)
{
    struct world *w = *state;
    w->free_in_answer = true;
    ask(w, MIG_PROBE_SRVR);
    assert_null(w->prober);
    assert_int_equal(w->healths, 0);
}

static void free_inside_the_health_callback(void **state)
{
    struct world *w = *state;
    w->free_in_health = true;
    mig_prober_kick(w->prober, MIG_PROBE_SRVR | MIG_PROBE_CONF);
    while (w->prober != NULL)
        assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
    assert_int_equal(w->answers, 1);
}

/* After any number of turns of the loop, also in the middle of an exchange with AdminServer. */
static void free_at_any_turn(void **state)
{
    for (int turns = 0; turns < 25; turns++) {
        if (turns > 0)
            assert_int_equal(setup(state), 0);
        struct world *w = *state;
        w->texts[ZKP_WORD_CONF] = not_allowed;
        w->http_text[0] = configuration_json;
        w->http_text[1] = voting_view_json;
        mig_prober_kick(w->prober, MIG_PROBE_CONF);
        for (int i = 0; i < turns && w->answers == 0; i++)
            assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
        mig_prober_free(w->prober);
        w->prober = NULL;
        assert_in_range(event_base_loop(w->base, EVLOOP_NONBLOCK), 0, 1);
        if (turns < 24)
            teardown(state);
    }
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(words_are_understood),
        WITH_WORLD(other_answers_are_told_apart),
        WITH_WORLD(health_falls_after_two_and_rises_after_one),
        WITH_WORLD(one_good_answer_starts_the_count_anew),
        WITH_WORLD(a_proxy_is_told_from_a_server),
        WITH_WORLD(a_server_with_live_sessions_is_full_not_down),
        WITH_WORLD(a_silent_server_is_down_whatever_it_did_before),
        WITH_WORLD(a_server_is_not_down_for_want_of_our_descriptors),
        WITH_WORLD(a_server_that_is_not_asked_is_not_down_any_more),
        WITH_WORLD(an_admin_server_is_not_asked_without_descriptors),
        WITH_WORLD(an_interval_repeats_and_stops),
        WITH_WORLD(a_kick_during_a_question_asks_again),
        WITH_WORLD(a_forbidden_word_is_asked_at_the_admin_server),
        WITH_WORLD(the_longest_request_is_asked_at_the_admin_server),
        WITH_WORLD(an_admin_server_can_be_of_no_help),
        WITH_WORLD(srvr_and_mntr_have_counterparts_too),
        WITH_WORLD(mntr_of_a_metrics_provider),
        WITH_WORLD(free_inside_callbacks),
        WITH_WORLD(free_inside_the_health_callback),
        WITH_WORLD(free_at_any_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
