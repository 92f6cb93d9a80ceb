/* Bytes that have to wait: a growing array. px_buffer_consume gives it back as soon as it is empty, so that
 * an idle connection owns none; px_buffer_skip keeps it for what comes next. Pure. */
#ifndef PROXY_SESSION_BUFFER_H
#define PROXY_SESSION_BUFFER_H

#include <stdint.h>

#include "zkproto/err.h"
#include "zkproto/slice.h"

/* Embedded; all zero = empty. The content is bytes[start .. start + length). */
struct px_buffer {
    uint8_t *bytes;
    uint32_t start;
    uint32_t length;
    uint32_t capacity;
};

void px_buffer_done(struct px_buffer *buffer);
/* Makes room for `more` bytes behind the content. RC_NOMEM. */
enum rc px_buffer_reserve(struct px_buffer *buffer, uint32_t more) RC_MUST_CHECK;
/* Appends `length` bytes of garbage, to be written by the caller now; NULL when out of memory. */
uint8_t *px_buffer_extend(struct px_buffer *buffer, uint32_t length);
enum rc px_buffer_append(struct px_buffer *buffer, const void *bytes, uint32_t length) RC_MUST_CHECK;
/* Drops from the front; frees the array when nothing is left. */
void px_buffer_consume(struct px_buffer *buffer, uint32_t length);
/* Drops from the front and keeps the array. */
void px_buffer_skip(struct px_buffer *buffer, uint32_t length);
/* Frees the array of an empty buffer. */
void px_buffer_trim(struct px_buffer *buffer);
/* Takes `length` bytes at `offset` out of the content. */
void px_buffer_cut(struct px_buffer *buffer, uint32_t offset, uint32_t length);

static inline struct zkp_slice px_buffer_slice(const struct px_buffer *buffer)
{
    if (buffer->bytes == NULL) /* no arithmetic with it */
        return (struct zkp_slice){0};
    return zkp_slice_of(buffer->bytes + buffer->start, buffer->length);
}

#endif
