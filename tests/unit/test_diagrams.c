/* README.md shows the two state machines as the code's tables have them: prints each row and looks for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/engine/states.h"
#include "proxy/session/session.h"

#define README_MAX (256u * 1024u)
#define ROW_MAX    512u

static char *readme(void)
{
    char *text = calloc(1, README_MAX);
    FILE *file = fopen("README.md", "r");
    assert_non_null(text);
    assert_non_null(file);
    assert_true(fread(text, 1, README_MAX - 1, file) > 0);
    fclose(file);
    return text;
}

/* "    from → to | to\n"; false when nothing follows `from`. */
static bool row_of(int from, int count, const char *(*name)(int), bool (*may_go)(int, int), char *row)
{
    size_t used = (size_t)snprintf(row, ROW_MAX, "    %s →", name(from));
    bool has_next = false;
    for (int to = 0; to < count; to++) {
        if (!may_go(from, to))
            continue;
        used += (size_t)snprintf(row + used, ROW_MAX - used, "%s %s", has_next ? " |" : "", name(to));
        has_next = true;
    }
    snprintf(row + used, ROW_MAX - used, "\n");
    return has_next;
}

static void assert_shown(int count, const char *(*name)(int), bool (*may_go)(int, int))
{
    char *text = readme();
    int shown = 0;
    for (int from = 0; from < count; from++) {
        char row[ROW_MAX];
        if (!row_of(from, count, name, may_go, row))
            continue;
        if (!strstr(text, row))
            fail_msg("README.md lacks this row:\n%s", row);
        shown++;
    }
    assert_true(shown > 3);
    free(text);
}

static const char *phase_name(int phase)
{
    return mig_phase_name((enum mig_phase)phase);
}

static bool phase_may_go(int from, int to)
{
    return mig_phase_may_go((enum mig_phase)from, (enum mig_phase)to);
}

static const char *session_name(int state)
{
    return px_session_state_name((enum px_session_state)state);
}

static bool session_may_go(int from, int to)
{
    return px_session_may_go((enum px_session_state)from, (enum px_session_state)to);
}

static void test_phases(void **state)
{
    (void)state;
    assert_shown(MIG_PHASE_COUNT, phase_name, phase_may_go);
}

static void test_sessions(void **state)
{
    (void)state;
    assert_shown(PX_SESSION_STATE_COUNT, session_name, session_may_go);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_phases),
        cmocka_unit_test(test_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
