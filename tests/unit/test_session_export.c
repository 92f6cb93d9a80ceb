/* A session's state as plain data: who is not written, what is refused, and that a session read in again goes
 * on as the one it was written from. Anywhere on its way: test_session_property.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "proxy/session/export.h"
#include "tests/unit/move_bench.h"

/* The session, and its twin that was read in; both see the same. */
struct twins {
    struct bench first;
    struct bench second;
};

static void only_those_at_rest_are_written(void **state)
{
    (void)state;
    for (enum px_session_state from = 0; from < PX_SESSION_STATE_COUNT; from++) {
        bool is_fine = from == PX_SESSION_ACTIVE || from == PX_SESSION_HELD;
        struct px_buffer bytes = {0};
        struct bench b;
        bench_begin(&b);
        bench_reach(&b, from);
        assert_int_equal(px_session_export(b.session, &bytes), is_fine ? RC_OK : RC_REFUSED);
        assert_true(is_fine == (bytes.length > 0));
        px_buffer_done(&bytes);
        bench_end(&b);
    }
}

/* Watches of all kinds, halves of lasting ones, auth answered and not, requests of every kind unanswered. */
static void fill(struct bench *b)
{
    bench_auth(b, "a:1", true);
    bench_watch(b, ZKP_OP_GET_DATA, "/d", 0);
    bench_watch(b, ZKP_OP_EXISTS, "/e", ZKP_ERR_NO_NODE);
    bench_watch(b, ZKP_OP_GET_CHILDREN2, "/c", 0);
    bench_add_watch(b, "/p", 0);
    bench_add_watch(b, "/r", 1);
    bench_watch(b, ZKP_OP_GET_DATA, "/p", 0); /* up to 3.8 the child half is left */
    bench_read(b, 11, ZKP_OP_GET_DATA, "/a", true);
    bench_request(b, ZKP_XID_PING, ZKP_OP_PING);
    bench_request(b, 12, ZKP_OP_RECONFIG);
    bench_path_int(b, 13, ZKP_OP_REMOVE_WATCHES, "/c", 1);
    bench_path_int(b, 14, ZKP_OP_ADD_WATCH, "/q", 1);
    bench_read(b, 15, ZKP_OP_GET_DATA, "/zookeeper/config", false);
    bench_request(b, 16, ZKP_OP_SET_DATA);
    bench_auth(b, "b:2", false);
    bench_request(b, 17, 4711);
}

static void twins_begin(struct twins *t, void (*prepare)(struct bench *))
{
    struct px_buffer bytes = {0};

    bench_begin(&t->first);
    bench_reach(&t->first, PX_SESSION_ACTIVE);
    prepare(&t->first);
    t->second = t->first;
    assert_int_equal(px_watch_space_init(&t->second.space, 1), RC_OK);
    assert_int_equal(px_session_export(t->first.session, &bytes), RC_OK);
    assert_int_equal(px_session_import(px_buffer_slice(&bytes), &t->second.space, &t->second.session), RC_OK);
    px_buffer_done(&bytes);
}

static void twins_end(struct twins *t)
{
    bench_end(&t->first);
    bench_end(&t->second);
}

static void assert_same_watches(const struct twins *t)
{
    static const char *const paths[] = {"/a", "/c", "/d", "/e", "/p", "/q", "/r"};

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char first[6];
        char second[6];
        assert_string_equal(bench_lists(px_session_watches(t->first.session), paths[i], first),
                            bench_lists(px_session_watches(t->second.session), paths[i], second));
    }
}

static void assert_same(const struct twins *t)
{
    const struct px_actions *first = &t->first.actions;
    const struct px_actions *second = &t->second.actions;

    assert_int_equal(first->count, second->count);
    assert_int_equal(first->note, second->note);
    assert_int_equal(first->outcome, second->outcome);
    assert_int_equal(first->dropped_events, second->dropped_events);
    for (uint32_t i = 0; i < first->count; i++) {
        struct zkp_slice bytes = bench_bytes(&t->first, &first->list[i]);
        struct zkp_slice same = bench_bytes(&t->second, &second->list[i]);
        assert_int_equal(first->list[i].kind, second->list[i].kind);
        assert_int_equal(bytes.len, same.len);
        if (bytes.len > 0)
            assert_memory_equal(bytes.ptr, same.ptr, bytes.len);
    }
    assert_int_equal(px_session_state(t->first.session), px_session_state(t->second.session));
    assert_int_equal(px_session_outstanding(t->first.session), px_session_outstanding(t->second.session));
    assert_int_equal(px_session_last_zxid(t->first.session), px_session_last_zxid(t->second.session));
    assert_int_equal(px_session_obstacle(t->first.session), px_session_obstacle(t->second.session));
    assert_same_watches(t);
}

#define BOTH(t, call)                                                                                        \
    do {                                                                                                     \
        struct bench *b = &(t)->first;                                                                       \
        call;                                                                                                \
        b = &(t)->second;                                                                                    \
        call;                                                                                                \
        assert_same(t);                                                                                      \
    } while (0)

static void answer_everything(struct twins *t)
{
    BOTH(t, bench_reply(b, 11, M, 0));
    BOTH(t, bench_reply(b, ZKP_XID_AUTH, 0, 0));
    BOTH(t, bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/a"));
    BOTH(t, bench_reply(b, ZKP_XID_PING, M, 0));
    assert_request(&t->second, PX_ACTION_SEND_CLIENT, 0, 12, 0); /* reconfig's refusal had waited */
    BOTH(t, bench_reply(b, 13, M, 0));
    BOTH(t, bench_reply(b, 14, M, 0));
    BOTH(t, bench_fire(b, ZKP_EVENT_CREATED, "/q/x"));
    BOTH(t, bench_reply(b, 15, M, ZKP_ERR_NO_AUTH));
    BOTH(t, bench_reply(b, 16, M, 0));
    BOTH(t, bench_reply(b, 17, M, 0));
    BOTH(t, bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/p"));
    assert_int_equal(px_session_outstanding(t->second.session), 0);
}

static void it_goes_on_as_if_nothing_had_been(void **state)
{
    struct twins t;

    (void)state;
    twins_begin(&t, fill);
    assert_same_watches(&t);
    answer_everything(&t);
    BOTH(&t, bench_leave(b));
    BOTH(&t, bench_join(b, M));
    assert_memory_equal(bench_frame_of(&t.second, PX_ACTION_PUT_NEXT, 1).ptr + 30, "b:2", 3);
    BOTH(&t, bench_next_reply(b, ZKP_XID_AUTH, 0, 0));
    BOTH(&t, bench_next_reply(b, ZKP_XID_AUTH, 0, 0));
    BOTH(&t, bench_next_reply(b, OURS, M, 0));
    BOTH(&t, bench_next_reply(b, OURS, M, 0));
    assert_state(&t.second, ACTIVE);
    twins_end(&t);
}

static void it_knows_what_is_in_doubt(void **state)
{
    struct twins t;

    (void)state;
    twins_begin(&t, fill);
    BOTH(&t, bench_kind(b, PX_EVENT_SERVER_GONE));
    assert_closed_for(&t.second, UNKNOWN_OUTCOME);
    twins_end(&t);
}

static void reads_only(struct bench *b)
{
    bench_read(b, 11, ZKP_OP_GET_DATA, "/a", true);
    bench_auth(b, "a:1", false);
    bench_read(b, 12, ZKP_OP_EXISTS, "/e", true);
}

static void its_reads_survive_its_server(void **state)
{
    struct twins t;

    (void)state;
    twins_begin(&t, reads_only);
    BOTH(&t, bench_reattach(b, M));
    assert_request(&t.second, PX_ACTION_PUT_SERVER, 1, 11, ZKP_OP_GET_DATA);
    assert_request(&t.second, PX_ACTION_PUT_SERVER, 2, 12, ZKP_OP_EXISTS);
    BOTH(&t, bench_reply(b, 11, M, 0));
    BOTH(&t, bench_reply(b, ZKP_XID_AUTH, 0, 0));
    BOTH(&t, bench_reply(b, 12, M, ZKP_ERR_NO_NODE));
    twins_end(&t);
}

static void hold(struct bench *b)
{
    bench_mark(b, PX_EVENT_HOLD);
    bench_kind(b, PX_EVENT_SETTLE);
    assert_state(b, HELD);
}

static void one_that_is_held_stays_so_until_its_deadline(void **state)
{
    struct twins t;

    (void)state;
    twins_begin(&t, hold);
    BOTH(&t, b->now_ms += 999; bench_kind(b, PX_EVENT_TICK));
    assert_state(&t.second, HELD);
    BOTH(&t, b->now_ms += 1; bench_kind(b, PX_EVENT_TICK));
    assert_state(&t.second, ACTIVE);
    twins_end(&t);
}

static void too_many_watches(struct bench *b)
{
    b->space.watches_max = 1;
    bench_watch(b, ZKP_OP_GET_DATA, "/d", 0);
    bench_watch(b, ZKP_OP_GET_DATA, "/a", 0);
}

static void one_that_has_lost_its_watches_has_none(void **state)
{
    struct twins t;

    (void)state;
    twins_begin(&t, too_many_watches);
    assert_int_equal(px_session_obstacle(t.second.session), PX_OBSTACLE_WATCHES);
    BOTH(&t, bench_fire(b, ZKP_EVENT_DATA_CHANGED, "/d"));
    twins_end(&t);
}

/* --- refused --- */

static enum rc import(struct zkp_slice bytes)
{
    struct px_watch_space space;
    struct px_session *session = NULL;
    enum rc rc;

    assert_int_equal(px_watch_space_init(&space, 1), RC_OK);
    rc = px_session_import(bytes, &space, &session);
    assert_true((rc == RC_OK) == (session != NULL));
    px_session_free(session);
    px_watch_space_done(&space); /* what was read before the fault was given back */
    return rc;
}

static void write_out(struct px_buffer *ret_bytes)
{
    struct bench b;

    bench_begin(&b);
    bench_reach(&b, PX_SESSION_ACTIVE);
    fill(&b);
    *ret_bytes = (struct px_buffer){0};
    assert_int_equal(px_session_export(b.session, ret_bytes), RC_OK);
    bench_end(&b);
}

static void another_version_is_refused(void **state)
{
    struct px_buffer bytes;

    (void)state;
    write_out(&bytes);
    assert_int_equal(import(px_buffer_slice(&bytes)), RC_OK);
    zkp_store_i32(bytes.bytes, PX_EXPORT_VERSION + 1);
    assert_int_equal(import(px_buffer_slice(&bytes)), RC_MALFORMED);
    zkp_store_i32(bytes.bytes, 0);
    assert_int_equal(import(px_buffer_slice(&bytes)), RC_MALFORMED);
    px_buffer_done(&bytes);
}

static void what_is_missing_or_too_much_is_refused(void **state)
{
    struct px_buffer bytes;

    (void)state;
    write_out(&bytes);
    for (uint32_t length = 0; length < bytes.length; length++) {
        uint8_t *exact = malloc(length + 1); /* a read too far is seen by the sanitizer */
        assert_non_null(exact);
        memcpy(exact, bytes.bytes, length);
        assert_int_equal(import(zkp_slice_of(exact, length)), RC_MALFORMED);
        free(exact);
    }
    assert_int_equal(px_buffer_append(&bytes, "", 1), RC_OK);
    assert_int_equal(import(px_buffer_slice(&bytes)), RC_MALFORMED);
    px_buffer_done(&bytes);
}

/* Much of it is free: ids, times, xids. What holds it together is not. */
static void damage_is_refused_or_harmless(void **state)
{
    struct px_buffer bytes;
    uint32_t refused = 0;

    (void)state;
    write_out(&bytes);
    for (uint32_t bit = 0; bit < bytes.length * 8; bit++) {
        bytes.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        refused += import(px_buffer_slice(&bytes)) == RC_MALFORMED;
        bytes.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_in_range(refused, bytes.length, bytes.length * 8);
    px_buffer_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_those_at_rest_are_written),
        cmocka_unit_test(it_goes_on_as_if_nothing_had_been),
        cmocka_unit_test(it_knows_what_is_in_doubt),
        cmocka_unit_test(its_reads_survive_its_server),
        cmocka_unit_test(one_that_is_held_stays_so_until_its_deadline),
        cmocka_unit_test(one_that_has_lost_its_watches_has_none),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(what_is_missing_or_too_much_is_refused),
        cmocka_unit_test(damage_is_refused_or_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
