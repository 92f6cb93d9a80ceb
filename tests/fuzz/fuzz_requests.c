/* Request bodies (behind the 8-byte header), each through every decoder. Checked: slices stay inside the
 * input, and SetWatches written again has the same length and the same paths. */
#include <stddef.h>
#include <stdlib.h>

#include "zkproto/assert.h"
#include "zkproto/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX  4096u
#define PATHS_MAX (BODY_MAX / 4)
#define HEAD_LEN  12u /* prefix, xid, type */

static struct zkp_slice input;

static void check_inside(struct zkp_slice s)
{
    if (!s.ptr)
        ASSERT(s.len == 0);
    else
        ASSERT(s.ptr >= input.ptr && s.len <= input.len && s.ptr + s.len <= input.ptr + input.len);
}

struct lists {
    struct zkp_slice paths[ZKP_LIST_COUNT][PATHS_MAX];
    uint32_t counts[ZKP_LIST_COUNT];
};

static enum rc collect(void *context, enum zkp_watch_list list, struct zkp_slice path)
{
    struct lists *lists = context;
    check_inside(path);
    ASSERT(lists->counts[list] < PATHS_MAX);
    lists->paths[list][lists->counts[list]++] = path;
    return RC_OK;
}

/* Compares the walk over what we wrote with what was collected. */
struct compared {
    const struct lists *lists;
    uint32_t seen[ZKP_LIST_COUNT];
};

static enum rc compare(void *context, enum zkp_watch_list list, struct zkp_slice path)
{
    struct compared *c = context;
    uint32_t at = c->seen[list]++;
    ASSERT(at < c->lists->counts[list]);
    ASSERT(zkp_slice_eq(path, c->lists->paths[list][at]));
    ASSERT((path.ptr == NULL) == (c->lists->paths[list][at].ptr == NULL));
    return RC_OK;
}

static void check_set_watches(bool is_set_watches2)
{
    static struct lists lists; /* 80 KiB, libFuzzer's stack is smaller with sanitizers */
    static uint8_t frame[HEAD_LEN + BODY_MAX];
    memset(lists.counts, 0, sizeof lists.counts);
    int64_t zxid, again;
    if (zkp_set_watches_decode(input, is_set_watches2, &zxid, collect, &lists) != RC_OK)
        return;
    const struct zkp_slice *paths[ZKP_LIST_COUNT];
    for (unsigned i = 0; i < ZKP_LIST_COUNT; i++)
        paths[i] = lists.paths[i];
    uint32_t length =
        zkp_set_watches_frame(-8, is_set_watches2, zxid, paths, lists.counts, frame, HEAD_LEN + input.len);
    ASSERT(length == HEAD_LEN + input.len);
    struct compared compared = {.lists = &lists};
    struct zkp_slice body = zkp_slice_of(frame + HEAD_LEN, length - HEAD_LEN);
    ASSERT(zkp_set_watches_decode(body, is_set_watches2, &again, compare, &compared) == RC_OK);
    ASSERT(again == zxid && memcmp(compared.seen, lists.counts, sizeof lists.counts) == 0);
}

static enum rc see_sub_op(void *context, int32_t type, struct zkp_slice path)
{
    (void)context;
    ASSERT(type > 0);
    check_inside(path);
    return RC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zkp_path_watch path_watch;
    struct zkp_path_int path_int;
    struct zkp_auth auth;
    if (size > BODY_MAX)
        return 0;
    input = zkp_slice_of(data, (uint32_t)size);
    if (zkp_path_watch_decode(input, &path_watch) == RC_OK)
        check_inside(path_watch.path);
    if (zkp_path_int_decode(input, &path_int) == RC_OK)
        check_inside(path_int.path);
    if (zkp_auth_decode(input, &auth) == RC_OK) {
        check_inside(auth.scheme);
        check_inside(auth.auth);
    }
    check_set_watches(false);
    check_set_watches(true);
    zkp_multi_request_walk(input, see_sub_op, NULL);
    return 0;
}
