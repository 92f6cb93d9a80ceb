/* Every allocation of a load fails once. Our own go through conf_zalloc, which this file replaces
 * (conf_int.h); libyaml's go through yaml_malloc and yaml_realloc, exported functions that an executable
 * may replace as well. The count is the only variable at file scope: the replaced signatures have no
 * place for a context. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_int.h"

#define REPLACED __attribute__((visibility("default")))

static long calls_left; /* this many calls succeed, the next one fails, later ones succeed */

void *yaml_malloc(size_t size);
void *yaml_realloc(void *old, size_t size);

static bool may_allocate(void)
{
    return calls_left-- != 0;
}

void *conf_zalloc(size_t bytes)
{
    return may_allocate() ? calloc(1, bytes) : NULL;
}

REPLACED void *yaml_malloc(size_t size)
{
    return may_allocate() ? malloc(size > 0 ? size : 1) : NULL;
}

REPLACED void *yaml_realloc(void *old, size_t size)
{
    return may_allocate() ? realloc(old, size > 0 ? size : 1) : NULL;
}

static enum rc load_with(const char *text, long calls, struct conf_problems *ret_problems)
{
    struct conf *conf = NULL;
    calls_left = calls;
    enum rc rc = conf_parse_text("f", zkp_slice_str(text), CONF_SECRETS_SKIP, &conf, ret_problems);
    conf_free(conf);
    return rc;
}

/* Returns how many allocations a load makes. */
static long fail_each(const char *text, enum rc usual)
{
    for (long n = 0; n < 10000; n++) {
        struct conf_problems problems = {0};
        enum rc rc = load_with(text, n, &problems);
        bool was_failed = calls_left < 0;
        if (was_failed && problems.count > 0)
            assert_string_equal(problems.text, "out of memory while the configuration was read");
        assert_int_equal(rc == RC_OK, problems.count == 0);
        conf_problems_done(&problems);
        if (!was_failed) {
            assert_int_equal(rc, usual);
            return n;
        }
    }
    fail_msg("the load never ended");
    return 0;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    long good = fail_each("source: |\n  server.1=10.0.0.1:2888:3888;2181\nwords: [ruok]\n", RC_OK);
    long bad = fail_each("source: |\n  nonsense\nworkers: x\n", RC_INVALID);
    assert_true(good > 20); /* libyaml's were really counted */
    assert_true(bad > 20);
}

static void conf_load_reports_missing_memory(void **state)
{
    (void)state;
    struct conf *conf = NULL;
    struct conf_problems problems = {0};
    calls_left = 0;
    assert_int_equal(conf_load("conf/examples/minimal.yaml", &conf, &problems), RC_NOMEM);
    assert_int_equal(problems.count, 1);
    assert_null(conf);
    conf_problems_done(&problems);
    assert_null(problems.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(conf_load_reports_missing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
