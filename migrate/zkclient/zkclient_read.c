/* Reading one znode for a comparison: data and ACL are two calls, so the Stat that comes with both must be
 * the same, else a change fell between them and they are asked again:
 *
 *   [SYNC ->] DATA -> ACL -> same Stat                    PRESENT
 *                         -> another one                  DATA again, AGAIN in the end
 *             DATA or ACL -> no such node                 ABSENT
 *                         -> no right to read: EXISTS     STAT_ONLY (Stat needs no right)
 *
 * Data is hashed inside the library's callback and never kept. */
#include <stdio.h>
#include <stdlib.h>

#include "migrate/zkclient/zkclient_int.h"

enum read_stage { READ_START, READ_SYNC, READ_DATA, READ_ACL, READ_EXISTS };

#define TRIES_MAX 4u /* of a node that is written at every moment; the owner may come back later */

static struct zk_request *request_of(const void *data)
{
    return (struct zk_request *)(uintptr_t)data;
}

/* --- the library's answers --- */

static void on_data(int err, const char *value, int length, const struct Stat *stat, const void *data)
{
    struct zk_request *r = request_of(data);
    bool has_data = err == ZOK && value != NULL && length >= 0;
    r->node.data_hash = has_data ? mig_hash(&r->key, value, (uint64_t)length) : 0;
    zk_answer(r, err, stat);
}

/* One entry behind those before it. Every part has its own hash, so that their borders count. */
static uint64_t hash_entry(const struct mig_hash_key *key, uint64_t before, const struct ACL *entry)
{
    const char *scheme = entry->id.scheme != NULL ? entry->id.scheme : "";
    const char *id = entry->id.id != NULL ? entry->id.id : "";
    const uint64_t parts[] = {before, (uint64_t)entry->perms, mig_hash(key, scheme, strlen(scheme)),
                              mig_hash(key, id, strlen(id))};
    return mig_hash(key, parts, sizeof parts);
}

/* What a preflight wants to know of it. */
static void note_entry(struct mig_node *node, const struct ACL *entry)
{
    const char *scheme = entry->id.scheme != NULL ? entry->id.scheme : "";
    if (strcmp(scheme, "ip") == 0)
        node->has_ip_acl = true;
    if (strcmp(scheme, "world") == 0 && (entry->perms & ZOO_PERM_WRITE) != 0)
        node->anyone_writes = true;
}

static void on_acl(int err, struct ACL_vector *acl, struct Stat *stat, const void *data)
{
    struct zk_request *r = request_of(data);
    r->node.acl_hash = 0;
    r->node.has_ip_acl = r->node.anyone_writes = false;
    for (int32_t i = 0; err == ZOK && i < acl->count; i++) {
        r->node.acl_hash = hash_entry(&r->key, r->node.acl_hash, &acl->data[i]);
        note_entry(&r->node, &acl->data[i]);
    }
    zk_answer(r, err, err == ZOK ? stat : NULL);
}

static bool copy_names(const struct String_vector *strings, struct mig_names *ret_names)
{
    size_t length = 1;
    for (int32_t i = 0; i < strings->count; i++)
        length += strlen(strings->data[i]) + 1;
    char *bytes = malloc(length);
    if (bytes == NULL)
        return false;
    char *at = bytes;
    for (int32_t i = 0; i < strings->count; i++)
        at = stpcpy(at, strings->data[i]) + 1;
    *ret_names = (struct mig_names){.bytes = bytes, .count = (uint32_t)strings->count};
    return true;
}

static void on_children(int err, const struct String_vector *strings, const void *data)
{
    struct zk_request *r = request_of(data);
    if (err == ZOK && !copy_names(strings, &r->names))
        err = ZSYSTEMERROR;
    zk_answer(r, err, NULL);
}

/* --- a node --- */

void zk_stat_copy(const struct Stat *stat, struct mig_stat *ret_stat)
{
#define COPY(type, name) ret_stat->name = stat->name;
    MIG_STAT_FIELDS(COPY)
#undef COPY
}

static void done_with(struct zk_request *r, enum mig_node_kind kind)
{
    r->node.kind = kind;
    if (kind != MIG_NODE_ABSENT)
        zk_stat_copy(&r->stat, &r->node.stat);
    zk_done(r, RC_OK, 0, "");
}

static void call_data(struct zk_request *r)
{
    zk_called(r, READ_DATA, zoo_aget(r->zk->handle, r->path, 0, on_data, r));
}

/* No answer with the node: gone, closed to us, or a failure. */
static void not_read(struct zk_request *r)
{
    if (r->answer_err == ZNONODE)
        done_with(r, MIG_NODE_ABSENT);
    else if (r->answer_err == ZNOAUTH && r->stage != READ_EXISTS)
        zk_called(r, READ_EXISTS, zoo_aexists(r->zk->handle, r->path, 0, zk_on_stat, r));
    else
        zk_done_failed(r);
}

static void got_data(struct zk_request *r)
{
    r->data_stat = r->stat;
    zk_called(r, READ_ACL, zoo_aget_acl(r->zk->handle, r->path, on_acl, r));
}

static bool is_untouched(const struct Stat *a, const struct Stat *b)
{
    bool is_same = true;
#define SAME(type, name) is_same = is_same && a->name == b->name;
    MIG_STAT_FIELDS(SAME)
#undef SAME
    return is_same;
}

static void got_acl(struct zk_request *r)
{
    if (is_untouched(&r->data_stat, &r->stat))
        done_with(r, MIG_NODE_PRESENT);
    else if (++r->tries < TRIES_MAX)
        call_data(r);
    else
        zk_done(r, RC_AGAIN, 0, "the node changes all the time");
}

void zk_read_node_advance(struct zk_request *r)
{
    enum read_stage stage = (enum read_stage)r->stage;
    if (stage == READ_START && r->sync_first) {
        zk_called(r, READ_SYNC, zoo_async(r->zk->handle, r->path, zk_on_string, r));
        return;
    }
    if (stage != READ_START && r->answer_err != ZOK) {
        not_read(r);
        return;
    }
    switch (stage) {
    case READ_START:
    case READ_SYNC:
        call_data(r);
        return;
    case READ_DATA:
        got_data(r);
        return;
    case READ_ACL:
        got_acl(r);
        return;
    case READ_EXISTS:
        done_with(r, MIG_NODE_STAT_ONLY);
        return;
    }
}

/* --- children --- */

void zk_read_children_advance(struct zk_request *r)
{
    if (r->stage == READ_START)
        zk_called(r, READ_DATA, zoo_aget_children(r->zk->handle, r->path, 0, on_children, r));
    else if (r->answer_err == ZOK || r->answer_err == ZNONODE)
        zk_done(r, RC_OK, 0, "");
    else
        zk_done_failed(r);
}

/* --- the owner's side --- */

static enum rc read_new(struct mig_zk *zk, enum mig_zk_op op, uint64_t seq, const char *path,
                        int64_t deadline_ms, struct zk_request **ret_request)
{
    struct zk_request *r;
    enum rc rc = zk_request_new(zk, op, seq, deadline_ms, &r);
    if (rc != RC_OK)
        return rc;
    r->path = strdup(path);
    if (r->path == NULL) {
        zk_request_free(zk, r);
        return RC_NOMEM;
    }
    *ret_request = r;
    return RC_OK;
}

enum rc mig_zk_read_node(struct mig_zk *zk, uint64_t seq, const char *path, bool sync_first,
                         const struct mig_hash_key *key, int64_t deadline_ms)
{
    struct zk_request *r;
    enum rc rc = read_new(zk, MIG_ZK_READ_NODE, seq, path, deadline_ms, &r);
    if (rc != RC_OK)
        return rc;
    r->sync_first = sync_first;
    r->key = *key;
    return RC_OK;
}

enum rc mig_zk_read_children(struct mig_zk *zk, uint64_t seq, const char *path, int64_t deadline_ms)
{
    struct zk_request *r;
    return read_new(zk, MIG_ZK_READ_CHILDREN, seq, path, deadline_ms, &r);
}
