/* The admin port as a client sees it: a real evhttp server on a free port, a raw socket, fake ops, all in one
 * thread and one loop. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "migrate/zkferry.pb-c.h"
#include "proxy/admin/admin.h"
#include "proxy/log.h"

#define ANSWER_MAX 65536u
#define DEADLINE_S 60 /* only bounds a hang */

/* What the ops were asked, and the request that waits. */
struct fake {
    struct event_base *base;
    struct px_admin *admin;
    char called[64];
    struct px_admin_args args;
    struct px_admin_reply waiting;
    uint32_t waiting_count;
    char answer[ANSWER_MAX];
};

static void remember(struct fake *fake, const char *what)
{
    (void)snprintf(fake->called, sizeof fake->called, "%s", what);
}

static void op_status(void *context, struct px_admin_reply reply)
{
    Zkf__Quorum quorum = ZKF__QUORUM__INIT;

    remember(context, "status");
    quorum.voters = 3;
    px_admin_reply_message(reply, &quorum.base);
}

static void op_sessions(void *context, struct px_admin_reply reply)
{
    struct fake *fake = context;

    remember(fake, "sessions");
    fake->waiting = reply;
    fake->waiting_count++;
}

static void op_healthz(void *context, struct px_admin_reply reply)
{
    remember(context, "healthz");
    px_admin_reply_text(reply, 200, "ok\n");
}

static void op_readyz(void *context, struct px_admin_reply reply)
{
    struct err err;

    remember(context, "readyz");
    (void)err_set(&err, RC_AGAIN, "no server yet");
    px_admin_reply_rc(reply, &err, "wait");
}

static void op_metrics(void *context, struct px_prom *prom)
{
    remember(context, "metrics");
    px_prom_family(prom, "zkferry_up", PX_PROM_GAUGE, "Up.");
    px_prom_count(prom, NULL, 0, 1);
}

static void op_joiner_config(void *context, struct px_admin_reply reply, int32_t server_id)
{
    static const struct px_admin_file files[] = {{"zoo.cfg", "tickTime=2000\n"}, {"myid", "4\n"}};

    remember(context, "joiner_config");
    px_admin_reply_files(reply, server_id, files, 2);
}

static void op_drain(void *context, struct px_admin_reply reply, int32_t server_id)
{
    char what[32];

    (void)snprintf(what, sizeof what, "drain %d", server_id);
    remember(context, what);
    px_admin_reply_done(reply, "taken");
}

static void op_undrain(void *context, struct px_admin_reply reply, int32_t server_id)
{
    char what[32];

    (void)snprintf(what, sizeof what, "undrain %d", server_id);
    remember(context, what);
    px_admin_reply_error(reply, 404, "no_such_server", "none", "");
}

static void op_command(void *context, struct px_admin_reply reply, enum px_admin_command command,
                       const struct px_admin_args *args)
{
    struct fake *fake = context;

    remember(fake, px_admin_command_name(command));
    fake->args = *args;
    if (command == PX_ADMIN_ROLLBACK)
        px_admin_reply_error(reply, 409, "wrong_phase", "a \"finished\" plan stays", "start a new plan\n");
    else
        px_admin_reply_done(reply, "taken");
}

static const struct px_admin_ops ops = {
    .status = op_status,
    .sessions = op_sessions,
    .healthz = op_healthz,
    .readyz = op_readyz,
    .metrics = op_metrics,
    .joiner_config = op_joiner_config,
    .command = op_command,
    .drain = op_drain,
    .undrain = op_undrain,
};

static int setup(void **state)
{
    const struct conf_address address = {.host = "127.0.0.1", .port = 0};
    struct fake *fake = calloc(1, sizeof *fake);
    struct err err;

    assert_non_null(fake);
    px_log_set_level(PX_LOG_FATAL);
    fake->base = event_base_new();
    assert_int_equal(px_admin_new(fake->base, &address, &ops, fake, &fake->admin, &err), RC_OK);
    *state = fake;
    return 0;
}

static int teardown(void **state)
{
    struct fake *fake = *state;

    px_admin_free(fake->admin);
    event_base_free(fake->base);
    libevent_global_shutdown();
    free(fake);
    return 0;
}

static int dial(const struct fake *fake)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(px_admin_port(fake->admin))};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void turn(struct fake *fake)
{
    assert_true(event_base_loop(fake->base, EVLOOP_NONBLOCK) >= 0);
}

static time_t now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* Until the server closes (requests say so) or `until` shows up in the answer. */
static const char *receive(struct fake *fake, int fd, const char *until)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    time_t deadline = now_s() + DEADLINE_S;
    size_t len = 0;

    for (;;) {
        ssize_t got;

        assert_true(now_s() < deadline);
        turn(fake);
        (void)poll(&readable, 1, 1); /* the loop needs its turn again soon */
        got = recv(fd, fake->answer + len, ANSWER_MAX - 1 - len, MSG_DONTWAIT);
        if (got < 0) {
            assert_true(errno == EAGAIN);
            continue;
        }
        len += (size_t)got;
        fake->answer[len] = '\0';
        if (got == 0 || (until != NULL && strstr(fake->answer, until) != NULL))
            return fake->answer;
    }
}

static void transmit(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* A whole exchange on a connection of its own; head has further header lines with \r\n. */
static const char *call(struct fake *fake, const char *method_path, const char *head, const char *body)
{
    static char request[4096];
    int fd = dial(fake);
    const char *answer;

    fake->called[0] = '\0';
    (void)snprintf(
        request, sizeof request,
        "%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
        method_path, (unsigned)px_admin_port(fake->admin), strlen(body), head, body);
    transmit(fd, request);
    answer = receive(fake, fd, NULL);
    close(fd);
    return answer;
}

static void assert_answer(const char *answer, int status, const char *part)
{
    int got = 0;

    assert_int_equal(sscanf(answer, "HTTP/1.1 %d ", &got), 1);
    assert_int_equal(got, status);
    assert_non_null(strstr(answer, part));
}

#define JSON_HEAD "Content-Type: application/json\r\n"

static void test_gets(void **state)
{
    struct fake *fake = *state;

    assert_answer(call(fake, "GET /v1/status", "", ""), 200, "{\"voters\":3,\"alive\":0,\"tolerates\":0}");
    assert_non_null(strstr(fake->answer, "Content-Type: application/json\r\n"));
    assert_answer(call(fake, "GET /v1/status?pretty=1", "", ""), 200, "\"voters\":3");
    assert_answer(call(fake, "GET /healthz", "", ""), 200, "\r\n\r\nok\n");
    assert_answer(call(fake, "GET /readyz", "", ""), 503,
                  "{\"error\":{\"code\":\"again\",\"message\":\"no server yet\",\"hint\":\"wait\"}}");
    assert_answer(call(fake, "GET /metrics", "", ""), 200,
                  "# HELP zkferry_up Up.\n# TYPE zkferry_up gauge\nzkferry_up 1\n");
    assert_non_null(strstr(fake->answer, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    assert_answer(call(fake, "GET /v1/joiner-config/4", "", ""), 200,
                  "{\"id\":4,\"files\":[{\"name\":\"zoo.cfg\",\"text\":\"tickTime=2000\\n\"},"
                  "{\"name\":\"myid\",\"text\":\"4\\n\"}]}");
}

static void test_commands_get_their_arguments(void **state)
{
    struct fake *fake = *state;

    assert_answer(call(fake, "POST /v1/migration/start", "", ""), 200, "{\"message\":\"taken\"}");
    assert_string_equal(fake->called, "start");
    assert_answer(call(fake, "POST /v1/migration/confirm", JSON_HEAD,
                       "{\"plan_id\":\"p1\",\"phase\":\"switch\",\"accept\":[\"x\"]}"),
                  200, "taken");
    assert_string_equal(fake->called, "confirm");
    assert_string_equal(fake->args.plan_id, "p1");
    assert_string_equal(fake->args.phase, "switch");
    assert_int_equal(fake->args.accept_count, 1);
    assert_answer(call(fake, "POST /v1/migration/pause", "", ""), 200, "taken");
    assert_answer(call(fake, "POST /v1/migration/resume", "", ""), 200, "taken");
    assert_answer(call(fake, "POST /v1/migration/retry", "", ""), 200, "taken");
    assert_string_equal(fake->called, "retry");
    assert_answer(call(fake, "POST /v1/servers/4/drain", "", ""), 200, "taken");
    assert_string_equal(fake->called, "drain 4");
    assert_answer(call(fake, "POST /v1/servers/254/undrain", "", ""), 404, "\"code\":\"no_such_server\"");
    assert_string_equal(fake->called, "undrain 254");
    assert_answer(call(fake, "POST /v1/migration/rollback", "", ""), 409,
                  "{\"error\":{\"code\":\"wrong_phase\",\"message\":\"a \\\"finished\\\" plan stays\","
                  "\"hint\":\"start a new plan\\n\"}}");
}

static void test_what_is_not_there(void **state)
{
    static const char *const missing[] = {"GET /",
                                          "GET /v1",
                                          "GET /v1/status/",
                                          "GET /v1/../healthz",
                                          "GET /v1/statu%73",
                                          "GET /healthz%00",
                                          "GET /v1/joiner-config/x",
                                          "GET /v1/joiner-config/",
                                          "GET /v1/joiner-config/99999999999",
                                          "POST /v1/servers/-1/drain",
                                          "PATCH /v2"};
    struct fake *fake = *state;

    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        assert_answer(call(fake, missing[i], "", ""), 404, "\"code\":\"no_such_path\"");
        assert_string_equal(fake->called, "");
    }
    assert_answer(call(fake, "POST /v1/status", "", ""), 405, "Allow: GET\r\n");
    assert_answer(call(fake, "GET /v1/migration/start", "", ""), 405, "Allow: POST\r\n");
    assert_answer(call(fake, "DELETE /v1/status", "", ""), 405, "\"code\":\"method_not_allowed\"");
    assert_answer(call(fake, "DELETE /v1/verify", "", ""), 405, "Allow: GET, POST\r\n");
    assert_answer(call(fake, "OPTIONS /v1/migration/start", "", ""), 405, "\"code\":\"method_not_allowed\"");
    assert_answer(call(fake, "GET //v1/status", "", ""), 400, "\"code\":\"bad_uri\"");
    assert_answer(call(fake, "GET http://127.0.0.1/v1/status", "", ""), 400, "\"code\":\"bad_uri\"");
}

static void test_calls_of_later_versions(void **state)
{
    static const char *const calls[] = {"GET /v1/report", "GET /v1/events", "POST /v1/verify",
                                        "GET /v1/verify"};

    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        assert_answer(call(*state, calls[i], "", ""), 501, "\"code\":\"not_implemented\"");
}

static void test_queries_are_checked(void **state)
{
    struct fake *fake = *state;

    assert_answer(call(fake, "GET /v1/status?since=x", "", ""), 400, "\"code\":\"bad_query\"");
    assert_answer(call(fake, "GET /v1/status?since", "", ""), 400, "\"code\":\"bad_query\"");
    assert_string_equal(fake->called, "");
}

static void test_bodies_are_checked(void **state)
{
    static char big[PX_ADMIN_BODY_MAX + 2];
    struct fake *fake = *state;
    char head[200];
    int fd = dial(fake);

    assert_answer(call(fake, "POST /v1/migration/start", JSON_HEAD, "{\"plan\":1}"), 400,
                  "\"code\":\"bad_body\"");
    assert_answer(call(fake, "POST /v1/migration/start", JSON_HEAD, "{"), 400, "\"code\":\"bad_body\"");
    assert_answer(call(fake, "POST /v1/migration/start", "Content-Type: text/plain\r\n", "{}"), 415,
                  "\"code\":\"not_json\"");
    assert_answer(call(fake, "POST /v1/migration/start", "", "{}"), 415, "\"code\":\"not_json\"");
    assert_answer(
        call(fake, "POST /v1/migration/start", "Content-Type: application/json; charset=utf-8\r\n", "{}"),
        200, "taken");
    fake->called[0] = '\0';
    memset(big, ' ', sizeof big - 1);
    (void)snprintf(head, sizeof head,
                   "POST /v1/migration/start HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   (unsigned)px_admin_port(fake->admin), strlen(big));
    transmit(fd, head);
    transmit(fd, big);
    assert_answer(receive(fake, fd, NULL), 413, "\"code\":\"too_big\"");
    close(fd);
    assert_string_equal(fake->called, "");
}

/* The Host header is the request's second line here: written out instead of call()'s own. */
static const char *call_as(struct fake *fake, const char *method_path, const char *host_lines)
{
    static char request[1024];
    int fd = dial(fake);
    const char *answer;

    fake->called[0] = '\0';
    (void)snprintf(request, sizeof request, "%s HTTP/1.1\r\n%sConnection: close\r\nContent-Length: 0\r\n\r\n",
                   method_path, host_lines);
    transmit(fd, request);
    answer = receive(fake, fd, NULL);
    close(fd);
    return answer;
}

static void test_pages_of_others_are_refused(void **state)
{
    struct fake *fake = *state;
    char origin[128];

    assert_answer(call(fake, "POST /v1/migration/start", "Origin: http://evil.example\r\n", ""), 403,
                  "\"code\":\"bad_origin\"");
    assert_answer(call(fake, "POST /v1/migration/start", "Origin: null\r\n", ""), 403,
                  "\"code\":\"bad_origin\"");
    (void)snprintf(origin, sizeof origin, "Origin: http://127.0.0.1:%u\r\n",
                   (unsigned)px_admin_port(fake->admin));
    assert_answer(call(fake, "POST /v1/migration/start", origin, ""), 200, "taken");
    assert_answer(call_as(fake, "POST /v1/migration/start", "Host: evil.example\r\n"), 403,
                  "\"code\":\"bad_host\"");
    assert_answer(call_as(fake, "POST /v1/migration/start", "Host: 127.0.0.1:1\r\n"), 403,
                  "\"code\":\"bad_host\"");
    assert_answer(call_as(fake, "POST /v1/migration/start", ""), 403, "\"code\":\"bad_host\"");
    assert_string_equal(fake->called, "");
    assert_answer(call_as(fake, "GET /v1/status", "Host: evil.example\r\n"), 403, "\"code\":\"bad_host\"");
    assert_answer(call_as(fake, "GET /v1/status", "Host: localhost:1\r\n"), 200, "voters");
    assert_answer(call_as(fake, "GET /metrics", "Host: proxy-7.example:9181\r\n"), 200, "zkferry_up 1");
}

static void test_an_answer_may_come_later(void **state)
{
    Zkf__SessionList list = ZKF__SESSION_LIST__INIT;
    struct fake *fake = *state;
    int fd = dial(fake);

    transmit(fd, "GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (fake->waiting_count == 0)
        turn(fake);
    px_admin_reply_message(fake->waiting, &list.base);
    px_admin_reply_message(fake->waiting, &list.base); /* a second answer is dropped */
    assert_answer(receive(fake, fd, "}"), 200, "{\"sessions\":[],\"total\":0}");
    /* The connection stays usable: keep-alive. */
    transmit(fd, "GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_answer(receive(fake, fd, NULL), 200, "voters");
    close(fd);
}

static void test_clients_that_leave_cost_nothing(void **state)
{
    Zkf__SessionList list = ZKF__SESSION_LIST__INIT;
    struct fake *fake = *state;
    struct px_admin_reply replies[PX_ADMIN_PENDING_MAX];

    for (uint32_t i = 0; i < PX_ADMIN_PENDING_MAX; i++) {
        int fd = dial(fake);

        transmit(fd, "GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n");
        while (fake->waiting_count == i)
            turn(fake);
        replies[i] = fake->waiting;
        if (i % 2 == 0) { /* half of them leave with a reset, half with a FIN */
            const struct linger reset = {.l_onoff = 1};

            assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
        }
        close(fd);
    }
    for (uint32_t i = 0; i < PX_ADMIN_PENDING_MAX / 2; i++)
        px_admin_reply_message(replies[i], &list.base);
    for (int i = 0; i < 50; i++)
        turn(fake);
    assert_answer(call(fake, "GET /v1/status", "", ""), 200, "voters");
    /* The other half is still unanswered when the server goes down: teardown, under the leak checker. */
}

static void test_too_many_that_wait(void **state)
{
    struct fake *fake = *state;
    int fds[PX_ADMIN_PENDING_MAX];

    for (uint32_t i = 0; i < PX_ADMIN_PENDING_MAX; i++) {
        fds[i] = dial(fake);
        transmit(fds[i], "GET /v1/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n");
        while (fake->waiting_count == i)
            turn(fake);
    }
    assert_answer(call(fake, "GET /v1/status", "", ""), 503, "\"code\":\"busy\"");
    px_admin_reply_done(fake->waiting, "done");
    assert_answer(call(fake, "GET /v1/status", "", ""), 200, "voters");
    for (uint32_t i = 0; i < PX_ADMIN_PENDING_MAX; i++)
        close(fds[i]);
}

static void test_every_post_leaves_an_audit_line(void **state)
{
    char text[4096] = "";
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    px_log_set_fd(ends[1]);
    px_log_set_level(PX_LOG_INFO);
    (void)call(*state, "GET /v1/status", "", "");
    (void)call(*state, "POST /v1/migration/pause", "", "");
    (void)call(*state, "POST /nowhere?a=b%20c\"", "", "");
    px_log_set_fd(STDERR_FILENO);
    close(ends[1]);
    assert_true(read(ends[0], text, sizeof text - 1) > 0);
    close(ends[0]);
    assert_null(strstr(text, "/v1/status"));
    assert_non_null(strstr(text, "event=admin.call method=POST path=/v1/migration/pause who=127.0.0.1:"));
    assert_non_null(strstr(text, "event=admin.answer path=/v1/migration/pause status=200\n"));
    assert_non_null(strstr(text, "event=admin.answer path=\"/nowhere?a=b%20c\\\"\" status=404\n"));
}

static void test_an_address_in_use_is_reported(void **state)
{
    struct fake *fake = *state;
    const struct conf_address address = {.host = "127.0.0.1", .port = px_admin_port(fake->admin)};
    struct px_admin *second = NULL;
    struct err err;

    assert_int_equal(px_admin_new(fake->base, &address, &ops, fake, &second, &err), RC_IO);
    assert_non_null(strstr(err.text, "cannot listen on 127.0.0.1 port"));
    assert_null(second);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_gets),
        TEST(test_commands_get_their_arguments),
        TEST(test_what_is_not_there),
        TEST(test_calls_of_later_versions),
        TEST(test_queries_are_checked),
        TEST(test_bodies_are_checked),
        TEST(test_pages_of_others_are_refused),
        TEST(test_an_answer_may_come_later),
        TEST(test_clients_that_leave_cost_nothing),
        TEST(test_too_many_that_wait),
        TEST(test_every_post_leaves_an_audit_line),
        TEST(test_an_address_in_use_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
