/* What a simulated server answers when the proxy itself looks at a node: real Stats, so that the core can
 * compare their zxids. */
#include "tests/rig/ensemble.h"

static int64_t rig_zxid_at(const struct rig_ensemble *e, int place)
{
    return place == 0 ? 0 : e->log[place - 1].zxid;
}

static bool rig_is_child(const struct rig_tree *tree, int path, int parent)
{
    return tree->nodes[path].exists && rig_parents[path] == parent;
}

/* The root is no node of the tree: it is always there. */
static void rig_put_stat(const struct rig_ensemble *e, const struct rig_tree *tree, int path, uint8_t *stat)
{
    static const struct rig_node root = {.exists = true};
    const struct rig_node *node = path == RIG_NONE ? &root : &tree->nodes[path];
    int32_t children = 0;

    for (int i = 0; i < RIG_PATHS; i++)
        children += rig_is_child(tree, i, path);
    memset(stat, 0, ZKP_STAT_LEN);
    zkp_store_i64(stat + ZKP_STAT_CZXID_OFFSET, rig_zxid_at(e, node->made));
    zkp_store_i64(stat + ZKP_STAT_MZXID_OFFSET, rig_zxid_at(e, node->changed));
    zkp_store_i64(stat + ZKP_STAT_PZXID_OFFSET,
                  rig_zxid_at(e, path == RIG_NONE ? tree->root_touched : node->touched));
    zkp_store_i32(stat + ZKP_STAT_NUM_CHILDREN_OFFSET, children);
}

static void rig_put_children(const struct rig_tree *tree, int path, struct zkp_wr *w)
{
    int32_t children = 0;

    for (int i = 0; i < RIG_PATHS; i++)
        children += rig_is_child(tree, i, path);
    zkp_wr_i32(w, children);
    for (int i = 0; i < RIG_PATHS; i++)
        if (rig_is_child(tree, i, path))
            zkp_wr_buf(w, zkp_slice_str(strrchr(rig_names[i], '/') + 1));
}

uint32_t rig_look(const struct rig_ensemble *e, int server, int32_t op, struct zkp_slice name, uint8_t *body,
                  int32_t *ret_err)
{
    const struct rig_tree *tree = &e->servers[server].tree;
    int path = rig_path_of(name);
    struct zkp_wr w = zkp_wr_over(body, RIG_FRAME_MAX - 16);
    uint8_t stat[ZKP_STAT_LEN];

    ASSERT(path != RIG_NONE || zkp_slice_eq(name, zkp_slice_str("/")));
    *ret_err = path != RIG_NONE && !tree->nodes[path].exists ? ZKP_ERR_NO_NODE : 0;
    if (*ret_err != 0)
        return 0;
    if (op == ZKP_OP_GET_CHILDREN2)
        rig_put_children(tree, path, &w);
    rig_put_stat(e, tree, path, stat);
    zkp_wr_raw(&w, zkp_slice_of(stat, sizeof(stat)));
    ASSERT(zkp_wr_done(&w) == RC_OK);
    return zkp_wr_len(&w);
}
