/* The connections of a verification: what the core asks goes out, what comes back is told to it. */
#include <stdio.h>

#include "migrate/monotonic.h"
#include "proxy/control/fleet/links_int.h"
#include "proxy/control/verify/verify_int.h"

#define LOST_MAX_MS 30000 /* a leader change or a restart is over by then */

static bool conn_is_given_up(const struct verify_conn *conn)
{
    return mig_verify_report(conn->owner->core)->servers[conn->index].is_given_up;
}

/* --- answers --- */

static void on_done(void *context, const struct mig_zk_result *result)
{
    struct verify_conn *conn = context;
    struct px_verify *verify = conn->owner;
    int64_t now_ms = mig_now_ms();
    if (result->node)
        mig_verify_node(verify->core, result->seq, result->node, now_ms);
    else if (result->names)
        mig_verify_children(verify->core, result->seq, result->names, now_ms);
    else
        mig_verify_failed(verify->core, result->seq, result->rc != RC_IO, now_ms);
    verify_schedule(verify);
}

static void on_state(void *context, enum mig_zk_state state, const char *why)
{
    struct verify_conn *conn = context;
    bool is_up = state == MIG_ZK_CONNECTED;
    conn->lost_ms = is_up ? 0 : mig_now_ms();
    snprintf(conn->why, sizeof conn->why, "%s", why);
    mig_verify_server_is_up(conn->owner->core, conn->index, is_up && !conn_is_given_up(conn));
    verify_schedule(conn->owner);
}

/* --- life --- */

static void conn_open(struct verify_conn *conn)
{
    const struct mig_zk_callbacks callbacks = {
        .context = conn, .done = on_done, .state = on_state, .log = px_links_log};
    struct px_verify *verify = conn->owner;
    if (px_links_open(verify->links, verify->ids[conn->index], NULL, &callbacks, &conn->zk) != RC_OK)
        snprintf(conn->why, sizeof conn->why, "no connection to that server is possible now");
}

static void conn_close(struct verify_conn *conn)
{
    mig_zk_free(conn->zk);
    conn->zk = NULL;
}

void verify_links_open(struct px_verify *verify)
{
    for (uint32_t i = 0; i < verify->count; i++) {
        struct verify_conn *conn = &verify->conns[i];
        if (!conn->zk && !conn_is_given_up(conn))
            conn_open(conn);
    }
}

void verify_links_close(struct px_verify *verify)
{
    for (uint32_t i = 0; i < verify->count; i++)
        conn_close(&verify->conns[i]);
}

void verify_links_close_unborn(struct px_verify *verify)
{
    for (uint32_t i = 0; i < verify->count; i++)
        if (verify->conns[i].zk && mig_zk_session_id(verify->conns[i].zk) == 0)
            conn_close(&verify->conns[i]);
}

void verify_links_check(struct px_verify *verify, int64_t now_ms)
{
    for (uint32_t i = 0; i < verify->count; i++) {
        struct verify_conn *conn = &verify->conns[i];
        if (conn->lost_ms == 0 || now_ms - conn->lost_ms < LOST_MAX_MS || conn_is_given_up(conn))
            continue;
        char why[MIG_TEXT_MAX];
        snprintf(why, sizeof why, "server %d was not connected for %d s: %.300s", verify->ids[i],
                 LOST_MAX_MS / 1000, conn->why);
        conn_close(conn);
        mig_verify_give_up(verify->core, i, why, now_ms);
    }
}

/* --- questions --- */

void verify_links_ask(struct px_verify *verify, const struct mig_verify_ask *ask, int64_t now_ms)
{
    struct mig_zk *zk = verify->conns[ask->server].zk;
    int64_t deadline_ms = now_ms + PX_LINKS_REQUEST_TIMEOUT_MS;
    enum rc rc = RC_IO;
    switch (ask->op) {
    case MIG_VERIFY_READ:
    case MIG_VERIFY_READ_SYNCED:
        rc = mig_zk_read_node(zk, ask->ticket, ask->path, ask->op == MIG_VERIFY_READ_SYNCED, &verify->key,
                              deadline_ms);
        break;
    case MIG_VERIFY_CHILDREN:
        rc = mig_zk_read_children(zk, ask->ticket, ask->path, deadline_ms);
        break;
    }
    if (rc != RC_OK)
        mig_verify_failed(verify->core, ask->ticket, true, now_ms);
}
