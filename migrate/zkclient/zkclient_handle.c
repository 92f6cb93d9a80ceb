/* One handle of the ZooKeeper client library: open, watch its socket, notice that it is of no use any more,
 * close without blocking. The traps are listed in stack.md §1. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>

#include "migrate/monotonic.h"
#include "migrate/sockets.h"
#include "migrate/zkclient/zkclient_int.h"

#define REOPEN_MS   1000 /* between two handles, e.g. while a server is read-only */
#define BROKEN_MS   100  /* interest failed: no socket to wait for */
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

void zk_handle_open(struct mig_zk *zk, int64_t now_ms)
{
    clientid_t id = {.client_id = zk->session.id};
    memcpy(id.passwd, zk->session.password, MIG_ZK_PASSWORD_LEN);
    zk->must_replace = false;
    zk->is_connected = false;
    zk->fd = -1;
    zk->handle = zookeeper_init2(zk->host, on_session, zk->timeout_ms, id.client_id != 0 ? &id : NULL, zk,
                                 ZOO_NO_LOG_CLIENTENV, zk_on_log);
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
    if (!(is_orderly && is_heard) && zk->fd >= 0)
        shutdown(zk->fd, SHUT_RDWR);
    zookeeper_close(zk->handle);
    zk->handle = NULL;
    zk->fd = -1;
    zk->is_connected = false;
}

static void on_io(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    struct mig_zk *zk = arg;
    int events =
        ((what & EV_READ) != 0 ? ZOOKEEPER_READ : 0) | ((what & EV_WRITE) != 0 ? ZOOKEEPER_WRITE : 0);
    zk_enter(zk);
    /* Errors show in the watcher and in the next interest. */
    int err = zookeeper_process(zk->handle, events);
    zk_leave();
    if (err == ZOK && (what & EV_READ) != 0)
        zk->heard_at_ms = mig_now_ms();
    zk_schedule(zk);
}

void zk_handle_arm(struct mig_zk *zk)
{
    if (zk->handle == NULL)
        return;
    unwatch(zk);
    int interest = 0;
    struct timeval wait = {0};
    zk->fd = -1;
    int err = zookeeper_interest(zk->handle, &zk->fd, &interest, &wait);
    if (err != ZOK) { /* the socket it names is stale */
        zk->fd = -1;
        interest = 0;
        wait = (struct timeval){.tv_usec = BROKEN_MS * 1000};
    }
    if (zk->fd >= 0 && !zk->is_connected) { /* the library opens its sockets without these */
        fcntl(zk->fd, F_SETFD, FD_CLOEXEC);
        mig_socket_tune(zk->fd);
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
