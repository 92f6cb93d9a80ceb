/* The admin connection's life and its pump: every event ends in zk_pump, which is the only place that calls
 * the library (but zookeeper_process) and the owner. */
#include "migrate/zkclient/zkclient.h"

#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "migrate/zkclient/zkclient_int.h"
#include "zkproto/assert.h"
#include "zkproto/secret.h"

#define FINISH_MS 1500

static void zk_destroy(struct mig_zk *zk, bool is_orderly)
{
    zk_enter(zk);
    zk_handle_close(zk, is_orderly, mig_now_ms());
    zk_leave();
    zk_door_close(&zk->door);
    zk_requests_free(zk);
    if (zk->wake != NULL)
        event_free(zk->wake);
    if (zk->timer != NULL)
        event_free(zk->timer);
    zkp_secret_drop(zk->super);
    free(zk);
}

void zk_schedule(struct mig_zk *zk)
{
    event_active(zk->wake, EV_TIMEOUT, 0);
}

/* Told in order: what has changed, what was lost, how the connection stands, what became of requests. */
static void tell_owner(struct mig_zk *zk)
{
    const struct mig_zk_callbacks *callbacks = &zk->callbacks;
    for (; zk->changes > 0 && !zk->is_freed; zk->changes--)
        if (callbacks->changed != NULL)
            callbacks->changed(callbacks->context);
    if (!zk->is_freed && zk->must_tell_expired) {
        zk->must_tell_expired = false;
        if (callbacks->expired != NULL)
            callbacks->expired(callbacks->context);
    }
    if (!zk->is_freed && zk->told_state != zk->state) {
        zk->told_state = zk->state;
        if (callbacks->state != NULL)
            callbacks->state(callbacks->context, zk->state, zk->state == MIG_ZK_CONNECTED ? "" : zk->why);
    }
    zk_requests_report(zk);
}

static void arm_timer(struct mig_zk *zk, int64_t now_ms)
{
    int64_t at_ms = zk_requests_deadline(zk);
    if (zk->handle == NULL && zk->reopen_at_ms < at_ms)
        at_ms = zk->reopen_at_ms;
    if (zk->handle != NULL && zk->relay == NULL && zk->dial_at_ms < at_ms)
        at_ms = zk->dial_at_ms;
    if (!zk->is_connected && zk->heard_at_ms != 0 && zk->heard_at_ms + zk->granted_ms + 1 < at_ms)
        at_ms = zk->heard_at_ms + zk->granted_ms + 1;
    if (at_ms == INT64_MAX) {
        event_del(zk->timer);
        return;
    }
    int64_t wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    event_add(zk->timer, &wait);
}

static void zk_pump(struct mig_zk *zk)
{
    zk->is_pumping = true;
    int64_t now_ms = mig_now_ms();
    zk_enter(zk);
    zk_handle_check(zk, now_ms);
    zk_requests_run(zk, now_ms);
    zk_handle_arm(zk, now_ms); /* asks for EV_WRITE when something is queued */
    zk_leave();
    tell_owner(zk);
    zk->is_pumping = false;
    if (zk->is_freed)
        zk_destroy(zk, true);
    else
        arm_timer(zk, mig_now_ms());
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    zk_pump(arg);
}

static enum rc zk_init(struct mig_zk *zk, const struct mig_zk_options *options, struct err *err)
{
    const char *root = options->state_root;
    size_t length = strlen(root);
    if (root[0] != '/' || length < 2 || length >= sizeof zk->root || root[length - 1] == '/')
        return err_set(err, RC_INVALID, "state root %s: a path like /zookeeper/zkferry is needed", root);
    snprintf(zk->root, sizeof zk->root, "%s", root);
    snprintf(zk->lock_path, sizeof zk->lock_path, "%s/lock", root);
    snprintf(zk->never_path, sizeof zk->never_path, "%s/never", root);
    zk->address = options->address;
    if (mig_address_print(&options->address, true, zk->host, sizeof zk->host) == 0)
        return err_set(err, RC_INVALID, "a numeric address is needed");
    zk->timeout_ms = options->timeout_ms;
    zk->session = options->session;
    if (zk->session.id != 0) { /* adopted: its clock runs since the server it comes from was left */
        zk->heard_at_ms = mig_now_ms();
        zk->granted_ms = options->timeout_ms;
    }
    if (options->super != NULL && options->super[0] != '\0') {
        zk->super = zkp_secret_new(options->super, strlen(options->super));
        if (zk->super == NULL)
            return err_set(err, RC_NOMEM, "out of memory");
    }
    zk->wake = event_new(zk->base, -1, 0, on_turn, zk);
    zk->timer = event_new(zk->base, -1, 0, on_turn, zk);
    return zk->wake != NULL && zk->timer != NULL ? RC_OK : err_set(err, RC_NOMEM, "out of memory");
}

enum rc mig_zk_new(struct event_base *base, const struct mig_zk_options *options,
                   const struct mig_zk_callbacks *callbacks, struct mig_zk **ret_zk, struct err *err)
{
    struct mig_zk *zk = calloc(1, sizeof *zk);
    if (zk == NULL)
        return err_set(err, RC_NOMEM, "out of memory");
    zk->base = base;
    zk->callbacks = *callbacks;
    zk->fd = zk->door.fd = -1;
    zk->why = "connecting";
    zk->told_state = zk->state = MIG_ZK_CONNECTING;
    enum rc rc = zk_init(zk, options, err);
    if (rc != RC_OK) {
        zk_destroy(zk, false);
        return rc;
    }
    zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
    zk_schedule(zk);
    *ret_zk = zk;
    return RC_OK;
}

void mig_zk_free(struct mig_zk *zk)
{
    if (zk == NULL)
        return;
    ASSERT(!zk->is_freed);
    zk->is_freed = true;
    if (!zk->is_pumping)
        zk_destroy(zk, true);
}

void mig_zk_detach(struct mig_zk *zk, struct mig_zk_session *ret_session)
{
    ASSERT(!zk->is_freed);
    *ret_session = zk->session;
    zk->is_detached = true;
    mig_zk_free(zk);
}

enum mig_zk_state mig_zk_state(const struct mig_zk *zk)
{
    return zk->state;
}

int64_t mig_zk_connected_since_ms(const struct mig_zk *zk)
{
    return zk->is_connected ? zk->connected_at_ms : 0;
}

int64_t mig_zk_session_id(const struct mig_zk *zk)
{
    return zk->session.id;
}

int32_t mig_zk_timeout_ms(const struct mig_zk *zk)
{
    return zk->granted_ms != 0 ? zk->granted_ms : zk->timeout_ms;
}

enum rc mig_zk_local_address(const struct mig_zk *zk, struct mig_address *ret_address)
{
    return zk->relay != NULL ? zk_relay_local_address(zk->relay, ret_address) : RC_NOT_FOUND;
}

void mig_zk_finish(struct event_base *base)
{
    zk_relay_finish(base, FINISH_MS);
}
