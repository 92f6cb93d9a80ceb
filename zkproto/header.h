/* Request and reply headers, special xids (protocol.md §1.1, §1.3). Pure. */
#ifndef ZKPROTO_HEADER_H
#define ZKPROTO_HEADER_H

#include "zkproto/cursor.h"
#include "zkproto/err.h"
#include "zkproto/slice.h"

#define ZKP_REQUEST_HEADER_LEN 8u
#define ZKP_REPLY_HEADER_LEN   16u

enum zkp_xid {
    ZKP_XID_EVENT = -1,
    ZKP_XID_PING = -2,
    ZKP_XID_AUTH = -4,
    ZKP_XID_SET_WATCHES = -8,
};

struct zkp_request_header {
    int32_t xid;
    int32_t type;
};

struct zkp_reply_header {
    int32_t xid;
    int64_t zxid;
    int32_t err;
};

/* body = the frame without its length prefix; at least the header must be in it, else RC_AGAIN. Every frame
 * that passes the proxy comes here: one check of the length and plain loads. */
static inline enum rc zkp_request_header_decode(struct zkp_slice body, struct zkp_request_header *ret_header)
{
    if (!body.ptr || body.len < ZKP_REQUEST_HEADER_LEN)
        return RC_AGAIN;
    ret_header->xid = zkp_load_i32(body.ptr);
    ret_header->type = zkp_load_i32(body.ptr + 4);
    return RC_OK;
}
static inline enum rc zkp_reply_header_decode(struct zkp_slice body, struct zkp_reply_header *ret_header)
{
    if (!body.ptr || body.len < ZKP_REPLY_HEADER_LEN)
        return RC_AGAIN;
    ret_header->xid = zkp_load_i32(body.ptr);
    ret_header->zxid = zkp_load_i64(body.ptr + 4);
    ret_header->err = zkp_load_i32(body.ptr + 12);
    return RC_OK;
}

/* Whole frames (with prefix) that carry nothing but a header; return the frame's length, or 0 when
 * capacity is too small (12 and 20 bytes are needed). */
uint32_t zkp_request_header_frame(struct zkp_request_header header, uint8_t *buf, uint32_t capacity);
uint32_t zkp_reply_header_frame(struct zkp_reply_header header, uint8_t *buf, uint32_t capacity);

#endif
