/* Reports as files: what was put is read by the next life, whole or not at all. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "proxy/control/report/report_store.h"

#define PLAN "18f-0000002a"

struct fixture {
    struct event_base *base;
    struct mig_helper *helper;
    struct px_report_store *store;
    char dir[64];
};

static void begin(struct fixture *f, const char *dir)
{
    struct err err;
    assert_int_equal(mig_helper_new(f->base, &f->helper, &err), RC_OK);
    f->store = px_report_store_new(f->helper, dir);
    assert_non_null(f->store);
}

/* All writes are over then. */
static void end(struct fixture *f)
{
    mig_helper_free(f->helper);
    px_report_store_free(f->store);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    snprintf(f->dir, sizeof f->dir, "/tmp/zkferry-reports-XXXXXX");
    f->base = event_base_new();
    *state = f;
    return mkdtemp(f->dir) != NULL && f->base != NULL ? 0 : -1;
}

static void path_of(const struct fixture *f, const char *name, char path[128])
{
    snprintf(path, 128, "%s/reports%s", f->dir, name);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];
    path_of(f, "/" PLAN ".json", path);
    unlink(path);
    path_of(f, "", path);
    rmdir(path);
    event_base_free(f->base);
    int result = rmdir(f->dir); /* nothing else is left there: no temporary file */
    free(f);
    return result;
}

static void test_put_and_load(void **state)
{
    struct fixture *f = *state;
    struct err err;
    begin(f, f->dir);
    assert_int_equal(px_report_store_load(f->store, PLAN, &err), RC_NOT_FOUND); /* no folder */
    assert_null(px_report_store_get(f->store, PLAN));
    px_report_store_put(f->store, PLAN, strdup("{\"first\":1}"));
    px_report_store_put(f->store, PLAN, strdup("{}")); /* takes the place of the first */
    assert_string_equal(px_report_store_get(f->store, PLAN), "{}");
    assert_null(px_report_store_get(f->store, "another"));
    end(f);
    begin(f, f->dir);
    assert_int_equal(px_report_store_load(f->store, "another", &err), RC_NOT_FOUND);
    assert_int_equal(px_report_store_load(f->store, PLAN, &err), RC_OK);
    assert_string_equal(px_report_store_get(f->store, PLAN), "{}");
    end(f);
}

static void test_only_we_may_read(void **state)
{
    struct fixture *f = *state;
    struct stat stat_buf;
    char path[128];
    begin(f, f->dir);
    px_report_store_put(f->store, PLAN, strdup("{}"));
    end(f);
    path_of(f, "/" PLAN ".json", path);
    assert_int_equal(stat(path, &stat_buf), 0);
    assert_int_equal(stat_buf.st_mode & 0777, 0600);
}

/* The daemon goes on, and still tells the report. */
static void test_a_directory_that_is_gone(void **state)
{
    struct fixture *f = *state;
    struct err err;
    begin(f, "/nonexistent/zkferry");
    px_report_store_put(f->store, PLAN, strdup("{}"));
    assert_string_equal(px_report_store_get(f->store, PLAN), "{}");
    end(f);
    begin(f, "/nonexistent/zkferry");
    assert_int_equal(px_report_store_load(f->store, PLAN, &err), RC_NOT_FOUND);
    end(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_put_and_load, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_we_may_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_directory_that_is_gone, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
