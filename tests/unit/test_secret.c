/* Where a secret lies: locked, in no core file, empty in a child, gone with its last holder. */
#include "zkproto/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PASSWORD "super:a-distinctive-one"

/* The VmFlags line of the mapping address lies in; "" = it is not mapped. */
static void flags_at(const void *address, char *buf, size_t capacity)
{
    char line[512];
    bool is_inside = false;
    FILE *maps = fopen("/proc/self/smaps", "r");
    assert_non_null(maps);
    buf[0] = '\0';
    while (fgets(line, sizeof line, maps) != NULL) {
        char *dash = NULL, *rest = NULL;
        unsigned long from = strtoul(line, &dash, 16);
        if (dash != line && *dash == '-') {
            unsigned long to = strtoul(dash + 1, &rest, 16);
            is_inside = (uintptr_t)address >= from && (uintptr_t)address < to;
        } else if (is_inside && strncmp(line, "VmFlags:", 8) == 0) {
            snprintf(buf, capacity, "%s", line);
        }
    }
    (void)fclose(maps);
}

static void its_page_is_locked_and_in_no_dump(void **state)
{
    (void)state;
    char flags[512];
    const char *secret = zkp_secret_new(PASSWORD, strlen(PASSWORD));
    char *plain = malloc(16); /* the control: ordinary memory has none of these */
    assert_non_null(secret);
    assert_non_null(plain);
    assert_string_equal(secret, PASSWORD);
    flags_at(secret, flags, sizeof flags);
    assert_non_null(strstr(flags, " dd"));
    assert_non_null(strstr(flags, " wf"));
    assert_int_equal(zkp_secret_is_locked(secret), strstr(flags, " lo") != NULL);
    assert_true(zkp_secret_is_locked(secret)); /* needs one page of RLIMIT_MEMLOCK */
    flags_at(plain, flags, sizeof flags);
    assert_non_null(strstr(flags, " rd"));
    assert_null(strstr(flags, " dd"));
    assert_null(strstr(flags, " lo"));
    free(plain);
    zkp_secret_drop(secret);
}

static void the_last_holder_unmaps_it(void **state)
{
    (void)state;
    char flags[512];
    const char *secret = zkp_secret_new(PASSWORD, strlen(PASSWORD));
    assert_non_null(secret);
    assert_ptr_equal(zkp_secret_share(secret), secret);
    zkp_secret_drop(secret);
    assert_string_equal(secret, PASSWORD);
    uintptr_t was_at = (uintptr_t)secret;
    zkp_secret_drop(secret);
    flags_at((const void *)was_at, flags, sizeof flags);
    assert_null(strstr(flags, " dd"));
}

static void a_child_finds_it_empty(void **state)
{
    (void)state;
    const char *secret = zkp_secret_new(PASSWORD, strlen(PASSWORD));
    assert_non_null(secret);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(secret[0] == '\0' ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_string_equal(secret, PASSWORD);
    zkp_secret_drop(secret);
}

static void none_and_too_long(void **state)
{
    (void)state;
    char text[ZKP_SECRET_MAX + 1];
    memset(text, 'x', sizeof text);
    assert_null(zkp_secret_new(text, sizeof text));
    const char *longest = zkp_secret_new(text, ZKP_SECRET_MAX);
    assert_non_null(longest);
    assert_int_equal(strlen(longest), ZKP_SECRET_MAX);
    zkp_secret_drop(longest);
    const char *none = zkp_secret_new("", 0);
    assert_string_equal(zkp_secret_share(none), "");
    assert_true(zkp_secret_is_locked(none));
    zkp_secret_drop(none);
    zkp_secret_drop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_page_is_locked_and_in_no_dump),
        cmocka_unit_test(the_last_holder_unmaps_it),
        cmocka_unit_test(a_child_finds_it_empty),
        cmocka_unit_test(none_and_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
