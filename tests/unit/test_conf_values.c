/* Pure parts of conf/: durations, sizes, addresses, suggestions, and the table of keys itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_int.h"

static void durations_print_as_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t ms;
    } cases[] = {{"0ms", 0},     {"1ms", 1},     {"500ms", 500},  {"5s", 5000},     {"1500ms", 1500},
                 {"2m", 120000}, {"90s", 90000}, {"1h", 3600000}, {"25h", 90000000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t ms = -1;
        char text[32];
        assert_true(conf_duration_parse(cases[i].text, &ms));
        assert_true(ms == cases[i].ms);
        conf_duration_format(cases[i].ms, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
}

static void wrong_quantities_are_refused(void **state)
{
    (void)state;
    static const char *const durations[] = {"",   "5",    "s",    "-5s",          "5 s",
                                            "5S", "5sec", "1.5s", "12345678901ms"};
    static const char *const sizes[] = {"", "k", "64K", "64kb", "-1", "1g", "12345678901"};
    int64_t value;
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
        assert_false(conf_duration_parse(durations[i], &value));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_false(conf_size_parse(sizes[i], &value));
}

static void sizes_print_as_they_are_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int32_t bytes;
    } cases[] = {{"1000", 1000}, {"64k", 65536}, {"1m", 1048576}, {"1025k", 1049600}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t bytes = -1;
        char text[32];
        assert_true(conf_size_parse(cases[i].text, &bytes));
        assert_true(bytes == cases[i].bytes);
        conf_size_format(cases[i].bytes, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
}

static void addresses_are_numeric(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *host; /* NULL = refused */
        uint16_t port;
        const char *why;
    } cases[] = {
        {"10.0.0.1:2181", "10.0.0.1", 2181, NULL},
        {"localhost:0", "127.0.0.1", 0, NULL},
        {"[::1]:65535", "::1", 65535, NULL},
        {"[0:0:0:0:0:0:0:1]:1", "::1", 1, NULL},
        {"2181", NULL, 0, "is not HOST:PORT"},
        {":2181", NULL, 0, "is not HOST:PORT"},
        {"[::1]", NULL, 0, "is not HOST:PORT"},
        {"[::1", NULL, 0, "is not HOST:PORT"},
        {"::1:2181", NULL, 0, "needs brackets around its IPv6 address"},
        {"zk.example:2181", NULL, 0, "has no numeric host"},
        {"*:2181", NULL, 0, "has no numeric host"},
        {"10.0.0.1:", NULL, 0, "has no port from 0 to 65535"},
        {"10.0.0.1:65536", NULL, 0, "has no port from 0 to 65535"},
        {"10.0.0.1:21 81", NULL, 0, "has no port from 0 to 65535"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct conf_address address = {0};
        const char *why = NULL;
        bool is_parsed = conf_address_parse(cases[i].text, &address, &why);
        assert_int_equal(is_parsed, cases[i].host != NULL);
        if (is_parsed) {
            assert_string_equal(address.host, cases[i].host);
            assert_int_equal(address.port, cases[i].port);
        } else {
            assert_string_equal(why, cases[i].why);
        }
    }
}

static void a_wildcard_overlaps_its_family(void **state)
{
    (void)state;
    struct conf_address any = {"0.0.0.0", 2181};
    struct conf_address one = {"10.0.0.1", 2181};
    struct conf_address other_port = {"10.0.0.1", 2182};
    struct conf_address v6 = {"::1", 2181};
    struct conf_address any_free = {"10.0.0.1", 0};
    assert_true(conf_address_overlaps(&any, &one));
    assert_true(conf_address_overlaps(&one, &any));
    assert_true(conf_address_overlaps(&one, &one));
    assert_false(conf_address_overlaps(&one, &other_port));
    assert_false(conf_address_overlaps(&any, &v6));
    assert_false(conf_address_overlaps(&any_free, &any_free));
    struct conf_address mapped = {"::ffff:10.0.0.1", 2181};
    struct conf_address mapped_other = {"::ffff:10.0.0.2", 2181};
    assert_true(conf_address_overlaps(&one, &mapped));
    assert_false(conf_address_overlaps(&one, &mapped_other));
}

static void distance_counts_a_swap_once(void **state)
{
    (void)state;
    assert_int_equal(conf_distance("workers", "workers"), 0);
    assert_int_equal(conf_distance("wrokers", "workers"), 1);
    assert_int_equal(conf_distance("worker", "workers"), 1);
    assert_int_equal(conf_distance("", "abc"), 3);
    assert_true(conf_distance("a_word_that_is_longer_than_any_key_here", "a") == UINT32_MAX);
}

static void long_values_are_cut_between_characters(void **state)
{
    (void)state;
    char shown[CONF_NAME_MAX];
    char text[100];
    memset(text, 'a', sizeof(text));
    memcpy(text + 59, "\xc3\xa4", 2); /* the limit falls between its two bytes */
    conf_show(shown, sizeof(shown), text, sizeof(text));
    assert_int_equal(strlen(shown), 59 + 3);
    assert_string_equal(shown + 58, "a...");
    conf_show(shown, sizeof(shown), "short", 5);
    assert_string_equal(shown, "short");
}

static void every_key_is_printed_with_its_default(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);
    assert_non_null(file);
    conf_print_keys(file);
    (void)fclose(file);
    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        char cell[CONF_NAME_MAX];
        (void)snprintf(cell, sizeof(cell), "\n| `%s` | ", conf_key_at(i)->name);
        assert_non_null(strstr(text, cell));
    }
    assert_non_null(
        strstr(text, "| `migration.lag` | duration | `500ms` | 1ms to 10m | while no plan runs | "));
    assert_non_null(strstr(text, "guard: hide\\|proxy\\|pass"));
    free(text);
}

static void rows_fit_the_rules_of_the_table(void **state)
{
    (void)state;
    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        const struct conf_key *key = conf_key_at(i);
        uint32_t dots = 0;
        for (const char *dot = strchr(key->name, '.'); dot != NULL; dot = strchr(dot + 1, '.'))
            dots++;
        assert_ptr_equal(conf_key_named(key->name), key);
        assert_true(dots <= 2);
        assert_true(!key->is_required || key->fallback == NULL);
        assert_true(key->help != NULL && key->help[0] != '\0');
        assert_int_equal(key->choices != NULL, key->type == CONF_TYPE_ENUM || key->type == CONF_TYPE_FLAGS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_print_as_they_are_written),
        cmocka_unit_test(wrong_quantities_are_refused),
        cmocka_unit_test(sizes_print_as_they_are_written),
        cmocka_unit_test(addresses_are_numeric),
        cmocka_unit_test(a_wildcard_overlaps_its_family),
        cmocka_unit_test(distance_counts_a_swap_once),
        cmocka_unit_test(long_values_are_cut_between_characters),
        cmocka_unit_test(every_key_is_printed_with_its_default),
        cmocka_unit_test(rows_fit_the_rules_of_the_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
