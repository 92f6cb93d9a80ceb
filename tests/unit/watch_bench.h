/* Frames that set, remove and fire watches, for the session core's tests. Header only. */
#ifndef TESTS_UNIT_WATCH_BENCH_H
#define TESTS_UNIT_WATCH_BENCH_H

#include "tests/unit/session_bench.h"
#include "zkproto/header.h"
#include "zkproto/request.h"

#define BENCH_BODY_MAX 4096u

static inline struct zkp_wr bench_wr(uint8_t *body, int32_t xid, int32_t type)
{
    struct zkp_wr w = zkp_wr_over(body, BENCH_BODY_MAX);

    zkp_wr_i32(&w, xid);
    zkp_wr_i32(&w, type);
    return w;
}

/* exists, getData, getChildren. */
static inline void bench_read(struct bench *b, int32_t xid, int32_t type, const char *path, bool watch)
{
    uint8_t body[BENCH_BODY_MAX];
    struct zkp_wr w = bench_wr(body, xid, type);

    zkp_wr_buf(&w, zkp_slice_str(path));
    zkp_wr_bool(&w, watch);
    bench_frame(b, PX_EVENT_CLIENT_FRAME, body, zkp_wr_len(&w));
}

/* addWatch, removeWatches, checkWatches. */
static inline void bench_path_int(struct bench *b, int32_t xid, int32_t type, const char *path, int32_t value)
{
    uint8_t body[BENCH_BODY_MAX];
    struct zkp_wr w = bench_wr(body, xid, type);

    zkp_wr_buf(&w, zkp_slice_str(path));
    zkp_wr_i32(&w, value);
    bench_frame(b, PX_EVENT_CLIENT_FRAME, body, zkp_wr_len(&w));
}

/* One path per list, NULL for an empty list. */
static inline void bench_set_watches(struct bench *b, int32_t xid, bool is_set_watches2,
                                     const char *const paths[ZKP_LIST_COUNT])
{
    struct zkp_slice slices[ZKP_LIST_COUNT] = {{0}};
    const struct zkp_slice *lists[ZKP_LIST_COUNT];
    uint32_t counts[ZKP_LIST_COUNT] = {0};
    uint8_t frame[BENCH_BODY_MAX];
    uint32_t length;

    for (uint32_t list = 0; list < ZKP_LIST_COUNT; list++) {
        lists[list] = &slices[list];
        if (paths[list] != NULL) {
            slices[list] = zkp_slice_str(paths[list]);
            counts[list] = 1;
        }
    }
    length = zkp_set_watches_frame(xid, is_set_watches2, 7, lists, counts, frame, sizeof(frame));
    bench_frame(b, PX_EVENT_CLIENT_FRAME, frame + 4, length - 4);
}

static inline void bench_fire(struct bench *b, int32_t type, const char *path)
{
    struct zkp_watcher_event event = {.type = type, .state = 3, .path = zkp_slice_str(path)};
    uint8_t frame[BENCH_BODY_MAX];
    uint32_t length = zkp_watcher_event_frame(-1, &event, frame, sizeof(frame));

    bench_frame(b, PX_EVENT_SERVER_FRAME, frame + 4, length - 4);
}

/* Which lists a path is on, as text: d data, e exist, c child, p persistent, r recursive. */
static inline const char *bench_lists(const struct px_watch_set *set, const char *path, char text[6])
{
    uint32_t length = 0;

    for (uint32_t list = 0; list < ZKP_LIST_COUNT; list++)
        if (px_watch_set_has(set, (enum zkp_watch_list)list, zkp_slice_str(path)))
            text[length++] = "decpr"[list];
    text[length] = '\0';
    return text;
}

#endif
