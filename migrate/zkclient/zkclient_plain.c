/* Plain calls on one znode, one library call each: what a client of the ensemble does all day. */
#include <stdlib.h>

#include "migrate/zkclient/zkclient_int.h"
#include "zkproto/zkerr.h"

#define ANY_VERSION (-1)

/* Only a note, as everywhere inside the library; the session's own events go to every watcher too. */
static void on_watch(zhandle_t *handle, int type, int state, const char *path, void *context)
{
    (void)handle;
    (void)state;
    (void)path;
    struct mig_zk *zk = context;
    if (type == ZOO_CHANGED_EVENT)
        zk->changes++;
}

static void done_with_stat(struct zk_request *r)
{
    zk_stat_copy(&r->stat, &r->seen);
    zk_done(r, RC_OK, 0, "");
}

void zk_create_advance(struct zk_request *r)
{
    if (r->stage == 0)
        zk_called(r, 1,
                  zoo_acreate(r->zk->handle, r->path, r->value, (int)strlen(r->value), &ZOO_CREATOR_ALL_ACL,
                              ZOO_EPHEMERAL, zk_on_string, r));
    else if (r->answer_err == ZOK)
        zk_done(r, RC_OK, 0, "");
    else if (r->answer_err == ZNODEEXISTS)
        zk_done(r, RC_EXISTS, r->answer_err, zkp_err_name(r->answer_err));
    else
        zk_done_failed(r);
}

static void call_set(struct zk_request *r)
{
    zk_called(r, 1,
              zoo_aset(r->zk->handle, r->path, r->value, (int)strlen(r->value), r->version, zk_on_stat, r));
    if (!r->has_answer)
        return;
    r->has_answer = false; /* the call itself failed */
    zk_done(r, RC_IO, 0, zk_err_text(r));
}

void zk_set_advance(struct zk_request *r)
{
    if (r->stage == 0)
        call_set(r);
    else if (r->answer_err == ZOK)
        done_with_stat(r);
    else if (zk_err_is_servers(r->answer_err))
        zk_done_failed(r);
    else
        zk_done(r, RC_UNKNOWN, 0, zk_err_text(r));
}

void zk_get_watched_advance(struct zk_request *r)
{
    if (r->stage == 0)
        zk_called(r, 1, zoo_awget(r->zk->handle, r->path, on_watch, r->zk, zk_on_data, r));
    else if (r->answer_err == ZOK)
        done_with_stat(r);
    else
        zk_done_failed(r);
}

void zk_delete_advance(struct zk_request *r)
{
    if (r->stage == 0)
        zk_called(r, 1, zoo_adelete(r->zk->handle, r->path, ANY_VERSION, zk_on_void, r));
    else if (r->answer_err == ZOK)
        zk_done(r, RC_OK, 0, "");
    else
        zk_done_failed(r);
}

/* --- the owner's side --- */

static enum rc plain_new(struct mig_zk *zk, enum mig_zk_op op, uint64_t seq, const char *path,
                         const char *value, int64_t deadline_ms, struct zk_request **ret_request)
{
    struct zk_request *r;
    enum rc rc = zk_request_new(zk, op, seq, deadline_ms, &r);
    if (rc != RC_OK)
        return rc;
    r->path = strdup(path);
    r->value = strdup(value);
    if (r->path == NULL || r->value == NULL) {
        zk_request_free(zk, r);
        return RC_NOMEM;
    }
    *ret_request = r;
    return RC_OK;
}

enum rc mig_zk_create(struct mig_zk *zk, uint64_t seq, const char *path, const char *data,
                      int64_t deadline_ms)
{
    struct zk_request *r;
    return plain_new(zk, MIG_ZK_CREATE, seq, path, data, deadline_ms, &r);
}

enum rc mig_zk_set(struct mig_zk *zk, uint64_t seq, const char *path, const char *data, int32_t version,
                   int64_t deadline_ms)
{
    struct zk_request *r;
    enum rc rc = plain_new(zk, MIG_ZK_SET, seq, path, data, deadline_ms, &r);
    if (rc == RC_OK)
        r->version = version;
    return rc;
}

enum rc mig_zk_get_watched(struct mig_zk *zk, uint64_t seq, const char *path, int64_t deadline_ms)
{
    struct zk_request *r;
    return plain_new(zk, MIG_ZK_GET_WATCHED, seq, path, "", deadline_ms, &r);
}

enum rc mig_zk_delete(struct mig_zk *zk, uint64_t seq, const char *path, int64_t deadline_ms)
{
    struct zk_request *r;
    return plain_new(zk, MIG_ZK_DELETE, seq, path, "", deadline_ms, &r);
}
