/* The plan lock: an ephemeral under the state root that only the super user may touch. Taking it:
 *
 *   CREATE -> made                                        ours
 *          -> no parent: ROOT (one component after the other), then CREATE again
 *          -> exists: READ -> of this session             ours (an answer was lost)
 *                          -> of this instance, but an    REPLACE: delete and create in one multi,
 *                             earlier session             nobody gets in between
 *                          -> somebody else's             EXISTS, with what they wrote
 *                          -> gone meanwhile              CREATE again
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "migrate/monotonic.h"
#include "migrate/zkclient/zkclient_int.h"

enum lock_stage { LOCK_START, LOCK_CREATE, LOCK_ROOT, LOCK_READ, LOCK_REPLACE };

enum drop_stage { DROP_START, DROP_READ, DROP_DELETE, DROP_ROOT };

#define TRIES_MAX 5u /* others may take and drop it between our calls; then the owner tries again later */

int zk_lock_prefix(char *buf, size_t capacity, const char *instance)
{
    int n = snprintf(buf, capacity, "instance=%s ", instance);
    return n > 0 && (size_t)n < capacity ? n : -1;
}

/* Who is refused reads this: where to look, and since when. */
int zk_lock_data(char *buf, size_t capacity, const char *instance, const char *note)
{
    char host[HOST_NAME_MAX + 1] = "?";
    char since[32] = "?";
    time_t now = (time_t)(mig_wall_ms() / 1000);
    struct tm tm;
    if (gethostname(host, sizeof host) != 0 || memchr(host, '\0', sizeof host) == NULL)
        snprintf(host, sizeof host, "?");
    if (gmtime_r(&now, &tm) != NULL)
        (void)strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int n = snprintf(buf, capacity, "instance=%s host=%s pid=%ld since=%s note=%s", instance, host,
                     (long)getpid(), since, note);
    return n > 0 && (size_t)n < capacity ? n : -1;
}

static void call_create(struct zk_request *r)
{
    if (++r->tries > TRIES_MAX) {
        zk_done(r, RC_AGAIN, 0, "the lock comes and goes");
        return;
    }
    zk_called(r, LOCK_CREATE,
              zoo_acreate(r->zk->handle, r->zk->lock_path, r->joining, (int)strlen(r->joining),
                          &ZOO_CREATOR_ALL_ACL, ZOO_EPHEMERAL, zk_on_string, r));
}

/* The next component of the root that is not there yet; CREATE when all are. */
static void call_root(struct zk_request *r)
{
    char path[MIG_ZK_ROOT_MAX];
    const char *root = r->zk->root;
    if (root[r->path_length] == '\0') {
        call_create(r);
        return;
    }
    r->path_length += 1 + (uint32_t)strcspn(root + r->path_length + 1, "/");
    snprintf(path, sizeof path, "%.*s", (int)r->path_length, root);
    zk_called(r, LOCK_ROOT,
              zoo_acreate(r->zk->handle, path, "", 0, &ZOO_CREATOR_ALL_ACL, ZOO_PERSISTENT, zk_on_string, r));
}

static void call_replace(struct zk_request *r)
{
    zoo_delete_op_init(&r->multi[0], r->zk->lock_path, r->stat.version);
    zoo_create_op_init(&r->multi[1], r->zk->lock_path, r->joining, (int)strlen(r->joining),
                       &ZOO_CREATOR_ALL_ACL, ZOO_EPHEMERAL, NULL, 0);
    zk_called(r, LOCK_REPLACE, zoo_amulti(r->zk->handle, 2, r->multi, r->multi_results, zk_on_void, r));
}

static void created(struct zk_request *r)
{
    switch (r->answer_err) {
    case ZOK:
        zk_done(r, RC_OK, 0, "");
        return;
    case ZNONODE:
        r->path_length = 0;
        call_root(r);
        return;
    case ZNODEEXISTS:
        zk_called(r, LOCK_READ, zoo_aget(r->zk->handle, r->zk->lock_path, 0, zk_on_data, r));
        return;
    default:
        zk_done_failed(r);
        return;
    }
}

static void root_made(struct zk_request *r)
{
    if (r->answer_err == ZOK || r->answer_err == ZNODEEXISTS)
        call_root(r);
    else
        zk_done_failed(r);
}

static void read_holder(struct zk_request *r)
{
    const char *holder = r->data != NULL ? r->data : "";
    if (r->answer_err == ZNONODE)
        call_create(r);
    else if (r->answer_err != ZOK)
        zk_done_failed(r);
    else if (r->stat.ephemeralOwner == zoo_client_id(r->zk->handle)->client_id)
        zk_done(r, RC_OK, 0, "");
    else if (strncmp(holder, r->leaving, strlen(r->leaving)) == 0)
        call_replace(r);
    else
        zk_done(r, RC_EXISTS, ZNODEEXISTS, holder);
}

static void replaced(struct zk_request *r)
{
    if (r->answer_err == ZOK)
        zk_done(r, RC_OK, 0, "");
    else if (zk_err_is_servers(r->answer_err)) /* changed under us: look again */
        call_create(r);
    else
        zk_done_failed(r);
}

void zk_lock_advance(struct zk_request *r)
{
    switch ((enum lock_stage)r->stage) {
    case LOCK_START:
        call_create(r);
        return;
    case LOCK_CREATE:
        created(r);
        return;
    case LOCK_ROOT:
        root_made(r);
        return;
    case LOCK_READ:
        read_holder(r);
        return;
    case LOCK_REPLACE:
        replaced(r);
        return;
    }
}

static void drop_read(struct zk_request *r)
{
    if (r->answer_err == ZNONODE)
        zk_done(r, RC_OK, 0, "there was no lock");
    else if (r->answer_err != ZOK)
        zk_done_failed(r);
    else if (r->stat.ephemeralOwner != zoo_client_id(r->zk->handle)->client_id)
        zk_done(r, RC_OK, 0, "the lock is somebody else's");
    else
        zk_called(r, DROP_DELETE,
                  zoo_adelete(r->zk->handle, r->zk->lock_path, r->stat.version, zk_on_void, r));
}

static void drop_deleted(struct zk_request *r)
{
    if (r->answer_err == ZOK || r->answer_err == ZNONODE)
        zk_called(r, DROP_ROOT, zoo_adelete(r->zk->handle, r->zk->root, -1, zk_on_void, r));
    else
        zk_done_failed(r);
}

void zk_lock_drop_advance(struct zk_request *r)
{
    switch ((enum drop_stage)r->stage) {
    case DROP_START:
        zk_called(r, DROP_READ, zoo_aget(r->zk->handle, r->zk->lock_path, 0, zk_on_data, r));
        return;
    case DROP_READ:
        drop_read(r);
        return;
    case DROP_DELETE:
        drop_deleted(r);
        return;
    case DROP_ROOT: /* not empty, or gone: both are fine, the lock is not ours any more */
        zk_done(r, RC_OK, 0, "");
        return;
    }
}

void zk_peek_lock_advance(struct zk_request *r)
{
    if (r->stage == 0)
        zk_called(r, 1, zoo_aget(r->zk->handle, r->zk->lock_path, 0, zk_on_data, r));
    else if (r->answer_err == ZOK)
        zk_done(r, RC_OK, 0, r->data != NULL ? r->data : "");
    else if (r->answer_err == ZNONODE)
        zk_done(r, RC_NOT_FOUND, r->answer_err, "");
    else
        zk_done_failed(r);
}
