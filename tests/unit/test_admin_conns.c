/* Who keeps connections to the admin port without using them keeps nobody else out, and costs little: silent
 * ones, slow ones, those who do not read; and what happens when there is no descriptor for the next one. One
 * thread, one loop, raw sockets. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "migrate/monotonic.h"
#include "proxy/admin/admin.h"
#include "proxy/admin/admin_int.h"
#include "proxy/log.h"

#define DEADLINE_MS 60000 /* only bounds a hang */
#define QUICK_MS    200   /* for limits that are to pass */
#define BIG         (8u * 1024u * 1024u)
#define SILENT      (3 * PX_ADMIN_CONNECTIONS_MAX)

struct world {
    struct event_base *base;
    struct px_admin *admin;
    char *big;
};

static uint32_t libevent_warnings;

static void op_status(void *context, struct px_admin_reply reply)
{
    (void)context;
    px_admin_reply_json(reply, "{\"voters\":3}");
}

static void op_sessions(void *context, struct px_admin_reply reply)
{
    const struct world *w = context;

    px_admin_reply_json(reply, w->big);
}

static void op_healthz(void *context, struct px_admin_reply reply)
{
    (void)context;
    px_admin_reply_text(reply, 200, "ok\n");
}

static const struct px_admin_ops ops = {.status = op_status, .sessions = op_sessions, .healthz = op_healthz};

static void on_libevent(int severity, const char *text)
{
    (void)severity;
    (void)text;
    libevent_warnings++;
}

static int setup(void **state)
{
    const struct conf_address address = {.host = "127.0.0.1", .port = 0};
    struct world *w = calloc(1, sizeof *w);
    struct err err;

    assert_non_null(w);
    px_log_set_level(PX_LOG_FATAL);
    event_set_log_callback(on_libevent);
    libevent_warnings = 0;
    w->base = event_base_new();
    w->big = malloc(BIG + 1);
    assert_non_null(w->big);
    memset(w->big, ' ', BIG);
    w->big[BIG] = '\0';
    assert_int_equal(px_admin_new(w->base, &address, &ops, w, &w->admin, &err), RC_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    px_admin_free(w->admin);
    event_base_free(w->base);
    libevent_global_shutdown();
    free(w->big);
    free(w);
    return 0;
}

static int dial(const struct world *w)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(px_admin_port(w->admin))};
    const int small = 4096;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void turn(struct world *w)
{
    assert_true(event_base_loop(w->base, EVLOOP_NONBLOCK) >= 0);
}

static void say(int fd, const char *text)
{
    (void)send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Up to the end of the connection, or until `part` has come; false: it has ended without. */
static bool hear(struct world *w, int fd, const char *part)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    int64_t end_ms = mig_now_ms() + DEADLINE_MS;
    static char text[4096];
    size_t length = 0;

    for (;;) {
        ssize_t got;

        assert_true(mig_now_ms() < end_ms);
        turn(w);
        (void)poll(&readable, 1, 1);
        got = recv(fd, text + length, sizeof text - 1 - length, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN)
            continue;
        if (got <= 0)
            return false;
        length += (size_t)got;
        text[length] = '\0';
        if (strstr(text, part) != NULL)
            return true;
        if (length == sizeof text - 1)
            length = 0; /* the rest of something long */
    }
}

static void is_served(struct world *w, const char *path, const char *part)
{
    char request[200];
    int fd = dial(w);

    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                   path);
    say(fd, request);
    assert_true(hear(w, fd, part));
    close(fd);
}

static bool has_ended(int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_DONTWAIT);

    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* More than there may be: the oldest give way, and whoever asks something is answered. */
static void silent_ones_keep_nobody_out(void **state)
{
    struct world *w = *state;
    int fds[SILENT];
    uint32_t ended = 0;

    for (uint32_t i = 0; i < SILENT; i++) {
        fds[i] = dial(w);
        turn(w);
    }
    is_served(w, "/v1/status", "voters");
    assert_true(w->admin->conn_count <= PX_ADMIN_CONNECTIONS_MAX);
    for (uint32_t i = 0; i < SILENT; i++) {
        ended += has_ended(fds[i]);
        close(fds[i]);
    }
    assert_true(ended >= SILENT - PX_ADMIN_CONNECTIONS_MAX);
}

/* None of them waited for longer than evhttp allows between two reads, and so they never ended. */
static void a_request_must_come_in_time(void **state)
{
    struct world *w = *state;
    int64_t end_ms = mig_now_ms() + DEADLINE_MS;
    int fd = dial(w);

    w->admin->request_ms = QUICK_MS;
    say(fd, "GET /v1/status HTTP/1.1\r\nX: ");
    while (!has_ended(fd) && mig_now_ms() < end_ms) {
        say(fd, "x");
        turn(w);
        (void)poll(NULL, 0, 5);
    }
    assert_true(has_ended(fd));
    close(fd);
    is_served(w, "/v1/status", "voters");
}

/* The same for keep-alive: each request has its time, and between them there is a limit as well. */
static void a_connection_that_is_used_stays(void **state)
{
    struct world *w = *state;
    int64_t begun_ms = mig_now_ms();
    int fd = dial(w);

    w->admin->request_ms = DEADLINE_MS;
    while (mig_now_ms() - begun_ms < 2 * QUICK_MS) {
        say(fd, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_true(hear(w, fd, "voters"));
    }
    w->admin->request_ms = QUICK_MS;
    assert_false(hear(w, fd, "nothing more"));
    close(fd);
}

static void an_answer_must_be_read(void **state)
{
    struct world *w = *state;
    int64_t end_ms = mig_now_ms() + DEADLINE_MS;
    int fd = dial(w);
    char bytes[64];

    w->admin->answer_ms = QUICK_MS;
    say(fd, "GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(hear(w, fd, "200 OK"));
    while (w->admin->conn_count > 0 && mig_now_ms() < end_ms) {
        turn(w);
        (void)recv(fd, bytes, sizeof bytes, MSG_DONTWAIT); /* a little, again and again */
        (void)poll(NULL, 0, 5);
    }
    assert_int_equal(w->admin->conn_count, 0);
    close(fd);
    is_served(w, "/v1/status", "voters");
}

/* Answers that nobody reads take memory: when it is enough, only small ones for probes are given. */
static void unread_answers_are_bounded_in_sum(void **state)
{
    struct world *w = *state;
    int fds[PX_ADMIN_UNREAD_MAX / BIG + 2];
    const uint32_t count = sizeof fds / sizeof fds[0];

    is_served(w, "/v1/status", "voters");
    for (uint32_t i = 0; i < count; i++) {
        fds[i] = dial(w);
        say(fds[i], "GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_true(hear(w, fds[i], "HTTP/1.1"));
    }
    is_served(w, "/v1/status", "\"code\":\"busy\"");
    is_served(w, "/healthz", "ok\n");
    assert_true(px_admin_unread(w->admin) <= PX_ADMIN_UNREAD_MAX + BIG + 4096);
    for (uint32_t i = 0; i < count; i++)
        close(fds[i]);
    for (int64_t end_ms = mig_now_ms() + DEADLINE_MS; w->admin->conn_count > 0 && mig_now_ms() < end_ms;)
        turn(w);
    is_served(w, "/v1/status", "voters");
}

/* It wrote a warning per turn of the loop, 24 MB a second. */
static void without_descriptors_accepting_pauses(void **state)
{
    struct world *w = *state;
    struct rlimit limit, none;
    struct pollfd never = {.fd = -1};
    int fd = dial(w);

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = STDERR_FILENO + 1, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 200; i++) {
        turn(w);
        (void)poll(&never, 0, 1);
    }
    assert_int_equal(libevent_warnings, 0);
    assert_int_equal(w->admin->conn_count, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    say(fd, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(hear(w, fd, "ok\n"));
    close(fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(silent_ones_keep_nobody_out),       TEST(a_request_must_come_in_time),
        TEST(a_connection_that_is_used_stays),   TEST(an_answer_must_be_read),
        TEST(unread_answers_are_bounded_in_sum), TEST(without_descriptors_accepting_pauses),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
