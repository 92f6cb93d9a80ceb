/* Hooks as real processes: arguments, environment, output, exit, time limit. Programs are /bin/sh with a
 * script as an argument: the shell is the test's, not ours. */
#include <event2/event.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/control/hooks/hooks.h"
#include "proxy/log.h"

#define DEADLINE_S      90    /* only bounds a hang */
#define HOOK_TIMEOUT_MS 60000 /* where it is not to pass */

struct fixture {
    struct event_base *base;
    struct px_hooks *hooks;
    FILE *log;
    bool has_ended;
    struct mig_event event;
};

static void on_ended(void *context, const struct mig_event *event)
{
    struct fixture *f = context;
    f->has_ended = true;
    f->event = *event;
    event_base_loopbreak(f->base);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    signal(SIGPIPE, SIG_IGN); /* as the daemon has it */
    f->base = event_base_new();
    f->log = tmpfile();
    if (!f->base || !f->log)
        return -1;
    px_log_set_fd(fileno(f->log));
    f->hooks = px_hooks_new(f->base, on_ended, f);
    *state = f;
    return f->hooks ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    px_hooks_free(f->hooks);
    event_base_free(f->base);
    px_log_set_fd(STDERR_FILENO);
    fclose(f->log);
    free(f);
    return 0;
}

static struct mig_effect effect_of(const char *const *arguments)
{
    struct mig_effect effect = {.kind = MIG_EFFECT_RUN_HOOK, .seq = 7, .text = "plan-1"};
    effect.hook = (struct mig_hook_call){.hook = CONF_HOOK_RESTART,
                                         .server = 2,
                                         .host = "10.0.0.2",
                                         .client_port = 2181,
                                         .timeout_ms = HOOK_TIMEOUT_MS};
    for (; *arguments; arguments++)
        assert_int_equal(conf_command_add(&effect.hook.command, *arguments), RC_OK);
    return effect;
}

static struct mig_effect script(const char *text)
{
    return effect_of((const char *const[]){"/bin/sh", "-c", text, NULL});
}

/* Until it has ended; the time limit is the test's own. */
static void run(struct fixture *f, const struct mig_effect *effect)
{
    const struct timeval limit = {.tv_sec = DEADLINE_S};
    f->has_ended = false;
    px_hooks_run(f->hooks, effect);
    assert_false(f->has_ended); /* never from inside the call */
    assert_true(px_hooks_is_busy(f->hooks));
    event_base_loopexit(f->base, &limit);
    event_base_dispatch(f->base);
    assert_true(f->has_ended);
    assert_int_equal(f->event.kind, MIG_EVENT_HOOK_RESULT);
    assert_int_equal(f->event.seq, effect->seq);
    assert_false(px_hooks_is_busy(f->hooks));
}

static uint32_t logged(const struct fixture *f, const char *text)
{
    static char all[256 * 1024];
    ssize_t size = pread(fileno(f->log), all, sizeof all - 1, 0);
    assert_true(size >= 0);
    all[size] = '\0';
    uint32_t count = 0;
    for (const char *at = strstr(all, text); at; at = strstr(at + 1, text))
        count++;
    return count;
}

static void test_placeholders(void **state)
{
    (void)state;
    struct mig_effect effect = script("");
    char buf[64];
    assert_int_equal(px_hook_expand(&effect.hook, "a{id}{host}:{client_port}{x}{", buf, sizeof buf), RC_OK);
    assert_string_equal(buf, "a210.0.0.2:2181{x}{");
    assert_int_equal(px_hook_expand(&effect.hook, "{host}", buf, 9), RC_OK);
    assert_int_equal(px_hook_expand(&effect.hook, "{host}", buf, 8), RC_TOO_BIG);
}

/* Arguments come as they are, also those that a shell would take apart. */
static void test_arguments_and_environment(void **state)
{
    struct fixture *f = *state;
    const char *const arguments[] = {"/bin/sh",
                                     "-c",
                                     "echo \"$0|$1|$ZKFERRY_HOOK $ZKFERRY_ID $ZKFERRY_HOST "
                                     "$ZKFERRY_CLIENT_PORT $ZKFERRY_PLAN\"",
                                     "{id}; rm *",
                                     "{host}:{client_port}",
                                     NULL};
    const struct mig_effect effect = effect_of(arguments);
    run(f, &effect);
    assert_int_equal(f->event.rc, RC_OK);
    assert_int_equal(logged(f, "event=hook.output hook=restart server=2 "
                               "text=\"2; rm *|10.0.0.2:2181|restart 2 10.0.0.2 2181 plan-1\""),
                     1);
}

/* Nothing of ours is open there, and signals are as a program expects them. */
static void test_what_a_program_inherits(void **state)
{
    struct fixture *f = *state;
    int leak = dup(fileno(f->log)); /* without close-on-exec */
    const struct mig_effect effect =
        script("ls /proc/$$/fd; sh -c 'kill -PIPE $$; echo still here'; test $$ = $(cut -d' ' -f5 "
               "/proc/$$/stat)");
    run(f, &effect);
    close(leak);
    assert_int_equal(f->event.rc, RC_OK);                /* leader of its own process group */
    assert_int_equal(logged(f, "event=hook.output"), 3); /* 0, 1 and 2 */
    assert_int_equal(logged(f, "still here"), 0);
}

static void test_failure_says_why(void **state)
{
    struct fixture *f = *state;
    struct mig_effect effect = script("echo first; echo cannot reach it >&2; exit 3");
    run(f, &effect);
    assert_int_equal(f->event.rc, RC_REFUSED);
    assert_string_equal(f->event.text, "exit status 3; its last output: cannot reach it");
    effect = script("kill -9 $$");
    run(f, &effect);
    assert_int_equal(f->event.rc, RC_REFUSED);
    assert_string_equal(f->event.text, "ended by signal 9");
    effect = effect_of((const char *const[]){"/nowhere/program", NULL});
    run(f, &effect);
    assert_int_equal(f->event.rc, RC_REFUSED);
    assert_non_null(strstr(f->event.text, "/nowhere/program cannot be run: No such file"));
}

/* The whole group goes: also a child that does not listen to TERM. */
static void test_time_limit(void **state)
{
    struct fixture *f = *state;
    struct mig_effect effect =
        script("(trap '' TERM; echo child $(sh -c 'echo $PPID'); while :; do sleep 1; done) & wait");
    effect.hook.timeout_ms = 2000; /* by then the child has said who it is */
    run(f, &effect);
    assert_int_equal(f->event.rc, RC_TIMEOUT);
    assert_non_null(strstr(f->event.text, "it was ended after 2000 ms"));
    const char *at = strstr(f->event.text, "child ");
    assert_non_null(at);
    pid_t child = (pid_t)strtol(at + strlen("child "), NULL, 10);
    assert_true(child > 1);
    for (int i = 0; i < 6000 && kill(child, 0) == 0; i++) /* somebody else waits for it */
        usleep(10000);
    assert_int_equal(kill(child, 0), -1);
}

/* What a hook leaves behind may keep its output for ever. */
static void test_end_is_not_the_end_of_the_output(void **state)
{
    struct fixture *f = *state;
    const struct mig_effect effect = script("sleep 30 & echo $!");
    run(f, &effect);
    assert_int_equal(f->event.rc, RC_OK);
    assert_int_equal(logged(f, "event=hook.output"), 1);
    char line[512] = "";
    rewind(f->log);
    while (!strstr(line, "event=hook.output") && fgets(line, sizeof line, f->log))
        continue;
    pid_t left = (pid_t)strtol(strstr(line, "text=") + strlen("text="), NULL, 10);
    assert_int_equal(kill(left, SIGKILL), 0); /* it was left alone until now */
}

static void test_output_is_bounded(void **state)
{
    struct fixture *f = *state;
    const struct mig_effect effect =
        script("i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; printf end");
    run(f, &effect);
    assert_int_equal(f->event.rc, RC_OK);
    assert_int_equal(logged(f, "event=hook.output"), 500);
    assert_int_equal(logged(f, "lines_dropped=2501"), 1);
}

static void test_end_of_the_daemon_ends_it(void **state)
{
    struct fixture *f = *state;
    const struct mig_effect effect = script("sleep 30");
    px_hooks_run(f->hooks, &effect);
    px_hooks_free(f->hooks);
    assert_false(f->has_ended);
    f->hooks = px_hooks_new(f->base, on_ended, f);
    assert_non_null(f->hooks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placeholders),
        cmocka_unit_test_setup_teardown(test_arguments_and_environment, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_program_inherits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failure_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_is_not_the_end_of_the_output, setup, teardown),
        cmocka_unit_test_setup_teardown(test_output_is_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(test_end_of_the_daemon_ends_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
