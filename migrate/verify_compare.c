/* What is equal, and in which words what is not. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "migrate/text.h"
#include "migrate/verify_int.h"

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
