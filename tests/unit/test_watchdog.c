/* The watchdog: a turn that lasts is told once and counted, one that waits never is, and the service manager
 * hears nothing while a worker is stuck. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/control/watchdog.h"

struct bench {
    struct px_watchdog watchdog;
    struct px_shared *shared;
    int manager; /* its socket */
};

/* An abstract name that the kernel has chosen. */
static int open_manager(char *name, size_t capacity)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof(sa_family_t);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
    length = sizeof(address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    snprintf(name, capacity, "@%.*s", (int)(length - sizeof(sa_family_t) - 1), address.sun_path + 1);
    return fd;
}

static int setup(void **state)
{
    static struct bench b;
    char name[64];

    b.manager = open_manager(name, sizeof(name));
    setenv("NOTIFY_SOCKET", name, 1);
    setenv("WATCHDOG_USEC", "8000000", 1);
    px_watchdog_init(&b.watchdog);
    b.shared = px_shared_new(2);
    *state = &b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    close(b->manager);
    px_shared_free(b->shared);
    return 0;
}

static void look(struct bench *b, int64_t now_ms)
{
    px_watchdog_look(&b->watchdog, b->shared, now_ms, now_ms);
}

static void set_turn(struct bench *b, uint32_t worker, uint32_t turn)
{
    atomic_store(&b->shared->workers[worker].turn, turn);
}

/* How many messages wait; the last one is in text. */
static int told(struct bench *b, char *text, size_t capacity)
{
    int count = 0;
    ssize_t got;

    while ((got = recv(b->manager, text, capacity - 1, 0)) >= 0) {
        text[got] = '\0';
        count++;
    }
    return count;
}

static void a_turn_that_lasts_is_told_once(void **state)
{
    struct bench *b = *state;

    set_turn(b, 1, 7);
    look(b, 10000);
    look(b, 10999);
    assert_int_equal(b->watchdog.slow_worker_turns, 0);
    look(b, 11000);
    look(b, 15000);
    assert_int_equal(b->watchdog.slow_worker_turns, 1);
    set_turn(b, 1, 8);
    look(b, 15100);
    set_turn(b, 1, 9);
    look(b, 15200);
    look(b, 16200);
    assert_int_equal(b->watchdog.slow_worker_turns, 2);
}

static void who_waits_is_not_stuck(void **state)
{
    struct bench *b = *state;

    set_turn(b, 0, 8);
    look(b, 10000);
    look(b, 1000000);
    assert_int_equal(b->watchdog.slow_worker_turns, 0);
    assert_int_equal(b->watchdog.slow_control_turns, 0);
}

static void a_late_look_is_controls(void **state)
{
    struct bench *b = *state;

    px_watchdog_look(&b->watchdog, b->shared, 10000, 10999);
    assert_int_equal(b->watchdog.slow_control_turns, 0);
    px_watchdog_look(&b->watchdog, b->shared, 10000, 11000);
    assert_int_equal(b->watchdog.slow_control_turns, 1);
}

static void the_manager_hears_it_while_all_turn(void **state)
{
    struct bench *b = *state;
    char text[64];

    set_turn(b, 0, 1);
    look(b, 10000);
    assert_int_equal(told(b, text, sizeof(text)), 1);
    assert_string_equal(text, "WATCHDOG=1");
    set_turn(b, 0, 3);
    look(b, 10500); /* a quarter of its time has not passed */
    assert_int_equal(told(b, text, sizeof(text)), 0);
    look(b, 12600); /* stuck since 10500 */
    look(b, 20000);
    assert_int_equal(told(b, text, sizeof(text)), 0);
    set_turn(b, 0, 4);
    look(b, 20100);
    assert_int_equal(told(b, text, sizeof(text)), 1);
    px_watchdog_notify(&b->watchdog, "READY=1");
    assert_int_equal(told(b, text, sizeof(text)), 1);
    assert_string_equal(text, "READY=1");
}

static void children_do_not_speak_for_us(void **state)
{
    (void)state;
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
}

/* Without a manager, and for a watchdog of another process. */
static void nobody_to_tell(void **state)
{
    struct bench *b = *state;
    char text[64];

    px_watchdog_init(&b->watchdog);
    look(b, 10000);
    px_watchdog_notify(&b->watchdog, "READY=1");
    setenv("WATCHDOG_USEC", "8000000", 1);
    setenv("WATCHDOG_PID", "1", 1);
    px_watchdog_init(&b->watchdog);
    assert_int_equal(b->watchdog.notify_every_ms, 0);
    assert_int_equal(told(b, text, sizeof(text)), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_turn_that_lasts_is_told_once), CASE(who_waits_is_not_stuck),
        CASE(a_late_look_is_controls),        CASE(the_manager_hears_it_while_all_turn),
        CASE(children_do_not_speak_for_us),   CASE(nobody_to_tell),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
