/* The poller: what is armed comes, what is removed does not, not even in the turn in which it was ready; and
 * arming anew shows once more what an edge has shown already. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/net/poller.h"

#define WAIT_MS 60000 /* only bounds a hang */

/* One end of a socket pair in the set; `peer` is the other. `victim`, if any, is removed by the call. */
struct end {
    struct px_polled polled;
    struct px_poller *poller;
    struct end *victim;
    int fd;
    int peer;
    uint32_t calls;
    uint32_t what;
};

static void turn(struct px_poller *poller, int timeout_ms)
{
    px_poller_wait(poller, timeout_ms);
    px_poller_call(poller);
}

static void on_end(struct px_polled *polled, uint32_t what)
{
    struct end *end = (struct end *)((char *)polled - offsetof(struct end, polled));

    end->calls++;
    end->what = what;
    if (end->victim != NULL)
        px_poller_remove(end->poller, &end->victim->polled, end->victim->fd);
}

static void end_open(struct end *end, struct px_poller *poller, uint32_t events)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    *end = (struct end){.polled.fn = on_end, .poller = poller, .fd = pair[0], .peer = pair[1]};
    if (events != 0)
        assert_int_equal(px_poller_set(poller, &end->polled, end->fd, events), RC_OK);
}

static void end_close(struct end *end)
{
    px_poller_remove(end->poller, &end->polled, end->fd);
    close(end->fd);
    if (end->peer >= 0)
        close(end->peer);
}

static void feed(const struct end *end)
{
    assert_int_equal(write(end->peer, "x", 1), 1);
}

static void test_ready_comes(void **state)
{
    struct px_poller poller;
    struct end end;

    (void)state;
    assert_int_equal(px_poller_init(&poller), RC_OK);
    end_open(&end, &poller, EPOLLIN);
    turn(&poller, 0);
    assert_int_equal(end.calls, 0);
    feed(&end);
    turn(&poller, WAIT_MS);
    assert_int_equal(end.calls, 1);
    assert_int_equal(end.what, EPOLLIN);
    end_close(&end);
    px_poller_done(&poller);
}

/* What conn.c relies on: an edge comes once, and again when armed anew although nothing has changed. */
static void test_edge_again_when_armed_anew(void **state)
{
    const uint32_t events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    struct px_poller poller;
    struct end end;

    (void)state;
    assert_int_equal(px_poller_init(&poller), RC_OK);
    end_open(&end, &poller, events);
    feed(&end);
    turn(&poller, WAIT_MS);
    turn(&poller, 0);
    assert_int_equal(end.calls, 1);
    assert_int_equal(px_poller_set(&poller, &end.polled, end.fd, events), RC_OK);
    turn(&poller, WAIT_MS);
    assert_int_equal(end.calls, 2);
    end_close(&end);
    px_poller_done(&poller);
}

static void test_removed_in_the_same_turn(void **state)
{
    struct px_poller poller;
    struct end ends[2];

    (void)state;
    assert_int_equal(px_poller_init(&poller), RC_OK);
    for (int i = 0; i < 2; i++)
        end_open(&ends[i], &poller, EPOLLIN);
    ends[0].victim = &ends[1];
    ends[1].victim = &ends[0];
    feed(&ends[0]);
    feed(&ends[1]);
    turn(&poller, WAIT_MS);
    assert_int_equal(ends[0].calls + ends[1].calls, 1);
    /* The one that was called is armed still and comes again; the other one never does. */
    turn(&poller, 0);
    assert_int_equal(ends[0].calls * ends[1].calls, 0);
    assert_int_equal(ends[0].calls + ends[1].calls, 2);
    for (int i = 0; i < 2; i++)
        end_close(&ends[i]);
    px_poller_done(&poller);
}

/* Whatever is waited for shows the end: EPOLLHUP alone is nothing that anybody arms. */
static void test_hang_up_is_everything_armed(void **state)
{
    struct px_poller poller;
    struct end end;

    (void)state;
    assert_int_equal(px_poller_init(&poller), RC_OK);
    end_open(&end, &poller, EPOLLRDHUP);
    close(end.peer);
    end.peer = -1;
    turn(&poller, WAIT_MS);
    assert_int_equal(end.calls, 1);
    assert_int_equal(end.what, EPOLLRDHUP);
    end_close(&end);
    px_poller_done(&poller);
}

static void test_more_than_a_batch(void **state)
{
    enum { COUNT = PX_POLLER_BATCH + 10 };
    struct px_poller poller;
    struct end *ends = calloc(COUNT, sizeof(*ends));

    (void)state;
    assert_non_null(ends);
    assert_int_equal(px_poller_init(&poller), RC_OK);
    for (int i = 0; i < COUNT; i++) {
        end_open(&ends[i], &poller, EPOLLIN | EPOLLET);
        feed(&ends[i]);
    }
    turn(&poller, WAIT_MS);
    turn(&poller, WAIT_MS);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(ends[i].calls, 1);
        end_close(&ends[i]);
    }
    free(ends);
    px_poller_done(&poller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ready_comes),
        cmocka_unit_test(test_edge_again_when_armed_anew),
        cmocka_unit_test(test_removed_in_the_same_turn),
        cmocka_unit_test(test_hang_up_is_everything_armed),
        cmocka_unit_test(test_more_than_a_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
