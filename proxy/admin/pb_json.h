/* protobuf-c message -> JSON by walking its descriptor (design.md §2): keys are the field names of the
 * .proto, defaults are emitted, lists always, an absent message is null, an absent oneof member is left out.
 * int32, int64, uint32, double are numbers; a uint64 above 2^53 is a decimal string, because readers keep
 * numbers as doubles; fixed64 is an identifier (zxid, session id) and becomes "0x1f"; enums are their value's
 * name in lower case; bytes are lower-case hex; NaN and infinities are strings; text that is not UTF-8 gets
 * U+FFFD for each bad byte. Pure apart from memory; any thread. */
#ifndef PROXY_ADMIN_PB_JSON_H
#define PROXY_ADMIN_PB_JSON_H

#include <jansson.h>
#include <protobuf-c/protobuf-c.h>

/* A new reference, the caller's. NULL when out of memory. message is borrowed for the call. */
json_t *px_pb_json(const ProtobufCMessage *message);

/* A JSON string from any bytes up to the NUL. NULL when out of memory. */
json_t *px_pb_json_text(const char *text);

#endif
