/* Every allocation for watches fails once: the session is served on, its set is right or unknown, nothing
 * leaks. They all go through px_session_alloc, which this file replaces (alloc_int.h). The count is the only
 * variable at file scope: the replaced signature has no place for a context. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/session/alloc_int.h"
#include "tests/unit/watch_bench.h"
#include "zkproto/opcode.h"

#define WATCHES 60

static long calls_left = LONG_MAX; /* this many succeed, the next one fails, later ones succeed */

void *px_session_alloc(size_t bytes)
{
    return calls_left-- != 0 ? calloc(1, bytes) : NULL;
}

static void watch_some(struct bench *b)
{
    char path[16];

    for (int32_t xid = 1; xid <= WATCHES; xid++) { /* all at once: the queue grows */
        snprintf(path, sizeof(path), "/n%d", xid);
        bench_read(b, xid, ZKP_OP_GET_DATA, path, true);
        assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    }
    for (int32_t xid = 1; xid <= WATCHES; xid++) {
        bench_reply(b, xid, xid, 0);
        assert_non_null(bench_find(b, PX_ACTION_FORWARD));
    }
    bench_set_watches(b, -8, true, (const char *const[ZKP_LIST_COUNT]){"/d", "/e", "/c", "/p", "/r"});
    bench_reply(b, -8, WATCHES, 0);
    for (int32_t i = 1; i < WATCHES; i++) { /* tables shrink */
        snprintf(path, sizeof(path), "/n%d", i);
        bench_fire(b, ZKP_EVENT_DELETED, path);
    }
}

static void each_allocation_fails_once(void **state)
{
    long n;

    (void)state;
    for (n = 0; n < 10000; n++) {
        struct bench b;
        const struct px_watch_set *watches;
        bench_begin(&b);
        bench_reach(&b, PX_SESSION_ACTIVE);
        calls_left = n;
        watch_some(&b);
        watches = px_session_watches(b.session);
        assert_int_equal(px_session_outstanding(b.session), 0);
        assert_int_equal(b.space.overflow_count, watches->is_unknown);
        assert_int_equal(px_watch_set_paths(watches), watches->is_unknown ? 0 : 6);
        bool was_failed = calls_left < 0;
        calls_left = LONG_MAX;
        bench_end(&b);
        if (!was_failed)
            break;
    }
    assert_in_range(n, WATCHES, 9999); /* a path is one allocation */
}

/* A watch on a path that another session holds, in a table with room, allocates nothing. */
static void a_known_path_costs_no_allocation(void **state)
{
    struct bench b;
    struct px_session *first;

    (void)state;
    bench_begin(&b);
    first = b.session;
    bench_reach(&b, PX_SESSION_ACTIVE);
    bench_read(&b, 1, ZKP_OP_GET_DATA, "/p", true);
    bench_reply(&b, 1, 5, 0);
    b.session = px_session_new(true, 5000, &b.space);
    assert_non_null(b.session);
    bench_reach(&b, PX_SESSION_ACTIVE);
    bench_read(&b, 1, ZKP_OP_GET_DATA, "/other", true);
    bench_reply(&b, 1, 5, 0);
    calls_left = 0;
    bench_read(&b, 2, ZKP_OP_GET_DATA, "/p", true);
    bench_reply(&b, 2, 5, 0);
    bench_fire(&b, ZKP_EVENT_DATA_CHANGED, "/p");
    bench_read(&b, 3, ZKP_OP_EXISTS, "/p", true);
    bench_reply(&b, 3, 5, 0);
    assert_int_equal(calls_left, 0);
    calls_left = LONG_MAX;
    assert_int_equal(b.space.totals[ZKP_LIST_DATA], 3);
    px_session_free(first);
    bench_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_fails_once),
        cmocka_unit_test(a_known_path_costs_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
