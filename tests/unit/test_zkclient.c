/* The admin connection against a fake ZooKeeper server in the same loop: what a request becomes when the
 * answer is an error, comes late or never, and what goes over the wire when a connection ends. The answers of
 * a real ensemble are checked by tests/integration/zkclient_smoke.c. */
#include "tests/unit/zkclient_bench.h"

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
    ask(w, MIG_ZK_READ_CONFIG, SOON_MS);
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->servers, 2);
    ask(w, MIG_ZK_BARRIER, SOON_MS);
    assert_int_equal(w->last.rc, RC_OK);
    ask(w, MIG_ZK_COMMITTED_CONFIG, SOON_MS);
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->ops[2], 5);
    assert_int_equal(w->ops[3], 4);
    ask_reconfig(w, SOON_MS);
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->servers, 2);
    w->errs[5] = ZKP_ERR_BAD_VERSION;
    ask(w, MIG_ZK_CHECK_SUPER, SOON_MS);
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
        ask(w, MIG_ZK_BARRIER, SOON_MS);
        assert_int_not_equal(w->last.rc, RC_OK);
        ask(w, MIG_ZK_COMMITTED_CONFIG, SOON_MS);
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
        ask_reconfig(w, SOON_MS);
        assert_int_equal(w->last.rc, RC_REFUSED);
        assert_int_equal(w->last.zk_err, errs[i]);
        ask(w, MIG_ZK_PROBE_RECONFIG, SOON_MS);
        assert_int_equal(w->last.rc, RC_OK);
        assert_int_equal(w->last.zk_err, errs[i]);
    }
    w->errs[16] = ZKP_ERR_SYSTEM_ERROR; /* says nothing about what was done */
    ask_reconfig(w, SOON_MS);
    assert_int_equal(w->last.rc, RC_UNKNOWN);
}

static void configs_that_are_none(void **state)
{
    struct world *w = *state;
    w->config = "";
    ask(w, MIG_ZK_READ_CONFIG, SOON_MS);
    assert_int_equal(w->last.rc, RC_NOT_FOUND);
    w->config = "server.1=rubbish";
    ask(w, MIG_ZK_READ_CONFIG, SOON_MS);
    assert_int_equal(w->last.rc, RC_CORRUPT);
    w->errs[4] = ZKP_ERR_NO_NODE;
    ask(w, MIG_ZK_READ_CONFIG, SOON_MS);
    assert_int_equal(w->last.rc, RC_NOT_FOUND);
}

/* --- no answer -------------------------------------------------------------------------------------------
 */

static void a_lost_reconfig_is_unknown(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->op_mode = OP_CLOSE;
    ask_reconfig(w, SOON_MS);
    assert_int_equal(w->last.rc, RC_UNKNOWN);
    assert_int_equal(w->ops[0], 16);
    wait_connected(w);
    w->op_mode = OP_SILENT;
    ask_reconfig(w, SENT_MS);
    assert_int_equal(w->last.rc, RC_UNKNOWN);
}

/* Harmless: the parent never exists, so a leader that takes TTLs says that first. */
static void whether_nodes_may_have_a_ttl(void **state)
{
    struct world *w = *state;
    const int32_t answers[] = {ZKP_ERR_NO_NODE, ZKP_ERR_UNIMPLEMENTED};
    for (size_t i = 0; i < 2; i++) {
        w->errs[21] = answers[i];
        ask(w, MIG_ZK_PROBE_TTL, SOON_MS);
        assert_int_equal(w->last.rc, RC_OK);
        assert_int_equal(w->last.zk_err, answers[i]);
    }
    w->errs[21] = ZKP_ERR_NO_AUTH;
    ask(w, MIG_ZK_PROBE_TTL, SOON_MS);
    assert_int_equal(w->last.rc, RC_REFUSED);
}

static void who_holds_the_lock(void **state)
{
    struct world *w = *state;
    w->config = "instance=a pid=1";
    ask(w, MIG_ZK_PEEK_LOCK, SOON_MS);
    assert_int_equal(w->last.rc, RC_OK);
    assert_string_equal(w->text, "instance=a pid=1");
    w->errs[4] = ZKP_ERR_NO_NODE;
    ask(w, MIG_ZK_PEEK_LOCK, SOON_MS);
    assert_int_equal(w->last.rc, RC_NOT_FOUND);
    w->errs[4] = ZKP_ERR_NO_AUTH;
    ask(w, MIG_ZK_PEEK_LOCK, SOON_MS);
    assert_int_equal(w->last.rc, RC_REFUSED);
}

static void what_was_never_sent_is_no_unknown(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_SILENT;
    ask_reconfig(w, NEVER_MS);
    assert_int_equal(w->last.rc, RC_IO);
    ask(w, MIG_ZK_BARRIER, NEVER_MS);
    assert_int_equal(w->last.rc, RC_TIMEOUT);
    assert_int_equal(w->op_count, 0);
}

static void a_late_answer_is_dropped(void **state)
{
    struct world *w = *state;
    w->op_mode = OP_SILENT;
    wait_connected(w);
    ask(w, MIG_ZK_SYNC, SENT_MS);
    assert_int_equal(w->last.rc, RC_TIMEOUT);
    w->op_mode = OP_ANSWER;
    hang_up(w); /* the library now tells the request that was forgotten */
    while (w->state == MIG_ZK_CONNECTED)
        turn(w);
    ask(w, MIG_ZK_SYNC, SOON_MS);
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
    ask(w, MIG_ZK_COMMITTED_CONFIG, SOON_MS);
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
    ask(w, MIG_ZK_BARRIER, SOON_MS); /* the same session comes back by itself */
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->asked_session, SESSION);
    assert_int_equal(w->expired, 0);
}

static void requests_are_limited(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_SILENT;
    for (uint32_t i = 0; i < MIG_ZK_REQUESTS_MAX; i++)
        assert_int_equal(mig_zk_request(w->zk, MIG_ZK_SYNC, i, mig_now_ms() + NEVER_MS), RC_OK);
    assert_int_equal(mig_zk_request(w->zk, MIG_ZK_SYNC, 0, mig_now_ms() + NEVER_MS), RC_FULL);
    wait_results(w, MIG_ZK_REQUESTS_MAX);
    assert_int_equal(mig_zk_request(w->zk, MIG_ZK_SYNC, 0, mig_now_ms() + NEVER_MS), RC_OK);
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
    int64_t begun_ms = mig_now_ms(); /* nothing was heard before */
    wait_connected(w);
    w->connect_mode = CONNECT_SILENT;
    hang_up(w);
    while (w->expired == 0)
        turn(w);
    assert_in_range(mig_now_ms() - begun_ms, TIMEOUT_MS - 500, TIMEOUT_MS + 60000);
    assert_int_equal(mig_zk_session_id(w->zk), 0);
}

/* How long a request without an answer takes that was told to take 100 ms. */
static int64_t ask_read_only(struct world *w)
{
    w->connect_mode = CONNECT_READ_ONLY;
    while (w->accepted == 0)
        turn(w);
    int64_t before_ms = mig_now_ms();
    ask(w, MIG_ZK_SYNC, 100);
    assert_int_equal(w->last.rc, RC_TIMEOUT);
    assert_int_equal(w->op_count, 0);
    return mig_now_ms() - before_ms;
}

/* The library's look for a writable one blocks for a second, every time; a busy machine delays us now and
 * then. */
static void a_read_only_server_is_left_without_blocking(void **state)
{
    int64_t took_ms = ask_read_only(*state);
    for (int i = 0; i < 4 && took_ms >= 900; i++) {
        assert_int_equal(teardown(state), 0);
        assert_int_equal(setup(state), 0);
        took_ms = ask_read_only(*state);
    }
    assert_in_range(took_ms, 0, 899);
    struct world *w = *state;
    w->connect_mode = CONNECT_OK;
    ask(w, MIG_ZK_SYNC, SOON_MS);
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
    ask(w, MIG_ZK_SYNC, SOON_MS);
    assert_int_equal(w->asked_session, SESSION);
}

static void a_freed_session_is_closed(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    mig_zk_free(w->zk);
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
    ask(w, MIG_ZK_BARRIER, SOON_MS);
    wait_results(w, 2);
    assert_int_equal(w->last.seq, 99);
    assert_int_equal(mig_zk_request(w->zk, MIG_ZK_BARRIER, 1, mig_now_ms() + SOON_MS), RC_OK);
    assert_int_equal(mig_zk_request(w->zk, MIG_ZK_BARRIER, 2, mig_now_ms() + SOON_MS), RC_OK);
    w->free_in_done = true;
    wait_results(w, 3);
    assert_null(w->zk);
    assert_in_range(event_base_loop(w->base, EVLOOP_NONBLOCK), 0, 1);
    assert_int_equal(w->results, 3);
}

static void a_dead_server_does_not_flood_the_log(void **state)
{
    struct world *w = *state;
    int64_t begun_ms = mig_now_ms();
    w->connect_mode = CONNECT_SILENT;
    for (int i = 0; i < 20; i++) {
        uint32_t before = w->accepted;
        while (w->accepted == before)
            turn(w);
        hang_up(w);
    }
    int64_t windows = (mig_now_ms() - begun_ms) / 10000 + 1;
    assert_in_range(w->logs, 1, 5 * windows);
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
        WITH_WORLD(whether_nodes_may_have_a_ttl),
        WITH_WORLD(who_holds_the_lock),
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
