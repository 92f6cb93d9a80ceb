/* See buffer.h. */
#include "proxy/session/buffer.h"

#include <stdlib.h>

#include "zkproto/assert.h"

#define BUFFER_MIN 512u
/* Nothing legal comes near: client_buffer_max plus a scratch buffer, or one frame we must see whole. */
#define BUFFER_MAX (1u << 30)

void px_buffer_done(struct px_buffer *buffer)
{
    free(buffer->bytes);
    *buffer = (struct px_buffer){0};
}

enum rc px_buffer_reserve(struct px_buffer *buffer, uint32_t more)
{
    uint32_t capacity = buffer->capacity < BUFFER_MIN ? BUFFER_MIN : buffer->capacity;
    uint8_t *bytes;

    if (buffer->length > BUFFER_MAX - more)
        return RC_NOMEM;
    if (buffer->start > 0) {
        memmove(buffer->bytes, buffer->bytes + buffer->start, buffer->length);
        buffer->start = 0;
    }
    while (capacity < buffer->length + more)
        capacity *= 2;
    if (capacity == buffer->capacity)
        return RC_OK;
    bytes = realloc(buffer->bytes, capacity);
    if (bytes == NULL)
        return RC_NOMEM;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    return RC_OK;
}

uint8_t *px_buffer_extend(struct px_buffer *buffer, uint32_t length)
{
    uint8_t *end;

    if (buffer->capacity - buffer->start - buffer->length < length &&
        px_buffer_reserve(buffer, length) != RC_OK)
        return NULL;
    end = buffer->bytes + buffer->start + buffer->length;
    buffer->length += length;
    return end;
}

enum rc px_buffer_append(struct px_buffer *buffer, const void *bytes, uint32_t length)
{
    uint8_t *end;

    if (length == 0)
        return RC_OK;
    end = px_buffer_extend(buffer, length);
    if (end == NULL)
        return RC_NOMEM;
    memcpy(end, bytes, length);
    return RC_OK;
}

void px_buffer_consume(struct px_buffer *buffer, uint32_t length)
{
    px_buffer_skip(buffer, length);
    px_buffer_trim(buffer);
}

void px_buffer_skip(struct px_buffer *buffer, uint32_t length)
{
    ASSERT(length <= buffer->length);
    buffer->start += length;
    buffer->length -= length;
    if (buffer->length == 0)
        buffer->start = 0;
}

void px_buffer_trim(struct px_buffer *buffer)
{
    if (buffer->length == 0)
        px_buffer_done(buffer);
}

void px_buffer_cut(struct px_buffer *buffer, uint32_t offset, uint32_t length)
{
    uint8_t *at = buffer->bytes + buffer->start + offset;

    ASSERT(length <= buffer->length && offset <= buffer->length - length);
    memmove(at, at + length, buffer->length - offset - length);
    buffer->length -= length;
}
