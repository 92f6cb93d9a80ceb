/* The plan lock's session (links.h): taken, dropped, and moved to another server with everything it holds. */
#include <stdio.h>

#include "migrate/monotonic.h"
#include "proxy/control/fleet/links_int.h"
#include "proxy/log.h"

#define LOCK_AWAY_MS 1000 /* disconnected so long, the lock's session is attached elsewhere */

static void on_lock_done(void *context, const struct mig_zk_result *result)
{
    struct px_links *links = context;
    struct lock *lock = &links->lock;
    lock->pending--;
    if (result->op == MIG_ZK_LOCK_DROP) {
        lock->is_dropping = false;
        lock->state = MIG_LOCK_NONE;
        mig_zk_free(lock->zk);
        lock->zk = NULL;
        links->callbacks.changed(links->callbacks.context);
        return;
    }
    if (result->rc == RC_OK)
        lock->state = MIG_LOCK_OURS;
    else if (result->rc == RC_EXISTS)
        lock->state = MIG_LOCK_FOREIGN;
    snprintf(lock->holder, sizeof lock->holder, "%s", result->rc == RC_EXISTS ? result->text : "");
    px_log(PX_LOG_INFO, "lock.result", "rc=%s text=%s", rc_text(result->rc), result->text);
    px_links_report(links, MIG_EVENT_LOCK_RESULT, result);
}

static void on_lock_state(void *context, enum mig_zk_state state, const char *why)
{
    (void)why;
    struct px_links *links = context;
    links->lock.away_since_ms = state == MIG_ZK_CONNECTED ? 0 : mig_now_ms();
}

static void on_lock_expired(void *context)
{
    struct px_links *links = context;
    px_log(PX_LOG_WARN, "lock.expired", "server=%d", links->lock.id);
    if (links->lock.state == MIG_LOCK_OURS)
        links->lock.state = MIG_LOCK_NONE;
    links->callbacks.changed(links->callbacks.context);
}

static enum rc lock_open(struct px_links *links, int32_t id, const struct mig_zk_session *session)
{
    const struct mig_zk_callbacks callbacks = {.context = links,
                                               .done = on_lock_done,
                                               .state = on_lock_state,
                                               .expired = on_lock_expired,
                                               .log = px_links_log};
    links->lock.id = id;
    links->lock.away_since_ms = mig_now_ms();
    return px_links_open(links, id, session, &callbacks, &links->lock.zk);
}

void px_links_lock_take(struct px_links *links, const struct mig_effect *effect)
{
    struct lock *lock = &links->lock;
    if (!lock->zk &&
        (links->monitor_id == MIG_NO_SERVER || lock_open(links, links->monitor_id, NULL) != RC_OK)) {
        px_links_report_failure(links, effect, MIG_ZK_LOCK, "no serving member is known");
        return;
    }
    enum rc rc = mig_zk_lock(lock->zk, effect->seq, links->instance, effect->text,
                             mig_now_ms() + PX_LINKS_REQUEST_TIMEOUT_MS);
    if (rc == RC_OK)
        lock->pending++;
    else
        px_links_report_failure(links, effect, MIG_ZK_LOCK, rc_text(rc));
}

void px_links_lock_drop(struct px_links *links, const struct mig_effect *effect)
{
    struct lock *lock = &links->lock;
    if (!lock->zk)
        return;
    if (mig_zk_request(lock->zk, MIG_ZK_LOCK_DROP, effect->seq, mig_now_ms() + PX_LINKS_REQUEST_TIMEOUT_MS) ==
        RC_OK) {
        lock->pending++;
        lock->is_dropping = true;
    }
}

void px_links_lock_follow(struct px_links *links, const struct mig_facts *facts)
{
    struct lock *lock = &links->lock;
    if (!lock->zk || lock->pending > 0 || lock->is_dropping || lock->state != MIG_LOCK_OURS)
        return;
    const struct mig_server_facts *now = mig_facts_server(facts, lock->id);
    int32_t best = px_links_best_server(facts, MIG_NO_SERVER);
    const struct mig_server_facts *better = mig_facts_server(facts, best);
    bool is_away = lock->away_since_ms && facts->now_ms - lock->away_since_ms > LOCK_AWAY_MS;
    bool must_leave = !now || !px_links_is_usable(facts, now) || is_away;
    bool should_leave = better && now && better->side == MIG_SIDE_TARGET && now->side == MIG_SIDE_SOURCE;
    if (is_away && best == lock->id)
        best = px_links_best_server(facts, lock->id);
    if (best == MIG_NO_SERVER || best == lock->id || !(must_leave || should_leave))
        return;
    struct mig_zk_session session;
    mig_zk_detach(lock->zk, &session);
    lock->zk = NULL;
    px_log(PX_LOG_INFO, "lock.moved", "from=%d to=%d", lock->id, best);
    if (session.id == 0 || lock_open(links, best, &session) != RC_OK)
        lock->state = MIG_LOCK_NONE;
}

void px_links_lock_leave(struct px_links *links)
{
    struct mig_zk_session session;
    if (links->lock.zk && links->lock.state == MIG_LOCK_OURS)
        mig_zk_detach(links->lock.zk, &session);
    else
        mig_zk_free(links->lock.zk);
    links->lock.zk = NULL;
}
