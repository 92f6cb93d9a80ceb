/* A client's byte stream: cut into frames, headers and every body we know decoded by opcode. Checked: an
 * answer does not depend on how much of the stream has arrived, and what decodes has a header that encodes to
 * the same bytes. */
#include <stddef.h>

#include "zkproto/assert.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/request.h"
#include "zkproto/word.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_body(int32_t type, struct zkp_slice body)
{
    struct zkp_path_watch path_watch;
    struct zkp_path_int path_int;
    struct zkp_auth auth;
    int64_t zxid;
    const struct zkp_op_row *row = zkp_op_row(zkp_op_index(type));
    ASSERT(row->number == type || row->class == ZKP_CLASS_UNKNOWN);
    if (row->has_path && row->may_watch && type != ZKP_OP_ADD_WATCH)
        zkp_path_watch_decode(body, &path_watch);
    else if (type == ZKP_OP_ADD_WATCH || type == ZKP_OP_REMOVE_WATCHES || type == ZKP_OP_CHECK_WATCHES)
        zkp_path_int_decode(body, &path_int);
    else if (type == ZKP_OP_AUTH)
        zkp_auth_decode(body, &auth);
    else if (type == ZKP_OP_SET_WATCHES || type == ZKP_OP_SET_WATCHES2)
        zkp_set_watches_decode(body, type == ZKP_OP_SET_WATCHES2, &zxid, NULL, NULL);
    else if (type == ZKP_OP_MULTI || type == ZKP_OP_MULTI_READ)
        zkp_multi_request_walk(body, NULL, NULL);
}

static void decode_request(struct zkp_slice body)
{
    struct zkp_request_header header;
    if (zkp_request_header_decode(body, &header) != RC_OK) {
        ASSERT(body.len < ZKP_REQUEST_HEADER_LEN);
        return;
    }
    uint8_t again[ZKP_FRAME_PREFIX + ZKP_REQUEST_HEADER_LEN];
    ASSERT(zkp_request_header_frame(header, again, sizeof again) == sizeof again);
    ASSERT(memcmp(again + ZKP_FRAME_PREFIX, body.ptr, ZKP_REQUEST_HEADER_LEN) == 0);
    decode_body(header.type,
                zkp_slice_of(body.ptr + ZKP_REQUEST_HEADER_LEN, body.len - ZKP_REQUEST_HEADER_LEN));
}

/* The same frame with only its prefix and half its body there. */
static void check_partial(struct zkp_slice in, const struct zkp_frame *whole)
{
    uint32_t half = whole->body.len / 2;
    struct zkp_frame frame;
    ASSERT(zkp_frame_peek(zkp_slice_of(in.ptr, 3), ZKP_CLIENT_FRAME_MAX, &frame) == RC_AGAIN);
    ASSERT(zkp_frame_peek(zkp_slice_of(in.ptr, 4 + half), ZKP_CLIENT_FRAME_MAX, &frame) == RC_OK);
    ASSERT(frame.length == whole->length && frame.body.len == half);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > UINT32_MAX)
        return 0;
    struct zkp_slice rest = zkp_slice_of(data, (uint32_t)size);
    if (size >= 4 && zkp_word_detect(data) != ZKP_WORD_NONE) {
        struct zkp_frame frame;
        ASSERT(zkp_frame_peek(rest, ZKP_CLIENT_FRAME_MAX, &frame) == RC_TOO_BIG);
        return 0;
    }
    struct zkp_frame frame;
    bool is_connect = true;
    while (zkp_frame_peek(rest, ZKP_CLIENT_FRAME_MAX, &frame) == RC_OK) {
        ASSERT(frame.body.len <= frame.length && frame.body.len <= rest.len - ZKP_FRAME_PREFIX);
        check_partial(rest, &frame);
        if (frame.body.len < frame.length)
            break;
        struct zkp_connect_request connect;
        if (!is_connect || zkp_connect_request_decode(frame.body, &connect) != RC_OK)
            decode_request(frame.body);
        is_connect = false;
        uint32_t whole = ZKP_FRAME_PREFIX + frame.length;
        rest = zkp_slice_of(rest.ptr + whole, rest.len - whole);
    }
    return 0;
}
