/* The admin connection against a fake ZooKeeper server in the same loop: what a request becomes when the
 * answer is an error, comes late or never, and what goes over the wire when a connection ends. The answers of
 * a real ensemble are checked by tests/integration/zkclient_smoke.c. */
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
#include "migrate/zkclient.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/zkerr.h"

#define SESSION       0x1000000a5
#define TIMEOUT_MS    3000
#define OPS_MAX       64u
#define CLOSE_SESSION (-11)

enum connect_mode { CONNECT_OK, CONNECT_READ_ONLY, CONNECT_EXPIRED, CONNECT_SILENT };
enum op_mode { OP_ANSWER, OP_SILENT, OP_CLOSE }; /* what is done with frames behind the handshake */

struct world {
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *io; /* the newest connection's */
    int fd;           /* -1 = none */
    uint8_t in[8192];
    uint32_t length;
    bool is_shaken;
    uint32_t accepted;
    enum connect_mode connect_mode;
    enum op_mode op_mode;
    int32_t errs[128];     /* the answer per opcode */
    uint32_t close_at;     /* OP_CLOSE from the close_at-th of these frames on */
    const char *config;    /* what getData and reconfig give */
    int64_t asked_session; /* of the last ConnectRequest */
    uint32_t op_count;     /* without auth and ping */
    int32_t ops[OPS_MAX];
    struct mig_address address;
    struct mig_zk *zk;
    uint32_t results;
    struct mig_zk_result last;
    char text[MIG_ZK_TEXT_MAX];
    uint32_t servers; /* in the last config, 0 = none came */
    bool free_in_done;
    bool ask_in_done;
    uint32_t expired;
    enum mig_zk_state state;
    uint32_t logs;
};

/* --- the fake server -------------------------------------------------------------------------------------
 */

static void hang_up(struct world *w)
{
    if (w->fd < 0)
        return;
    event_free(w->io);
    close(w->fd);
    w->fd = -1;
}

static void send_all(struct world *w, const void *bytes, uint32_t length)
{
    assert_int_equal(write(w->fd, bytes, length), length);
}

static void shake_hands(struct world *w, struct zkp_slice body)
{
    struct zkp_connect_request request;
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint8_t password[ZKP_PASSWORD_LEN] = {1, 2, 3};
    assert_int_equal(zkp_connect_request_decode(body, &request), RC_OK);
    w->asked_session = request.session_id;
    w->is_shaken = true;
    if (w->connect_mode == CONNECT_SILENT)
        return;
    struct zkp_connect_response response = {.timeout_ms = TIMEOUT_MS,
                                            .session_id = SESSION,
                                            .password = zkp_slice_of(password, sizeof password),
                                            .has_read_only = request.has_read_only,
                                            .read_only = w->connect_mode == CONNECT_READ_ONLY};
    if (w->connect_mode == CONNECT_EXPIRED)
        send_all(w, frame, zkp_connect_expired_frame(request.has_read_only, frame, sizeof frame));
    else
        send_all(w, frame, zkp_connect_response_frame(&response, frame, sizeof frame));
}

static void answer(struct world *w, struct zkp_request_header header)
{
    uint8_t frame[1024];
    static const uint8_t stat[68];
    struct zkp_wr wr = zkp_wr_over(frame, sizeof frame);
    uint8_t *mark = zkp_wr_frame_begin(&wr);
    bool is_known = header.type >= 0 && header.type < 128;
    int32_t err = is_known ? w->errs[header.type] : 0;
    zkp_wr_i32(&wr, header.xid);
    zkp_wr_i64(&wr, 0x100000001);
    zkp_wr_i32(&wr, err);
    if (err == 0 && (header.type == 4 || header.type == 16))
        zkp_wr_buf(&wr, zkp_slice_str(w->config));
    if (err == 0 && (header.type == 4 || header.type == 16 || header.type == 5))
        zkp_wr_raw(&wr, zkp_slice_of(stat, sizeof stat));
    zkp_wr_frame_end(&wr, mark);
    assert_int_equal(zkp_wr_done(&wr), RC_OK);
    send_all(w, frame, zkp_wr_len(&wr));
}

static void on_frame(struct world *w, struct zkp_slice body)
{
    struct zkp_request_header header;
    if (!w->is_shaken) {
        shake_hands(w, body);
        return;
    }
    assert_int_equal(zkp_request_header_decode(body, &header), RC_OK);
    if (header.type == 100 || header.type == 11) {
        answer(w, header);
        return;
    }
    assert_in_range(w->op_count, 0, OPS_MAX - 1);
    w->ops[w->op_count++] = header.type;
    if (w->op_mode == OP_CLOSE && w->op_count >= w->close_at)
        hang_up(w);
    else if (w->op_mode != OP_SILENT && header.type != CLOSE_SESSION) /* the asker is gone by now */
        answer(w, header);
}

static void on_bytes(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct world *w = arg;
    ssize_t n = read(fd, w->in + w->length, sizeof w->in - w->length);
    if (n <= 0) {
        hang_up(w);
        return;
    }
    w->length += (uint32_t)n;
    struct zkp_frame frame;
    while (w->fd >= 0 && zkp_frame_peek(zkp_slice_of(w->in, w->length), 4096, &frame) == RC_OK &&
           frame.body.len == frame.length) {
        on_frame(w, frame.body);
        w->length -= 4 + frame.length;
        memmove(w->in, w->in + 4 + frame.length, w->length);
    }
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *arg)
{
    (void)listener;
    (void)address;
    (void)length;
    struct world *w = arg;
    hang_up(w);
    w->accepted++;
    w->fd = fd;
    w->length = 0;
    w->is_shaken = false;
    w->io = event_new(w->base, fd, EV_READ | EV_PERSIST, on_bytes, w);
    event_add(w->io, NULL);
}

/* --- the owner -------------------------------------------------------------------------------------------
 */

static void on_done(void *context, const struct mig_zk_result *result)
{
    struct world *w = context;
    w->results++;
    w->last = *result;
    w->servers = result->config != NULL ? result->config->server_count : 0;
    snprintf(w->text, sizeof w->text, "%s", result->text);
    if (w->ask_in_done) {
        w->ask_in_done = false;
        assert_int_equal(mig_zk_request(w->zk, MIG_ZK_SYNC, 99, mig_now_ms() + 2000), RC_OK);
    }
    if (w->free_in_done) {
        hang_up(w); /* nobody could answer a closeSession in this loop */
        mig_zk_free(w->zk);
        w->zk = NULL;
    }
}

static void on_state(void *context, enum mig_zk_state state, const char *why)
{
    struct world *w = context;
    assert_true(state == MIG_ZK_CONNECTED ? why[0] == '\0' : why[0] != '\0');
    w->state = state;
}

static void on_expired(void *context)
{
    struct world *w = context;
    w->expired++;
}

static void on_log(void *context, enum mig_zk_level level, const char *text)
{
    (void)level;
    struct world *w = context;
    assert_null(strstr(text, "ZOO_"));
    assert_null(strchr(text, '\n'));
    w->logs++;
}

static void open_zk(struct world *w, const struct mig_zk_session *session)
{
    struct mig_zk_options options = {.address = w->address,
                                     .super = "super:secret",
                                     .timeout_ms = TIMEOUT_MS,
                                     .state_root = "/zookeeper/x"};
    const struct mig_zk_callbacks callbacks = {
        .context = w, .done = on_done, .state = on_state, .expired = on_expired, .log = on_log};
    struct err err;
    if (session != NULL)
        options.session = *session;
    assert_int_equal(mig_zk_new(w->base, &options, &callbacks, &w->zk, &err), RC_OK);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -1;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof any;
    w->fd = -1;
    w->config = "server.1=a:1:2:participant;a:3\nserver.2=b:1:2:participant;b:3\nversion=100000000";
    w->errs[5] = ZKP_ERR_NO_NODE;
    w->base = event_base_new();
    w->listener = evconnlistener_new_bind(w->base, on_accept, w, LEV_OPT_CLOSE_ON_FREE, 8,
                                          (struct sockaddr *)&any, sizeof any);
    *state = w;
    if (w->listener == NULL ||
        getsockname(evconnlistener_get_fd(w->listener), (struct sockaddr *)&any, &length) < 0 ||
        mig_address_numeric("127.0.0.1", ntohs(any.sin_port), &w->address) != RC_OK)
        return -1;
    open_zk(w, NULL);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    if (w->zk != NULL) {
        struct mig_zk_session session;
        mig_zk_detach(w->zk, &session); /* does not wait for an answer nobody here could give */
    }
    hang_up(w);
    evconnlistener_free(w->listener);
    event_base_free(w->base);
    free(w);
    return 0;
}

static void turn(struct world *w)
{
    assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
}

static void wait_results(struct world *w, uint32_t count)
{
    while (w->results < count)
        turn(w);
}

static void wait_connected(struct world *w)
{
    while (w->state != MIG_ZK_CONNECTED)
        turn(w);
}

static void ask(struct world *w, enum mig_zk_op op, int32_t wait_ms)
{
    assert_int_equal(mig_zk_request(w->zk, op, 5, mig_now_ms() + wait_ms), RC_OK);
    wait_results(w, w->results + 1);
    assert_int_equal(w->last.op, op);
    assert_int_equal(w->last.seq, 5);
}

static void ask_reconfig(struct world *w, int32_t wait_ms)
{
    assert_int_equal(mig_zk_reconfig(w->zk, 6, "", "1", 0x100000000, mig_now_ms() + wait_ms), RC_OK);
    wait_results(w, w->results + 1);
    assert_int_equal(w->last.op, MIG_ZK_RECONFIG);
}

/* --- answers ---------------------------------------------------------------------------------------------
 */

static void answers_become_results(void **state)
{
    struct world *w = *state;
    ask(w, MIG_ZK_READ_CONFIG, 2000);
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->servers, 2);
    ask(w, MIG_ZK_BARRIER, 2000);
    assert_int_equal(w->last.rc, RC_OK);
    ask(w, MIG_ZK_COMMITTED_CONFIG, 2000);
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->ops[2], 5);
    assert_int_equal(w->ops[3], 4);
    ask_reconfig(w, 2000);
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->servers, 2);
    w->errs[5] = ZKP_ERR_BAD_VERSION;
    ask(w, MIG_ZK_CHECK_SUPER, 2000);
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(mig_zk_session_id(w->zk), SESSION);
    assert_int_equal(mig_zk_timeout_ms(w->zk), TIMEOUT_MS);
}

/* Only NO_NODE on the path that never exists shows a commit. */
static void a_barrier_is_nothing_else(void **state)
{
    struct world *w = *state;
    static const int32_t errs[] = {ZKP_ERR_OK, ZKP_ERR_BAD_VERSION, ZKP_ERR_NO_AUTH, ZKP_ERR_THROTTLED_OP};
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++) {
        w->errs[5] = errs[i];
        ask(w, MIG_ZK_BARRIER, 2000);
        assert_int_not_equal(w->last.rc, RC_OK);
        ask(w, MIG_ZK_COMMITTED_CONFIG, 2000);
        assert_int_not_equal(w->last.rc, RC_OK);
        assert_int_equal(w->servers, 0);
    }
}

static void refusals_of_a_reconfig_are_final(void **state)
{
    struct world *w = *state;
    static const int32_t errs[] = {
        ZKP_ERR_UNIMPLEMENTED, ZKP_ERR_BAD_ARGUMENTS,        ZKP_ERR_NEW_CONFIG_NO_QUORUM, ZKP_ERR_NO_AUTH,
        ZKP_ERR_BAD_VERSION,   ZKP_ERR_RECONFIG_IN_PROGRESS, ZKP_ERR_RECONFIG_DISABLED};
    for (size_t i = 0; i < sizeof errs / sizeof errs[0]; i++) {
        w->errs[16] = errs[i];
        ask_reconfig(w, 2000);
        assert_int_equal(w->last.rc, RC_REFUSED);
        assert_int_equal(w->last.zk_err, errs[i]);
        ask(w, MIG_ZK_PROBE_RECONFIG, 2000);
        assert_int_equal(w->last.rc, RC_OK);
        assert_int_equal(w->last.zk_err, errs[i]);
    }
    w->errs[16] = ZKP_ERR_SYSTEM_ERROR; /* says nothing about what was done */
    ask_reconfig(w, 2000);
    assert_int_equal(w->last.rc, RC_UNKNOWN);
}

static void configs_that_are_none(void **state)
{
    struct world *w = *state;
    w->config = "";
    ask(w, MIG_ZK_READ_CONFIG, 2000);
    assert_int_equal(w->last.rc, RC_NOT_FOUND);
    w->config = "server.1=rubbish";
    ask(w, MIG_ZK_READ_CONFIG, 2000);
    assert_int_equal(w->last.rc, RC_CORRUPT);
    w->errs[4] = ZKP_ERR_NO_NODE;
    ask(w, MIG_ZK_READ_CONFIG, 2000);
    assert_int_equal(w->last.rc, RC_NOT_FOUND);
}

/* --- no answer -------------------------------------------------------------------------------------------
 */

static void a_lost_reconfig_is_unknown(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->op_mode = OP_CLOSE;
    ask_reconfig(w, 2000);
    assert_int_equal(w->last.rc, RC_UNKNOWN);
    assert_int_equal(w->ops[0], 16);
    wait_connected(w);
    w->op_mode = OP_SILENT;
    ask_reconfig(w, 50);
    assert_int_equal(w->last.rc, RC_UNKNOWN);
}

static void what_was_never_sent_is_no_unknown(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_SILENT;
    ask_reconfig(w, 50);
    assert_int_equal(w->last.rc, RC_IO);
    ask(w, MIG_ZK_BARRIER, 50);
    assert_int_equal(w->last.rc, RC_TIMEOUT);
    assert_int_equal(w->op_count, 0);
}

static void a_late_answer_is_dropped(void **state)
{
    struct world *w = *state;
    w->op_mode = OP_SILENT;
    wait_connected(w);
    ask(w, MIG_ZK_SYNC, 50);
    assert_int_equal(w->last.rc, RC_TIMEOUT);
    w->op_mode = OP_ANSWER;
    hang_up(w); /* the library now tells the request that was forgotten */
    while (w->state == MIG_ZK_CONNECTED)
        turn(w);
    ask(w, MIG_ZK_SYNC, 2000);
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->results, 2);
}

/* A server that restarted between barrier and read may know less than the barrier proved. */
static void a_config_behind_a_lost_connection_is_not_committed(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->op_mode = OP_CLOSE;
    w->close_at = 2;
    ask(w, MIG_ZK_COMMITTED_CONFIG, 2000);
    assert_int_equal(w->op_count, 2);
    assert_int_equal(w->last.rc, RC_IO);
    assert_int_equal(w->servers, 0);
}

static void requests_wait_for_the_connection(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    hang_up(w);
    while (w->state == MIG_ZK_CONNECTED)
        turn(w);
    ask(w, MIG_ZK_BARRIER, 2000); /* the same session comes back by itself */
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->asked_session, SESSION);
    assert_int_equal(w->expired, 0);
}

static void requests_are_limited(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_SILENT;
    for (uint32_t i = 0; i < MIG_ZK_REQUESTS_MAX; i++)
        assert_int_equal(mig_zk_request(w->zk, MIG_ZK_SYNC, i, mig_now_ms() + 50), RC_OK);
    assert_int_equal(mig_zk_request(w->zk, MIG_ZK_SYNC, 0, mig_now_ms() + 50), RC_FULL);
    wait_results(w, MIG_ZK_REQUESTS_MAX);
    assert_int_equal(mig_zk_request(w->zk, MIG_ZK_SYNC, 0, mig_now_ms() + 50), RC_OK);
    wait_results(w, MIG_ZK_REQUESTS_MAX + 1);
}

/* --- sessions --------------------------------------------------------------------------------------------
 */

static void an_expired_session_is_told_and_replaced(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->connect_mode = CONNECT_EXPIRED;
    hang_up(w);
    while (w->expired == 0)
        turn(w);
    assert_int_equal(mig_zk_session_id(w->zk), 0);
    w->connect_mode = CONNECT_OK;
    wait_connected(w);
    assert_int_equal(w->asked_session, 0);
    assert_int_equal(w->expired, 1);
}

/* The library does not notice it while it is disconnected. */
static void a_session_disconnected_for_too_long_is_told(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    int64_t lost_ms = mig_now_ms();
    w->connect_mode = CONNECT_SILENT;
    hang_up(w);
    while (w->expired == 0)
        turn(w);
    assert_in_range(mig_now_ms() - lost_ms, TIMEOUT_MS - 500, TIMEOUT_MS + 1500);
    assert_int_equal(mig_zk_session_id(w->zk), 0);
}

static void a_read_only_server_is_left_without_blocking(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_READ_ONLY;
    while (w->accepted == 0)
        turn(w);
    int64_t before_ms = mig_now_ms();
    ask(w, MIG_ZK_SYNC, 100);
    assert_int_equal(w->last.rc, RC_TIMEOUT);
    assert_in_range(mig_now_ms() - before_ms, 0, 900); /* its look for a writable one blocks for a second */
    assert_int_equal(w->op_count, 0);
    w->connect_mode = CONNECT_OK;
    ask(w, MIG_ZK_SYNC, 3000);
    assert_int_equal(w->last.rc, RC_OK);
}

static void a_detached_session_is_not_closed(void **state)
{
    struct world *w = *state;
    struct mig_zk_session session;
    wait_connected(w);
    mig_zk_detach(w->zk, &session);
    assert_int_equal(session.id, SESSION);
    assert_int_equal(session.password[0], 1);
    while (w->fd >= 0)
        turn(w);
    assert_int_equal(w->op_count, 0); /* no closeSession */
    open_zk(w, &session);
    ask(w, MIG_ZK_SYNC, 2000);
    assert_int_equal(w->asked_session, SESSION);
}

static void a_freed_session_is_closed(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    mig_zk_free(w->zk); /* the library waits 1.5 s for an answer that this loop can't give meanwhile */
    w->zk = NULL;
    while (w->fd >= 0)
        turn(w);
    assert_int_equal(w->op_count, 1);
    assert_int_equal(w->ops[0], CLOSE_SESSION);
}

static void free_and_ask_inside_callbacks(void **state)
{
    struct world *w = *state;
    w->ask_in_done = true;
    ask(w, MIG_ZK_BARRIER, 2000);
    wait_results(w, 2);
    assert_int_equal(w->last.seq, 99);
    assert_int_equal(mig_zk_request(w->zk, MIG_ZK_BARRIER, 1, mig_now_ms() + 2000), RC_OK);
    assert_int_equal(mig_zk_request(w->zk, MIG_ZK_BARRIER, 2, mig_now_ms() + 2000), RC_OK);
    w->free_in_done = true;
    wait_results(w, 3);
    assert_null(w->zk);
    assert_in_range(event_base_loop(w->base, EVLOOP_NONBLOCK), 0, 1);
    assert_int_equal(w->results, 3);
}

static void a_dead_server_does_not_flood_the_log(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_SILENT;
    for (int i = 0; i < 20; i++) {
        uint32_t before = w->accepted;
        while (w->accepted == before)
            turn(w);
        hang_up(w);
    }
    assert_in_range(w->logs, 1, 5);
}

static void options_are_checked(void **state)
{
    struct world *w = *state;
    static const char *const roots[] = {"", "zookeeper", "/", "/a/"};
    const struct mig_zk_callbacks callbacks = {.context = w, .done = on_done};
    struct err err;
    struct mig_zk *zk = NULL;
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        const struct mig_zk_options options = {
            .address = w->address, .timeout_ms = TIMEOUT_MS, .state_root = roots[i]};
        assert_int_equal(mig_zk_new(w->base, &options, &callbacks, &zk, &err), RC_INVALID);
    }
    const struct mig_zk_options options = {.timeout_ms = TIMEOUT_MS, .state_root = "/x"};
    assert_int_equal(mig_zk_new(w->base, &options, &callbacks, &zk, &err), RC_INVALID);
    assert_null(zk);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(answers_become_results),
        WITH_WORLD(a_barrier_is_nothing_else),
        WITH_WORLD(refusals_of_a_reconfig_are_final),
        WITH_WORLD(configs_that_are_none),
        WITH_WORLD(a_lost_reconfig_is_unknown),
        WITH_WORLD(what_was_never_sent_is_no_unknown),
        WITH_WORLD(a_late_answer_is_dropped),
        WITH_WORLD(a_config_behind_a_lost_connection_is_not_committed),
        WITH_WORLD(requests_wait_for_the_connection),
        WITH_WORLD(requests_are_limited),
        WITH_WORLD(an_expired_session_is_told_and_replaced),
        WITH_WORLD(a_session_disconnected_for_too_long_is_told),
        WITH_WORLD(a_read_only_server_is_left_without_blocking),
        WITH_WORLD(a_detached_session_is_not_closed),
        WITH_WORLD(a_freed_session_is_closed),
        WITH_WORLD(free_and_ask_inside_callbacks),
        WITH_WORLD(a_dead_server_does_not_flood_the_log),
        WITH_WORLD(options_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
