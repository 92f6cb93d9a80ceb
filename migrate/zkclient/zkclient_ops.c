/* What each request asks the ensemble, and what its answer means. One call at a time; r->stage counts them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "migrate/failpoint.h"
#include "migrate/zkclient/zkclient_int.h"
#include "zkproto/assert.h"
#include "zkproto/zkerr.h"

/* Versions of nodes count up from 0, the config node's stands at -1: nobody ever sees this one. */
#define NO_VERSION 0x7ffffffe
/* Real config versions are 0 or zxids of an epoch, at least 2^32: this one never matches. */
#define PROBE_VERSION 1
/* Of a node that is never made; must be a TTL that could be. */
#define PROBE_TTL_MS 60000

static const char *const op_names[MIG_ZK_OP_COUNT] = {
#define OP_NAME(name, text) [MIG_ZK_##name] = (text),
    MIG_ZK_OPS(OP_NAME)
#undef OP_NAME
};

const char *mig_zk_op_name(enum mig_zk_op op)
{
    return (unsigned)op < MIG_ZK_OP_COUNT ? op_names[op] : "?";
}

/* The answer's data is a config; a standalone server's is empty. */
static void done_with_config(struct zk_request *r)
{
    if (r->data == NULL) {
        zk_done(r, RC_NOT_FOUND, 0, "the server has no ensemble config (standalone)");
        return;
    }
    struct err err;
    r->config = malloc(sizeof *r->config);
    if (r->config == NULL)
        zk_done(r, RC_NOMEM, 0, "out of memory");
    else if (zkp_config_parse(zkp_slice_of(r->data, r->data_length), r->config, &err) != RC_OK)
        zk_done(r, RC_CORRUPT, 0, err.text);
    else
        zk_done(r, RC_OK, 0, "");
}

static void call_config(struct zk_request *r, int stage)
{
    zk_called(r, stage, zoo_agetconfig(r->zk->handle, 0, zk_on_data, r));
}

static void got_config(struct zk_request *r)
{
    if (r->answer_err == ZOK)
        done_with_config(r);
    else if (r->answer_err == ZNONODE)
        zk_done(r, RC_NOT_FOUND, r->answer_err, "the server has no config node (older than 3.5)");
    else
        zk_done_failed(r);
}

/* The -101 answer to a write on a path that never exists is the commit of an error transaction
 * (protocol.md, "Measured later"): no node, no ACL, nothing left behind. */
static void call_barrier(struct zk_request *r, int stage)
{
    zk_called(r, stage, zoo_aset(r->zk->handle, r->zk->never_path, "", 0, NO_VERSION, zk_on_stat, r));
}

static bool is_committed(struct zk_request *r)
{
    if (r->answer_err == ZNONODE)
        return true;
    zk_done_failed(r);
    return false;
}

static void advance_committed_config(struct zk_request *r)
{
    if (r->stage == 0) {
        r->connection = r->zk->connection;
        call_barrier(r, 1);
    } else if (!r->zk->is_connected || r->connection != r->zk->connection) {
        /* A server that restarted in between may know less than the one that committed the barrier. */
        zk_done(r, RC_IO, 0, "the connection was lost between barrier and read");
    } else if (r->stage == 1 && is_committed(r)) {
        call_config(r, 2);
    } else if (r->stage == 2) {
        got_config(r);
    }
}

static void advance_reconfig(struct zk_request *r)
{
    if (r->stage == 0) {
        const char *joining = r->joining[0] != '\0' ? r->joining : NULL;
        const char *leaving = r->leaving[0] != '\0' ? r->leaving : NULL;
        MIG_FAILPOINT("reconfig_before", NULL);
        zk_called(r, 1, zoo_areconfig(r->zk->handle, joining, leaving, NULL, r->from_version, zk_on_data, r));
        if (r->has_answer) { /* the call itself failed */
            r->has_answer = false;
            zk_done(r, RC_IO, 0, zk_err_text(r));
        }
        MIG_FAILPOINT("reconfig_sent", NULL);
        return;
    }
    MIG_FAILPOINT("reconfig_answered", NULL);
    if (r->answer_err == ZOK)
        done_with_config(r);
    else if (zk_err_is_servers(r->answer_err))
        zk_done(r, RC_REFUSED, r->answer_err, zkp_err_name(r->answer_err));
    else
        zk_done(r, RC_UNKNOWN, 0, zk_err_text(r));
}

static void advance_probe_reconfig(struct zk_request *r)
{
    if (r->stage == 0)
        zk_called(r, 1, zoo_areconfig(r->zk->handle, NULL, NULL, NULL, PROBE_VERSION, zk_on_data, r));
    else if (r->answer_err == ZOK || zk_err_is_servers(r->answer_err))
        zk_done(r, RC_OK, r->answer_err, zkp_err_name(r->answer_err));
    else
        zk_done_failed(r);
}

/* The server looks at the ACL first and at the version then (PrepRequestProcessor.java: setData), so a
 * version that never matches tells the two apart and changes nothing. */
static void advance_check_super(struct zk_request *r)
{
    if (r->stage == 0)
        zk_called(r, 1, zoo_aset(r->zk->handle, ZOO_CONFIG_NODE, "", 0, NO_VERSION, zk_on_stat, r));
    else if (r->answer_err == ZBADVERSION)
        zk_done(r, RC_OK, r->answer_err, "");
    else if (r->answer_err == ZNOAUTH)
        zk_done(r, RC_REFUSED, r->answer_err, "not the super user's password");
    else
        zk_done_failed(r);
}

/* The leader asks whether it knows such nodes before it looks for the parent, which never exists
 * (PrepRequestProcessor.java: pRequest2TxnCreate). */
static void advance_probe_ttl(struct zk_request *r)
{
    char path[sizeof r->zk->never_path + 8];
    snprintf(path, sizeof path, "%s/child", r->zk->never_path);
    if (r->stage == 0)
        zk_called(r, 1,
                  zoo_acreate_ttl(r->zk->handle, path, "", 0, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT_WITH_TTL,
                                  PROBE_TTL_MS, zk_on_string, r));
    else if (r->answer_err == ZNONODE || r->answer_err == ZUNIMPLEMENTED)
        zk_done(r, RC_OK, r->answer_err, "");
    else
        zk_done_failed(r);
}

static void advance_sync(struct zk_request *r)
{
    if (r->stage == 0)
        zk_called(r, 1, zoo_async(r->zk->handle, "/", zk_on_string, r));
    else if (r->answer_err == ZOK)
        zk_done(r, RC_OK, 0, "");
    else
        zk_done_failed(r);
}

static void advance_barrier(struct zk_request *r)
{
    if (r->stage == 0)
        call_barrier(r, 1);
    else if (is_committed(r))
        zk_done(r, RC_OK, 0, "");
}

static void advance_read_config(struct zk_request *r)
{
    if (r->stage == 0)
        call_config(r, 1);
    else
        got_config(r);
}

void zk_op_advance(struct zk_request *r)
{
    static void (*const advance[MIG_ZK_OP_COUNT])(struct zk_request *) = {
        [MIG_ZK_READ_CONFIG] = advance_read_config,
        [MIG_ZK_COMMITTED_CONFIG] = advance_committed_config,
        [MIG_ZK_RECONFIG] = advance_reconfig,
        [MIG_ZK_PROBE_RECONFIG] = advance_probe_reconfig,
        [MIG_ZK_CHECK_SUPER] = advance_check_super,
        [MIG_ZK_BARRIER] = advance_barrier,
        [MIG_ZK_SYNC] = advance_sync,
        [MIG_ZK_LOCK] = zk_lock_advance,
        [MIG_ZK_LOCK_DROP] = zk_lock_drop_advance,
        [MIG_ZK_READ_NODE] = zk_read_node_advance,
        [MIG_ZK_READ_CHILDREN] = zk_read_children_advance,
        [MIG_ZK_CREATE] = zk_create_advance,
        [MIG_ZK_SET] = zk_set_advance,
        [MIG_ZK_GET_WATCHED] = zk_get_watched_advance,
        [MIG_ZK_DELETE] = zk_delete_advance,
        [MIG_ZK_PROBE_TTL] = advance_probe_ttl,
        [MIG_ZK_PEEK_LOCK] = zk_peek_lock_advance,
    };
    r->has_answer = false;
    advance[r->op](r);
}
