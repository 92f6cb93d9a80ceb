/* Bounded jute reader and writer (protocol.md §1.1). Pure, any thread, no allocation. Every length is
 * compared with what remains before a pointer moves; nothing here knows a message. */
#include "zkproto/cursor.h"

#include "zkproto/assert.h"

struct zkp_rd zkp_rd_over(struct zkp_slice in)
{
    static const uint8_t nothing[1];
    const uint8_t *begin = in.ptr ? in.ptr : nothing; /* arithmetic on NULL is undefined */
    return (struct zkp_rd){.pos = begin, .end = begin + (in.ptr ? in.len : 0), .state = RC_OK};
}

static void rd_fail(struct zkp_rd *r, enum rc why)
{
    if (r->state == RC_OK)
        r->state = why;
}

uint32_t zkp_rd_left(const struct zkp_rd *r)
{
    return (uint32_t)(r->end - r->pos);
}

/* The next count bytes, or NULL once the reader has failed. */
static const uint8_t *rd_take(struct zkp_rd *r, uint32_t count)
{
    if (r->state == RC_OK && count > zkp_rd_left(r))
        rd_fail(r, RC_AGAIN);
    if (r->state != RC_OK)
        return NULL;
    const uint8_t *taken = r->pos;
    r->pos += count;
    return taken;
}

bool zkp_rd_bool(struct zkp_rd *r)
{
    const uint8_t *p = rd_take(r, 1);
    return p && *p != 0;
}

int32_t zkp_rd_i32(struct zkp_rd *r)
{
    const uint8_t *p = rd_take(r, 4);
    return p ? zkp_load_i32(p) : 0;
}

int64_t zkp_rd_i64(struct zkp_rd *r)
{
    const uint8_t *p = rd_take(r, 8);
    return p ? zkp_load_i64(p) : 0;
}

struct zkp_slice zkp_rd_raw(struct zkp_rd *r, uint32_t count)
{
    const uint8_t *p = rd_take(r, count);
    return zkp_slice_of(p, p ? count : 0);
}

struct zkp_slice zkp_rd_buf(struct zkp_rd *r)
{
    const struct zkp_slice null = {0};
    int32_t length = zkp_rd_i32(r);
    if (length < -1)
        rd_fail(r, RC_MALFORMED);
    if (length < 0)
        return null;
    return zkp_rd_raw(r, (uint32_t)length);
}

uint32_t zkp_rd_count(struct zkp_rd *r, uint32_t element_min)
{
    ASSERT(element_min >= 1);
    int32_t count = zkp_rd_i32(r);
    if (count < -1 || (count > 0 && (uint32_t)count > zkp_rd_left(r) / element_min))
        rd_fail(r, RC_MALFORMED);
    return count > 0 && r->state == RC_OK ? (uint32_t)count : 0;
}

bool zkp_rd_done(const struct zkp_rd *r)
{
    return r->state == RC_OK && r->pos == r->end;
}

enum rc zkp_rd_state(const struct zkp_rd *r)
{
    return r->state;
}

struct zkp_wr zkp_wr_over(void *buf, uint32_t capacity)
{
    static uint8_t nothing[1];
    uint8_t *begin = buf ? buf : nothing;
    return (struct zkp_wr){.begin = begin, .pos = begin, .end = begin + (buf ? capacity : 0)};
}

/* Room for count bytes, or NULL: from then on the writer is full, so a later smaller field cannot slip in. */
static uint8_t *wr_take(struct zkp_wr *w, uint32_t count)
{
    if (w->is_full || count > (uint64_t)(w->end - w->pos)) {
        w->is_full = true;
        return NULL;
    }
    uint8_t *taken = w->pos;
    w->pos += count;
    return taken;
}

void zkp_wr_bool(struct zkp_wr *w, bool value)
{
    uint8_t *p = wr_take(w, 1);
    if (p)
        *p = value ? 1 : 0;
}

void zkp_wr_i32(struct zkp_wr *w, int32_t value)
{
    uint8_t *p = wr_take(w, 4);
    if (p)
        zkp_store_i32(p, value);
}

void zkp_wr_i64(struct zkp_wr *w, int64_t value)
{
    uint8_t *p = wr_take(w, 8);
    if (p)
        zkp_store_i64(p, value);
}

void zkp_wr_raw(struct zkp_wr *w, struct zkp_slice value)
{
    uint8_t *p = wr_take(w, value.len);
    if (p && value.len > 0)
        memcpy(p, value.ptr, value.len);
}

void zkp_wr_buf(struct zkp_wr *w, struct zkp_slice value)
{
    if (!value.ptr) {
        zkp_wr_i32(w, -1);
        return;
    }
    if (value.len > INT32_MAX) /* jute cannot say it */
        w->is_full = true;
    zkp_wr_i32(w, (int32_t)value.len);
    zkp_wr_raw(w, value);
}

uint32_t zkp_wr_len(const struct zkp_wr *w)
{
    return (uint32_t)(w->pos - w->begin);
}

enum rc zkp_wr_done(const struct zkp_wr *w)
{
    return w->is_full ? RC_FULL : RC_OK;
}

uint8_t *zkp_wr_frame_begin(struct zkp_wr *w)
{
    uint8_t *mark = w->pos;
    zkp_wr_i32(w, 0);
    return mark;
}

void zkp_wr_frame_end(struct zkp_wr *w, uint8_t *mark)
{
    if (w->is_full)
        return;
    ASSERT(mark >= w->begin && w->pos - mark >= 4);
    zkp_store_i32(mark, (int32_t)(w->pos - mark - 4));
}
