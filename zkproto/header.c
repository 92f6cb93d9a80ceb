/* Request and reply headers, and the frames that consist of nothing else (protocol.md §1.1, §1.3). Pure, any
 * thread. What follows a header is the business of request.c or of nobody. */
#include "zkproto/header.h"

#include "zkproto/cursor.h"

enum rc zkp_request_header_decode(struct zkp_slice body, struct zkp_request_header *ret_header)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_request_header header;
    header.xid = zkp_rd_i32(&r);
    header.type = zkp_rd_i32(&r);
    if (zkp_rd_state(&r) != RC_OK)
        return zkp_rd_state(&r);
    *ret_header = header;
    return RC_OK;
}

enum rc zkp_reply_header_decode(struct zkp_slice body, struct zkp_reply_header *ret_header)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_reply_header header;
    header.xid = zkp_rd_i32(&r);
    header.zxid = zkp_rd_i64(&r);
    header.err = zkp_rd_i32(&r);
    if (zkp_rd_state(&r) != RC_OK)
        return zkp_rd_state(&r);
    *ret_header = header;
    return RC_OK;
}

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
