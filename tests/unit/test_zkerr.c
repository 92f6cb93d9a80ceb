/* Names of error codes: the recorded ones, the edges, no two alike. */
#include "zkproto/zkerr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const int32_t numbers[] = {
#define ERR_NUMBER(name, number) ZKP_ERR_##name,
    ZKP_ERRS(ERR_NUMBER)
#undef ERR_NUMBER
};
#define NUMBER_COUNT (sizeof numbers / sizeof numbers[0])

static void known_codes_have_their_names(void **state)
{
    (void)state;
    assert_string_equal(zkp_err_name(0), "OK");
    assert_string_equal(zkp_err_name(-4), "CONNECTION_LOSS");
    assert_string_equal(zkp_err_name(-101), "NO_NODE");
    assert_string_equal(zkp_err_name(-103), "BAD_VERSION");
    assert_string_equal(zkp_err_name(-123), "RECONFIG_DISABLED");
    assert_string_equal(zkp_err_name(-127), "THROTTLED_OP");
}

static void no_two_codes_share_a_name(void **state)
{
    (void)state;
    for (size_t a = 0; a < NUMBER_COUNT; a++) {
        assert_string_not_equal(zkp_err_name(numbers[a]), "UNKNOWN_ERROR");
        for (size_t b = 0; b < a; b++)
            assert_string_not_equal(zkp_err_name(numbers[a]), zkp_err_name(numbers[b]));
    }
}

static void gaps_and_extremes_are_unknown(void **state)
{
    (void)state;
    const int32_t others[] = {1, -9, -100, -104, -116, -126, -128, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_string_equal(zkp_err_name(others[i]), "UNKNOWN_ERROR");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_codes_have_their_names),
        cmocka_unit_test(no_two_codes_share_a_name),
        cmocka_unit_test(gaps_and_extremes_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
