/* Bounded jute reader and writer with sticky failure: read everything, check once at the end.
 * Big-endian; strings and buffers are int32 length (-1 = null) + bytes (protocol.md §1.1).
 * Pure, no allocation. Reads after a failure return zeros. */
#ifndef ZKPROTO_CURSOR_H
#define ZKPROTO_CURSOR_H

#include "zkproto/err.h"
#include "zkproto/slice.h"

/* begin <= pos <= end. Once state != RC_OK nothing moves any more. */
struct zkp_rd {
    const uint8_t *pos;
    const uint8_t *end;
    enum rc state; /* RC_OK; RC_AGAIN: ran past the end; RC_MALFORMED: impossible length */
};

struct zkp_rd zkp_rd_over(struct zkp_slice in);
bool zkp_rd_bool(struct zkp_rd *r); /* any non-zero byte is true, as in Java's DataInput */
int32_t zkp_rd_i32(struct zkp_rd *r);
int64_t zkp_rd_i64(struct zkp_rd *r);
/* A buffer or ustring: borrowed from the input. Length -1 gives a null slice, below -1 is malformed. */
struct zkp_slice zkp_rd_buf(struct zkp_rd *r);
/* count bytes as they are. */
struct zkp_slice zkp_rd_raw(struct zkp_rd *r, uint32_t count);
/* A vector's count, 0 for null (-1). Malformed when count * element_min exceeds what is left in a
 * framed input, so a count can never ask for more memory than the frame holds. element_min >= 1. */
uint32_t zkp_rd_count(struct zkp_rd *r, uint32_t element_min);
uint32_t zkp_rd_left(const struct zkp_rd *r);
/* Framed input: true when nothing failed and nothing is left over. */
bool zkp_rd_done(const struct zkp_rd *r);
/* Unframed, incremental input: RC_OK, RC_AGAIN (call again with more bytes), RC_MALFORMED. */
enum rc zkp_rd_state(const struct zkp_rd *r);

/* Writer into a caller's buffer; once full it stays full and pos no longer moves. */
struct zkp_wr {
    uint8_t *begin;
    uint8_t *pos;
    uint8_t *end;
    bool is_full;
};

struct zkp_wr zkp_wr_over(void *buf, uint32_t capacity);
void zkp_wr_bool(struct zkp_wr *w, bool value);
void zkp_wr_i32(struct zkp_wr *w, int32_t value);
void zkp_wr_i64(struct zkp_wr *w, int64_t value);
void zkp_wr_buf(struct zkp_wr *w, struct zkp_slice value); /* null slice writes length -1 */
void zkp_wr_raw(struct zkp_wr *w, struct zkp_slice value);
/* Bytes written so far; RC_FULL in zkp_wr_done when something did not fit. */
uint32_t zkp_wr_len(const struct zkp_wr *w);
enum rc zkp_wr_done(const struct zkp_wr *w) RC_MUST_CHECK;
/* Frame helper: reserve the 4 length bytes, later fill them with what was written since. */
uint8_t *zkp_wr_frame_begin(struct zkp_wr *w);
void zkp_wr_frame_end(struct zkp_wr *w, uint8_t *mark);

/* Single fields at a known place; the caller has checked that the bytes are there. */
static inline int32_t zkp_load_i32(const uint8_t *p)
{
    return (int32_t)((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]);
}
static inline int64_t zkp_load_i64(const uint8_t *p)
{
    return (int64_t)((uint64_t)(uint32_t)zkp_load_i32(p) << 32 | (uint32_t)zkp_load_i32(p + 4));
}
static inline void zkp_store_i32(uint8_t *p, int32_t value)
{
    uint32_t v = (uint32_t)value;
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}
static inline void zkp_store_i64(uint8_t *p, int64_t value)
{
    zkp_store_i32(p, (int32_t)((uint64_t)value >> 32));
    zkp_store_i32(p + 4, (int32_t)((uint64_t)value & 0xffffffffu));
}

#endif
