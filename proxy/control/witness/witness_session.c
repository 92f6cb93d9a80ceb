/* The witness's session (witness.h): one request after the other.
 *
 *   MAKE -> READ <-> WRITE       READ sets the watch, WRITE is answered and fires it, ten times a second
 *     ^       |                  an unanswered write: READ says what became of it
 *   CLEAR     v                  a node that is gone: MAKE
 *           UNMAKE -> LEAVE_ROOT -> end of the session
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "proxy/control/fleet/links_int.h"
#include "proxy/control/witness/witness_int.h"
#include "proxy/log.h"
#include "zkproto/zkerr.h"

/* As patient as clients usually are. Short enough that the node of a daemon that was killed is soon gone. */
#define SESSION_TIMEOUT_MS 20000

/* --- to the judge --- */

static void tell(struct px_witness *w, enum mig_witness_event_kind kind)
{
    const struct mig_witness_event event = {.kind = kind, .now_ms = mig_now_ms()};
    witness_judge(w, &event);
}

static void tell_node(struct px_witness *w, enum mig_witness_event_kind kind,
                      const struct mig_zk_result *result)
{
    const struct mig_stat *stat = result->stat;
    const struct mig_witness_event event = {
        .kind = kind,
        .now_ms = mig_now_ms(),
        .node = {.czxid = stat->czxid, .owner = stat->ephemeralOwner, .version = stat->version},
        .value = result->data ? strtoll(result->data, NULL, 10) : 0,
    };
    witness_judge(w, &event);
}

/* --- asking --- */

static enum rc ask_write(struct px_witness *w, int64_t deadline_ms)
{
    char value[24];
    int32_t version = mig_witness_version(&w->judge);
    snprintf(value, sizeof value, "%" PRId64, (int64_t)version + 1);
    enum rc rc = mig_zk_set(w->zk, 0, w->path, value, version, deadline_ms);
    if (rc == RC_OK)
        tell(w, MIG_WITNESS_SENT);
    return rc;
}

static enum rc ask(struct px_witness *w, int64_t deadline_ms)
{
    switch (w->stage) {
    case WITNESS_MAKE:
        return mig_zk_create(w->zk, 0, w->path, "0", deadline_ms);
    case WITNESS_READ:
        return mig_zk_get_watched(w->zk, 0, w->path, deadline_ms);
    case WITNESS_WRITE:
        return ask_write(w, deadline_ms);
    case WITNESS_CLEAR:
    case WITNESS_UNMAKE:
        return mig_zk_delete(w->zk, 0, w->path, deadline_ms);
    case WITNESS_LEAVE_ROOT:
        break;
    }
    return mig_zk_delete(w->zk, 0, w->root, deadline_ms);
}

/* Only when connected: a write that can't be sent is no write. */
static void go_on(struct px_witness *w)
{
    if (!w->is_asked && mig_zk_state(w->zk) == MIG_ZK_CONNECTED)
        w->is_asked = ask(w, mig_now_ms() + PX_LINKS_REQUEST_TIMEOUT_MS) == RC_OK;
}

/* --- answers: each gives the next stage --- */

static enum witness_stage refused(struct px_witness *w, int32_t zk_err, enum witness_stage again)
{
    tell(w, zk_err == ZKP_ERR_NO_NODE ? MIG_WITNESS_GONE : MIG_WITNESS_REFUSED);
    return zk_err == ZKP_ERR_NO_NODE ? WITNESS_MAKE : again;
}

static enum witness_stage created(struct px_witness *w, const struct mig_zk_result *result)
{
    if (result->rc == RC_REFUSED)
        tell(w, MIG_WITNESS_REFUSED);
    if (result->rc == RC_OK)
        return WITNESS_READ;
    return result->rc == RC_EXISTS ? WITNESS_CLEAR : WITNESS_MAKE;
}

static enum witness_stage was_read(struct px_witness *w, const struct mig_zk_result *result)
{
    if (result->rc == RC_REFUSED)
        return refused(w, result->zk_err, WITNESS_READ);
    if (result->rc != RC_OK)
        return WITNESS_READ;
    tell_node(w, MIG_WITNESS_READ, result);
    return WITNESS_WRITE;
}

static enum witness_stage written(struct px_witness *w, const struct mig_zk_result *result)
{
    if (result->rc == RC_OK)
        tell_node(w, MIG_WITNESS_ACKED, result);
    else if (result->rc == RC_UNKNOWN)
        tell(w, MIG_WITNESS_UNKNOWN);
    else if (result->rc == RC_REFUSED && result->zk_err == ZKP_ERR_BAD_VERSION)
        tell(w, MIG_WITNESS_STALE);
    else if (result->rc == RC_REFUSED)
        return refused(w, result->zk_err, WITNESS_READ);
    return WITNESS_READ;
}

/* CLEAR, UNMAKE */
static enum witness_stage deleted(const struct px_witness *w, const struct mig_zk_result *result)
{
    if (result->rc != RC_OK && result->rc != RC_REFUSED) /* gone is fine too, and so is a root in use */
        return w->stage;
    return w->stage == WITNESS_CLEAR ? WITNESS_MAKE : WITNESS_LEAVE_ROOT;
}

/* When the session has expired meanwhile the stage is not that of the request any more: what the answer says
 * counts all the same, but a new node is made whatever it says. */
static enum witness_stage next_stage(struct px_witness *w, const struct mig_zk_result *result)
{
    enum witness_stage next;
    if (result->op == MIG_ZK_CREATE)
        return created(w, result);
    if (result->op == MIG_ZK_GET_WATCHED)
        next = was_read(w, result);
    else if (result->op == MIG_ZK_SET)
        next = written(w, result);
    else
        next = deleted(w, result);
    return w->stage == WITNESS_MAKE ? WITNESS_MAKE : next;
}

static bool is_farewell(enum witness_stage stage)
{
    return stage == WITNESS_UNMAKE || stage == WITNESS_LEAVE_ROOT;
}

/* The server has just answered, so closing is a matter of milliseconds; unless clients are held, then their
 * closeSession is too and the control thread would wait for it. */
static void close_session(struct px_witness *w)
{
    if (w->is_held(w->context)) {
        witness_session_drop(w);
        return;
    }
    mig_zk_free(w->zk);
    w->zk = NULL;
    w->state = WITNESS_IDLE;
}

static void on_done(void *context, const struct mig_zk_result *result)
{
    struct px_witness *w = context;
    enum witness_stage before = w->stage;
    bool is_last = before == WITNESS_LEAVE_ROOT && (result->rc == RC_OK || result->rc == RC_REFUSED);
    w->is_asked = false;
    if (is_last) {
        close_session(w);
        return;
    }
    w->stage = next_stage(w, result);
    if (w->state == WITNESS_ENDING && !is_farewell(w->stage))
        w->stage = WITNESS_UNMAKE;
    if (w->stage != before && w->stage != WITNESS_WRITE) /* what failed is tried again at the timer's pace */
        go_on(w);
}

static void on_state(void *context, enum mig_zk_state state, const char *why)
{
    struct px_witness *w = context;
    if (state == MIG_ZK_CONNECTED) {
        px_log(PX_LOG_INFO, "witness.connected", "plan=%s sid=0x%" PRIx64, w->result.plan_id,
               (uint64_t)mig_zk_session_id(w->zk));
        go_on(w);
        return;
    }
    px_log(PX_LOG_WARN, "witness.disconnected", "plan=%s why=%s", w->result.plan_id, why);
    if (w->state == WITNESS_RUNNING)
        tell(w, MIG_WITNESS_DISCONNECTED);
}

static void on_expired(void *context)
{
    struct px_witness *w = context;
    if (is_farewell(w->stage))
        return; /* the node is gone, which is what was wanted */
    tell(w, MIG_WITNESS_EXPIRED);
    w->stage = WITNESS_MAKE;
}

static void on_changed(void *context)
{
    struct px_witness *w = context;
    tell(w, MIG_WITNESS_FIRED);
}

/* --- life --- */

/* A wildcard is reached over the loopback. */
static const char *host_of(const struct conf *conf)
{
    const char *host = conf->listeners[0].address.host;
    if (strcmp(host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

enum rc witness_session_open(struct px_witness *w, const struct px_witness_order *order, struct err *err)
{
    const struct mig_zk_callbacks callbacks = {.context = w,
                                               .done = on_done,
                                               .state = on_state,
                                               .expired = on_expired,
                                               .changed = on_changed,
                                               .log = px_links_log};
    struct mig_zk_options options = {
        .super = order->conf->super, .timeout_ms = SESSION_TIMEOUT_MS, .state_root = order->conf->state_root};
    if (mig_address_numeric(host_of(order->conf), order->port, &options.address) != RC_OK)
        return err_set(err, RC_INVALID, "listen.clients: %s is not numeric", host_of(order->conf));
    snprintf(w->root, sizeof w->root, "%s", order->conf->state_root);
    snprintf(w->path, sizeof w->path, "%s/witness-%s", w->root, w->instance);
    w->stage = WITNESS_MAKE;
    w->is_asked = false;
    witness_watcher_begin(w, &options.address);
    return mig_zk_new(w->base, &options, &callbacks, &w->zk, err);
}

void witness_session_turn(struct px_witness *w)
{
    go_on(w);
}

void witness_session_end(struct px_witness *w)
{
    if (w->is_asked)
        return; /* its answer goes on */
    w->stage = WITNESS_UNMAKE;
    go_on(w);
}

void witness_session_drop(struct px_witness *w)
{
    struct mig_zk_session session;
    mig_zk_detach(w->zk, &session);
    w->zk = NULL;
    w->state = WITNESS_IDLE;
}
