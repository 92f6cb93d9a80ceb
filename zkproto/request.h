/* Bodies that the proxy must read: paths with a watch flag, auth, SetWatches, addWatch, removeWatches,
 * multi headers; and the ones it writes itself. Pure; slices borrow from the input. */
#ifndef ZKPROTO_REQUEST_H
#define ZKPROTO_REQUEST_H

#include "zkproto/cursor.h"

/* exists, getData, getChildren, getChildren2: {path, watch}. `body` starts after the 8-byte header. */
struct zkp_path_watch {
    struct zkp_slice path;
    bool watch;
};
enum rc zkp_path_watch_decode(struct zkp_slice body, struct zkp_path_watch *ret_request);

/* addWatch {path, mode 0 persistent | 1 recursive}; removeWatches and checkWatches {path, type}. */
struct zkp_path_int {
    struct zkp_slice path;
    int32_t value;
};
enum rc zkp_path_int_decode(struct zkp_slice body, struct zkp_path_int *ret_request);

/* createTTL {path, data, acl, flags, ttl in ms}: the last two. Bytes behind them are ignored, as servers do.
 */
struct zkp_create_ttl {
    int32_t flags; /* enum CreateMode */
    int64_t ttl;
};
enum rc zkp_create_ttl_decode(struct zkp_slice body, struct zkp_create_ttl *ret_request);

struct zkp_auth {
    int32_t type;
    struct zkp_slice scheme;
    struct zkp_slice auth;
};
enum rc zkp_auth_decode(struct zkp_slice body, struct zkp_auth *ret_auth);

/* SetWatches (101) has 3 lists, SetWatches2 (105) has 5. Lists are iterated in place. */
enum zkp_watch_list {
    ZKP_LIST_DATA,
    ZKP_LIST_EXIST,
    ZKP_LIST_CHILD,
    ZKP_LIST_PERSISTENT,
    ZKP_LIST_RECURSIVE,
    ZKP_LIST_COUNT
};
/* Called per path; returning anything but RC_OK stops the walk with that code. */
typedef enum rc zkp_watch_path_fn(void *context, enum zkp_watch_list list, struct zkp_slice path);
/* Walks {relativeZxid, lists}; RC_MALFORMED when a count or a length does not fit. fn may be NULL. */
enum rc zkp_set_watches_decode(struct zkp_slice body, bool is_set_watches2, int64_t *ret_relative_zxid,
                               zkp_watch_path_fn *fn, void *context);

/* Writes a whole frame {len, xid, op 101|105, relativeZxid, lists}. lists[i]/counts[i]: paths per list;
 * 3 lists are written when is_set_watches2 is false. Returns its length, 0 when it does not fit. */
uint32_t zkp_set_watches_frame(int32_t xid, bool is_set_watches2, int64_t relative_zxid,
                               const struct zkp_slice *const lists[ZKP_LIST_COUNT],
                               const uint32_t counts[ZKP_LIST_COUNT], uint8_t *buf, uint32_t capacity);

/* WatcherEvent body (after the 16-byte reply header): {type, state, path}. */
enum zkp_event_type {
    ZKP_EVENT_CREATED = 1,
    ZKP_EVENT_DELETED = 2,
    ZKP_EVENT_DATA_CHANGED = 3,
    ZKP_EVENT_CHILDREN_CHANGED = 4,
};
struct zkp_watcher_event {
    int32_t type;
    int32_t state;
    struct zkp_slice path;
};
enum rc zkp_watcher_event_decode(struct zkp_slice body, struct zkp_watcher_event *ret_event);
uint32_t zkp_watcher_event_frame(int64_t zxid, const struct zkp_watcher_event *event, uint8_t *buf,
                                 uint32_t capacity);

/* Calls fn for each sub-operation of a multi or multiRead request: its type and its body's path
 * (every sub-operation starts with one). */
typedef enum rc zkp_multi_fn(void *context, int32_t type, struct zkp_slice path);
enum rc zkp_multi_request_walk(struct zkp_slice body, zkp_multi_fn *fn, void *context);

/* Stat, 68 bytes (protocol.md §1.4); where its dataLength stands, for the config guard. */
#define ZKP_STAT_LEN                 68u
#define ZKP_STAT_CZXID_OFFSET        0u
#define ZKP_STAT_MZXID_OFFSET        8u
#define ZKP_STAT_DATA_LENGTH_OFFSET  52u
#define ZKP_STAT_NUM_CHILDREN_OFFSET 56u
#define ZKP_STAT_PZXID_OFFSET        60u

/* Rewrites a getData reply body {buffer, Stat} into {empty buffer, Stat with dataLength 0}: length 0,
 * not null, as a standalone server's config node (design.md §4 guard). Returns the new body's length
 * (4 + 68) written to buf, or 0 when the input is no getData body or does not fit. */
uint32_t zkp_get_data_reply_hide(struct zkp_slice body, uint8_t *buf, uint32_t capacity);
/* The same for a MultiReadResponse: hides the data of sub-results whose index is in `hide` (a bit per
 * sub-result, 64 at most are looked at). Output is never longer than the input. 0 = malformed. */
uint32_t zkp_multi_read_reply_hide(struct zkp_slice body, uint64_t hide, uint8_t *buf, uint32_t capacity);

#endif
