/* What a reply's body looks like, per opcode (protocol.md §1.4): for those who decode replies with somebody
 * else's code and must not hand it anything else. Pure, no allocation. */
#ifndef ZKPROTO_REPLY_H
#define ZKPROTO_REPLY_H

#include "zkproto/cursor.h"

/* A multi's sub-operations, as its request had them: their opcodes, in order. */
struct zkp_multi_types {
    const int32_t *types;
    uint32_t count;
};

/* body: behind the reply header, whose err was 0; with any other err there is none. RC_OK: it has the shape
 * of the opcode's reply to the last byte: every length and count fits, no string or vector is null (a node's
 * data may be), names are not empty and hold no NUL, paths begin with '/'. Strings need not be UTF-8: Java
 * writes what UTF-8 forbids. RC_MALFORMED otherwise, and for an opcode whose reply is not known. multi: of
 * MULTI, else ignored. */
enum rc zkp_reply_body_check(int32_t op, const struct zkp_multi_types *multi,
                             struct zkp_slice body) RC_MUST_CHECK;
/* The longest body such a reply can have, of a request on a path of path_length bytes; UINT32_MAX where only
 * the data of the server limit it. */
uint32_t zkp_reply_body_max(int32_t op, uint32_t path_length);

/* A watcher event's body: one of the four types, connected, and a path. */
enum rc zkp_event_body_check(struct zkp_slice body) RC_MUST_CHECK;

#endif
