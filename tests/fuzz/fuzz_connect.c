/* The body of a ConnectRequest or ConnectResponse. Checked: what decodes encodes to the same bytes (but a
 * readOnly byte above 1, which reads as true, and what stands behind a request), and a too small buffer is
 * never written. */
#include <stddef.h>
#include <stdlib.h>

#include "zkproto/assert.h"
#include "zkproto/connect.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 4096u

static void check_same(struct zkp_slice body, const uint8_t *frame, uint32_t length, bool has_read_only)
{
    uint32_t compared = length - 4 - (has_read_only ? 1 : 0);
    ASSERT(length <= 4 + body.len);
    ASSERT(memcmp(frame + 4, body.ptr, compared) == 0);
    if (has_read_only)
        ASSERT(frame[4 + compared] == (body.ptr[compared] != 0));
}

static void check_request(struct zkp_slice body, uint8_t *frame)
{
    struct zkp_connect_request request;
    if (zkp_connect_request_decode(body, &request) != RC_OK)
        return;
    uint32_t length = zkp_connect_request_frame(&request, frame, 4 + body.len);
    ASSERT(zkp_connect_request_frame(&request, frame, length - 1) == 0);
    check_same(body, frame, length, request.has_read_only);
}

static void check_response(struct zkp_slice body, uint8_t *frame)
{
    struct zkp_connect_response response;
    if (zkp_connect_response_decode(body, &response) != RC_OK)
        return;
    ASSERT(zkp_connect_response_frame(&response, frame, 3 + body.len) == 0);
    uint32_t length = zkp_connect_response_frame(&response, frame, 4 + body.len);
    ASSERT(length == 4 + body.len);
    check_same(body, frame, length, response.has_read_only);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > BODY_MAX)
        return 0;
    uint8_t *frame = malloc(4 + size); /* exact, so that the sanitizer sees a byte too many */
    ASSERT(frame);
    check_request(zkp_slice_of(data, (uint32_t)size), frame);
    check_response(zkp_slice_of(data, (uint32_t)size), frame);
    free(frame);
    return 0;
}
