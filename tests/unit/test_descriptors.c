/* How many descriptors are needed, kept and left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "proxy/admin/admin.h"
#include "proxy/control/descriptors.h"

#define FIXED 30
#define LIMIT 1024

static struct px_descriptors descriptors;
static struct rlimit before;

static void set_limit(rlim_t count)
{
    struct rlimit limit = {.rlim_cur = count, .rlim_max = before.rlim_max};

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static int setup(void **state)
{
    (void)state;
    if (getrlimit(RLIMIT_NOFILE, &before) != 0)
        return -1;
    descriptors = (struct px_descriptors){.shared = px_shared_new(1), .fixed = FIXED, .server_count = 3};
    set_limit(LIMIT);
    return descriptors.shared != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    px_shared_free(descriptors.shared);
    return setrlimit(RLIMIT_NOFILE, &before);
}

static bool accepts(struct px_crew_totals totals)
{
    return px_descriptors_may_accept(&descriptors, &totals, 1000);
}

/* Clients with their servers until no more are accepted. */
static uint32_t fill(void)
{
    uint32_t clients = 0;

    while (accepts((struct px_crew_totals){.clients = clients, .sessions = clients})) {
        px_shared_descriptors_add(descriptors.shared, 2);
        clients++;
    }
    return clients;
}

static void what_is_needed(void **state)
{
    (void)state;
    int64_t reserve = px_descriptors_reserve(INT64_MAX, 3);

    assert_true(reserve > PX_ADMIN_CONNECTIONS_MAX);
    assert_int_equal(px_descriptors_needed(15000, FIXED, 3) - px_descriptors_needed(14999, FIXED, 3), 2);
    assert_true(px_descriptors_needed(1, FIXED, 3) >= 2 + FIXED + reserve);
    assert_true(px_descriptors_reserve(INT64_MAX, 6) > reserve);
    assert_int_equal(px_descriptors_reserve(200, 3), 50); /* of few, a quarter */
}

/* Exactly so many as the comparison with the limit says. */
static void what_is_needed_is_enough(void **state)
{
    (void)state;
    int64_t needed = px_descriptors_needed(400, FIXED, 3);

    set_limit((rlim_t)needed);
    assert_int_equal(fill(), 400);
    set_limit((rlim_t)needed - 1);
    assert_false(accepts((struct px_crew_totals){.clients = 399, .sessions = 399}));
}

static void clients_leave_the_reserve(void **state)
{
    (void)state;
    uint32_t clients = fill();
    int64_t open = FIXED + px_shared_descriptors(descriptors.shared);

    assert_true(clients > 100);
    assert_true(LIMIT - open >= descriptors.reserve);
    assert_int_equal(descriptors.pauses, 1);
    px_shared_descriptors_add(descriptors.shared, -2); /* one goes, one comes */
    assert_true(accepts((struct px_crew_totals){.clients = clients - 1, .sessions = clients - 1}));
}

/* They will need a second one. */
static void those_without_a_server_count_twice(void **state)
{
    (void)state;
    uint32_t clients = fill();

    px_shared_descriptors_add(descriptors.shared, -(int64_t)clients);
    assert_false(accepts((struct px_crew_totals){.clients = clients, .sessions = 0}));
    assert_false(
        accepts((struct px_crew_totals){.clients = clients, .sessions = clients, .detached = clients}));
    assert_true(accepts((struct px_crew_totals){.clients = clients / 2, .sessions = 0}));
}

/* The part of the limit that clients leave is there for moves first, then for nobody but the others. */
static void moves_leave_the_reserve(void **state)
{
    (void)state;

    fill();
    assert_true(px_shared_may_move(descriptors.shared));
    px_shared_descriptors_add(descriptors.shared, PX_CONNECTS_MAX);
    assert_true(px_shared_may_move(descriptors.shared));
    while (px_shared_may_move(descriptors.shared))
        px_shared_descriptors_add(descriptors.shared, 1);
    assert_int_equal(LIMIT - FIXED - px_shared_descriptors(descriptors.shared), descriptors.reserve);
    set_limit(2 * LIMIT); /* from outside */
    px_descriptors_look(&descriptors);
    assert_true(px_shared_may_move(descriptors.shared));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_needed),
        TEST(what_is_needed_is_enough),
        TEST(clients_leave_the_reserve),
        TEST(those_without_a_server_count_twice),
        TEST(moves_leave_the_reserve),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
