/* The helper thread and name resolution on it: order, limits, a free with work left. */
#include <event2/event.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/helper.h"
#include "migrate/resolve.h"

#define MANY 1000u

struct job {
    struct world *world;
    uint32_t number;
    pthread_t ran_on;
};

struct world {
    uint32_t done;
    uint32_t resolved;
    bool is_starved; /* no descriptor can be opened */
    enum rc rc;
    struct mig_address address;
    char text[128];
    pthread_mutex_t gate;
};

static void run(void *arg)
{
    struct job *job = arg;
    job->ran_on = pthread_self();
}

static void done(void *arg)
{
    struct job *job = arg;
    assert_int_equal(job->number, job->world->done);
    assert_false(pthread_equal(job->ran_on, pthread_self()));
    job->world->done++;
}

static void jobs_end_in_order(void **state)
{
    (void)state;
    static struct job jobs[MANY];
    struct world world = {.done = 0};
    struct mig_helper *helper;
    struct err err;
    struct event_base *base = event_base_new();
    assert_int_equal(mig_helper_new(base, &helper, &err), RC_OK);
    for (uint32_t i = 0; i < MANY; i++) {
        jobs[i] = (struct job){.world = &world, .number = i};
        enum rc rc;
        while ((rc = mig_helper_submit(helper, run, done, &jobs[i])) == RC_FULL)
            assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
        assert_int_equal(rc, RC_OK);
    }
    mig_helper_free(helper); /* runs and reports the rest */
    assert_int_equal(world.done, MANY);
    event_base_free(base);
}

static void wait_for_gate(void *arg)
{
    struct job *job = arg;
    pthread_mutex_lock(&job->world->gate);
    pthread_mutex_unlock(&job->world->gate);
    run(arg);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    static struct job jobs[MIG_HELPER_JOBS_MAX + 1];
    struct world world = {.gate = PTHREAD_MUTEX_INITIALIZER};
    struct mig_helper *helper;
    struct err err;
    struct event_base *base = event_base_new();
    assert_int_equal(mig_helper_new(base, &helper, &err), RC_OK);
    pthread_mutex_lock(&world.gate);
    for (uint32_t i = 0; i <= MIG_HELPER_JOBS_MAX; i++) {
        jobs[i] = (struct job){.world = &world, .number = i};
        enum rc expected = i < MIG_HELPER_JOBS_MAX ? RC_OK : RC_FULL;
        assert_int_equal(mig_helper_submit(helper, wait_for_gate, done, &jobs[i]), expected);
    }
    pthread_mutex_unlock(&world.gate);
    mig_helper_free(helper);
    assert_int_equal(world.done, MIG_HELPER_JOBS_MAX);
    event_base_free(base);
}

static void on_resolved(void *context, enum rc rc, const struct mig_address *address, const char *text)
{
    struct world *world = context;
    world->resolved++;
    world->rc = rc;
    if (address != NULL)
        world->address = *address;
    snprintf(world->text, sizeof world->text, "%s", text);
}

static void names_are_resolved(void **state)
{
    (void)state;
    struct world world = {.resolved = 0};
    struct mig_helper *helper;
    struct err err;
    char text[64];
    struct event_base *base = event_base_new();
    assert_int_equal(mig_helper_new(base, &helper, &err), RC_OK);
    assert_int_equal(mig_resolve(helper, "127.0.0.1", 2181, on_resolved, &world), RC_OK);
    while (world.resolved == 0)
        assert_int_equal(event_base_loop(base, EVLOOP_ONCE), 0);
    assert_int_equal(world.rc, RC_OK);
    assert_int_equal(mig_address_print(&world.address, true, text, sizeof text), strlen("127.0.0.1:2181"));
    assert_string_equal(text, "127.0.0.1:2181");
    assert_int_equal(mig_resolve(helper, "not a host name", 1, on_resolved, &world), RC_OK);
    mig_helper_free(helper);
    assert_int_equal(world.resolved, 2);
    assert_int_not_equal(world.rc, RC_OK);
    assert_ptr_equal(strstr(world.text, "not a host name: "), world.text);
    event_base_free(base);
}

static enum rc resolve_now(const char *host, struct world *world)
{
    struct mig_helper *helper;
    struct err err;
    struct event_base *base = event_base_new();
    assert_int_equal(mig_helper_new(base, &helper, &err), RC_OK);
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = world->is_starved ? STDERR_FILENO + 1 : limit.rlim_cur,
                           .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_int_equal(mig_resolve(helper, host, 1, on_resolved, world), RC_OK);
    mig_helper_free(helper);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    event_base_free(base);
    return world->rc;
}

/* Without descriptors the resolver reads no file and asks no server: that says nothing about the name. */
static void a_name_that_nobody_was_asked_for_is_not_unknown(void **state)
{
    (void)state;
    struct world world = {.is_starved = true};
    assert_int_equal(resolve_now("not a host name", &world), RC_FULL);
    assert_string_equal(world.text, "not a host name: not looked up: Too many open files");
    world.is_starved = false;
    assert_int_not_equal(resolve_now("not a host name", &world), RC_FULL);
}

static void numeric_addresses_need_no_resolver(void **state)
{
    (void)state;
    struct mig_address address;
    char text[64];
    assert_int_equal(mig_address_numeric("::1", 2181, &address), RC_OK);
    assert_true(mig_address_print(&address, true, text, sizeof text) > 0);
    assert_string_equal(text, "[::1]:2181");
    assert_true(mig_address_print(&address, false, text, sizeof text) > 0);
    assert_string_equal(text, "::1:2181");
    assert_int_equal(mig_address_print(&address, true, text, 5), 0);
    assert_int_equal(mig_address_numeric("localhost", 2181, &address), RC_NOT_FOUND);
    address.length = 0;
    assert_int_equal(mig_address_print(&address, true, text, sizeof text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_end_in_order),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(names_are_resolved),
        cmocka_unit_test(a_name_that_nobody_was_asked_for_is_not_unknown),
        cmocka_unit_test(numeric_addresses_need_no_resolver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
