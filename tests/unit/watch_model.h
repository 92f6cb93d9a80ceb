/* A watch set that is slow and obvious, to be compared with the real one: the server's two tables as a list
 * of (table, mode, path), and the requests that wait for their reply. Header only; for unit tests and the
 * fuzz target of the session. */
#ifndef TESTS_UNIT_WATCH_MODEL_H
#define TESTS_UNIT_WATCH_MODEL_H

#include "proxy/session/watch_set.h"
#include "zkproto/assert.h"
#include "zkproto/cursor.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/zkerr.h"

#define MODEL_ROWS_MAX  1024u
#define MODEL_QUEUE_MAX 512u
#define MODEL_PATH_MAX  256u

struct model_path {
    uint32_t length;
    uint8_t bytes[MODEL_PATH_MAX];
};

struct model_row {
    char table; /* D, C */
    char mode;  /* d found, e missing, c child, p, r */
    struct model_path path;
};

struct model_request {
    int32_t op;
    int32_t value;
    bool has_path; /* with the watch flag where there is one */
    struct model_path path;
};

struct watch_model {
    uint32_t row_count;
    uint32_t head;
    uint32_t tail;
    bool is_unknown;
    bool is_full; /* the model's own limits: nothing more can be said */
    enum px_watch_rule rule;
    struct model_row rows[MODEL_ROWS_MAX];
    struct model_request queue[MODEL_QUEUE_MAX];
};

static inline bool model_same(const struct model_path *a, struct zkp_slice b)
{
    return zkp_slice_eq(zkp_slice_of(a->bytes, a->length), b);
}

static inline bool model_keep(struct watch_model *model, struct model_path *to, struct zkp_slice from)
{
    if (from.len > MODEL_PATH_MAX) {
        model->is_full = true;
        return false;
    }
    to->length = from.len;
    if (from.len > 0)
        memcpy(to->bytes, from.ptr, from.len);
    return true;
}

/* Rows of the path whose table and mode are named; "*" names all. */
static inline void model_delete(struct watch_model *model, struct zkp_slice path, char table,
                                const char *modes)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < model->row_count; i++) {
        const struct model_row *row = &model->rows[i];
        bool is_named = row->table == table && (*modes == '*' || strchr(modes, row->mode) != NULL);
        if (!is_named || !model_same(&row->path, path))
            model->rows[kept++] = *row;
    }
    model->row_count = kept;
}

static inline void model_insert(struct watch_model *model, struct zkp_slice path, char table, char mode)
{
    struct model_row *row;

    if (model->rule == PX_WATCH_ONE_MODE)
        model_delete(model, path, table, "*");
    else
        model_delete(model, path, table, mode == 'd' || mode == 'e' ? "de" : (char[]){mode, '\0'});
    if (model->row_count == MODEL_ROWS_MAX) {
        model->is_full = true;
        return;
    }
    row = &model->rows[model->row_count];
    if (!model_keep(model, &row->path, path))
        return;
    row->table = table;
    row->mode = mode;
    model->row_count++;
}

static inline void model_add(struct watch_model *model, struct zkp_slice path, enum zkp_watch_list list)
{
    model_insert(model, path, list == ZKP_LIST_CHILD ? 'C' : 'D', "decpr"[list]);
    if (list == ZKP_LIST_PERSISTENT || (list == ZKP_LIST_RECURSIVE && model->rule == PX_WATCH_ONE_MODE))
        model_insert(model, path, 'C', "decpr"[list]);
}

static inline void model_fire(struct watch_model *model, struct zkp_slice path, int32_t type)
{
    if (type == 1 || type == 2 || type == 3)
        model_delete(model, path, 'D', "de");
    if (type == 2 || type == 4)
        model_delete(model, path, 'C', "c");
}

static inline void model_remove(struct watch_model *model, struct zkp_slice path, int32_t type)
{
    bool is_one_mode = model->rule == PX_WATCH_ONE_MODE;

    if (type == 1 || type == 3)
        model_delete(model, path, 'C', is_one_mode || type == 3 ? "*" : "c");
    if (type == 2 || type == 3)
        model_delete(model, path, 'D', is_one_mode || type == 3 ? "*" : "de");
    if (type == 4 || type == 5) {
        model_delete(model, path, 'D', type == 4 ? "p" : "r");
        model_delete(model, path, 'C', type == 4 ? "p" : "r");
    }
}

static inline enum rc model_set_watches_path(void *context, enum zkp_watch_list list, struct zkp_slice path)
{
    if (path.ptr == NULL)
        return RC_FULL;
    model_add(context, path, list);
    return RC_OK;
}

static inline void model_want(struct watch_model *model, struct model_request *request, struct zkp_slice path)
{
    if (path.ptr == NULL) {
        model->is_unknown = true;
        return;
    }
    request->has_path = model_keep(model, &request->path, path);
}

static inline void model_parse(struct watch_model *model, struct model_request *request,
                               struct zkp_slice body)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_slice path;
    int64_t relative_zxid;

    switch (request->op) {
    case ZKP_OP_EXISTS:
    case ZKP_OP_GET_DATA:
    case ZKP_OP_GET_CHILDREN:
    case ZKP_OP_GET_CHILDREN2:
        path = zkp_rd_buf(&r);
        if (zkp_rd_bool(&r) && r.state == RC_OK)
            model_want(model, request, path);
        break;
    case ZKP_OP_ADD_WATCH:
    case ZKP_OP_REMOVE_WATCHES:
        path = zkp_rd_buf(&r);
        request->value = zkp_rd_i32(&r);
        if (r.state == RC_OK)
            model_want(model, request, path);
        break;
    case ZKP_OP_SET_WATCHES:
    case ZKP_OP_SET_WATCHES2:
        if (zkp_set_watches_decode(body, request->op == ZKP_OP_SET_WATCHES2, &relative_zxid,
                                   model_set_watches_path, model) != RC_OK)
            model->is_unknown = true;
        break;
    default:
        break;
    }
}

/* A request was given to the server: header and body. Not for auth and sasl. */
static inline void model_on_request(struct watch_model *model, struct zkp_slice frame)
{
    struct model_request *request = &model->queue[model->tail % MODEL_QUEUE_MAX];

    if (model->tail - model->head == MODEL_QUEUE_MAX) {
        model->is_full = true;
        return;
    }
    model->tail++;
    *request = (struct model_request){.op = zkp_load_i32(frame.ptr + 4)};
    if (!model->is_unknown)
        model_parse(model, request, zkp_slice_of(frame.ptr + 8, frame.len - 8));
}

static inline void model_on_reply(struct watch_model *model, int32_t err)
{
    const struct model_request *request = &model->queue[model->head++ % MODEL_QUEUE_MAX];
    struct zkp_slice path = zkp_slice_of(request->path.bytes, request->path.length);
    int32_t op = request->op;

    if ((op == ZKP_OP_SET_WATCHES || op == ZKP_OP_SET_WATCHES2) && err != 0)
        model->is_unknown = true;
    if (!request->has_path)
        return;
    if (op == ZKP_OP_EXISTS && err == ZKP_ERR_NO_NODE)
        model_add(model, path, ZKP_LIST_EXIST);
    if (err != 0)
        return;
    if (op == ZKP_OP_EXISTS || op == ZKP_OP_GET_DATA)
        model_add(model, path, ZKP_LIST_DATA);
    if (op == ZKP_OP_GET_CHILDREN || op == ZKP_OP_GET_CHILDREN2)
        model_add(model, path, ZKP_LIST_CHILD);
    if (op == ZKP_OP_ADD_WATCH && request->value == 0)
        model_add(model, path, ZKP_LIST_PERSISTENT);
    if (op == ZKP_OP_ADD_WATCH && request->value == 1)
        model_add(model, path, ZKP_LIST_RECURSIVE);
    if (op == ZKP_OP_REMOVE_WATCHES)
        model_remove(model, path, request->value);
}

/* An event was passed on: header and body. */
static inline void model_on_event(struct watch_model *model, struct zkp_slice frame)
{
    struct zkp_watcher_event event;

    if (model->row_count == 0 || model->is_unknown)
        return; /* the body may not even be there */
    if (zkp_watcher_event_decode(zkp_slice_of(frame.ptr + 16, frame.len - 16), &event) != RC_OK)
        model->is_unknown = true;
    else if (event.path.ptr != NULL)
        model_fire(model, event.path, event.type);
}

static inline bool model_has(const struct watch_model *model, struct zkp_slice path, char mode)
{
    for (uint32_t i = 0; i < model->row_count; i++)
        if (model->rows[i].mode == mode && model_same(&model->rows[i].path, path))
            return true;
    return false;
}

/* Everything of the model is in the set, and nothing else. */
static inline void model_check(const struct watch_model *model, const struct px_watch_set *set)
{
    if (model->is_full)
        return;
    ASSERT(set->is_unknown == model->is_unknown);
    if (model->is_unknown) {
        ASSERT(px_watch_set_paths(set) == 0);
        return;
    }
    for (uint32_t i = 0; i < model->row_count; i++) {
        const struct model_row *row = &model->rows[i];
        uint32_t list = (uint32_t)strcspn("decpr", (char[]){row->mode, 0});
        ASSERT(px_watch_set_has(set, (enum zkp_watch_list)list,
                                zkp_slice_of(row->path.bytes, row->path.length)));
    }
    for (uint32_t list = 0; list < ZKP_LIST_COUNT; list++) {
        struct zkp_slice path;
        uint32_t count = 0;
        for (uint32_t at = 0; px_watch_set_next(set, (enum zkp_watch_list)list, &at, &path); count++)
            ASSERT(model_has(model, path, "decpr"[list]));
        ASSERT(px_watch_set_count(set, (enum zkp_watch_list)list) == count);
        ASSERT(set->space->totals[list] >= count);
    }
}

#endif
