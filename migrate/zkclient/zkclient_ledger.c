/* See zkclient_ledger.h. */
#include "migrate/zkclient/zkclient_ledger.h"

#include "zkproto/assert.h"
#include "zkproto/connect.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/reply.h"
#include "zkproto/request.h"

#define CONNECT_RESPONSE_MAX 37u
#define EVENT_PATH_MAX       (1u << 20) /* nodes' paths come in requests, which have this limit */
/* The library computes with it in 32 bits; no server grants a session for longer than a day. */
#define TIMEOUT_MAX_MS (24 * 3600 * 1000)

static const char *op_name(int32_t op)
{
    return zkp_op_row(zkp_op_index(op))->name;
}

/* --- the library's side --- */

static enum rc ask_to_connect(struct zk_ledger *ledger, struct zkp_slice body, struct err *err)
{
    struct zkp_connect_request request;
    if (zkp_connect_request_decode(body, &request) != RC_OK)
        return err_set(err, RC_MALFORMED, "the client library sent no ConnectRequest");
    ledger->has_asked = true;
    ledger->session_id = request.session_id;
    return RC_OK;
}

static enum rc note_multi(void *context, int32_t type, struct zkp_slice path)
{
    (void)path;
    struct zk_owed *owed = context;
    if (owed->multi_count == ZK_MULTI_MAX)
        return RC_FULL;
    owed->multi[owed->multi_count++] = type;
    return RC_OK;
}

/* What has an xid of its kind instead of its own is counted: the library does not care in which order these
 * are answered, and servers let them overtake. NULL: a request with its place in the line. */
static uint32_t *apart_of(struct zk_ledger *ledger, int32_t xid)
{
    switch (xid) {
    case ZKP_XID_PING:
        return &ledger->pings;
    case ZKP_XID_AUTH:
        return &ledger->auths;
    case ZKP_XID_SET_WATCHES:
        return &ledger->set_watches;
    default:
        return NULL;
    }
}

static bool sets_watch(int32_t op, struct zkp_slice rest)
{
    struct zkp_path_watch read;
    if (op == ZKP_OP_SET_WATCHES || op == ZKP_OP_SET_WATCHES2 || op == ZKP_OP_ADD_WATCH)
        return true;
    return zkp_op_row(zkp_op_index(op))->may_watch &&
           (zkp_path_watch_decode(rest, &read) != RC_OK || read.watch);
}

enum rc zk_ledger_request(struct zk_ledger *ledger, struct zkp_slice body, struct err *err)
{
    struct zkp_request_header header;
    if (!ledger->has_asked)
        return ask_to_connect(ledger, body, err);
    if (zkp_request_header_decode(body, &header) != RC_OK)
        return err_set(err, RC_MALFORMED, "the client library sent %u bytes that are no request", body.len);
    uint32_t *apart = apart_of(ledger, header.xid);
    struct zkp_slice rest =
        zkp_slice_of(body.ptr + ZKP_REQUEST_HEADER_LEN, body.len - ZKP_REQUEST_HEADER_LEN);
    ledger->may_fire = ledger->may_fire || sets_watch(header.type, rest);
    if (apart != NULL) {
        ++*apart;
        return RC_OK;
    }
    if (ledger->count == ZK_OWED_MAX)
        return err_set(err, RC_FULL, "%u requests are unanswered", ledger->count);
    struct zk_owed owed = {.xid = header.xid, .op = header.type, .path_length = rest.len};
    if (header.type == ZKP_OP_MULTI && zkp_multi_request_walk(rest, note_multi, &owed) != RC_OK)
        return err_set(err, RC_MALFORMED, "a multi of more than %u operations", ZK_MULTI_MAX);
    ledger->owed[(ledger->first + ledger->count++) % ZK_OWED_MAX] = owed;
    return RC_OK;
}

/* --- the server's side --- */

static const struct zk_owed *head_of(const struct zk_ledger *ledger)
{
    return ledger->count > 0 ? &ledger->owed[ledger->first] : NULL;
}

static enum rc connected(struct zk_ledger *ledger, struct zkp_slice body, struct err *err)
{
    struct zkp_connect_response r;
    if (!ledger->has_asked)
        return err_set(err, RC_MALFORMED, "it spoke before it was asked");
    if (zkp_connect_response_decode(body, &r) != RC_OK || r.password.len != ZKP_PASSWORD_LEN)
        return err_set(err, RC_MALFORMED, "its %u bytes are no ConnectResponse", body.len);
    bool is_expired = r.timeout_ms <= 0 && r.session_id == 0;
    if (is_expired && ledger->session_id == 0)
        return err_set(err, RC_MALFORMED, "its ConnectResponse to a new session says expired");
    if (!is_expired && (r.timeout_ms <= 0 || r.timeout_ms > TIMEOUT_MAX_MS))
        return err_set(err, RC_MALFORMED, "its ConnectResponse has a session timeout of %d ms", r.timeout_ms);
    if (!is_expired && (r.session_id == 0 || (ledger->session_id != 0 && r.session_id != ledger->session_id)))
        return err_set(err, RC_MALFORMED, "its ConnectResponse names another session");
    /* The library would look for a writable one with a blocking connect (stack.md §1). */
    if (r.read_only)
        return err_set(err, RC_REFUSED, "the server is read-only");
    ledger->is_attached = true;
    ledger->session_id = r.session_id;
    return RC_OK;
}

static enum rc event(const struct zk_ledger *ledger, int32_t err_code, struct zkp_slice rest, struct err *err)
{
    if (!ledger->may_fire)
        return err_set(err, RC_MALFORMED, "a watch event, and no watch was set");
    if (err_code != 0 || zkp_event_body_check(rest) != RC_OK)
        return err_set(err, RC_MALFORMED, "a watch event of %u bytes that is none", rest.len);
    return RC_OK;
}

static enum rc answered_apart(uint32_t *owed, const struct zkp_reply_header *header, struct zkp_slice rest,
                              struct err *err)
{
    if (*owed == 0)
        return err_set(err, RC_MALFORMED, "a reply to a request that was never sent (xid %d)", header->xid);
    if (rest.len > 0 || header->err > 0)
        return err_set(err, RC_MALFORMED, "a reply with xid %d, error %d and %u bytes", header->xid,
                       header->err, rest.len);
    --*owed;
    return RC_OK;
}

static enum rc answered(struct zk_ledger *ledger, const struct zkp_reply_header *header,
                        struct zkp_slice rest, struct err *err)
{
    const struct zk_owed *owed = head_of(ledger);
    if (owed == NULL)
        return err_set(err, RC_MALFORMED, "a reply to a request that was never sent (xid %d)", header->xid);
    if (header->xid != owed->xid)
        return err_set(err, RC_MALFORMED, "a reply with xid %d where %s's, %d, is due", header->xid,
                       op_name(owed->op), owed->xid);
    const struct zkp_multi_types multi = {.types = owed->multi, .count = owed->multi_count};
    bool fits = header->err == 0 ? zkp_reply_body_check(owed->op, &multi, rest) == RC_OK
                                 : header->err < 0 && rest.len == 0;
    if (!fits)
        return err_set(err, RC_MALFORMED, "a reply to %s, error %d, with %u bytes that don't fit",
                       op_name(owed->op), header->err, rest.len);
    ledger->first = (ledger->first + 1) % ZK_OWED_MAX;
    ledger->count--;
    return RC_OK;
}

enum rc zk_ledger_reply(struct zk_ledger *ledger, struct zkp_slice body, struct err *err)
{
    struct zkp_reply_header header;
    if (!ledger->is_attached)
        return connected(ledger, body, err);
    if (zkp_reply_header_decode(body, &header) != RC_OK)
        return err_set(err, RC_MALFORMED, "a frame of %u bytes", body.len);
    struct zkp_slice rest = zkp_slice_of(body.ptr + ZKP_REPLY_HEADER_LEN, body.len - ZKP_REPLY_HEADER_LEN);
    if (header.xid == ZKP_XID_EVENT)
        return event(ledger, header.err, rest, err);
    uint32_t *apart = apart_of(ledger, header.xid);
    if (apart != NULL)
        return answered_apart(apart, &header, rest, err);
    return answered(ledger, &header, rest, err);
}

/* The most bytes behind the header of a frame with this xid. */
static uint32_t rest_max(const struct zk_ledger *ledger, int32_t xid)
{
    const struct zk_owed *owed = head_of(ledger);
    if (xid == ZKP_XID_EVENT)
        return ledger->may_fire ? EVENT_PATH_MAX : 0;
    if (owed == NULL || owed->xid != xid)
        return 0;
    return zkp_reply_body_max(owed->op, owed->path_length);
}

enum rc zk_ledger_length(const struct zk_ledger *ledger, uint32_t length, struct zkp_slice begin,
                         struct err *err)
{
    if (length == 0)
        return err_set(err, RC_MALFORMED, "a frame of 0 bytes");
    uint32_t max = CONNECT_RESPONSE_MAX;
    if (ledger->is_attached) {
        struct zkp_reply_header header;
        if (zkp_reply_header_decode(begin, &header) != RC_OK) {
            ASSERT(begin.len == length);
            return RC_OK; /* a whole frame, too short: the reply's own check says so */
        }
        uint32_t rest = rest_max(ledger, header.xid);
        max = rest < ZK_FRAME_MAX ? ZKP_REPLY_HEADER_LEN + rest : ZK_FRAME_MAX;
    }
    if (length > max)
        return err_set(err, RC_TOO_BIG, "a frame of %u bytes where at most %u can be due", length, max);
    return RC_OK;
}
