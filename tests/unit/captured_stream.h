/* Access to the recordings in captured.h: hex -> bytes, and one frame out of a recorded stream. Test code. */
#ifndef TESTS_UNIT_CAPTURED_STREAM_H
#define TESTS_UNIT_CAPTURED_STREAM_H

#include "tests/unit/captured.h"
#include "zkproto/assert.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"

#define CAPTURED_MAX 4096u

struct captured {
    uint8_t bytes[CAPTURED_MAX];
    uint32_t len;
};

static inline uint8_t hex_digit(char c)
{
    return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static inline struct captured captured_hex(const char *hex)
{
    struct captured c = {.len = (uint32_t)strlen(hex) / 2};
    ASSERT(c.len <= CAPTURED_MAX);
    for (uint32_t i = 0; i < c.len; i++)
        c.bytes[i] = (uint8_t)(hex_digit(hex[2 * i]) << 4 | hex_digit(hex[2 * i + 1]));
    return c;
}

static inline struct zkp_slice captured_slice(const struct captured *c)
{
    return zkp_slice_of(c->bytes, c->len);
}

/* The n-th frame (prefix included) with this xid behind the connect frame, which stands first in every
 * stream. */
static inline struct captured captured_frame(const char *hex, int32_t xid, uint32_t n)
{
    struct captured stream = captured_hex(hex), found = {.len = 0};
    struct zkp_slice rest = captured_slice(&stream);
    bool is_connect = true;
    struct zkp_frame frame;
    while (found.len == 0 && zkp_frame_peek(rest, ZKP_SERVER_FRAME_MAX, &frame) == RC_OK) {
        uint32_t whole = ZKP_FRAME_PREFIX + frame.length;
        if (!is_connect && zkp_load_i32(frame.body.ptr) == xid && n-- == 0) {
            found.len = whole;
            memcpy(found.bytes, rest.ptr, whole);
        }
        is_connect = false;
        rest = zkp_slice_of(rest.ptr + whole, rest.len - whole);
    }
    ASSERT(found.len > 0); /* else no such frame was recorded */
    return found;
}

/* The connect frame of a stream, without its prefix. */
static inline struct captured captured_connect(const char *hex)
{
    struct captured stream = captured_hex(hex);
    struct zkp_frame frame;
    ASSERT(zkp_frame_peek(captured_slice(&stream), ZKP_SERVER_FRAME_MAX, &frame) == RC_OK);
    struct captured found = {.len = frame.length};
    memcpy(found.bytes, frame.body.ptr, frame.length);
    return found;
}

/* What stands behind prefix and header: header_len is 8 for requests, 16 for replies. */
static inline struct zkp_slice captured_body(const struct captured *frame, uint32_t header_len)
{
    uint32_t skip = ZKP_FRAME_PREFIX + header_len;
    ASSERT(frame->len >= skip);
    return zkp_slice_of(frame->bytes + skip, frame->len - skip);
}

#endif
