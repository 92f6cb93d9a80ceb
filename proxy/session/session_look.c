/* RESTORING, after a loss, for lasting watches: SetWatches2 catches up with nothing (protocol.md §2.3), so
 * that what lies between the last marker M and the next server's registration S must be known. It is, where
 * the nodes themselves tell that none of their events can have been fired: every Stat that such a watch
 * covers has czxid, mzxid and pzxid <= M. All reads come after S, and what happens behind S is the watch's to
 * tell; it can hide what was before it, and then nothing is known. Whose transactions are in between
 * (expiries, containers, TTLs, other clients) does not matter.
 *
 *   persistent   exists; a missing node: exists of what is above it, up to one that has lost no child
 *   recursive    the same, and its whole tree: getChildren2, whose list and Stat are of one moment
 *
 * Asked with the client's own rights, many at a time, up to a limit. Pure. */
#include <string.h>

#include "proxy/session/session_int.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/zkerr.h"

/* A client that is told to reconnect reads what it watches again: it is asked for no more than that, and a
 * large cache is cheaper closed. */
#define LOOKS_MAX      4096u
#define LOOK_BYTES_MAX (512u * 1024u)
#define LOOKS_AT_ONCE  64u
/* Its requests wait meanwhile. */
#define LOOK_MAX_MS 3000
/* Of an entry of `looks`: kind, length of its path. */
#define LOOK_HEAD 5u

enum look_kind {
    LOOK_NODE,     /* exists: of a persistent watch */
    LOOK_TREE,     /* exists: of a recursive one */
    LOOK_BELOW,    /* exists: was in the list of a node of the tree */
    LOOK_CHILDREN, /* getChildren2 of a node of the tree */
    LOOK_ABOVE,    /* exists: what is below it is not there */
};

static const struct zkp_slice none = {0};

static const uint8_t *head(const struct session_transfer *transfer)
{
    return transfer->looks.bytes + transfer->looks.start;
}

static struct zkp_slice path_at(const struct session_transfer *transfer, uint32_t offset)
{
    const uint8_t *entry = head(transfer) + offset;

    return zkp_slice_of(entry + LOOK_HEAD, (uint32_t)zkp_load_i32(entry + 1));
}

/* One more to look at: the first `keep` bytes of the path at the head, a slash where one is due, and `name`.
 */
static void add(struct session_transfer *transfer, enum look_kind kind, uint32_t keep, struct zkp_slice name)
{
    bool has_slash = keep > 1 && name.len > 0;
    uint32_t length = keep + has_slash + name.len;
    uint8_t *entry;

    if (transfer->looks_made == LOOKS_MAX || length > LOOK_BYTES_MAX - LOOK_HEAD - transfer->looks.length ||
        px_buffer_reserve(&transfer->looks, LOOK_HEAD + length) != RC_OK) {
        transfer->is_unclear = true;
        return;
    }
    transfer->looks_made++;
    entry = px_buffer_extend(&transfer->looks, LOOK_HEAD + length); /* reserved: the head stays where it is */
    entry[0] = (uint8_t)kind;
    zkp_store_i32(entry + 1, (int32_t)length);
    if (keep > 0)
        memcpy(entry + LOOK_HEAD, head(transfer) + LOOK_HEAD, keep);
    if (has_slash)
        entry[LOOK_HEAD + keep] = '/';
    if (name.len > 0)
        memcpy(entry + LOOK_HEAD + keep + has_slash, name.ptr, name.len);
}

static void add_watched(struct session_data *data, enum zkp_watch_list list, enum look_kind kind)
{
    struct zkp_slice path;

    for (uint32_t at = 0; !data->transfer->is_unclear && px_watch_set_next(&data->watches, list, &at, &path);)
        add(data->transfer, kind, 0, path);
}

/* --- asking --- */

static enum rc append_look(struct session_transfer *transfer)
{
    uint8_t kind = head(transfer)[transfer->looks_sent];
    struct zkp_slice path = path_at(transfer, transfer->looks_sent);
    uint32_t length = ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN + 4 + path.len + 1;
    uint8_t *frame = px_buffer_extend(&transfer->out, length);
    struct zkp_wr w = zkp_wr_over(frame, length);

    if (frame == NULL)
        return RC_NOMEM;
    zkp_wr_i32(&w, (int32_t)(length - ZKP_FRAME_PREFIX));
    zkp_wr_i32(&w, SESSION_XID_OURS);
    zkp_wr_i32(&w, kind == LOOK_CHILDREN ? ZKP_OP_GET_CHILDREN2 : ZKP_OP_EXISTS);
    zkp_wr_buf(&w, path);
    zkp_wr_bool(&w, false); /* no watch */
    transfer->looks_sent += LOOK_HEAD + path.len;
    transfer->looks_out++;
    return zkp_wr_done(&w);
}

/* What is asked for must be answered before anything else can be done with the connection. */
static enum px_session_state go_on(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    if (transfer->out.length > 0)
        px_buffer_skip(&transfer->out, transfer->out.length);
    while (!transfer->is_unclear && transfer->looks_out < LOOKS_AT_ONCE &&
           transfer->looks_sent < transfer->looks.length)
        if (append_look(transfer) != RC_OK)
            return session_fail_attempt(data, actions);
    session_put(actions, PX_ACTION_PUT_NEXT, px_buffer_slice(&transfer->out));
    return transfer->looks_out > 0 ? PX_SESSION_RESTORING : session_finish(data, event, actions);
}

enum px_session_state session_look(struct session_data *data, const struct px_event *event,
                                   struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;

    session_enter_stage(transfer, event, STAGE_LOOK);
    transfer->look_ms = event->now_ms;
    transfer->was_looked = true;
    add_watched(data, ZKP_LIST_PERSISTENT, LOOK_NODE);
    add_watched(data, ZKP_LIST_RECURSIVE, LOOK_TREE);
    return go_on(data, event, actions);
}

/* --- the answers --- */

static int64_t stat_i64(struct zkp_slice stat, uint32_t offset)
{
    return zkp_load_i64(stat.ptr + offset);
}

/* Neither made nor changed since M, and no child of it made or deleted. The config's own change is known by
 * its zxid. */
static bool is_unchanged(struct session_transfer *transfer, struct zkp_slice stat)
{
    int64_t from = transfer->old_zxid;
    int64_t changed = stat_i64(stat, ZKP_STAT_MZXID_OFFSET);

    if (stat_i64(stat, ZKP_STAT_CZXID_OFFSET) > from || stat_i64(stat, ZKP_STAT_PZXID_OFFSET) > from)
        return false;
    if (changed <= from)
        return true;
    if (!zkp_slice_eq(path_at(transfer, 0), zkp_slice_str(SESSION_CONFIG_NODE)))
        return false;
    transfer->config_zxid = changed;
    return true;
}

/* Where no child was made or deleted since M, none was there. */
static void look_above(struct session_transfer *transfer)
{
    struct zkp_slice path = path_at(transfer, 0);
    uint32_t keep = path.len;

    while (keep > 0 && path.ptr[keep - 1] != '/')
        keep--;
    if (keep == 0 || path.len == 1)
        transfer->is_unclear = true;
    else
        add(transfer, LOOK_ABOVE, keep == 1 ? 1 : keep - 1, none);
}

static void on_node(struct session_transfer *transfer, enum look_kind kind, struct zkp_slice stat)
{
    uint32_t children = (uint32_t)zkp_load_i32(stat.ptr + ZKP_STAT_NUM_CHILDREN_OFFSET);
    int64_t from = transfer->old_zxid;

    if (kind == LOOK_ABOVE)
        transfer->is_unclear =
            stat_i64(stat, ZKP_STAT_CZXID_OFFSET) > from || stat_i64(stat, ZKP_STAT_PZXID_OFFSET) > from;
    else if (!is_unchanged(transfer, stat))
        transfer->is_unclear = true;
    else if (kind != LOOK_NODE && children > LOOKS_MAX - transfer->looks_made)
        transfer->is_unclear = true;
    else if (kind != LOOK_NODE && children > 0)
        add(transfer, LOOK_CHILDREN, path_at(transfer, 0).len, none);
}

static void on_children(struct session_transfer *transfer, struct zkp_slice body)
{
    struct zkp_rd r = zkp_rd_over(body);
    uint32_t count = zkp_rd_count(&r, 4);

    for (uint32_t i = 0; i < count && zkp_rd_state(&r) == RC_OK && !transfer->is_unclear; i++)
        add(transfer, LOOK_BELOW, path_at(transfer, 0).len, zkp_rd_buf(&r));
    struct zkp_slice stat = zkp_rd_raw(&r, ZKP_STAT_LEN);
    /* Also what was deleted since the node was looked at may have been changed before. */
    if (!zkp_rd_done(&r) || !is_unchanged(transfer, stat))
        transfer->is_unclear = true;
}

static void on_answer(struct session_transfer *transfer, const struct zkp_reply_header *header,
                      struct zkp_slice body)
{
    enum look_kind kind = (enum look_kind)head(transfer)[0];
    bool was_listed = kind == LOOK_BELOW || kind == LOOK_CHILDREN;

    if (header->err == ZKP_ERR_NO_NODE && !was_listed)
        look_above(transfer);
    else if (header->err != 0) /* no right to know, or gone since: with what had happened to it before */
        transfer->is_unclear = true;
    else if (kind == LOOK_CHILDREN)
        on_children(transfer, body);
    else if (body.len == ZKP_STAT_LEN)
        on_node(transfer, kind, body);
    else
        transfer->is_unclear = true;
}

enum px_session_state on_look_reply(struct session_data *data, const struct px_event *event,
                                    const struct zkp_reply_header *header, struct px_actions *actions)
{
    struct session_transfer *transfer = data->transfer;
    uint32_t length;

    if (header->xid != SESSION_XID_OURS || transfer->looks_out == 0)
        return session_fail_attempt(data, actions);
    transfer->look_ms = event->now_ms;
    if (event->now_ms - transfer->stage_ms >= LOOK_MAX_MS)
        transfer->is_unclear = true;
    if (!transfer->is_unclear)
        on_answer(transfer, header,
                  zkp_slice_of(event->body.ptr + ZKP_REPLY_HEADER_LEN, event->length - ZKP_REPLY_HEADER_LEN));
    length = LOOK_HEAD + path_at(transfer, 0).len;
    px_buffer_skip(&transfer->looks, length);
    transfer->looks_sent -= length;
    transfer->looks_out--;
    return go_on(data, event, actions);
}
