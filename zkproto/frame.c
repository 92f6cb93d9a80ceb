/* Cuts a byte stream into length-prefixed frames (protocol.md §1.1). Pure, any thread. It never waits for a
 * whole frame: a body may be forwarded before its end has arrived. */
#include "zkproto/frame.h"

#include "zkproto/cursor.h"

enum rc zkp_frame_peek(struct zkp_slice in, uint32_t length_max, struct zkp_frame *ret_frame)
{
    if (!in.ptr || in.len < ZKP_FRAME_PREFIX)
        return RC_AGAIN;
    int32_t length = zkp_load_i32(in.ptr);
    /* Length 0 cannot hold a header; the server closes on it too (protocol.md §1.1, measured). */
    if (length <= 0)
        return RC_MALFORMED;
    if ((uint32_t)length > length_max)
        return RC_TOO_BIG;
    uint32_t there = in.len - ZKP_FRAME_PREFIX;
    if (there > (uint32_t)length)
        there = (uint32_t)length;
    ret_frame->length = (uint32_t)length;
    ret_frame->body = zkp_slice_of(in.ptr + ZKP_FRAME_PREFIX, there);
    return RC_OK;
}
