/* Log lines: level, ring per worker, output (see log.h). The pairs are formatted in log_format.c.
 * File-scope state is the level, the descriptor, the table of rings and each thread's ring: a log that must
 * be passed as a parameter is a log that is not written. */
#include "proxy/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "proxy/log_limit.h"
#include "zkproto/assert.h"

#define CACHE_LINE 64

/* A byte ring of whole lines, one writer (the thread that attached it), one reader (px_log_drain).
 * tail <= head <= tail + PX_LOG_RING_SIZE; both only grow, the place is the count modulo the size. */
struct ring {
    _Alignas(CACHE_LINE) _Atomic(uint64_t) head; /* written by the writer, after the bytes */
    _Atomic(uint64_t) dropped;
    _Alignas(CACHE_LINE) _Atomic(uint64_t) tail; /* written by the reader, after the bytes are out */
    char bytes[PX_LOG_RING_SIZE];
};

_Atomic(int) px_log_threshold = PX_LOG_INFO;
static int log_fd = STDERR_FILENO;
static _Atomic(struct ring *) rings[PX_LOG_RINGS_MAX];
static _Atomic(uint32_t) ring_count;
static uint64_t dropped_reported; /* px_log_drain only */
static _Thread_local struct ring *own_ring;
static _Thread_local struct px_log_limit own_limit;
static _Atomic(uint64_t) left_out_total;

const char *px_log_level_name(enum px_log_level level)
{
    static const char *const names[] = {"debug", "info", "warn", "error", "fatal"};

    return (unsigned)level <= PX_LOG_FATAL ? names[level] : "unknown";
}

void px_log_set_level(enum px_log_level level)
{
    atomic_store_explicit(&px_log_threshold, (int)level, memory_order_relaxed);
}

void px_log_set_fd(int fd)
{
    log_fd = fd;
}

/* One writev for the usual case, so that lines of two threads do not mix. A log that can't be written
 * (full pipe of a non-blocking stderr, closed reader) is given up: there is nowhere to report it. */
static void write_out(const char *first, size_t first_len, const char *second, size_t second_len)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)first, first_len}, {(void *)(uintptr_t)second, second_len}};

    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t written = writev(log_fd, parts, 2);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return;
        for (int i = 0; i < 2; i++) {
            size_t take = (size_t)written < parts[i].iov_len ? (size_t)written : parts[i].iov_len;

            if (take == 0) /* an empty part may be NULL */
                continue;
            parts[i].iov_base = (char *)parts[i].iov_base + take;
            parts[i].iov_len -= take;
            written -= (ssize_t)take;
        }
    }
}

static void ring_append(struct ring *ring, const char *line, uint32_t len)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    uint32_t at = (uint32_t)(head % PX_LOG_RING_SIZE);
    uint32_t to_end = PX_LOG_RING_SIZE - at;

    if (head - tail + len > PX_LOG_RING_SIZE) {
        atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
        return;
    }
    if (len <= to_end) {
        memcpy(ring->bytes + at, line, len);
    } else {
        memcpy(ring->bytes + at, line, to_end);
        memcpy(ring->bytes, line + to_end, len - to_end);
    }
    atomic_store_explicit(&ring->head, head + len, memory_order_release);
}

static void ring_drain(struct ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    uint32_t at = (uint32_t)(tail % PX_LOG_RING_SIZE);
    uint32_t len = (uint32_t)(head - tail);
    uint32_t to_end = PX_LOG_RING_SIZE - at;

    if (len == 0)
        return;
    if (len <= to_end)
        write_out(ring->bytes + at, len, NULL, 0);
    else
        write_out(ring->bytes + at, to_end, ring->bytes, len - to_end);
    atomic_store_explicit(&ring->tail, head, memory_order_release);
}

/* "ts=2024-05-01T12:00:00.123Z lvl=info event=x"; returns its length. */
static uint32_t line_head(char *buf, uint32_t capacity, enum px_log_level level, const char *event)
{
    struct timespec now;
    struct tm tm;
    char date[sizeof "2024-05-01T12:00:00"];
    int len;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (gmtime_r(&now.tv_sec, &tm) == NULL || strftime(date, sizeof date, "%FT%T", &tm) == 0)
        date[0] = '\0';
    len = snprintf(buf, capacity, "ts=%s.%03dZ lvl=%s event=%s", date, (int)(now.tv_nsec / 1000000),
                   px_log_level_name(level), event);
    ASSERT(len > 0 && (uint32_t)len < capacity); /* event is a literal of ours */
    return (uint32_t)len;
}

static int64_t monotonic_ms(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The host of the line's peer=HOST:PORT; "" when it has none. */
static void source_of(const char *pairs, char source[PX_LOG_SOURCE_MAX])
{
    const char *peer = strncmp(pairs, "peer=", 5) == 0 ? pairs : strstr(pairs, " peer=");
    size_t len;

    source[0] = '\0';
    if (peer == NULL)
        return;
    peer = strchr(peer, '=') + 1;
    len = strcspn(peer, " \n");
    for (size_t i = len; i > 0; i--)
        if (peer[i - 1] == ':') {
            len = i - 1;
            break;
        }
    len = len < PX_LOG_SOURCE_MAX - 1 ? len : PX_LOG_SOURCE_MAX - 1;
    memcpy(source, peer, len);
    source[len] = '\0';
}

static bool may_go_out(enum px_log_level level, const char *event, const char *pairs, uint32_t *ret_left_out)
{
    char source[PX_LOG_SOURCE_MAX];

    *ret_left_out = 0;
    if (level == PX_LOG_FATAL || px_log_limit_exempts(event))
        return true;
    source_of(pairs, source);
    if (px_log_limit_take(&own_limit, event, source, monotonic_ms(), ret_left_out))
        return true;
    atomic_fetch_add_explicit(&left_out_total, 1, memory_order_relaxed);
    return false;
}

uint64_t px_log_left_out(void)
{
    return atomic_load_explicit(&left_out_total, memory_order_relaxed);
}

void px_log_sweep(void)
{
    const struct px_log_limit_row *row;
    uint32_t left_out;
    int64_t now_ms = monotonic_ms();

    while ((row = px_log_limit_next(&own_limit, now_ms, &left_out)) != NULL)
        px_log(PX_LOG_WARN, "log.left_out", "of=%s source=%s lines=%u", row->event, row->source, left_out);
}

void px_log_line(enum px_log_level level, const char *event, const char *format, ...)
{
    static const char cut_mark[] = " cut=true";
    char line[PX_LOG_LINE_MAX];
    char tail[32]; /* how many were left out before it */
    uint32_t room = PX_LOG_LINE_MAX - (uint32_t)(sizeof cut_mark + sizeof tail);
    uint32_t len = line_head(line, room, level, event);
    uint32_t head = len;
    uint32_t left_out;
    bool is_cut = false;
    va_list args;

    if (format[0] != '\0') {
        line[len++] = ' ';
        va_start(args, format);
        len += px_log_format(line + len, room - len, &is_cut, format, args);
        va_end(args);
    }
    line[len] = '\0';
    if (!may_go_out(level, event, line + head + (len > head), &left_out))
        return;
    if (left_out > 0) {
        int added = snprintf(tail, sizeof tail, " left_out=%u", left_out);
        memcpy(line + len, tail, (size_t)added);
        len += (uint32_t)added;
    }
    if (is_cut) {
        memcpy(line + len, cut_mark, sizeof cut_mark - 1);
        len += (uint32_t)sizeof cut_mark - 1;
    }
    line[len++] = '\n';
    if (own_ring != NULL && level != PX_LOG_FATAL)
        ring_append(own_ring, line, len);
    else
        write_out(line, len, NULL, 0);
}

enum rc px_log_ring_attach(void)
{
    struct ring *ring;
    uint32_t slot;

    ASSERT(own_ring == NULL);
    ring = aligned_alloc(CACHE_LINE, sizeof *ring);
    if (ring == NULL)
        return RC_NOMEM;
    memset(ring, 0, sizeof *ring);
    slot = atomic_fetch_add(&ring_count, 1);
    if (slot >= PX_LOG_RINGS_MAX) {
        atomic_fetch_sub(&ring_count, 1);
        free(ring);
        return RC_FULL;
    }
    atomic_store(&rings[slot], ring);
    own_ring = ring;
    return RC_OK;
}

void px_log_ring_detach(void)
{
    own_ring = NULL;
}

/* Rings from slot 0 on; a slot that is reserved but not filled yet is NULL. */
static struct ring *ring_at(uint32_t slot)
{
    return slot < PX_LOG_RINGS_MAX ? atomic_load(&rings[slot]) : NULL;
}

uint64_t px_log_dropped(void)
{
    uint64_t dropped = 0;
    uint32_t count = atomic_load(&ring_count);

    for (uint32_t i = 0; i < count; i++) {
        struct ring *ring = ring_at(i);

        if (ring != NULL)
            dropped += atomic_load_explicit(&ring->dropped, memory_order_relaxed);
    }
    return dropped;
}

void px_log_drain(void)
{
    uint32_t count = atomic_load(&ring_count);
    uint64_t dropped;

    for (uint32_t i = 0; i < count; i++) {
        struct ring *ring = ring_at(i);

        if (ring != NULL)
            ring_drain(ring);
    }
    dropped = px_log_dropped();
    if (dropped != dropped_reported)
        px_log(PX_LOG_WARN, "log.dropped", "lines=%llu", (unsigned long long)(dropped - dropped_reported));
    dropped_reported = dropped;
}

void px_log_done(void)
{
    ASSERT(own_ring == NULL);
    px_log_drain();
    for (uint32_t i = 0; i < PX_LOG_RINGS_MAX; i++)
        free(atomic_exchange(&rings[i], NULL));
    atomic_store(&ring_count, 0);
    dropped_reported = 0;
}
