/* Watches on their way: what a request asks for, what its reply makes of that, what an event takes away
 * (protocol.md §2.1–2.3). Registered on the reply, because the path's events follow it; SetWatches at once,
 * because its catch-up events come before its reply and remove again. Pure.
 *
 * Bodies are read as the server reads them: what stands behind the last field is ignored. */
#include "proxy/session/session_int.h"
#include "zkproto/cursor.h"
#include "zkproto/header.h"
#include "zkproto/zkerr.h"

enum add_watch_mode { MODE_PERSISTENT, MODE_RECURSIVE };

static struct zkp_slice behind(struct zkp_slice body, uint32_t header_length)
{
    return zkp_slice_of(body.ptr + header_length, body.len - header_length);
}

static bool has_room(const struct session_data *data, struct zkp_slice path)
{
    uint64_t held = (uint64_t)data->watches.path_bytes + data->wishes.path_bytes;

    return path.ptr != NULL && path.len <= PX_WATCH_BYTES_MAX && held + path.len <= PX_WATCH_BYTES_MAX;
}

/* Keeps the path until the reply. */
static void wish(struct session_data *data, struct px_request *request, struct zkp_slice path, int32_t value)
{
    struct px_watch_space *space = data->watches.space;
    struct px_watch_wish wish = {.value = value};

    if (!has_room(data, path) || px_path_pool_take(space->paths, path, &wish.path) != RC_OK ||
        px_watch_queue_push(&data->wishes, space->paths, &space->blocks, wish) != RC_OK)
        px_watch_set_give_up(&data->watches);
    else
        request->watch = PX_REQUEST_WATCH_WISHED;
}

/* Of most reads: path, and a last byte that says no. */
static bool is_plain_read(struct zkp_slice body)
{
    return body.len > 4 && zkp_load_i32(body.ptr) == (int32_t)(body.len - 5) && body.ptr[body.len - 1] == 0;
}

/* A read or an addWatch that the server can't read sets nothing there either. */
static void wish_read(struct session_data *data, struct zkp_slice body, struct px_request *request)
{
    if (is_plain_read(body))
        return;

    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_slice path = zkp_rd_buf(&r);

    if (zkp_rd_bool(&r))
        wish(data, request, path, 0);
}

static void wish_path_int(struct session_data *data, struct zkp_slice body, struct px_request *request)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_slice path = zkp_rd_buf(&r);
    int32_t value = zkp_rd_i32(&r);

    if (zkp_rd_state(&r) == RC_OK)
        wish(data, request, path, value);
}

struct set_watches {
    struct session_data *data;
    enum px_watch_rule rule;
};

static enum rc register_path(void *context, enum zkp_watch_list list, struct zkp_slice bytes)
{
    struct set_watches *set = context;
    struct px_watch_set *watches = &set->data->watches;
    struct px_path *path;

    if (!has_room(set->data, bytes) || px_path_pool_take(watches->space->paths, bytes, &path) != RC_OK)
        return RC_FULL;
    px_watch_set_add(watches, path, list, set->rule);
    px_path_drop(watches->space->paths, path);
    return watches->is_unknown ? RC_FULL : RC_OK;
}

/* A client sends it before anything else could set a watch on its connection. One sent later, for a path
 * whose older watch fires meanwhile, is taken for fired too. */
static void register_now(struct session_data *data, const struct px_event *event, struct px_request *request)
{
    struct set_watches set = {.data = data, .rule = event->watch_rule};
    int64_t relative_zxid;

    request->watch = PX_REQUEST_WATCH_SENT;
    if (zkp_set_watches_decode(behind(event->body, ZKP_REQUEST_HEADER_LEN),
                               request->op == ZKP_OPX_SET_WATCHES2, &relative_zxid, register_path,
                               &set) != RC_OK)
        px_watch_set_give_up(&data->watches);
}

void session_watch_request(struct session_data *data, const struct px_event *event,
                           struct px_request *request)
{
    struct zkp_slice body = behind(event->body, ZKP_REQUEST_HEADER_LEN);

    if (data->watches.is_unknown)
        return;
    if (request->op == ZKP_OPX_SET_WATCHES || request->op == ZKP_OPX_SET_WATCHES2)
        register_now(data, event, request);
    else if (request->op == ZKP_OPX_ADD_WATCH || request->op == ZKP_OPX_REMOVE_WATCHES)
        wish_path_int(data, body, request);
    else
        wish_read(data, body, request);
}

/* Which list a reply puts the path on; ZKP_LIST_COUNT = none. The whole table of protocol.md §2.1. */
static enum zkp_watch_list list_granted(uint8_t op, int32_t err, int32_t value)
{
    if (op == ZKP_OPX_EXISTS && err == ZKP_ERR_NO_NODE)
        return ZKP_LIST_EXIST;
    if (err != ZKP_ERR_OK)
        return ZKP_LIST_COUNT;
    if (op == ZKP_OPX_EXISTS || op == ZKP_OPX_GET_DATA)
        return ZKP_LIST_DATA;
    if (op == ZKP_OPX_GET_CHILDREN || op == ZKP_OPX_GET_CHILDREN2)
        return ZKP_LIST_CHILD;
    if (op == ZKP_OPX_ADD_WATCH && value == MODE_PERSISTENT)
        return ZKP_LIST_PERSISTENT;
    if (op == ZKP_OPX_ADD_WATCH && value == MODE_RECURSIVE)
        return ZKP_LIST_RECURSIVE;
    return ZKP_LIST_COUNT;
}

static void grant(struct session_data *data, const struct px_event *event, const struct px_request *request,
                  int32_t err)
{
    struct px_watch_wish wish = px_watch_queue_pop(&data->wishes);
    enum zkp_watch_list list = list_granted(request->op, err, wish.value);

    if (list != ZKP_LIST_COUNT)
        px_watch_set_add(&data->watches, wish.path, list, event->watch_rule);
    else if (request->op == ZKP_OPX_REMOVE_WATCHES && err == ZKP_ERR_OK)
        px_watch_set_remove(&data->watches, wish.path, wish.value, event->watch_rule);
    px_path_drop(data->watches.space->paths, wish.path);
}

void session_watch_reply(struct session_data *data, const struct px_event *event,
                         const struct px_request *request, int32_t err)
{
    switch ((enum px_request_watch)request->watch) {
    case PX_REQUEST_WATCH_WISHED:
        grant(data, event, request, err);
        break;
    case PX_REQUEST_WATCH_SENT: /* which of them would have been new is not known any more */
        if (err != ZKP_ERR_OK)
            px_watch_set_give_up(&data->watches);
        break;
    case PX_REQUEST_WATCH_NONE:
        break;
    }
}

bool session_watch_event(struct session_data *data, struct zkp_slice body, bool is_catch_up)
{
    struct zkp_watcher_event fired;
    bool is_awaited;

    if (data->watches.is_unknown)
        return true;
    if (px_watch_set_paths(&data->watches) == 0)
        return false; /* the body may not even be there */
    if (body.len < ZKP_REPLY_HEADER_LEN ||
        zkp_watcher_event_decode(behind(body, ZKP_REPLY_HEADER_LEN), &fired) != RC_OK) {
        px_watch_set_give_up(&data->watches);
        return true;
    }
    is_awaited = is_catch_up ? px_watch_set_awaits_once(&data->watches, &fired)
                             : px_watch_set_awaits(&data->watches, &fired);
    px_watch_set_event(&data->watches, &fired);
    return is_awaited;
}
