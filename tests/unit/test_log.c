/* Log lines: pairs, escaping of hostile text, cutting, level, rings of threads. Output goes to a pipe. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/log.h"

static bool was_cut;

static const char *pairs(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *pairs(const char *format, ...)
{
    static char buf[512];
    va_list args;
    uint32_t len;

    va_start(args, format);
    len = px_log_format(buf, sizeof buf, &was_cut, format, args);
    va_end(args);
    assert_int_equal(len, strlen(buf));
    return buf;
}

static void test_plain_pairs(void **state)
{
    (void)state;
    assert_string_equal(pairs("sid=%#llx to=%d n=%zu", 0x1000aULL, -3, (size_t)7), "sid=0x1000a to=-3 n=7");
    assert_string_equal(pairs("peer=%s:%u", "127.0.0.1", 80u), "peer=127.0.0.1:80");
    assert_string_equal(pairs("zxid=%#lx pad=%04d hex=%08x up=%X", 0UL, 7, 0xabcu, 0xabcu),
                        "zxid=0x0 pad=0007 hex=00000abc up=ABC");
    assert_string_equal(pairs("took=%.3f g=%g pct=%d%% c=%c", 1.5, 0.25, 50, 'x'),
                        "took=1.500 g=0.25 pct=50% c=x");
    assert_string_equal(pairs("a=%.*s b=%s", 2, "xyz", (const char *)NULL), "a=xy b=(null)");
    assert_false(was_cut);
}

static void test_values_are_quoted_and_escaped(void **state)
{
    (void)state;
    assert_string_equal(pairs("why=%s next=%d", "no quorum", 1), "why=\"no quorum\" next=1");
    assert_string_equal(pairs("a=%s", ""), "a=\"\"");
    assert_string_equal(pairs("a=%s", "x lvl=fatal"), "a=\"x lvl=fatal\"");
    assert_string_equal(pairs("a=%s", "q\"b\\"), "a=\"q\\\"b\\\\\"");
    assert_string_equal(pairs("a=%s", "l1\nl2\r\t"), "a=\"l1\\nl2\\r\\t\"");
    assert_string_equal(pairs("a=%s", "\x1b[2J\x7f\xc3\xa9"), "a=\"\\x1b[2J\\x7f\\xc3\\xa9\"");
    assert_string_equal(pairs("a=\"two %s\" b=1", "words"), "a=\"two words\" b=1");
}

static void test_long_lines_keep_whole_pairs(void **state)
{
    char big[3000];

    (void)state;
    memset(big, 'v', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    (void)pairs("a=1 b=%s c=3", big);
    assert_true(was_cut);
    assert_string_equal(pairs("a=1 b=%s", big), "a=1");
    assert_true(was_cut);
}

/* A pipe as log output; read_all gives what has been written so far. */
struct pipe_log {
    int ends[2];
    char text[2 * PX_LOG_RING_SIZE];
};

static int pipe_setup(void **state)
{
    struct pipe_log *log = calloc(1, sizeof *log);

    assert_non_null(log);
    assert_int_equal(pipe(log->ends), 0);
    px_log_set_fd(log->ends[1]);
    px_log_set_level(PX_LOG_INFO);
    *state = log;
    return 0;
}

static int pipe_teardown(void **state)
{
    struct pipe_log *log = *state;

    px_log_done();
    px_log_set_fd(STDERR_FILENO);
    close(log->ends[0]);
    close(log->ends[1]);
    free(log);
    return 0;
}

/* Ends the output so far with a byte no line contains, and reads up to it. */
static const char *read_all(struct pipe_log *log)
{
    size_t len = 0;

    assert_int_equal(write(log->ends[1], "\x01", 1), 1);
    do {
        ssize_t got = read(log->ends[0], log->text + len, sizeof log->text - len - 1);

        assert_true(got > 0);
        len += (size_t)got;
    } while (log->text[len - 1] != '\x01');
    log->text[len - 1] = '\0';
    return log->text;
}

static void test_a_line_and_the_level(void **state)
{
    struct pipe_log *log = *state;
    const char *text;
    char event[32];
    int year;

    px_log(PX_LOG_DEBUG, "test.quiet", "a=%d", 1);
    px_log(PX_LOG_WARN, "test.loud", "a=%d", 2);
    text = read_all(log);
    assert_int_equal(sscanf(text, "ts=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ lvl=warn event=%31s", &year, event),
                     2);
    assert_string_equal(event, "test.loud");
    assert_non_null(strstr(text, " a=2\n"));
    assert_null(strstr(text, "test.quiet"));
    px_log_set_level(PX_LOG_DEBUG);
    px_log(PX_LOG_DEBUG, "test.debug", "%s", "");
    assert_non_null(strstr(read_all(log), "lvl=debug event=test.debug"));
}

static void test_a_cut_line_says_so(void **state)
{
    char big[4000];
    const char *text;

    memset(big, '"', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    px_log(PX_LOG_INFO, "test.big", "keep=1 a=%s b=%s", big, big);
    text = read_all(*state);
    assert_true(strlen(text) <= PX_LOG_LINE_MAX);
    assert_non_null(strstr(text, "event=test.big keep=1 cut=true\n"));
}

#define THREAD_LINES 3

static void *thread_main(void *argument)
{
    assert_int_equal(px_log_ring_attach(), RC_OK);
    for (int i = 0; i < THREAD_LINES; i++)
        px_log(PX_LOG_INFO, "test.ring", "i=%d who=%s", i, (const char *)argument);
    px_log_ring_detach();
    return NULL;
}

static void run_thread(void *(*body)(void *), const char *name)
{
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, body, (void *)(uintptr_t)name), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void test_rings_wait_for_the_drain(void **state)
{
    run_thread(thread_main, "one");
    run_thread(thread_main, "two");
    assert_string_equal(read_all(*state), "");
    px_log_drain();
    assert_non_null(strstr(read_all(*state), "i=2 who=one\n"));
    px_log_drain();
    assert_string_equal(read_all(*state), "");
    assert_int_equal(px_log_dropped(), 0);
}

static void *flood_main(void *argument)
{
    (void)argument;
    assert_int_equal(px_log_ring_attach(), RC_OK);
    for (uint32_t i = 0; i < PX_LOG_RING_SIZE / 16; i++) /* every line is longer than 16 bytes */
        px_log(PX_LOG_INFO, "log.flood", "i=%u", i);
    px_log(PX_LOG_FATAL, "test.fatal", "direct=%s", "yes");
    px_log_ring_detach();
    return NULL;
}

/* The pipe holds 64 KiB, as much as the ring: the reader below must run beside the drain. */
static void *drain_main(void *argument)
{
    (void)argument;
    px_log_drain();
    return NULL;
}

static uint32_t count_of(const char *text, const char *what)
{
    uint32_t count = 0;

    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what))
        count++;
    return count;
}

/* One peer's lines are limited, by its host; others' are not, nor are those about plans. */
static void test_a_peers_lines_are_limited(void **state)
{
    struct pipe_log *log = *state;
    uint64_t before = px_log_left_out();
    const char *text;

    for (unsigned i = 0; i < 50; i++)
        px_log(PX_LOG_INFO, "test.peer", "reason=x peer=%s:%u", "10.0.0.1", 1000 + i);
    px_log(PX_LOG_INFO, "test.peer", "reason=x peer=%s:%u", "10.0.0.2", 1u);
    for (unsigned i = 0; i < 50; i++)
        px_log(PX_LOG_INFO, "plan.test", "peer=%s:%u", "10.0.0.1", 1000 + i);
    text = read_all(log);
    assert_int_equal(count_of(text, "peer=10.0.0.1:10"), 20 + 50);
    assert_int_equal(count_of(text, "peer=10.0.0.2:1"), 1);
    assert_int_equal(px_log_left_out() - before, 30);
}

static void test_a_full_ring_drops_and_counts(void **state)
{
    struct pipe_log *log = *state;
    pthread_t thread;
    const char *text;
    unsigned long long dropped = 0;
    size_t lines = 0;
    size_t len = 0;

    run_thread(flood_main, NULL);
    assert_non_null(strstr(read_all(log), "lvl=fatal event=test.fatal direct=yes\n"));
    assert_true(px_log_dropped() > 0);
    assert_int_equal(pthread_create(&thread, NULL, drain_main, NULL), 0);
    do { /* the last line may come in two pieces */
        ssize_t got = read(log->ends[0], log->text + len, sizeof log->text - len - 1);

        assert_true(got > 0);
        len += (size_t)got;
        log->text[len] = '\0';
        text = strstr(log->text, "event=log.dropped lines=");
    } while (text == NULL || strchr(text, '\n') == NULL);
    for (const char *nl = strchr(log->text, '\n'); nl != NULL; nl = strchr(nl + 1, '\n'))
        lines++;
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sscanf(text, "event=log.dropped lines=%llu", &dropped), 1);
    assert_int_equal(dropped, px_log_dropped());
    assert_int_equal(lines - 1 + dropped, PX_LOG_RING_SIZE / 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_pairs),
        cmocka_unit_test(test_values_are_quoted_and_escaped),
        cmocka_unit_test(test_long_lines_keep_whole_pairs),
        cmocka_unit_test_setup_teardown(test_a_line_and_the_level, pipe_setup, pipe_teardown),
        cmocka_unit_test_setup_teardown(test_a_cut_line_says_so, pipe_setup, pipe_teardown),
        cmocka_unit_test_setup_teardown(test_rings_wait_for_the_drain, pipe_setup, pipe_teardown),
        cmocka_unit_test_setup_teardown(test_a_peers_lines_are_limited, pipe_setup, pipe_teardown),
        cmocka_unit_test_setup_teardown(test_a_full_ring_drops_and_counts, pipe_setup, pipe_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
