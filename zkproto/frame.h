/* Byte stream -> length-prefixed frames and four-letter words (protocol.md §1.1, §1.5). Pure. */
#ifndef ZKPROTO_FRAME_H
#define ZKPROTO_FRAME_H

#include "zkproto/cursor.h"
#include "zkproto/err.h"
#include "zkproto/slice.h"

#define ZKP_FRAME_PREFIX 4u
/* jute.maxbuffer's default, 0xfffff: what a server accepts from a client (BinaryInputArchive). The
 * server refuses lengths > maxbuffer; 0xfffff itself is accepted (measured, protocol.md §1.1). */
#define ZKP_CLIENT_FRAME_MAX 0xfffffu
/* Server -> client frames may exceed 1 MiB (huge getChildren), and requests where jute.maxbuffer was raised;
 * int32 is the only protocol limit. */
#define ZKP_SERVER_FRAME_MAX 0x7fffffffu

struct zkp_frame {
    uint32_t length;       /* N, without the prefix */
    struct zkp_slice body; /* the part of the N bytes that is in the input: body.len <= length */
};

/* Looks at the first frame of `in`; never waits for a whole one, as a body may be forwarded before its end
 * has arrived. RC_OK: prefix is there (body may be partial: compare body.len with length); RC_AGAIN: fewer
 * than 4 bytes; RC_MALFORMED: length <= 0; RC_TOO_BIG: length > max. */
static inline enum rc zkp_frame_peek(struct zkp_slice in, uint32_t length_max, struct zkp_frame *ret_frame)
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

#endif
