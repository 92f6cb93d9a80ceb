/* A server that counts connections, and everything of ours that comes and goes there, in every order: with
 * one client that bypasses the proxy nothing ever says that we are alone, without one something does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/control/fleet/ours.h"
#include "proxy/control/fleet/strangers.h"

enum step {
    STEP_END,
    SRVR_ASKED,    /* we look at what is ours, and connect */
    SRVR_ACCEPTED, /* the server counts the connection */
    SRVR_COUNTED,  /* and answers */
    SRVR_CLOSED,   /* the server has forgotten the connection */
    SRVR_SEEN,     /* the answer is here, and becomes a fact */
    DETAILS_ASKED,
    DETAILS_ACCEPTED,
    DETAILS_CLOSED,
    DETAILS_SEEN,
    SESSION_GRANTED, /* by the server, which had accepted it before */
    SESSION_COUNTED, /* by us */
    SESSION_LEFT,    /* we have given it up, and close */
    SESSION_GONE,    /* the server has seen that */
    SESSION_CUT,     /* the server has closed it */
    SESSION_MISSED,  /* we have seen that; at most one answer is given in between */
};

#define SRVR    SRVR_ASKED, SRVR_ACCEPTED, SRVR_COUNTED, SRVR_CLOSED, SRVR_SEEN
#define DETAILS DETAILS_ASKED, DETAILS_ACCEPTED, DETAILS_CLOSED, DETAILS_SEEN

#define ROWS_MAX 4
#define ROW_MAX  16

/* Rows run beside each other, each in its own order. */
struct scene {
    enum step rows[ROWS_MAX][ROW_MAX];
};

struct model {
    int64_t now_ms;
    int64_t connections; /* at the server */
    struct px_ours ours;
    struct px_ours before;
    int64_t asked_at_ms;
    int64_t answer;
    bool is_cut;
    uint32_t answers_since_cut;
    struct px_strangers strangers;
};

static struct mig_facts *facts;
static uint64_t orders;
static uint64_t alone; /* orders in which it was said */
static uint64_t accused;
static uint64_t lucky; /* single answers that seemed to show nobody */

static void see(struct model *m)
{
    struct mig_server_facts *server = &facts->servers[0];
    memset(server, 0, sizeof(*server));
    server->id = 1;
    server->srvr_at_ms = m->asked_at_ms;
    server->srvr.connections = m->answer;
    px_ours_counted(&m->before, &m->ours, true, &server->ours_least, &server->ours_most);
    lucky += server->srvr.connections <= server->ours_least;
    px_strangers_facts(&m->strangers, facts);
}

static bool may(const struct model *m, enum step step)
{
    return step != SRVR_COUNTED || !m->is_cut || m->answers_since_cut == 0;
}

static void run(struct model *m, enum step step)
{
    m->now_ms++;
    switch (step) {
    case SRVR_ASKED:
        m->before = m->ours;
        m->asked_at_ms = m->now_ms;
        break;
    case SRVR_COUNTED:
        m->answer = m->connections;
        m->answers_since_cut++;
        break;
    case SRVR_SEEN:
        see(m);
        break;
    case DETAILS_ASKED:
        m->ours.details++;
        m->ours.asks_details = true;
        break;
    case DETAILS_SEEN:
        m->ours.asks_details = false;
        break;
    case SRVR_ACCEPTED:
    case DETAILS_ACCEPTED:
    case SESSION_GRANTED:
        m->connections++;
        break;
    case SRVR_CLOSED:
    case DETAILS_CLOSED:
    case SESSION_GONE:
        m->connections--;
        break;
    case SESSION_CUT:
        m->connections--;
        m->is_cut = true;
        m->answers_since_cut = 0;
        break;
    case SESSION_COUNTED:
        m->ours.sessions++;
        m->ours.changes++;
        break;
    case SESSION_LEFT:
        m->ours.sessions--;
        m->ours.changes++;
        break;
    case SESSION_MISSED:
        m->is_cut = false;
        m->ours.sessions--;
        m->ours.changes++;
        break;
    case STEP_END:
        break;
    }
}

/* Once in an order is too often: the gate looks at every answer. */
static void walk(const struct scene *scene, const struct model *model, const uint8_t at[ROWS_MAX],
                 bool was_alone)
{
    bool is_last = true;
    for (uint32_t row = 0; row < ROWS_MAX; row++) {
        enum step step = scene->rows[row][at[row]];
        if (step == STEP_END)
            continue;
        is_last = false;
        if (!may(model, step))
            continue;
        struct model next = *model;
        uint8_t next_at[ROWS_MAX];
        memcpy(next_at, at, sizeof(next_at));
        next_at[row]++;
        run(&next, step);
        bool is_alone = step == SRVR_SEEN && facts->servers[0].alone_since_ms != 0;
        accused += step == SRVR_SEEN && facts->servers[0].strangers > 0;
        walk(scene, &next, next_at, was_alone || is_alone);
    }
    orders += is_last;
    alone += is_last && was_alone;
}

static void enumerate(const struct scene *scene, int64_t bypassing)
{
    struct model start = {.connections = 2 + bypassing, .ours = {.sessions = 2, .changes = 7}};
    uint8_t at[ROWS_MAX] = {0};
    orders = alone = accused = lucky = 0;
    facts = calloc(1, sizeof(*facts));
    assert_non_null(facts);
    facts->server_count = 1;
    walk(scene, &start, at, false);
    free(facts);
}

/* Never with somebody there; without anybody it is said. */
static void check(const struct scene *scene, uint64_t expected_orders)
{
    enumerate(scene, 1);
    assert_int_equal(orders, expected_orders);
    assert_int_equal(alone, 0);
    assert_true(accused > 0);
    enumerate(scene, 0);
    assert_int_equal(orders, expected_orders);
    assert_true(alone > 0);
}

static void questions_of_both_probers(void **state)
{
    (void)state;
    static const struct scene scene = {{{SRVR, SRVR, SRVR}, {DETAILS, DETAILS}}};
    check(&scene, 490314); /* 23 over 8 */
    assert_int_equal(accused, 0);
}

static void a_session_that_comes(void **state)
{
    (void)state;
    static const struct scene scene = {
        {{SRVR, SRVR, SRVR}, {SESSION_GRANTED, SESSION_COUNTED}, {DETAILS_ASKED, DETAILS_ACCEPTED}}};
    check(&scene, 23256);
}

static void a_session_that_goes(void **state)
{
    (void)state;
    static const struct scene scene = {{{SRVR, SRVR, SRVR}, {SESSION_LEFT, SESSION_GONE}, {DETAILS}}};
    check(&scene, 813960);
}

static void one_comes_and_one_goes(void **state)
{
    (void)state;
    static const struct scene scene = {
        {{SRVR, SRVR, SRVR}, {SESSION_LEFT, SESSION_GONE}, {SESSION_GRANTED, SESSION_COUNTED}}};
    check(&scene, 23256);
}

/* Here one answer alone is wrong: what the server has closed we count as ours until we see it. */
static void one_answer_is_not_enough(void **state)
{
    (void)state;
    static const struct scene scene = {{{SRVR, SRVR, SRVR}, {SESSION_CUT, SESSION_MISSED}}};
    enumerate(&scene, 1);
    assert_true(lucky > 0);
    assert_int_equal(alone, 0);
    enumerate(&scene, 0);
    assert_true(alone > 0);
    assert_int_equal(accused, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_of_both_probers), cmocka_unit_test(a_session_that_comes),
        cmocka_unit_test(a_session_that_goes),       cmocka_unit_test(one_comes_and_one_goes),
        cmocka_unit_test(one_answer_is_not_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
