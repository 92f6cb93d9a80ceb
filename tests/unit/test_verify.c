/* The comparison of trees against a model of an ensemble (verify_model.h): whatever is only under way must
 * never be reported, whatever was altered behind ZooKeeper's back always must, by path and by what differs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "migrate/verify/verify_int.h"
#include "tests/unit/verify_model.h"

#define SEEDS     60u
#define ALTERED   6u
#define STEPS_MAX 2000000u
#define NEVER_WRITTEN                                                                                        \
    3u /* every third leaf is; the others and all inner nodes are not written themselves                     \
        */

static struct mig_verify *verify_new(const struct model *m, const char *skip, const char *from)
{
    struct mig_verify *v;
    const struct mig_verify_options options = {
        .server_count = m->replica_count, .skips = {skip}, .from = from};
    assert_int_equal(mig_verify_new(&options, &v, NULL), RC_OK);
    for (uint32_t s = 0; s < m->replica_count; s++)
        mig_verify_server_is_up(v, s, true);
    return v;
}

static bool is_written(const struct model *m, uint32_t node)
{
    return node > 0 && m->is_leaf[node] && node % NEVER_WRITTEN == 0;
}

static void write_something(struct model *m)
{
    uint32_t node = model_random(m, MODEL_NODES);
    if (is_written(m, node))
        model_commit(m, (enum model_op)model_random(m, 4), node);
}

/* One random thing happens: a write, progress of a replica, an answer, time. */
static void happen(struct model *m, struct mig_verify *v, uint32_t *writes)
{
    switch (model_random(m, 8)) {
    case 0:
        if (*writes > 0) {
            write_something(m);
            --*writes;
        }
        break;
    case 1: { /* a follower may show a transaction before the leader does */
        uint32_t replica = model_random(m, m->replica_count);
        if (m->replicas[replica].applied < m->committed)
            model_apply(m, replica, m->replicas[replica].applied + 1);
        break;
    }
    case 2:
        m->now_ms += 10;
        break;
    default:
        if (m->ask_count > 0)
            model_answer(m, v, model_random(m, m->ask_count));
        break;
    }
    model_take_asks(m, v);
}

/* Until it is over, or steps have passed. */
static void run(struct model *m, struct mig_verify *v, uint32_t writes, uint32_t steps)
{
    for (uint32_t i = 0; i < steps && !mig_verify_is_over(v); i++)
        happen(m, v, &writes);
}

static void run_to_end(struct model *m, struct mig_verify *v, uint32_t writes)
{
    run(m, v, writes, STEPS_MAX);
    assert_true(mig_verify_is_over(v));
    assert_int_equal(m->ask_count, 0);
}

/* --- alterations --- */

struct altered {
    uint32_t replica;
    uint32_t node;
    const char *what; /* the beginning of the finding's text */
};

static struct altered alter(struct model *m, uint32_t how)
{
    struct altered out = {.replica = 1 + model_random(m, m->replica_count - 1)};
    do
        out.node = model_random(m, MODEL_NODES);
    while (is_written(m, out.node) || !m->is_leaf[out.node] ||
           m->replicas[out.replica].nodes[out.node].kind != MIG_NODE_PRESENT);
    struct mig_node *node = &m->replicas[out.replica].nodes[out.node];
    switch (how) {
    case 0:
        node->data_hash ^= 1;
        out.what = "data";
        break;
    case 1:
        node->acl_hash ^= 1;
        out.what = "ACL";
        break;
    case 2:
        node->stat.mzxid += 0x100000000;
        out.what = "mzxid 0x1000000";
        break;
    case 3:
        node->stat.ephemeralOwner = 0xabc;
        out.what = "ephemeralOwner 0xabc, on the reference 0x0";
        break;
    case 4:
        *node = (struct mig_node){.kind = MIG_NODE_ABSENT};
        out.what = "missing here";
        break;
    default:
        for (uint32_t r = 0; r < m->replica_count; r++) /* gone everywhere else */
            if (r != out.replica)
                m->replicas[r].nodes[out.node] = (struct mig_node){.kind = MIG_NODE_ABSENT};
        out.what = "only here";
        break;
    }
    return out;
}

static bool is_found(const struct mig_verify *v, const struct model *m, const struct altered *altered)
{
    const struct mig_verify_report *report = mig_verify_report(v);
    for (uint32_t i = 0; i < report->listed[MIG_VERIFY_DIFFERENT]; i++) {
        const struct mig_verify_finding *finding = &report->findings[MIG_VERIFY_DIFFERENT][i];
        if (finding->server == altered->replica && strcmp(finding->path, m->paths[altered->node]) == 0 &&
            strncmp(finding->what, altered->what, strlen(altered->what)) == 0)
            return true;
    }
    return false;
}

/* Each alteration is of another node, so that there are as many findings. */
static void alter_some(struct model *m, struct altered out[ALTERED])
{
    for (uint32_t i = 0; i < ALTERED; i++) {
        out[i] = alter(m, i);
        m->is_leaf[out[i].node] = false; /* not chosen again */
    }
}

/* --- tests --- */

static void test_changes_under_way_are_equal(void **state)
{
    (void)state;
    uint64_t rechecked = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct model *m = model_new(seed, 2 + (uint32_t)seed % 3);
        struct mig_verify *v = verify_new(m, NULL, "");
        run_to_end(m, v, 2000);
        const struct mig_verify_report *report = mig_verify_report(v);
        assert_true(mig_verify_is_complete(v));
        for (int kind = 0; kind < MIG_VERIFY_KIND_COUNT; kind++)
            assert_int_equal(report->totals[kind], 0);
        rechecked += report->rechecked;
        for (uint32_t i = 0; i < MODEL_NODES; i++)
            assert_true(m->visits[i] <= 1);
        mig_verify_free(v);
        free(m);
    }
    assert_true(rechecked > SEEDS); /* else nothing was under way */
}

static void test_alterations_are_found_under_writes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct altered altered[ALTERED];
        struct model *m = model_new(seed * 31, 3);
        alter_some(m, altered);
        struct mig_verify *v = verify_new(m, NULL, "");
        run_to_end(m, v, 1500);
        assert_true(mig_verify_is_complete(v));
        assert_int_equal(mig_verify_report(v)->totals[MIG_VERIFY_DIFFERENT], ALTERED);
        for (uint32_t i = 0; i < ALTERED; i++)
            assert_true(is_found(v, m, &altered[i]));
        mig_verify_free(v);
        free(m);
    }
}

/* Only the nodes above it are before `from` and visited all the same. */
static void assert_visited_from(const struct model *m, const char *from)
{
    for (uint32_t i = 1; i < MODEL_NODES; i++) {
        bool is_above = strncmp(from, m->paths[i], strlen(m->paths[i])) == 0;
        if (m->visits[i] > 0 && !is_above)
            assert_true(verify_path_order(m->paths[i], from) >= 0);
    }
}

static uint32_t any_leaf(const struct model *m)
{
    uint32_t leaf = 1;
    while (!m->is_leaf[leaf])
        leaf++;
    return leaf;
}

/* A node whose child comes and goes all the time is met in another state at every look. */
static void test_written_without_a_pause(void **state)
{
    (void)state;
    uint64_t moving = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint32_t writes = 0;
        struct model *m = model_new(seed * 7, 3);
        struct mig_verify *v = verify_new(m, NULL, "");
        uint32_t leaf = any_leaf(m);
        for (uint32_t i = 0; i < MODEL_LOG_MAX && !mig_verify_is_over(v); i++) {
            model_commit(m, i % 2 ? MODEL_CREATE : MODEL_DELETE, leaf);
            happen(m, v, &writes);
        }
        run_to_end(m, v, 0);
        assert_true(mig_verify_is_complete(v));
        assert_int_equal(mig_verify_report(v)->totals[MIG_VERIFY_DIFFERENT], 0);
        assert_int_equal(mig_verify_report(v)->totals[MIG_VERIFY_UNSETTLED], 0);
        moving += mig_verify_report(v)->moving;
        mig_verify_free(v);
        free(m);
    }
    assert_true(moving > SEEDS / 2); /* else it was not met */
}

/* Interrupted anywhere, gone on with `from`: together they find everything. */
static void test_goes_on_where_it_was(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct altered altered[ALTERED];
        struct model *m = model_new(seed * 17, 2);
        alter_some(m, altered);
        struct mig_verify *first = verify_new(m, NULL, "");
        char at[MIG_VERIFY_PATH_MAX];
        run(m, first, 0, 100 + (uint32_t)seed * 20);
        assert_true(mig_verify_at(first, at, sizeof at));
        m->ask_count = 0;
        struct mig_verify *second = verify_new(m, NULL, at[0] ? at : "/~");
        memset(m->visits, 0, sizeof m->visits);
        run_to_end(m, second, 0);
        for (uint32_t i = 0; i < ALTERED; i++)
            assert_true(is_found(first, m, &altered[i]) || is_found(second, m, &altered[i]));
        assert_visited_from(m, at[0] ? at : "/~");
        mig_verify_free(first);
        mig_verify_free(second);
        free(m);
    }
}

static void test_limits_of_asking(void **state)
{
    (void)state;
    struct model *m = model_new(5, 2);
    struct mig_verify *v = verify_new(m, NULL, "");
    uint32_t most = 0;
    uint32_t writes = 0;
    while (!mig_verify_is_over(v)) {
        uint32_t in_flight[2] = {0, 0};
        for (uint32_t i = 0; i < m->ask_count; i++)
            in_flight[m->asks[i].ask.server]++;
        assert_true(in_flight[0] <= MIG_VERIFY_IN_FLIGHT_MAX && in_flight[1] <= MIG_VERIFY_IN_FLIGHT_MAX);
        most = in_flight[0] > most ? in_flight[0] : most;
        happen(m, v, &writes);
    }
    assert_int_equal(most, MIG_VERIFY_IN_FLIGHT_MAX);
    mig_verify_free(v);
    free(m);
}

static void test_skipped_subtree(void **state)
{
    (void)state;
    struct model *m = model_new(8, 2);
    uint32_t skip = 1;
    while (m->is_leaf[skip])
        skip++;
    struct mig_verify *v = verify_new(m, m->paths[skip], "");
    run_to_end(m, v, 0);
    size_t length = strlen(m->paths[skip]);
    uint32_t skipped = 0;
    for (uint32_t i = 0; i < MODEL_NODES; i++) {
        bool is_below = strncmp(m->paths[i], m->paths[skip], length) == 0 &&
                        (m->paths[i][length] == '\0' || m->paths[i][length] == '/');
        assert_int_equal(m->visits[i], is_below ? 0 : 1);
        skipped += is_below;
    }
    assert_true(skipped > 1);
    assert_int_equal(mig_verify_report(v)->compared, MODEL_NODES - skipped);
    mig_verify_free(v);
    free(m);
}

static void test_missing_subtree_is_one_finding(void **state)
{
    (void)state;
    struct model *m = model_new(8, 3);
    uint32_t top = 1;
    while (m->is_leaf[top])
        top++;
    size_t length = strlen(m->paths[top]);
    for (uint32_t i = 1; i < MODEL_NODES; i++)
        if (strncmp(m->paths[i], m->paths[top], length) == 0 &&
            (m->paths[i][length] == '\0' || m->paths[i][length] == '/'))
            m->replicas[2].nodes[i] = (struct mig_node){.kind = MIG_NODE_ABSENT};
    struct mig_verify *v = verify_new(m, NULL, "");
    run_to_end(m, v, 0);
    const struct mig_verify_report *report = mig_verify_report(v);
    assert_int_equal(report->totals[MIG_VERIFY_DIFFERENT], 1);
    assert_int_equal(report->compared, MODEL_NODES); /* the others' subtree is compared all the same */
    assert_true(report->servers[1].compared > report->servers[2].compared);
    mig_verify_free(v);
    free(m);
}

static void test_protected_is_a_finding(void **state)
{
    (void)state;
    struct model *m = model_new(8, 2);
    uint32_t node = MODEL_NODES - 1;
    m->replicas[0].is_protected[node] = m->replicas[1].is_protected[node] = true;
    struct mig_verify *v = verify_new(m, NULL, "");
    run_to_end(m, v, 0);
    const struct mig_verify_report *report = mig_verify_report(v);
    assert_int_equal(report->totals[MIG_VERIFY_UNREADABLE], 1);
    assert_string_equal(report->findings[MIG_VERIFY_UNREADABLE][0].path, m->paths[node]);
    assert_int_equal(report->findings[MIG_VERIFY_UNREADABLE][0].server, MIG_VERIFY_ALL);
    assert_int_equal(report->totals[MIG_VERIFY_DIFFERENT], 0);
    mig_verify_free(v);

    m->replicas[1].nodes[node].stat.version++; /* Stat is compared all the same */
    v = verify_new(m, NULL, "");
    run_to_end(m, v, 0);
    assert_int_equal(mig_verify_report(v)->totals[MIG_VERIFY_DIFFERENT], 1);
    mig_verify_free(v);
    free(m);
}

/* Everything is asked of the first job's root only: what happens between two reads is decided here. */
struct pair {
    struct mig_verify *v;
    struct mig_verify_ask ask;
    int64_t now_ms;
};

static void pair_ask(struct pair *p, uint32_t server, enum mig_verify_op op)
{
    while (!mig_verify_next(p->v, p->now_ms, &p->ask)) {
        assert_true(mig_verify_due_ms(p->v) != INT64_MAX);
        p->now_ms = mig_verify_due_ms(p->v);
    }
    assert_int_equal(p->ask.server, server);
    assert_int_equal(p->ask.op, op);
    assert_string_equal(p->ask.path, "/");
}

static void pair_answer(struct pair *p, int64_t mzxid)
{
    struct mig_node node = {.kind = mzxid ? MIG_NODE_PRESENT : MIG_NODE_ABSENT, .stat = {.mzxid = mzxid}};
    mig_verify_node(p->v, p->ask.ticket, &node, p->now_ms);
}

static struct pair pair_new(int64_t reference, int64_t server)
{
    struct pair p = {.now_ms = 1};
    const struct mig_verify_options options = {.server_count = 2, .from = ""};
    assert_int_equal(mig_verify_new(&options, &p.v, NULL), RC_OK);
    mig_verify_server_is_up(p.v, 0, true);
    mig_verify_server_is_up(p.v, 1, true);
    pair_ask(&p, 0, MIG_VERIFY_READ);
    pair_answer(&p, reference);
    pair_ask(&p, 1, MIG_VERIFY_READ);
    pair_answer(&p, server);
    return p;
}

static void pair_round(struct pair *p, int64_t server, int64_t reference)
{
    assert_false(mig_verify_is_over(p->v));
    pair_ask(p, 1, MIG_VERIFY_READ_SYNCED);
    pair_answer(p, server);
    pair_ask(p, 0, MIG_VERIFY_READ_SYNCED);
    pair_answer(p, reference);
}

static void pair_end(struct pair *p, uint64_t different, uint64_t unsettled)
{
    assert_true(mig_verify_is_complete(p->v));
    assert_int_equal(mig_verify_report(p->v)->totals[MIG_VERIFY_DIFFERENT], different);
    assert_int_equal(mig_verify_report(p->v)->totals[MIG_VERIFY_UNSETTLED], unsettled);
    mig_verify_free(p->v);
}

static void test_rounds(void **state)
{
    (void)state;
    struct pair p = pair_new(7, 5); /* behind, and then there */
    pair_round(&p, 7, 7);
    pair_end(&p, 0, 0);

    p = pair_new(7, 5); /* stays behind */
    pair_round(&p, 5, 7);
    pair_round(&p, 5, 7);
    pair_end(&p, 1, 0);

    p = pair_new(7, 9); /* ahead of the reference for a moment */
    pair_round(&p, 9, 7);
    pair_round(&p, 9, 9);
    pair_end(&p, 0, 0);

    p = pair_new(0, 5); /* comes and goes: another one each time */
    pair_round(&p, 6, 0);
    pair_round(&p, 7, 0);
    pair_round(&p, 8, 0);
    pair_round(&p, 0, 0);
    pair_end(&p, 0, 0);

    p = pair_new(7, 5); /* the reference changes between two strikes */
    pair_round(&p, 5, 7);
    pair_round(&p, 5, 8);
    pair_round(&p, 5, 8);
    pair_round(&p, 8, 8);
    pair_end(&p, 0, 0);

    p = pair_new(7, 5); /* now within what the reference showed, now not: no verdict, and not silently */
    for (int64_t i = 1; i <= 20; i++)
        pair_round(&p, i % 5 ? 100 * i - 50 : 1, 100 * i);
    pair_end(&p, 0, 1);
}

/* The reference has always changed between its two readings, to 100, 200, 300, … */
static void test_moving(void **state)
{
    (void)state;
    struct pair p = pair_new(7, 5); /* always in between */
    for (int64_t i = 1; i <= 5; i++)
        pair_round(&p, 100 * i - 50, 100 * i);
    assert_int_equal(mig_verify_report(p.v)->moving, 1);
    pair_end(&p, 0, 0);

    p = pair_new(7, 5); /* stands still, behind */
    for (int64_t i = 1; i <= 5; i++)
        pair_round(&p, 5, 100 * i);
    assert_int_equal(mig_verify_report(p.v)->moving, 0);
    pair_end(&p, 1, 0);

    p = pair_new(7, 5); /* goes on, but always as it was before the reference was asked */
    for (int64_t i = 1; i <= 5; i++)
        pair_round(&p, 100 * i - 101, 100 * i);
    pair_end(&p, 1, 0);

    p = pair_new(7, 5); /* has what the reference never had */
    for (int64_t i = 1; i <= 5; i++)
        pair_round(&p, 100 * i + 1, 100 * i);
    pair_end(&p, 1, 0);

    p = pair_new(7, 5); /* comes and goes on the server only */
    for (int64_t i = 1; i <= 5; i++)
        pair_round(&p, i % 2 ? 0 : 1000, 100 * i);
    pair_end(&p, 1, 0);
}

static struct mig_node node_of(int64_t czxid, int64_t mzxid, int64_t pzxid)
{
    return (struct mig_node){.kind = MIG_NODE_PRESENT,
                             .stat = {.czxid = czxid,
                                      .mzxid = mzxid,
                                      .pzxid = pzxid,
                                      .ctime = czxid,
                                      .mtime = mzxid,
                                      .version = (int32_t)mzxid,
                                      .cversion = (int32_t)pzxid,
                                      .numChildren = (int32_t)pzxid % 3},
                             .data_hash = (uint64_t)mzxid,
                             .acl_hash = 1};
}

static void test_within(void **state)
{
    (void)state;
    const struct mig_node none = {.kind = MIG_NODE_ABSENT};
    const struct mig_node unreadable = {.kind = MIG_NODE_UNREADABLE};
    const struct mig_node before = node_of(10, 20, 30);
    const struct mig_node after = node_of(10, 40, 50);
    const struct mig_node again = node_of(60, 60, 60); /* deleted and created */
    struct mig_node server = node_of(10, 20, 40);
    assert_true(verify_within(&before, &server, &after, 10, false));
    server.data_hash++; /* altered, under children that come and go */
    assert_false(verify_within(&before, &server, &after, 10, false));
    assert_true(verify_within(&before, &server, &after, 10, true));
    server = node_of(10, 30, 50);
    server.stat.numChildren++;
    assert_false(verify_within(&before, &server, &after, 10, false));
    server = node_of(10, 30, 40);
    server.acl_hash++;
    assert_false(verify_within(&before, &server, &after, 10, false));
    server = node_of(10, 30, 40);
    server.stat.version = 19;
    assert_false(verify_within(&before, &server, &after, 10, false));
    server = node_of(10, 30, 40);
    server.stat.ephemeralOwner = 1;
    assert_false(verify_within(&before, &server, &after, 10, false));
    server = node_of(10, 30, 51);
    assert_false(verify_within(&before, &server, &after, 10, false));
    assert_false(verify_within(&before, &none, &after, 10, false));
    assert_false(verify_within(&before, &unreadable, &after, 10, false));

    server = node_of(55, 58, 58); /* one in between, that the reference was not asked for */
    assert_true(verify_within(&before, &server, &again, 10, false));
    assert_true(verify_within(&before, &none, &again, 10, false));
    assert_true(verify_within(&before, &server, &none, 10, false));
    assert_true(verify_within(&none, &server, &again, 10, false));
    assert_false(verify_within(&none, &server, &again, 55, false)); /* the one before: it is gone */
    assert_false(verify_within(&again, &server, &none, 10, false));
}

static void test_failures(void **state)
{
    (void)state;
    struct pair p = pair_new(7, 5);
    pair_ask(&p, 1, MIG_VERIFY_READ_SYNCED);
    for (int i = 0; i < 50; i++) { /* the connection was lost: asked again as often as it takes */
        mig_verify_failed(p.v, p.ask.ticket, false, p.now_ms);
        pair_ask(&p, 1, MIG_VERIFY_READ_SYNCED);
    }
    mig_verify_node(p.v, p.ask.ticket + (UINT64_C(1) << 16), &(struct mig_node){0}, p.now_ms); /* not ours */
    for (int i = 0; i < 7; i++) {
        mig_verify_failed(p.v, p.ask.ticket, true, p.now_ms);
        pair_ask(&p, 1, MIG_VERIFY_READ_SYNCED);
    }
    mig_verify_failed(p.v, p.ask.ticket, true, p.now_ms);
    pair_ask(&p, 0, MIG_VERIFY_READ_SYNCED);
    pair_answer(&p, 7);
    assert_int_equal(mig_verify_report(p.v)->totals[MIG_VERIFY_UNREADABLE], 1);
    assert_int_equal(mig_verify_report(p.v)->findings[MIG_VERIFY_UNREADABLE][0].server, 1);
    pair_end(&p, 0, 0);
}

static void test_servers_that_are_down(void **state)
{
    (void)state;
    struct mig_verify_ask ask;
    struct model *m = model_new(3, 3);
    struct mig_verify *v = verify_new(m, NULL, "");
    run(m, v, 0, 30);
    mig_verify_server_is_up(v, 1, false); /* nothing is asked of it */
    run(m, v, 0, 5000);
    for (uint32_t i = 0; i < m->ask_count; i++)
        assert_int_not_equal(m->asks[i].ask.server, 1);
    assert_false(mig_verify_is_over(v));
    mig_verify_give_up(v, 1, "away", m->now_ms);
    run_to_end(m, v, 0);
    assert_true(mig_verify_is_complete(v));
    assert_true(mig_verify_report(v)->servers[1].is_given_up);
    assert_string_equal(mig_verify_report(v)->servers[1].why, "away");
    assert_int_equal(mig_verify_report(v)->servers[2].compared, MODEL_NODES);
    mig_verify_free(v);

    m->ask_count = 0;
    v = verify_new(m, NULL, "");
    run(m, v, 0, 30);
    mig_verify_give_up(v, MIG_VERIFY_REFERENCE, "the leader is gone", m->now_ms);
    assert_true(mig_verify_is_over(v));
    assert_false(mig_verify_is_complete(v));
    assert_string_equal(mig_verify_why(v), "the leader is gone");
    assert_false(mig_verify_next(v, m->now_ms, &ask));
    mig_verify_free(v);
    free(m);
}

/* A server is given up while one of its differences waits to be looked at again. */
static void test_given_up_in_a_pause(void **state)
{
    (void)state;
    struct model *m = model_new(3, 3);
    m->replicas[2].nodes[0].stat.ctime++;
    struct mig_verify *v = verify_new(m, NULL, "");
    model_take_asks(m, v);
    while (m->ask_count > 0)
        model_answer(m, v, 0);
    assert_true(mig_verify_due_ms(v) != INT64_MAX);
    mig_verify_give_up(v, 2, "away", m->now_ms);
    run_to_end(m, v, 0);
    assert_true(mig_verify_is_complete(v));
    assert_int_equal(mig_verify_report(v)->totals[MIG_VERIFY_DIFFERENT], 0);
    assert_int_equal(mig_verify_report(v)->servers[1].compared, MODEL_NODES);
    mig_verify_free(v);
    free(m);
}

static void test_many_findings_are_counted(void **state)
{
    (void)state;
    struct model *m = model_new(12, 2);
    for (uint32_t i = 0; i < MODEL_NODES; i++)
        m->replicas[1].nodes[i].stat.ctime++;
    struct mig_verify *v = verify_new(m, NULL, "");
    run_to_end(m, v, 0);
    const struct mig_verify_report *report = mig_verify_report(v);
    assert_int_equal(report->totals[MIG_VERIFY_DIFFERENT], MODEL_NODES);
    assert_int_equal(report->listed[MIG_VERIFY_DIFFERENT], MIG_VERIFY_LISTED_MAX);
    assert_int_equal(report->servers[1].different, MODEL_NODES);
    mig_verify_free(v);
    free(m);
}

static void test_bad_paths(void **state)
{
    (void)state;
    static char longest[MIG_VERIFY_PATH_MAX + 1];
    struct mig_verify *v;
    struct err err;
    memset(longest, 'a', MIG_VERIFY_PATH_MAX);
    longest[0] = '/';
    const char *const bad[] = {"a", "/a/", longest};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct mig_verify_options options = {.server_count = 2, .from = bad[i]};
        assert_int_equal(mig_verify_new(&options, &v, &err), RC_INVALID);
    }
}

static void test_hash(void **state)
{
    (void)state;
    uint8_t bytes[16]; /* key and input of the paper's test vectors */
    struct mig_hash_key key;
    for (uint8_t i = 0; i < sizeof bytes; i++)
        bytes[i] = i;
    memcpy(&key, bytes, sizeof key);
    assert_true(mig_hash(&key, bytes, 0) == 0x726fdb47dd0e0e31);
    assert_true(mig_hash(&key, bytes, 8) == 0x93f5f5799a932462);
    assert_true(mig_hash(&key, bytes, 15) == 0xa129ca6149be45e5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes_under_way_are_equal),
        cmocka_unit_test(test_alterations_are_found_under_writes),
        cmocka_unit_test(test_written_without_a_pause),
        cmocka_unit_test(test_goes_on_where_it_was),
        cmocka_unit_test(test_limits_of_asking),
        cmocka_unit_test(test_skipped_subtree),
        cmocka_unit_test(test_missing_subtree_is_one_finding),
        cmocka_unit_test(test_protected_is_a_finding),
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_moving),
        cmocka_unit_test(test_within),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_servers_that_are_down),
        cmocka_unit_test(test_given_up_in_a_pause),
        cmocka_unit_test(test_many_findings_are_counted),
        cmocka_unit_test(test_bad_paths),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
