/* A model of an ensemble for tests of the comparison: replicas of one tree that apply one log of
 * transactions, each at its own pace, and that may have been altered behind ZooKeeper's back. A replica
 * answers what the core asks; sync brings it up to what was committed when it was asked, and no further than
 * it must. */
#ifndef TESTS_UNIT_VERIFY_MODEL_H
#define TESTS_UNIT_VERIFY_MODEL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/verify/verify.h"

#define MODEL_NODES    120u
#define MODEL_REPLICAS 4u
#define MODEL_LOG_MAX  4000u
#define MODEL_PATH_MAX 512u
#define MODEL_ASKS_MAX (MODEL_REPLICAS * MIG_VERIFY_IN_FLIGHT_MAX)
#define MODEL_NAMES    (MODEL_NODES * 8u)

enum model_op { MODEL_SET, MODEL_CREATE, MODEL_DELETE, MODEL_SET_ACL };

struct model_txn {
    enum model_op op;
    uint32_t node;
};

struct model_replica {
    uint32_t applied; /* transactions of the log */
    struct mig_node nodes[MODEL_NODES];
    bool is_protected[MODEL_NODES];
};

struct model_ask {
    struct mig_verify_ask ask;
    char path[MODEL_PATH_MAX];
    uint32_t committed; /* when it was asked */
};

struct model {
    uint64_t random;
    char paths[MODEL_NODES][MODEL_PATH_MAX];
    uint32_t parents[MODEL_NODES];
    bool is_leaf[MODEL_NODES];
    uint32_t replica_count;
    struct model_replica replicas[MODEL_REPLICAS];
    struct model_txn log[MODEL_LOG_MAX];
    uint32_t committed;
    uint32_t ask_count;
    struct model_ask asks[MODEL_ASKS_MAX];
    int64_t now_ms;
    uint32_t visits[MODEL_NODES]; /* first reads of the reference */
};

static uint32_t model_random(struct model *m, uint32_t below)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(m->random >> 33) % below;
}

/* --- transactions --- */

static void model_children_changed(struct model_replica *r, uint32_t parent, int by, int64_t zxid)
{
    r->nodes[parent].stat.cversion++;
    r->nodes[parent].stat.pzxid = zxid;
    r->nodes[parent].stat.numChildren += by;
}

static void model_make(struct mig_node *node, int64_t zxid)
{
    *node = (struct mig_node){.kind = MIG_NODE_PRESENT,
                              .stat = {.czxid = zxid, .mzxid = zxid, .pzxid = zxid, .ctime = zxid * 10},
                              .data_hash = (uint64_t)zxid * 7,
                              .acl_hash = 5};
}

static void model_apply_one(struct model *m, struct model_replica *r)
{
    int64_t zxid = ++r->applied;
    const struct model_txn *txn = &m->log[zxid - 1];
    struct mig_node *node = &r->nodes[txn->node];
    uint32_t parent = m->parents[txn->node];
    bool is_there = node->kind == MIG_NODE_PRESENT;
    if (txn->op == MODEL_CREATE && !is_there && r->nodes[parent].kind == MIG_NODE_PRESENT) {
        model_make(node, zxid);
        model_children_changed(r, parent, 1, zxid);
    } else if (txn->op == MODEL_DELETE && is_there && node->stat.numChildren == 0) {
        *node = (struct mig_node){.kind = MIG_NODE_ABSENT};
        model_children_changed(r, parent, -1, zxid);
    } else if (txn->op == MODEL_SET && is_there) {
        node->stat.version++;
        node->stat.mzxid = zxid;
        node->data_hash = (uint64_t)zxid * 7;
    } else if (txn->op == MODEL_SET_ACL && is_there) {
        node->stat.aversion++; /* the only trace it leaves in Stat */
        node->acl_hash = (uint64_t)zxid * 11;
    }
}

static void model_apply(struct model *m, uint32_t replica, uint32_t up_to)
{
    while (m->replicas[replica].applied < up_to)
        model_apply_one(m, &m->replicas[replica]);
}

static void model_commit(struct model *m, enum model_op op, uint32_t node)
{
    if (m->committed < MODEL_LOG_MAX)
        m->log[m->committed++] = (struct model_txn){.op = op, .node = node};
}

/* A random tree, the same everywhere. */
static struct model *model_new(uint64_t seed, uint32_t replicas)
{
    struct model *m = calloc(1, sizeof *m);
    m->random = seed;
    m->now_ms = 1000;
    m->replica_count = replicas;
    snprintf(m->paths[0], MODEL_PATH_MAX, "/");
    for (uint32_t r = 0; r < replicas; r++)
        model_make(&m->replicas[r].nodes[0], 0);
    for (uint32_t i = 0; i < MODEL_NODES; i++)
        m->is_leaf[i] = true;
    for (uint32_t i = 1; i < MODEL_NODES; i++) {
        uint32_t parent = model_random(m, i < 40 ? i : 40); /* wide at the bottom */
        m->parents[i] = parent;
        m->is_leaf[parent] = false;
        snprintf(m->paths[i], MODEL_PATH_MAX, "%.480s/n%u", parent == 0 ? "" : m->paths[parent], i);
        model_commit(m, MODEL_CREATE, i);
    }
    for (uint32_t r = 0; r < replicas; r++)
        model_apply(m, r, m->committed);
    return m;
}

static uint32_t model_find(const struct model *m, const char *path)
{
    for (uint32_t i = 0; i < MODEL_NODES; i++)
        if (strcmp(m->paths[i], path) == 0)
            return i;
    return MODEL_NODES;
}

/* --- answers --- */

static void model_answer_children(struct model *m, struct mig_verify *v, const struct model_ask *asked)
{
    static char bytes[MODEL_NAMES];
    const struct model_replica *r = &m->replicas[asked->ask.server];
    struct mig_names names = {.bytes = bytes};
    uint32_t parent = model_find(m, asked->path);
    char *at = bytes;
    for (uint32_t i = MODEL_NODES - 1; i > 0; i--) { /* in no order, as ZooKeeper does */
        if (m->parents[i] != parent || r->nodes[i].kind == MIG_NODE_ABSENT)
            continue;
        at = stpcpy(at, strrchr(m->paths[i], '/') + 1) + 1;
        names.count++;
    }
    mig_verify_children(v, asked->ask.ticket, &names, m->now_ms);
}

static void model_answer(struct model *m, struct mig_verify *v, uint32_t index)
{
    struct model_ask asked = m->asks[index];
    struct model_replica *r = &m->replicas[asked.ask.server];
    m->asks[index] = m->asks[--m->ask_count];
    asked.ask.path = asked.path;
    if (asked.ask.op == MIG_VERIFY_READ_SYNCED)
        model_apply(m, asked.ask.server, asked.committed);
    if (asked.ask.op == MIG_VERIFY_CHILDREN) {
        model_answer_children(m, v, &asked);
        return;
    }
    uint32_t node = model_find(m, asked.path);
    struct mig_node answer = r->nodes[node];
    if (answer.kind == MIG_NODE_PRESENT && r->is_protected[node])
        answer = (struct mig_node){.kind = MIG_NODE_STAT_ONLY, .stat = answer.stat};
    mig_verify_node(v, asked.ask.ticket, &answer, m->now_ms);
}

/* Takes everything the core wants to ask now. */
static void model_take_asks(struct model *m, struct mig_verify *v)
{
    struct mig_verify_ask ask;
    while (mig_verify_next(v, m->now_ms, &ask)) {
        struct model_ask *taken = &m->asks[m->ask_count++];
        *taken = (struct model_ask){.ask = ask, .committed = m->committed};
        snprintf(taken->path, sizeof taken->path, "%s", ask.path);
        uint32_t node = model_find(m, ask.path);
        if (node < MODEL_NODES && ask.server == MIG_VERIFY_REFERENCE && ask.op == MIG_VERIFY_READ)
            m->visits[node]++;
    }
}

#endif
