/* The admin connection and the prober against a real ensemble: `zkclient_smoke PORT1 PORT2 [ADMIN_PORT]`,
 * both ports of running members on 127.0.0.1 with reconfigEnabled=true and the super user super:admin. Exit 0
 * when every expectation held; each one is printed. Changes nothing that stays: the lock's root is removed.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/monotonic.h"
#include "migrate/probe/probe.h"
#include "migrate/zkclient/zkclient.h"
#include "zkproto/zkerr.h"

#define WAIT_MS    20000 /* bounds a hang */
#define SESSION_MS 20000
#define AT_ONCE_MS 10000 /* no expiry is that quick */

struct world {
    struct event_base *base;
    struct mig_zk_result last; /* text and config are not kept */
    char text[MIG_ZK_TEXT_MAX];
    struct zkp_config config;
    bool has_config;
    bool has_result;
    int expired;
    int probed;
    struct mig_probe_answer answer;
    struct zkp_conf_answer conf;
    struct mig_mntr mntr;
    int failures;
};

static struct world w;

static void expect(bool is_met, const char *what)
{
    printf("%s %s (rc=%s zk_err=%s text=%s)\n", is_met ? "ok  " : "FAIL", what, rc_text(w.last.rc),
           zkp_err_name(w.last.zk_err), w.text);
    w.failures += !is_met;
}

static void on_done(void *context, const struct mig_zk_result *result)
{
    (void)context;
    w.last = *result;
    snprintf(w.text, sizeof w.text, "%s", result->text);
    w.has_config = result->config != NULL;
    if (w.has_config)
        w.config = *result->config;
    w.has_result = true;
    event_base_loopbreak(w.base);
}

static void on_expired(void *context)
{
    (void)context;
    w.expired++;
}

static void on_log(void *context, enum mig_zk_level level, const char *text)
{
    (void)context;
    printf("log %d %s\n", (int)level, text);
}

static void on_probe(void *context, const struct mig_probe_answer *answer)
{
    (void)context;
    w.answer = *answer;
    if (answer->conf != NULL)
        w.conf = *answer->conf;
    if (answer->mntr != NULL)
        w.mntr = *answer->mntr;
    w.probed++;
    printf("probe %s: %s %s%s\n", zkp_word_text(answer->word), mig_probe_kind_text(answer->kind),
           answer->reason, answer->from_admin_server ? " (AdminServer)" : "");
    event_base_loopbreak(w.base);
}

static int64_t soon(void)
{
    return mig_now_ms() + WAIT_MS;
}

static void wait_result(void)
{
    w.has_result = false;
    while (!w.has_result)
        event_base_dispatch(w.base);
}

static struct mig_zk *open_zk(uint16_t port, const char *super, const struct mig_zk_session *session)
{
    struct mig_zk_options options = {
        .super = super, .timeout_ms = SESSION_MS, .state_root = "/zookeeper/zkferry"};
    const struct mig_zk_callbacks callbacks = {.done = on_done, .expired = on_expired, .log = on_log};
    struct mig_zk *zk = NULL;
    struct err err;
    if (session != NULL)
        options.session = *session;
    if (mig_address_numeric("127.0.0.1", port, &options.address) != RC_OK ||
        mig_zk_new(w.base, &options, &callbacks, &zk, &err) != RC_OK)
        exit(2);
    return zk;
}

static void ask(struct mig_zk *zk, enum mig_zk_op op)
{
    if (mig_zk_request(zk, op, 7, soon()) != RC_OK)
        exit(2);
    wait_result();
}

static void ask_reconfig(struct mig_zk *zk, const char *joining, const char *leaving, int64_t version)
{
    if (mig_zk_reconfig(zk, 8, joining, leaving, version, soon()) != RC_OK)
        exit(2);
    wait_result();
}

static void ask_lock(struct mig_zk *zk, const char *instance)
{
    if (mig_zk_lock(zk, 9, instance, "plan-1", soon()) != RC_OK)
        exit(2);
    wait_result();
}

/* The holder's closeSession takes another way to the leader than this session's requests. */
static void ask_lock_that_gets_free(struct mig_zk *zk, const char *instance)
{
    int64_t end_ms = mig_now_ms() + AT_ONCE_MS;
    do {
        ask(zk, MIG_ZK_SYNC);
        ask_lock(zk, instance);
    } while (w.last.rc == RC_EXISTS && mig_now_ms() < end_ms);
}

static void check_ops(uint16_t port)
{
    struct mig_zk *zk = open_zk(port, "super:admin", NULL);
    ask(zk, MIG_ZK_READ_CONFIG);
    expect(w.last.rc == RC_OK && w.has_config && w.config.server_count >= 2 && w.config.has_version,
           "read_config");
    ask(zk, MIG_ZK_COMMITTED_CONFIG);
    expect(w.last.rc == RC_OK && w.has_config, "committed_config");
    ask(zk, MIG_ZK_BARRIER);
    expect(w.last.rc == RC_OK, "barrier");
    ask(zk, MIG_ZK_SYNC);
    expect(w.last.rc == RC_OK, "sync");
    ask(zk, MIG_ZK_PROBE_RECONFIG);
    expect(w.last.rc == RC_OK && w.last.zk_err == ZKP_ERR_BAD_VERSION, "probe_reconfig");
    ask(zk, MIG_ZK_CHECK_SUPER);
    expect(w.last.rc == RC_OK, "check_super with the right password");
    int64_t version = w.config.version;
    ask_reconfig(zk, "", "99", version - 1);
    expect(w.last.rc == RC_REFUSED && w.last.zk_err == ZKP_ERR_BAD_VERSION, "reconfig with an old version");
    ask_reconfig(zk, "server.9=rubbish", "", version);
    expect(w.last.rc == RC_REFUSED && w.last.zk_err == ZKP_ERR_BAD_ARGUMENTS, "reconfig with rubbish");
    ask(zk, MIG_ZK_READ_CONFIG);
    expect(w.config.version == version, "nothing of this changed the config");
    mig_zk_free(zk);
    zk = open_zk(port, "super:wrong", NULL);
    ask(zk, MIG_ZK_CHECK_SUPER);
    expect(w.last.rc == RC_REFUSED && w.last.zk_err == ZKP_ERR_NO_AUTH, "check_super with a wrong password");
    ask_reconfig(zk, "", "99", version);
    expect(w.last.rc == RC_REFUSED && w.last.zk_err == ZKP_ERR_NO_AUTH, "reconfig without the right");
    mig_zk_free(zk);
    zk = open_zk(port, NULL, NULL);
    ask_lock(zk, "a");
    expect(w.last.rc == RC_REFUSED, "lock without credentials");
    mig_zk_free(zk);
}

static void check_lock(uint16_t first, uint16_t second)
{
    struct mig_zk *a = open_zk(first, "super:admin", NULL);
    struct mig_zk *b = open_zk(second, "super:admin", NULL);
    ask_lock(a, "aaaa");
    expect(w.last.rc == RC_OK, "lock taken");
    ask_lock(a, "aaaa");
    expect(w.last.rc == RC_OK, "taken again by the same session");
    ask_lock(b, "bbbb");
    expect(w.last.rc == RC_EXISTS && strstr(w.text, "instance=aaaa ") == w.text, "foreign lock is told");
    ask(b, MIG_ZK_LOCK_DROP);
    expect(w.last.rc == RC_OK, "dropping somebody else's lock does nothing");
    ask_lock(b, "bbbb");
    expect(w.last.rc == RC_EXISTS, "it is still there");
    struct mig_zk_session session;
    int64_t id = mig_zk_session_id(a);
    mig_zk_detach(a, &session);
    expect(session.id == id && id != 0, "detached");
    a = open_zk(second, "super:admin", &session);
    ask_lock(a, "aaaa");
    expect(w.last.rc == RC_OK && mig_zk_session_id(a) == id,
           "the session and its lock moved to the other server");
    mig_zk_detach(a, &session); /* a crash: the lock stays, a new session of the same instance comes */
    a = open_zk(first, "super:admin", NULL);
    ask_lock(a, "aaaa");
    expect(w.last.rc == RC_OK && mig_zk_session_id(a) != id, "own stale lock replaced");
    ask(a, MIG_ZK_LOCK_DROP);
    expect(w.last.rc == RC_OK, "lock dropped");
    ask_lock(b, "bbbb");
    expect(w.last.rc == RC_OK, "free for others");
    mig_zk_free(b); /* closeSession: the ephemeral goes at once */
    ask_lock_that_gets_free(a, "aaaa");
    expect(w.last.rc == RC_OK, "free after the holder closed");
    ask(a, MIG_ZK_LOCK_DROP);
    expect(w.last.rc == RC_OK && w.expired == 0, "dropped, no session was lost");
    mig_zk_free(a);
}

static void check_probe(uint16_t port, uint16_t admin_port)
{
    struct mig_address address;
    const struct mig_prober_callbacks callbacks = {.answer = on_probe};
    const struct mig_prober_options options = {.timeout_ms = WAIT_MS, .admin_port = admin_port};
    struct mig_prober *prober = NULL;
    if (mig_address_numeric("127.0.0.1", port, &address) != RC_OK ||
        mig_prober_new(w.base, &address, &options, &callbacks, &prober) != RC_OK)
        exit(2);
    mig_prober_kick(prober, MIG_PROBE_SRVR | MIG_PROBE_CONF | MIG_PROBE_MNTR | MIG_PROBE_CONS);
    while (w.probed < 4)
        event_base_dispatch(w.base);
    expect(mig_prober_health(prober) == MIG_HEALTH_SERVING, "probed server serves");
    expect(w.conf.has_membership && w.conf.membership.server_count >= 2 && w.conf.tick_time_ms > 0,
           "conf shows the members");
    expect(w.mntr.znode_count > 3, "mntr counts nodes");
    mig_prober_free(prober);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    uint16_t first = (uint16_t)strtoul(argv[1], NULL, 10);
    uint16_t second = (uint16_t)strtoul(argv[2], NULL, 10);
    signal(SIGPIPE, SIG_IGN); /* as the daemon has it */
    setvbuf(stdout, NULL, _IOLBF, 0);
    w.base = event_base_new();
    if (w.base == NULL)
        return 2;
    check_ops(first);
    check_lock(first, second);
    check_probe(first, argc > 3 ? (uint16_t)strtoul(argv[3], NULL, 10) : 0);
    mig_zk_finish(w.base);
    event_base_loop(w.base, EVLOOP_NONBLOCK); /* bufferevents are given back by the loop */
    event_base_free(w.base);
    libevent_global_shutdown();
    printf("%d failures\n", w.failures);
    return w.failures == 0 ? 0 : 1;
}
