/* ConnectRequest and ConnectResponse in both flavours, with and without the readOnly byte (protocol.md §1.2).
 * Pure, any thread. It judges bytes only: whether a time-out or a session id makes sense is the server's
 * decision. */
#include "zkproto/connect.h"

#include "zkproto/cursor.h"

enum rc zkp_connect_request_decode(struct zkp_slice body, struct zkp_connect_request *ret_request)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_connect_request request;
    request.version = zkp_rd_i32(&r);
    request.last_zxid_seen = zkp_rd_i64(&r);
    request.timeout_ms = zkp_rd_i32(&r);
    request.session_id = zkp_rd_i64(&r);
    request.password = zkp_rd_buf(&r);
    request.has_read_only = zkp_rd_left(&r) > 0; /* old clients stop before this byte */
    request.read_only = request.has_read_only && zkp_rd_bool(&r);
    if (zkp_rd_state(&r) != RC_OK)
        return RC_MALFORMED;
    *ret_request = request;
    return RC_OK;
}

enum rc zkp_connect_response_decode(struct zkp_slice body, struct zkp_connect_response *ret_response)
{
    struct zkp_rd r = zkp_rd_over(body);
    struct zkp_connect_response response;
    response.version = zkp_rd_i32(&r);
    response.timeout_ms = zkp_rd_i32(&r);
    response.session_id = zkp_rd_i64(&r);
    response.password = zkp_rd_buf(&r);
    response.has_read_only = zkp_rd_left(&r) > 0;
    response.read_only = response.has_read_only && zkp_rd_bool(&r);
    if (!zkp_rd_done(&r))
        return RC_MALFORMED;
    *ret_response = response;
    return RC_OK;
}

uint32_t zkp_connect_request_frame(const struct zkp_connect_request *request, uint8_t *buf, uint32_t capacity)
{
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    uint8_t *mark = zkp_wr_frame_begin(&w);
    zkp_wr_i32(&w, request->version);
    zkp_wr_i64(&w, request->last_zxid_seen);
    zkp_wr_i32(&w, request->timeout_ms);
    zkp_wr_i64(&w, request->session_id);
    zkp_wr_buf(&w, request->password);
    if (request->has_read_only)
        zkp_wr_bool(&w, request->read_only);
    zkp_wr_frame_end(&w, mark);
    return zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}

uint32_t zkp_connect_response_frame(const struct zkp_connect_response *response, uint8_t *buf,
                                    uint32_t capacity)
{
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    uint8_t *mark = zkp_wr_frame_begin(&w);
    zkp_wr_i32(&w, response->version);
    zkp_wr_i32(&w, response->timeout_ms);
    zkp_wr_i64(&w, response->session_id);
    zkp_wr_buf(&w, response->password);
    if (response->has_read_only)
        zkp_wr_bool(&w, response->read_only);
    zkp_wr_frame_end(&w, mark);
    return zkp_wr_done(&w) == RC_OK ? zkp_wr_len(&w) : 0;
}

uint32_t zkp_connect_expired_frame(bool has_read_only, uint8_t *buf, uint32_t capacity)
{
    static const uint8_t zeros[ZKP_PASSWORD_LEN];
    const struct zkp_connect_response expired = {
        .password = zkp_slice_of(zeros, sizeof zeros),
        .has_read_only = has_read_only,
    };
    return zkp_connect_response_frame(&expired, buf, capacity);
}
