/* Borrowed bytes. A slice never owns; it is valid as long as the buffer it points into.
 * ptr == NULL is jute's null (length -1 on the wire), which is not the same as length 0. */
#ifndef ZKPROTO_SLICE_H
#define ZKPROTO_SLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct zkp_slice {
    const uint8_t *ptr;
    uint32_t len;
};

static inline struct zkp_slice zkp_slice_of(const void *ptr, uint32_t len)
{
    return (struct zkp_slice){.ptr = ptr, .len = len};
}

static inline struct zkp_slice zkp_slice_str(const char *text)
{
    return zkp_slice_of(text, (uint32_t)strlen(text));
}

static inline bool zkp_slice_eq(struct zkp_slice a, struct zkp_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#endif
