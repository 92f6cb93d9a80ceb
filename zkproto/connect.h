/* ConnectRequest and ConnectResponse, both flavours (protocol.md §1.2): 45/44 bytes -> 37/36. Pure. */
#ifndef ZKPROTO_CONNECT_H
#define ZKPROTO_CONNECT_H

#include "zkproto/err.h"
#include "zkproto/slice.h"

#define ZKP_PASSWORD_LEN      16u
#define ZKP_CONNECT_FRAME_MAX 128u /* room for any connect frame we write, prefix included */
/* Of a ConnectRequest's body that we take. Clients send 44 or 45 bytes; a server would take up to its
 * jute.maxbuffer from anybody who knows nothing but the address. */
#define ZKP_CONNECT_REQUEST_MAX 1024u

struct zkp_connect_request {
    int32_t version;
    int64_t last_zxid_seen;
    int32_t timeout_ms;
    int64_t session_id;        /* 0 = a new session */
    struct zkp_slice password; /* borrowed; may be null or empty for new sessions */
    bool has_read_only;        /* false: the 44-byte flavour of old clients */
    bool read_only;
};

struct zkp_connect_response {
    int32_t version;
    int32_t timeout_ms; /* <= 0: the session is expired or unknown */
    int64_t session_id;
    struct zkp_slice password;
    bool has_read_only;
    bool read_only;
};

/* body = frame without prefix. RC_MALFORMED when something is missing. What stands behind the fields is not
 * looked at, as in every server (3.4 to 3.9: they read the record, then one byte if there is one). */
enum rc zkp_connect_request_decode(struct zkp_slice body, struct zkp_connect_request *ret_request);
/* The same, and RC_MALFORMED when something is left over. */
enum rc zkp_connect_response_decode(struct zkp_slice body, struct zkp_connect_response *ret_response);
/* Writes a whole frame (with prefix); returns its length, 0 when it does not fit. */
uint32_t zkp_connect_request_frame(const struct zkp_connect_request *request, uint8_t *buf,
                                   uint32_t capacity);
uint32_t zkp_connect_response_frame(const struct zkp_connect_response *response, uint8_t *buf,
                                    uint32_t capacity);
/* The answer to an expired session or a wrong password (protocol.md §1.2): timeout 0, id 0, 16 zero
 * bytes; mirrors the flavour. */
uint32_t zkp_connect_expired_frame(bool has_read_only, uint8_t *buf, uint32_t capacity);

#endif
