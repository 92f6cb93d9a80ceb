/* ZooKeeper's digests of two servers: compared behind the newest transaction both have one of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "migrate/verify/verify_digest.h"

static struct mig_digests a;
static struct mig_digests b;

static void assert_compared(const char *text_a, const char *text_b, enum mig_digest_verdict verdict,
                            int64_t zxid)
{
    int64_t seen;
    mig_digests_read(&a, zkp_slice_str(text_a));
    mig_digests_read(&b, zkp_slice_str(text_b));
    assert_int_equal(mig_digests_compare(&a, &b, &seen), verdict);
    assert_int_equal(seen, zxid);
    assert_int_equal(mig_digests_compare(&b, &a, &seen), verdict);
    assert_int_equal(seen, zxid);
}

static void test_newest_common(void **state)
{
    (void)state;
    assert_compared("", "", MIG_DIGEST_UNKNOWN, 0);
    assert_compared("80: 1\n", "", MIG_DIGEST_UNKNOWN, 0);
    assert_compared("80: 1\n", "100: 1\n", MIG_DIGEST_UNKNOWN, 0);
    assert_compared("80: 1\n100: 2\n", "80: 1\n", MIG_DIGEST_EQUAL, 0x80);
    assert_compared("80: 1\n100: 2\n", "80: 9\n100: 2\n180: 3\n", MIG_DIGEST_EQUAL, 0x100);
    assert_compared("80: 1\n100: 2\n", "80: 1\n100: 3\n", MIG_DIGEST_DIFFERENT, 0x100);
    assert_compared("80: 1\n80: 2\n", "80: 2\n", MIG_DIGEST_EQUAL, 0x80); /* made anew by a restart */
}

static void test_the_newest_are_kept(void **state)
{
    (void)state;
    static char text[(MIG_DIGESTS_MAX + 2) * 16];
    char *at = text;
    for (uint32_t i = 0; i < MIG_DIGESTS_MAX + 2; i++)
        at += sprintf(at, "%x: %u\n", i * 128, i);
    mig_digests_read(&a, zkp_slice_str(text));
    assert_int_equal(a.count, MIG_DIGESTS_MAX);
    assert_int_equal(a.items[0].zxid, 2 * 128);
    assert_int_equal(a.items[MIG_DIGESTS_MAX - 1].value, MIG_DIGESTS_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_newest_common),
        cmocka_unit_test(test_the_newest_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
