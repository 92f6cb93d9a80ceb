/* One row of parts per opcode; a body is read part by part and must end with the last one. */
#include "zkproto/reply.h"

#include "zkproto/opcode.h"
#include "zkproto/request.h"

enum part { END, PATH, STAT, DATA, INT, NAMES, ACL, IDS, SUB_RESULTS };

#define STRING_MIN      4u
#define NAME_MIN        5u
#define STATE_CONNECTED 3   /* KeeperState.SyncConnected: the only one that servers send */
#define SEQUENCE_MAX    11u /* what is added to the path of a sequential node: a 32-bit number */

/* What follows the header. Without a row: check alone, which no library sends, and what only servers do. */
static const enum part *parts_of(int32_t op)
{
    static const enum part nothing[] = {END};
    static const enum part path[] = {PATH, END};
    static const enum part path_stat[] = {PATH, STAT, END};
    static const enum part stat[] = {STAT, END};
    static const enum part data_stat[] = {DATA, STAT, END};
    static const enum part data[] = {DATA, END};
    static const enum part names[] = {NAMES, END};
    static const enum part names_stat[] = {NAMES, STAT, END};
    static const enum part acl_stat[] = {ACL, STAT, END};
    static const enum part number[] = {INT, END};
    static const enum part ids[] = {IDS, END};
    static const enum part results[] = {SUB_RESULTS, END};
    static const enum part *const rows[ZKP_OPX_COUNT] = {
        [ZKP_OPX_CREATE] = path,
        [ZKP_OPX_DELETE] = nothing,
        [ZKP_OPX_EXISTS] = stat,
        [ZKP_OPX_GET_DATA] = data_stat,
        [ZKP_OPX_SET_DATA] = stat,
        [ZKP_OPX_GET_ACL] = acl_stat,
        [ZKP_OPX_SET_ACL] = stat,
        [ZKP_OPX_GET_CHILDREN] = names,
        [ZKP_OPX_SYNC] = path,
        [ZKP_OPX_PING] = nothing,
        [ZKP_OPX_GET_CHILDREN2] = names_stat,
        [ZKP_OPX_MULTI] = results,
        [ZKP_OPX_CREATE2] = path_stat,
        [ZKP_OPX_RECONFIG] = data_stat,
        [ZKP_OPX_CHECK_WATCHES] = nothing,
        [ZKP_OPX_REMOVE_WATCHES] = nothing,
        [ZKP_OPX_CREATE_CONTAINER] = path_stat,
        [ZKP_OPX_CREATE_TTL] = path_stat,
        [ZKP_OPX_AUTH] = nothing,
        [ZKP_OPX_SET_WATCHES] = nothing,
        [ZKP_OPX_SASL] = data,
        [ZKP_OPX_GET_EPHEMERALS] = names,
        [ZKP_OPX_GET_ALL_CHILDREN_NUMBER] = number,
        [ZKP_OPX_SET_WATCHES2] = nothing,
        [ZKP_OPX_ADD_WATCH] = number,
        [ZKP_OPX_WHO_AM_I] = ids,
        [ZKP_OPX_CLOSE_SESSION] = nothing,
    };
    return rows[zkp_op_index(op)];
}

/* Of a node: no name of one is empty or has a NUL. */
static bool is_name(struct zkp_slice s)
{
    return s.len > 0 && memchr(s.ptr, '\0', s.len) == NULL;
}

static bool is_path(struct zkp_slice s)
{
    return is_name(s) && s.ptr[0] == '/';
}

/* A failed reader gives null slices, which are no strings. Whoever made an ACL may have put a NUL into it. */
static bool rd_string(struct zkp_rd *r)
{
    return zkp_rd_buf(r).ptr != NULL;
}

static bool rd_path(struct zkp_rd *r)
{
    return is_path(zkp_rd_buf(r));
}

/* A vector's count that is not null. */
static bool rd_vector(struct zkp_rd *r, uint32_t element_min, uint32_t *ret_count)
{
    if (zkp_rd_left(r) < 4 || zkp_load_i32(r->pos) < 0)
        return false;
    *ret_count = zkp_rd_count(r, element_min);
    return zkp_rd_state(r) == RC_OK;
}

static bool rd_names(struct zkp_rd *r)
{
    uint32_t count = 0;
    bool is_good = rd_vector(r, NAME_MIN, &count);
    for (uint32_t i = 0; is_good && i < count; i++)
        is_good = is_name(zkp_rd_buf(r));
    return is_good;
}

/* {int perms, scheme, id}; of who_am_i {scheme, user}. */
static bool rd_ids(struct zkp_rd *r, bool has_perms)
{
    uint32_t count = 0;
    bool is_good = rd_vector(r, (has_perms ? 4 : 0) + STRING_MIN + STRING_MIN, &count);
    for (uint32_t i = 0; is_good && i < count; i++) {
        if (has_perms)
            zkp_rd_i32(r);
        is_good = rd_string(r) && rd_string(r);
    }
    return is_good;
}

/* What a successful sub-operation is answered with (MultiResponse.java): its own opcode, but that all creates
 * which tell a Stat may say create2. */
static bool rd_sub_result(struct zkp_rd *r, int32_t asked, int32_t type)
{
    switch (asked) {
    case ZKP_OP_CREATE:
        return type == asked && rd_path(r);
    case ZKP_OP_CREATE2:
    case ZKP_OP_CREATE_CONTAINER:
    case ZKP_OP_CREATE_TTL:
        return (type == asked || type == ZKP_OP_CREATE2) && rd_path(r) &&
               zkp_rd_raw(r, ZKP_STAT_LEN).ptr != NULL;
    case ZKP_OP_SET_DATA:
        return type == asked && zkp_rd_raw(r, ZKP_STAT_LEN).ptr != NULL;
    case ZKP_OP_DELETE:
    case ZKP_OP_CHECK:
        return type == asked;
    default:
        return false;
    }
}

/* {type, done, err} before each result and once more at the end; -1 is an error's type, {err} its body. */
static bool rd_sub_results(struct zkp_rd *r, const struct zkp_multi_types *multi)
{
    for (uint32_t i = 0;; i++) {
        int32_t type = zkp_rd_i32(r);
        bool is_done = zkp_rd_bool(r);
        zkp_rd_i32(r);
        if (zkp_rd_state(r) != RC_OK || multi == NULL)
            return false;
        if (is_done || i == multi->count)
            return is_done && i == multi->count;
        if (type == -1)
            zkp_rd_i32(r);
        else if (!rd_sub_result(r, multi->types[i], type))
            return false;
    }
}

static bool rd_part(struct zkp_rd *r, enum part part, const struct zkp_multi_types *multi)
{
    switch (part) {
    case PATH:
        return rd_path(r);
    case STAT:
        zkp_rd_raw(r, ZKP_STAT_LEN);
        break;
    case DATA:
        zkp_rd_buf(r);
        break;
    case INT:
        zkp_rd_i32(r);
        break;
    case NAMES:
        return rd_names(r);
    case ACL:
        return rd_ids(r, true);
    case IDS:
        return rd_ids(r, false);
    case SUB_RESULTS:
        return rd_sub_results(r, multi);
    case END:
        break;
    }
    return zkp_rd_state(r) == RC_OK;
}

enum rc zkp_reply_body_check(int32_t op, const struct zkp_multi_types *multi, struct zkp_slice body)
{
    const enum part *part = parts_of(op);
    struct zkp_rd r = zkp_rd_over(body);
    if (part == NULL)
        return RC_MALFORMED;
    while (*part != END)
        if (!rd_part(&r, *part++, multi))
            return RC_MALFORMED;
    return zkp_rd_done(&r) ? RC_OK : RC_MALFORMED;
}

uint32_t zkp_reply_body_max(int32_t op, uint32_t path_length)
{
    uint32_t max = 0;
    for (const enum part *part = parts_of(op); part != NULL && *part != END; part++) {
        switch (*part) {
        case PATH:
            max += STRING_MIN + path_length + SEQUENCE_MAX;
            break;
        case STAT:
            max += ZKP_STAT_LEN;
            break;
        case INT:
            max += 4;
            break;
        case DATA:
        case NAMES:
        case ACL:
        case IDS:
        case SUB_RESULTS:
            return UINT32_MAX;
        case END:
            break;
        }
    }
    return max;
}

enum rc zkp_event_body_check(struct zkp_slice body)
{
    struct zkp_watcher_event event;
    if (zkp_watcher_event_decode(body, &event) != RC_OK || event.type < ZKP_EVENT_CREATED ||
        event.type > ZKP_EVENT_CHILDREN_CHANGED || event.state != STATE_CONNECTED || !is_path(event.path))
        return RC_MALFORMED;
    return RC_OK;
}
