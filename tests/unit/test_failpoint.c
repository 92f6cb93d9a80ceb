/* Failpoints kill at the right passing and log every one; without PX_TEST_SWITCHES they are nothing. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/failpoint.h"

static char log_file[] = "/tmp/zkferry-failpoint-XXXXXX";

/* A child that passes a, b, a, b; returns how it ended. */
static int run_child(const char *failpoint)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (failpoint != NULL)
            setenv("ZKFERRY_FAILPOINT", failpoint, 1);
        setenv("ZKFERRY_FAILPOINT_LOG", log_file, 1);
        for (int i = 0; i < 2; i++) {
            MIG_FAILPOINT("a", "detail");
            MIG_FAILPOINT("b", NULL);
        }
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_log(const char *expected)
{
    char text[128] = "";
    FILE *f = fopen(log_file, "r+");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    assert_int_equal(ftruncate(fileno(f), 0), 0);
    fclose(f);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void kills_at_the_nth_passing(void **state)
{
    (void)state;
    int fd = mkstemp(log_file);
    assert_true(fd >= 0);
    close(fd);
    bool is_on = PX_TEST_SWITCHES;
    int killed = is_on ? SIGKILL : 0;
    assert_int_equal(run_child(NULL), 0);
    assert_log(is_on ? "a detail\nb \na detail\nb \n" : "");
    assert_int_equal(run_child("a"), killed);
    assert_log(is_on ? "a detail\n" : "");
    assert_int_equal(run_child("b:2"), killed);
    assert_log(is_on ? "a detail\nb \na detail\nb \n" : "");
    assert_int_equal(run_child("b:3"), 0);
    assert_log(is_on ? "a detail\nb \na detail\nb \n" : "");
    assert_int_equal(run_child("aa"), 0);
    unlink(log_file);
}

/* It stands still at that place, and goes on from there. */
static void stops_and_goes_on(void **state)
{
    (void)state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("ZKFERRY_FAILPOINT", "a:2:stop", 1);
        MIG_FAILPOINT("a", NULL);
        MIG_FAILPOINT("a", NULL);
        _exit(3);
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    if (PX_TEST_SWITCHES) {
        assert_true(WIFSTOPPED(status));
        assert_int_equal(kill(child, SIGCONT), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
    }
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 3);
}

static void switches_are_listed(void **state)
{
    (void)state;
    bool is_on = PX_TEST_SWITCHES;
    setenv("ZKFERRY_TEST_SWITCHES", "first,second", 1);
    assert_int_equal(mig_switch("first"), is_on);
    assert_int_equal(mig_switch("second"), is_on);
    assert_false(mig_switch("sec"));
    assert_false(mig_switch("third"));
    unsetenv("ZKFERRY_TEST_SWITCHES");
    assert_false(mig_switch("first"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills_at_the_nth_passing),
        cmocka_unit_test(stops_and_goes_on),
        cmocka_unit_test(switches_are_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
