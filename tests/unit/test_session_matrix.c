/* Every (state, event) pair of the session core: each transition seen is in the table, and each transition of
 * the table is seen. Variants of an event cover its branches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/session_bench.h"

#define VARIANTS 7

/* How an event may come: bodies and flags that make a difference somewhere. */
static struct px_event variant_of(enum px_event_kind kind, int variant, uint8_t *body)
{
    struct px_event event = {.kind = kind, .reason = PX_CLOSE_FRAME_LENGTH};

    memset(body, 0, 64);
    event.is_client_mid_frame = variant == 1;
    event.deadline_ms = 500;
    event.skips_drain = variant == 1;
    event.now_ms = variant == 1 ? 1000000 : 2; /* 1: every deadline is over */
    event.length = 16;
    if (variant == 1)
        event.length = 3; /* neither header nor connect */
    if (variant == 2) {   /* closeSession; as a reply: to nothing */
        zkp_store_i32(body, 7);
        zkp_store_i32(body + 4, -11);
    }
    if (variant == 3) /* an event frame; as a request: opcode 0 */
        zkp_store_i32(body, -1);
    if (variant == 6) { /* the answer to our sync */
        zkp_store_i32(body, INT32_MIN);
        zkp_store_i64(body + 4, 100);
    }
    event.body = zkp_slice_of(body, event.length);
    return event;
}

static void step_variant(struct bench *b, enum px_event_kind kind, int variant)
{
    uint8_t body[64];
    struct px_event event = variant_of(kind, variant, body);

    if (variant == 4 && kind == PX_EVENT_CLIENT_FRAME)
        bench_connect(b, BENCH_SID, true);
    else if (variant == 5 && kind == PX_EVENT_CLIENT_FRAME)
        bench_connect(b, 0, false);
    else if (variant == 4 && kind == PX_EVENT_NEXT_FRAME)
        bench_answer(b, 6000, BENCH_SID, true);
    else if (variant == 5 && kind == PX_EVENT_NEXT_FRAME)
        bench_answer(b, 0, 0, true);
    else
        px_session_step(b->session, &event, &b->actions);
}

static void transitions_are_the_table(void **state)
{
    bool seen[PX_SESSION_STATE_COUNT][PX_SESSION_STATE_COUNT] = {{false}};

    (void)state;
    for (enum px_session_state from = 0; from < PX_SESSION_STATE_COUNT; from++)
        for (enum px_event_kind kind = 0; kind < PX_EVENT_COUNT; kind++)
            for (int variant = 0; variant < VARIANTS; variant++) {
                struct bench b;
                bench_begin(&b);
                bench_reach(&b, from);
                assert_int_equal(px_session_state(b.session), from);
                step_variant(&b, kind, variant);
                seen[from][px_session_state(b.session)] = true;
                bench_end(&b);
            }
    for (enum px_session_state from = 0; from < PX_SESSION_STATE_COUNT; from++)
        for (enum px_session_state to = 0; to < PX_SESSION_STATE_COUNT; to++)
            if (from != to && seen[from][to] != px_session_may_go(from, to))
                fail_msg("%s -> %s: table says %d, seen %d", px_session_state_name(from),
                         px_session_state_name(to), px_session_may_go(from, to), seen[from][to]);
}

/* Who dies says so, once, and the dead say nothing. */
static void death_is_one_close(void **state)
{
    (void)state;
    for (enum px_session_state from = 0; from < PX_SESSION_STATE_COUNT; from++)
        for (enum px_event_kind kind = 0; kind < PX_EVENT_COUNT; kind++)
            for (int variant = 0; variant < VARIANTS; variant++) {
                struct bench b;
                bench_begin(&b);
                bench_reach(&b, from);
                step_variant(&b, kind, variant);
                if (from == PX_SESSION_DEAD)
                    assert_int_equal(b.actions.count, 0);
                else
                    assert_true((px_session_state(b.session) == PX_SESSION_DEAD) ==
                                (bench_find(&b, PX_ACTION_CLOSE) != NULL));
                bench_end(&b);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transitions_are_the_table),
        cmocka_unit_test(death_is_one_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
