/* One handle of the ZooKeeper client library: open, watch its socket, notice that it is of no use any more,
 * close without blocking. The traps are listed in stack.md §1. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/socket.h>

#include "migrate/monotonic.h"
#include "migrate/sockets.h"
#include "migrate/zkclient/zkclient_int.h"

#define REOPEN_MS   1000 /* between two handles, e.g. while a server is read-only */
#define REDIAL_MS   100  /* at least, behind a connect that failed */
#define AUTH_SCHEME "digest"

/* Watcher of the whole session: only notes; the handle must not be touched in here. */
static void on_session(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)path;
    struct mig_zk *zk = context;
    if (type != ZOO_SESSION_EVENT)
        return;
    zk->is_connected = state == ZOO_CONNECTED_STATE;
    if (state == ZOO_CONNECTED_STATE) {
        const clientid_t *id = zoo_client_id(handle);
        zk->session.id = id->client_id;
        memcpy(zk->session.password, id->passwd, MIG_ZK_PASSWORD_LEN);
        zk->granted_ms = zoo_recv_timeout(handle);
        zk->connected_at_ms = mig_now_ms();
        zk->connection++;
        zk->refusal[0] = '\0';
        return;
    }
    if (state == ZOO_EXPIRED_SESSION_STATE) {
        zk->why = "session expired";
        zk->must_tell_expired = zk->must_replace = true;
    } else if (state == ZOO_AUTH_FAILED_STATE) {
        zk->why = "the server refused the digest authentication";
        zk->must_tell_expired = zk->must_replace = true;
    } else if (state == ZOO_READONLY_STATE) {
        /* Left alone the library would look for a writable server with a blocking connect. */
        zk->why = "the server is read-only";
        zk->must_replace = true;
    } else {
        zk->why = "connection lost";
    }
}

/* A wrong password is no error here: reconfig says NO_AUTH later (stack.md §1); anything else ends the
 * session and comes through the watcher. */
static void on_auth(int err, const void *data)
{
    (void)err;
    (void)data;
}

void zk_handle_door_text(const struct mig_zk *zk, char *buf, size_t capacity)
{
    snprintf(buf, capacity, "127.0.0.1:%" PRIu16, zk->door.port);
}

static zhandle_t *handle_new(struct mig_zk *zk, const clientid_t *id)
{
    char door[ZK_HOST_MAX];
    struct err err;
    if (zk->door.fd < 0 && zk_door_open(&zk->door, &err) != RC_OK) {
        zk_log(zk, MIG_ZK_LOG_ERROR, err.text);
        return NULL;
    }
    zk_handle_door_text(zk, door, sizeof door);
    return zookeeper_init2(door, on_session, zk->timeout_ms, id, zk, ZOO_NO_LOG_CLIENTENV, zk_on_log);
}

void zk_handle_open(struct mig_zk *zk, int64_t now_ms)
{
    clientid_t id = {.client_id = zk->session.id};
    memcpy(id.passwd, zk->session.password, MIG_ZK_PASSWORD_LEN);
    zk->must_replace = false;
    zk->is_connected = false;
    zk->has_socket = false;
    zk->dial_at_ms = now_ms;
    zk->fd = -1;
    zk->handle = handle_new(zk, id.client_id != 0 ? &id : NULL);
    if (zk->handle == NULL) {
        zk->why = "no client handle";
        zk->reopen_at_ms = now_ms + REOPEN_MS;
        return;
    }
    zoo_set_servers_resolution_delay(zk->handle, -1); /* the address is numeric; never ask the resolver */
    if (zk->super != NULL)
        zoo_add_auth(zk->handle, AUTH_SCHEME, zk->super, (int)strlen(zk->super), on_auth, NULL);
}

static void unwatch(struct mig_zk *zk)
{
    if (event_initialized(&zk->io))
        event_del(&zk->io);
}

void zk_handle_close(struct mig_zk *zk, bool is_orderly, int64_t now_ms)
{
    if (zk->handle == NULL)
        return;
    unwatch(zk);
    /* The library pings by a third of the timeout, so a live server is heard at least that often. */
    bool is_heard = zk->is_connected && now_ms - zk->heard_at_ms <= zk->granted_ms / 3 + 500;
    if (zk->fd >= 0)
        shutdown(zk->fd, SHUT_RDWR); /* the library would wait for an answer that only this loop can bring */
    zookeeper_close(zk->handle);
    if (is_orderly && is_heard && !zk->is_detached)
        zk_relay_leave(zk->relay);
    else
        zk_relay_free(zk->relay);
    zk->relay = NULL;
    zk->handle = NULL;
    zk->fd = -1;
    zk->has_socket = zk->is_connected = false;
}

/* --- the way to the server -------------------------------------------------------------------------------
 */

static void on_stirred(void *context)
{
    zk_schedule(context);
}

/* What people are told of a connection that was lost, or never stood. True: it was closed for what the server
 * had sent. */
static bool tell_loss(struct mig_zk *zk, const struct err *loss)
{
    char text[MIG_ZK_TEXT_MAX];
    bool is_refusal = loss->code == RC_MALFORMED || loss->code == RC_TOO_BIG || loss->code == RC_REFUSED;
    snprintf(text, sizeof text, "%s: %.*s", zk->host, (int)(sizeof text - sizeof zk->host - 8), loss->text);
    if (!is_refusal) {
        zk_log(zk, MIG_ZK_LOG_WARN, text);
        return false;
    }
    memcpy(zk->refusal, text, sizeof text);
    zk->why = zk->refusal;
    if (zk->callbacks.log != NULL && !zk->is_freed) /* always said: there is a pause behind each */
        zk->callbacks.log(zk->callbacks.context, MIG_ZK_LOG_ERROR, text);
    return true;
}

static void drop_relay(struct mig_zk *zk, int64_t dial_at_ms)
{
    zk->dial_at_ms = dial_at_ms;
    if (zk->relay != NULL && zk_relay_state(zk->relay) == ZK_RELAY_LOST &&
        tell_loss(zk, zk_relay_loss(zk->relay)))
        zk->dial_at_ms += REOPEN_MS;
    zk_relay_free(zk->relay);
    zk->relay = NULL;
}

static int64_t redial_at(const struct mig_zk *zk, int64_t now_ms)
{
    return now_ms + (zk->timeout_ms / 60 > REDIAL_MS ? zk->timeout_ms / 60 : REDIAL_MS);
}

static void dial(struct mig_zk *zk, int64_t now_ms)
{
    struct err err;
    if (zk_relay_new(zk->base, &zk->address, zk->timeout_ms * 2 / 3, on_stirred, zk, &zk->relay, &err) !=
        RC_OK) {
        tell_loss(zk, &err);
        zk->dial_at_ms = redial_at(zk, now_ms);
    }
}

/* Nobody may be in the library's way. */
static bool is_door_clear(struct mig_zk *zk, int64_t now_ms)
{
    struct err err;
    int nobody;
    enum rc rc = zk_door_admit(&zk->door, 0, &nobody, &err);
    if (rc == RC_AGAIN)
        return true;
    tell_loss(zk, &err);
    drop_relay(zk, redial_at(zk, now_ms));
    return false;
}

/* Whether the library may be called, which connects when it has no socket. */
static bool is_way_open(struct mig_zk *zk, int64_t now_ms)
{
    if (zk->has_socket)
        return true;
    if (zk->relay != NULL && zk_relay_state(zk->relay) == ZK_RELAY_LOST)
        drop_relay(zk, redial_at(zk, now_ms));
    if (zk->relay == NULL && now_ms >= zk->dial_at_ms)
        dial(zk, now_ms);
    return zk->relay != NULL && zk_relay_state(zk->relay) == ZK_RELAY_READY && is_door_clear(zk, now_ms);
}

/* The library has closed its socket; it comes back through another relay, after a pause of its own. */
static void lost_socket(struct mig_zk *zk, int64_t now_ms)
{
    zk->fd = -1;
    zk->has_socket = false;
    drop_relay(zk, now_ms);
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct mig_zk *zk = arg;
    int events =
        ((what & EV_READ) != 0 ? ZOOKEEPER_READ : 0) | ((what & EV_WRITE) != 0 ? ZOOKEEPER_WRITE : 0);
    int64_t now_ms = mig_now_ms();
    zk_enter(zk);
    int err = zk->has_socket ? zookeeper_process(zk->handle, events) : ZNOTHING;
    zk_leave();
    if (err == ZOK && (what & EV_READ) != 0)
        zk->heard_at_ms = now_ms;
    if (err != ZOK && err != ZNOTHING) /* the watcher has noted what it means */
        lost_socket(zk, now_ms);
    zk_schedule(zk);
}

void zk_handle_arm(struct mig_zk *zk, int64_t now_ms)
{
    if (zk->handle == NULL)
        return;
    unwatch(zk);
    if (!is_way_open(zk, now_ms))
        return;
    int interest = 0;
    struct timeval wait = {0};
    int err = zookeeper_interest(zk->handle, &zk->fd, &interest, &wait);
    if (err != ZOK) { /* the socket it names is stale */
        lost_socket(zk, now_ms);
        zk_schedule(zk);
        return;
    }
    zk->has_socket = zk->fd >= 0; /* not while the library makes a pause of its own */
    if (zk->has_socket && zk_relay_state(zk->relay) == ZK_RELAY_READY) {
        fcntl(zk->fd, F_SETFD, FD_CLOEXEC); /* the library opens its sockets without these */
        mig_socket_tune(zk->fd);
        zk_relay_join(zk->relay, &zk->door, zk->fd);
    }
    wait.tv_sec += wait.tv_usec / 1000000; /* libevent aborts on more than a million */
    wait.tv_usec %= 1000000;
    short what = (short)(((interest & ZOOKEEPER_READ) != 0 ? EV_READ : 0) |
                         ((interest & ZOOKEEPER_WRITE) != 0 ? EV_WRITE : 0));
    event_assign(&zk->io, zk->base, zk->fd, what, on_io, zk);
    event_add(&zk->io, &wait);
}

/* The library does not notice while disconnected that its session has run out (stack.md §1). */
static bool is_overdue(const struct mig_zk *zk, int64_t now_ms)
{
    return zk->session.id != 0 && !zk->is_connected && zk->heard_at_ms != 0 &&
           now_ms - zk->heard_at_ms > zk->granted_ms;
}

static void forget_session(struct mig_zk *zk)
{
    memset(&zk->session, 0, sizeof zk->session);
    zk->heard_at_ms = 0;
    zk->granted_ms = 0;
}

void zk_handle_check(struct mig_zk *zk, int64_t now_ms)
{
    if (is_overdue(zk, now_ms)) {
        zk->why = "disconnected for longer than the session timeout";
        zk->must_tell_expired = zk->must_replace = true;
    }
    if (zk->handle != NULL && !zk->must_replace && is_unrecoverable(zk->handle) != ZOK) {
        zk->why = "the client library gave the session up";
        zk->must_tell_expired = zk->must_replace = true;
    }
    if (zk->must_replace) {
        if (zk->must_tell_expired)
            forget_session(zk);
        zk_handle_close(zk, false, now_ms);
        zk->must_replace = false;
        zk->reopen_at_ms = now_ms + REOPEN_MS;
    }
    if (zk->handle == NULL && now_ms >= zk->reopen_at_ms)
        zk_handle_open(zk, now_ms);
    if (zk->is_connected && zk->heard_at_ms == 0)
        zk->heard_at_ms = now_ms;
    zk->state = zk->is_connected ? MIG_ZK_CONNECTED : MIG_ZK_CONNECTING;
}
