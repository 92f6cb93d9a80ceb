/* Messages as JSON: the conventions of the schema, on real messages of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "migrate/zkferry.pb-c.h"
#include "proxy/admin/pb_json.h"
#include "proxy/admin/utf8.h"

static void assert_json(const ProtobufCMessage *message, const char *expected)
{
    json_t *json = px_pb_json(message);
    char *text;

    assert_non_null(json);
    text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(text, expected);
    free(text);
    json_decref(json);
}

static void test_defaults_are_emitted(void **state)
{
    Zkf__Quorum quorum = ZKF__QUORUM__INIT;
    Zkf__Server server = ZKF__SERVER__INIT;

    (void)state;
    assert_json(&quorum.base, "{\"voters\":0,\"alive\":0,\"tolerates\":0}");
    assert_json(&server.base, "{\"id\":0,\"side\":\"source\",\"role\":\"none\",\"mode\":\"unknown\","
                              "\"address\":\"\",\"version\":\"\",\"zxid\":\"0x0\",\"lag\":-1,\"sessions\":0,"
                              "\"health\":\"unknown\",\"reason\":\"\",\"config_version\":\"0x0\","
                              "\"draining\":false,\"admitted\":false,\"observed_at\":0,\"drained\":false}");
}

static void test_identifiers_numbers_and_lists(void **state)
{
    Zkf__Session one = ZKF__SESSION__INIT;
    Zkf__Session *sessions[] = {&one};
    Zkf__SessionList list = ZKF__SESSION_LIST__INIT;
    Zkf__Sessions counts = ZKF__SESSIONS__INIT;

    (void)state;
    one.id = 0xffff0000abcd0001;
    one.client = (char *)(uintptr_t) "10.0.0.1:5\xff\"";
    one.server = 2;
    one.timeout_ms = -5;
    one.state = (char *)(uintptr_t) "h\xc3\xa9ld";
    list.sessions = sessions;
    list.n_sessions = 1;
    assert_json(&list.base,
                "{\"sessions\":[{\"id\":\"0xffff0000abcd0001\",\"client\":\"10.0.0.1:5\xef\xbf\xbd\\\"\","
                "\"server\":2,\"timeout_ms\":-5,\"state\":\"h\xc3\xa9ld\",\"outstanding\":0,"
                "\"zxid\":\"0x0\",\"canary\":false}],\"total\":0}");
    list.n_sessions = 0;
    assert_json(&list.base, "{\"sessions\":[],\"total\":0}");
    counts.moved = UINT64_C(1) << 53;
    counts.returned = (UINT64_C(1) << 53) + 1;
    counts.failed = UINT64_MAX;
    assert_json(&counts.base, "{\"total\":0,\"source\":0,\"target\":0,\"moved\":9007199254740992,"
                              "\"returned\":\"9007199254740993\",\"failed\":\"18446744073709551615\","
                              "\"expired\":0,\"waiting\":0,\"canaries\":0}");
}

static void test_nested_messages_and_doubles(void **state)
{
    Zkf__Step step = ZKF__STEP__INIT;
    Zkf__Step *steps[] = {&step};
    char *can[] = {(char *)(uintptr_t) "start", (char *)(uintptr_t) "pause"};
    Zkf__Status status = ZKF__STATUS__INIT;
    json_t *json;

    (void)state;
    step.seconds = NAN;
    step.state = ZKF__STEP__STATE__running;
    status.phase = ZKF__PHASE__catching_up;
    status.steps = steps;
    status.n_steps = 1;
    status.can = can;
    status.n_can = 2;
    json = px_pb_json(&status.base);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "phase")), "catching_up");
    assert_true(json_is_null(json_object_get(json, "failed"))); /* absent message */
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "can"), 1)), "pause");
    json_t *first = json_array_get(json_object_get(json, "steps"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "seconds")), "NaN");
    assert_string_equal(json_string_value(json_object_get(first, "state")), "running");
    json_decref(json);
}

static void test_an_unknown_enum_value_is_its_number(void **state)
{
    Zkf__Finding finding = ZKF__FINDING__INIT;
    json_t *json;

    (void)state;
    finding.severity = (Zkf__Finding__Severity)77;
    json = px_pb_json(&finding.base);
    assert_int_equal(json_integer_value(json_object_get(json, "severity")), 77);
    json_decref(json);
}

static void test_utf8_sequences(void **state)
{
    static const struct {
        const char *bytes;
        size_t length;
    } rows[] = {
        {"a", 1},
        {"\xc3\xa9", 2},
        {"\xe2\x82\xac", 3},
        {"\xf0\x9f\x98\x80", 4},
        {"\xf4\x8f\xbf\xbf", 4},
        {"\xc0\x80", 0},         /* overlong */
        {"\xe0\x80\x80", 0},     /* overlong */
        {"\xed\xa0\x80", 0},     /* surrogate */
        {"\xf4\x90\x80\x80", 0}, /* above U+10FFFF */
        {"\x80", 0},
        {"\xff", 0},
        {"\xe2\x82", 0}, /* cut */
        {"\xe2\x82"
         "a",
         0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(px_utf8_sequence(rows[i].bytes, strlen(rows[i].bytes)), rows[i].length);
}

static size_t allocations_left;

static void *failing_malloc(size_t size)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    return malloc(size);
}

/* The n-th allocation and all later ones fail, for every n, until the whole message could be built. */
static void test_lack_of_memory_gives_null(void **state)
{
    Zkf__Server server = ZKF__SERVER__INIT;
    Zkf__Server *servers[] = {&server, &server};
    Zkf__Servers list = ZKF__SERVERS__INIT;
    json_t *json = NULL;
    size_t n;

    (void)state;
    list.servers = servers;
    list.n_servers = 2;
    json_set_alloc_funcs(failing_malloc, free);
    for (n = 0; json == NULL && n < 1000; n++) {
        allocations_left = n;
        json = px_pb_json(&list.base);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(n > 10);
    assert_non_null(json);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults_are_emitted),
        cmocka_unit_test(test_identifiers_numbers_and_lists),
        cmocka_unit_test(test_nested_messages_and_doubles),
        cmocka_unit_test(test_an_unknown_enum_value_is_its_number),
        cmocka_unit_test(test_utf8_sequences),
        cmocka_unit_test(test_lack_of_memory_gives_null),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
