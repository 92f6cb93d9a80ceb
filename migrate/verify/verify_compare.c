/* What is equal, and in which words what is not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "migrate/text.h"
#include "migrate/verify/verify_int.h"

static const char *const kind_names[MIG_VERIFY_KIND_COUNT] = {
#define KIND_NAME(name, text) [MIG_VERIFY_##name] = (text),
    MIG_VERIFY_KINDS(KIND_NAME)
#undef KIND_NAME
};

const char *mig_verify_kind_name(enum mig_verify_kind kind)
{
    return (unsigned)kind < MIG_VERIFY_KIND_COUNT ? kind_names[kind] : "?";
}

static bool same_stat(const struct mig_stat *a, const struct mig_stat *b, bool is_local)
{
    bool is_same = true;
#define SAME(type, name) is_same = is_same && a->name == b->name;
    struct mig_stat own = *a;
    if (is_local) /* the length belongs to the data */
        own.dataLength = b->dataLength;
    a = &own;
    MIG_STAT_FIELDS(SAME)
#undef SAME
    return is_same;
}

bool verify_same(const struct mig_node *a, const struct mig_node *b, bool is_local)
{
    if (a->kind == MIG_NODE_UNREADABLE || b->kind == MIG_NODE_UNREADABLE)
        return true; /* reported as that */
    if (a->kind == MIG_NODE_ABSENT || b->kind == MIG_NODE_ABSENT)
        return a->kind == b->kind;
    if (!same_stat(&a->stat, &b->stat, is_local))
        return false;
    if (a->kind == MIG_NODE_STAT_ONLY || b->kind == MIG_NODE_STAT_ONLY)
        return true;
    return a->acl_hash == b->acl_hash && (is_local || a->data_hash == b->data_hash);
}

bool verify_unchanged(const struct mig_node *a, const struct mig_node *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == MIG_NODE_ABSENT || a->kind == MIG_NODE_UNREADABLE)
        return true;
    return verify_same(a, b, false);
}

/* Whoever shows the same moment of a part of the node shows the same of that part. */
static bool agree(const struct mig_node *a, const struct mig_node *b, bool is_local)
{
    const struct mig_stat *x = &a->stat;
    const struct mig_stat *y = &b->stat;
    bool has_all = a->kind == MIG_NODE_PRESENT && b->kind == MIG_NODE_PRESENT;
    if (x->czxid != y->czxid)
        return true; /* two nodes that had the path one after the other */
    bool is_same = x->ctime == y->ctime && x->ephemeralOwner == y->ephemeralOwner;
    if (x->mzxid == y->mzxid)
        is_same = is_same && x->version == y->version && x->mtime == y->mtime &&
                  (is_local || x->dataLength == y->dataLength) &&
                  (is_local || !has_all || a->data_hash == b->data_hash);
    if (x->pzxid == y->pzxid)
        is_same = is_same && x->cversion == y->cversion && x->numChildren == y->numChildren;
    if (x->aversion == y->aversion)
        is_same = is_same && (!has_all || a->acl_hash == b->acl_hash);
    return is_same;
}

/* Nothing in `late` is older than in `early`. */
static bool follows(const struct mig_stat *late, const struct mig_stat *early)
{
    if (late->czxid != early->czxid)
        return late->czxid > early->czxid;
    return late->mzxid >= early->mzxid && late->pzxid >= early->pzxid && late->version >= early->version &&
           late->cversion >= early->cversion && late->aversion >= early->aversion;
}

static bool is_there(const struct mig_node *node)
{
    return node->kind == MIG_NODE_PRESENT || node->kind == MIG_NODE_STAT_ONLY;
}

bool verify_within(const struct mig_node *before, const struct mig_node *server, const struct mig_node *after,
                   int64_t newest_czxid, bool is_local)
{
    bool is_known = before->kind != MIG_NODE_UNREADABLE && server->kind != MIG_NODE_UNREADABLE &&
                    after->kind != MIG_NODE_UNREADABLE;
    bool was_there = is_there(before);
    bool is_there_after = is_there(after);
    if (!is_known)
        return false;
    if (!is_there(server)) /* between two nodes, or before the first or behind the last */
        return !was_there || !is_there_after || before->stat.czxid != after->stat.czxid;
    bool is_late = was_there ? follows(&server->stat, &before->stat) && agree(server, before, is_local)
                             : server->stat.czxid > newest_czxid;
    bool is_early =
        !is_there_after || (follows(&after->stat, &server->stat) && agree(server, after, is_local));
    return is_late && is_early;
}

static bool is_zxid(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, "zxid") == 0;
}

static void describe_field(const char *name, int64_t server, int64_t reference, char *buf, uint32_t capacity)
{
    const char *separator = buf[0] ? "; " : "";
    if (server == reference)
        return;
    if (is_zxid(name) || strcmp(name, "ephemeralOwner") == 0)
        mig_text_add(buf, capacity, "%s%s 0x%" PRIx64 ", on the reference 0x%" PRIx64, separator, name,
                     (uint64_t)server, (uint64_t)reference);
    else
        mig_text_add(buf, capacity, "%s%s %" PRId64 ", on the reference %" PRId64, separator, name, server,
                     reference);
}

static void describe_stat(const struct mig_stat *server, const struct mig_stat *reference, char *buf,
                          uint32_t capacity)
{
#define DESCRIBE(type, name) describe_field(#name, server->name, reference->name, buf, capacity);
    MIG_STAT_FIELDS(DESCRIBE)
#undef DESCRIBE
}

void verify_describe(const struct mig_node *server, const struct mig_node *reference, bool is_local,
                     char *buf, uint32_t capacity)
{
    bool has_all = server->kind == MIG_NODE_PRESENT && reference->kind == MIG_NODE_PRESENT;
    mig_text_set(buf, capacity, "%s", "");
    if (server->kind == MIG_NODE_ABSENT)
        mig_text_set(buf, capacity, "missing here; the reference has it with %d children",
                     (int)reference->stat.numChildren);
    else if (reference->kind == MIG_NODE_ABSENT)
        mig_text_set(buf, capacity, "only here, with %d children", (int)server->stat.numChildren);
    if (buf[0])
        return;
    if (has_all && !is_local && server->data_hash != reference->data_hash)
        mig_text_add(buf, capacity, "data");
    if (has_all && server->acl_hash != reference->acl_hash)
        mig_text_add(buf, capacity, "%sACL", buf[0] ? "; " : "");
    describe_stat(&server->stat, &reference->stat, buf, capacity);
}
