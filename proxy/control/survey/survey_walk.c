/* The sample of the tree: breadth first from the root, some children of each node before the others, without
 * /zookeeper. */
#include <stdlib.h>
#include <string.h>

#include "proxy/control/survey/survey_int.h"

#define SYSTEM_NODE "/zookeeper" /* ZooKeeper's own */

static bool ask(struct px_survey *survey, uint32_t slot, bool is_listing)
{
    struct mig_zk *zk = survey->super;
    const char *path = survey->walk.slots[slot].path;
    enum rc rc = is_listing ? mig_zk_read_children(zk, slot, path, survey->deadline_ms)
                            : mig_zk_read_node(zk, slot, path, false, &survey->key, survey->deadline_ms);
    survey->walk.pending += rc == RC_OK;
    return rc == RC_OK;
}

static void slot_free(struct walk *walk, uint32_t slot)
{
    free(walk->slots[slot].path);
    walk->slots[slot].path = NULL;
}

static char *queue_take(struct walk_queue *queue)
{
    return queue->head < queue->count ? queue->paths[queue->head++] : NULL;
}

static char *next_path(struct walk *walk)
{
    char *path = walk->asked < WALK_NODES_MAX ? queue_take(&walk->first) : NULL;
    if (!path && walk->asked < WALK_NODES_MAX)
        path = queue_take(&walk->rest);
    return path;
}

static void advance(struct px_survey *survey)
{
    struct walk *walk = &survey->walk;
    for (uint32_t slot = 0; slot < WALK_SLOTS; slot++) {
        if (walk->slots[slot].path)
            continue;
        walk->slots[slot].path = next_path(walk);
        if (!walk->slots[slot].path)
            return;
        walk->asked++;
        if (!ask(survey, slot, false))
            slot_free(walk, slot);
    }
}

static char *child_path(const char *parent, const char *name)
{
    bool is_root = strcmp(parent, "/") == 0;
    char *path = malloc(strlen(parent) + strlen(name) + 2);
    if (!path)
        return NULL;
    char *end = stpcpy(path, is_root ? "" : parent);
    *end++ = '/';
    stpcpy(end, name);
    return path;
}

static void enqueue(struct walk_queue *queue, const char *parent, const char *name)
{
    char *path = queue->count < WALK_QUEUE_MAX ? child_path(parent, name) : NULL;
    if (path && strcmp(path, SYSTEM_NODE) == 0)
        free(path);
    else if (path)
        queue->paths[queue->count++] = path;
}

static void take_names(struct walk *walk, const char *parent, const struct mig_names *names)
{
    const char *name = names->bytes;
    for (uint32_t i = 0; i < names->count; i++) {
        enqueue(i < WALK_SIBLINGS ? &walk->first : &walk->rest, parent, name);
        name += strlen(name) + 1;
    }
}

static bool wants_listing(const struct mig_node *node)
{
    return node->kind == MIG_NODE_PRESENT && node->stat.numChildren > 0 &&
           node->stat.numChildren <= WALK_LISTING_MAX;
}

void survey_walk_answer(struct px_survey *survey, const struct mig_zk_result *result)
{
    struct walk *walk = &survey->walk;
    uint32_t slot = (uint32_t)result->seq;
    const char *path = walk->slots[slot].path;
    bool goes_on = false;
    walk->pending--;
    if (result->node) {
        mig_survey_node(&survey->now, path, result->node);
        goes_on = wants_listing(result->node) && ask(survey, slot, true);
    } else if (result->names) {
        take_names(walk, path, result->names);
    }
    if (!goes_on)
        slot_free(walk, slot);
    advance(survey);
}

void survey_walk_begin(struct px_survey *survey)
{
    struct walk *walk = &survey->walk;
    char *root = strdup("/");
    if (!root)
        return;
    walk->first.paths[walk->first.count++] = root;
    advance(survey);
}

bool survey_walk_is_over(const struct px_survey *survey)
{
    return survey->walk.pending == 0;
}

void survey_walk_done(struct walk *walk)
{
    for (uint32_t slot = 0; slot < WALK_SLOTS; slot++)
        slot_free(walk, slot);
    for (char *path; (path = queue_take(&walk->first)) || (path = queue_take(&walk->rest));)
        free(path);
    *walk = (struct walk){.asked = 0};
}
