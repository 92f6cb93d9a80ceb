/* Frames that consist of nothing but a header (protocol.md §1.1, §1.3). Pure, any thread. Headers are decoded
 * in header.h; what follows one is the business of request.c or of nobody. */
#include "zkproto/header.h"

#include "zkproto/cursor.h"

uint32_t zkp_request_header_frame(struct zkp_request_header header, uint8_t *buf, uint32_t capacity)
{
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    zkp_wr_i32(&w, (int32_t)ZKP_REQUEST_HEADER_LEN);
    zkp_wr_i32(&w, header.xid);
    zkp_wr_i32(&w, header.type);
    return zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}

uint32_t zkp_reply_header_frame(struct zkp_reply_header header, uint8_t *buf, uint32_t capacity)
{
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    zkp_wr_i32(&w, (int32_t)ZKP_REPLY_HEADER_LEN);
    zkp_wr_i32(&w, header.xid);
    zkp_wr_i64(&w, header.zxid);
    zkp_wr_i32(&w, header.err);
    return zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}
