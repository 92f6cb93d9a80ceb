/* A server's byte stream behind the connect answer: reply headers, watcher events, and the config guard's
 * rewriting of getData and multiRead. Checked: hidden replies are no longer than the input, hide nothing when
 * not asked to, and hiding twice changes nothing more. */
#include <stddef.h>
#include <stdlib.h>

#include "zkproto/assert.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STREAM_MAX (64u << 10)

static void check_event(struct zkp_slice body, int64_t zxid)
{
    struct zkp_watcher_event event;
    if (zkp_watcher_event_decode(body, &event) != RC_OK)
        return;
    uint32_t whole = ZKP_FRAME_PREFIX + ZKP_REPLY_HEADER_LEN + body.len;
    uint8_t *frame = malloc(whole);
    ASSERT(frame);
    ASSERT(zkp_watcher_event_frame(zxid, &event, frame, whole) == whole);
    ASSERT(memcmp(frame + whole - body.len, body.ptr, body.len) == 0);
    free(frame);
}

static void check_get_data(struct zkp_slice body, uint8_t *hidden)
{
    uint8_t again[4 + ZKP_STAT_LEN];
    uint32_t length = zkp_get_data_reply_hide(body, hidden, body.len);
    if (length == 0)
        return;
    ASSERT(length == sizeof again && length <= body.len);
    ASSERT(zkp_get_data_reply_hide(zkp_slice_of(hidden, length), again, sizeof again) == length);
    ASSERT(memcmp(hidden, again, length) == 0);
}

static void check_multi_read(struct zkp_slice body, uint64_t hide, uint8_t *hidden, uint8_t *again)
{
    uint32_t length = zkp_multi_read_reply_hide(body, 0, hidden, body.len);
    ASSERT(length == 0 || length == body.len);
    uint32_t hidden_length = zkp_multi_read_reply_hide(body, hide, hidden, body.len);
    ASSERT((length == 0) == (hidden_length == 0));
    if (hidden_length == 0)
        return;
    ASSERT(hidden_length <= body.len);
    uint32_t again_length =
        zkp_multi_read_reply_hide(zkp_slice_of(hidden, hidden_length), hide, again, hidden_length);
    ASSERT(again_length == hidden_length && memcmp(hidden, again, hidden_length) == 0);
}

static void check_reply(struct zkp_slice body, uint8_t *one, uint8_t *two)
{
    struct zkp_reply_header header;
    if (zkp_reply_header_decode(body, &header) != RC_OK) {
        ASSERT(body.len < ZKP_REPLY_HEADER_LEN);
        return;
    }
    uint8_t again[ZKP_FRAME_PREFIX + ZKP_REPLY_HEADER_LEN];
    ASSERT(zkp_reply_header_frame(header, again, sizeof again) == sizeof again);
    ASSERT(memcmp(again + ZKP_FRAME_PREFIX, body.ptr, ZKP_REPLY_HEADER_LEN) == 0);
    struct zkp_slice rest = zkp_slice_of(body.ptr + ZKP_REPLY_HEADER_LEN, body.len - ZKP_REPLY_HEADER_LEN);
    check_event(rest, header.zxid);
    check_get_data(rest, one);
    /* The zxid stands for the bit set: any value must be safe. */
    check_multi_read(rest, (uint64_t)header.zxid, one, two);
    check_multi_read(rest, UINT64_MAX, one, two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t one[STREAM_MAX], two[STREAM_MAX];
    if (size > STREAM_MAX)
        return 0;
    struct zkp_slice rest = zkp_slice_of(data, (uint32_t)size);
    struct zkp_frame frame;
    while (zkp_frame_peek(rest, ZKP_SERVER_FRAME_MAX, &frame) == RC_OK) {
        ASSERT(frame.body.len <= frame.length && frame.body.len <= rest.len - ZKP_FRAME_PREFIX);
        if (frame.body.len < frame.length)
            break;
        check_reply(frame.body, one, two);
        uint32_t whole = ZKP_FRAME_PREFIX + frame.length;
        rest = zkp_slice_of(rest.ptr + whole, rest.len - whole);
    }
    return 0;
}
