/* Result texts, setting and wrapping of errors: cuts, NULL, self-reference. */
#include "zkproto/err.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "zkproto/assert.h"

static void every_code_has_its_own_text(void **state)
{
    (void)state;
    for (int a = 0; a < RC_COUNT; a++) {
        assert_true(strlen(rc_text((enum rc)a)) > 0);
        for (int b = 0; b < a; b++)
            assert_string_not_equal(rc_text((enum rc)a), rc_text((enum rc)b));
    }
    assert_string_equal(rc_text(RC_COUNT), "unknown result code");
    assert_string_equal(rc_text((enum rc) - 1), "unknown result code");
}

static void set_returns_the_code_and_formats(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, RC_CORRUPT, "record %d: %s", 17, "bad checksum"), RC_CORRUPT);
    assert_int_equal(err.code, RC_CORRUPT);
    assert_string_equal(err.text, "record 17: bad checksum");
    assert_int_equal(err_set(NULL, RC_TIMEOUT, "nobody reads %s", "this"), RC_TIMEOUT);
}

static void wrap_prepends_and_keeps_the_code(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, RC_CORRUPT, "bad checksum");
    assert_int_equal(err_wrap(&err, "record %d", 17), RC_CORRUPT);
    assert_int_equal(err_wrap(&err, "resume"), RC_CORRUPT);
    assert_string_equal(err.text, "resume: record 17: bad checksum");
    assert_int_equal(err_wrap(NULL, "resume"), RC_IO);
}

static void own_text_may_be_an_argument(void **state)
{
    (void)state;
    struct err err;
    err_set(&err, RC_IO, "disk full");
    err_set(&err, RC_REFUSED, "journal: %s", err.text);
    assert_string_equal(err.text, "journal: disk full");
    err_wrap(&err, "<%s>", err.text);
    assert_string_equal(err.text, "<journal: disk full>: journal: disk full");
}

static void long_texts_are_cut_with_their_end_in_place(void **state)
{
    (void)state;
    char text[2 * ERR_TEXT_MAX];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    struct err err;
    err_set(&err, RC_IO, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    err_wrap(&err, "outer");
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_memory_equal(err.text, "outer: xxx", 10);
    err_wrap(&err, "%s", text);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_int_equal(err.text[0], 'x');
}

static void a_broken_invariant_says_where_and_aborts(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka and sanitizers catch it */
        dup2(ends[1], STDERR_FILENO);
        ASSERT(ends[0] == -7);
        _exit(0);
    }
    close(ends[1]);
    char text[256] = "";
    ssize_t length = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(length > 0);
    assert_non_null(strstr(text, "test_err.c:"));
    assert_non_null(strstr(text, "invariant broken: ends[0] == -7"));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_own_text),
        cmocka_unit_test(set_returns_the_code_and_formats),
        cmocka_unit_test(wrap_prepends_and_keeps_the_code),
        cmocka_unit_test(own_text_may_be_an_argument),
        cmocka_unit_test(long_texts_are_cut_with_their_end_in_place),
        cmocka_unit_test(a_broken_invariant_says_where_and_aborts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
