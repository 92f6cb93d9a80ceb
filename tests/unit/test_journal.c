/* The journal as the control thread uses it: records of every kind survive writing, closing and replay; ends
 * are reported in order from the loop. And its codec. */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/journal/journal.h"
#include "migrate/journal/journal_codec.h"
#include "migrate/journal/journal_file.h"

#define RECORDS_MAX 32u

struct fixture {
    struct event_base *base;
    struct mig_helper *helper;
    struct mig_journal *journal;
    char dir[64];
    uint32_t replayed;
    struct mig_record records[RECORDS_MAX]; /* without their plans and findings */
    struct mig_plan plan;                   /* the last one replayed */
    struct mig_findings findings;           /* the same */
    enum rc refuse;                         /* what replay returns */
    uint32_t journaled;
    uint64_t seqs[RECORDS_MAX];
    enum rc rcs[RECORDS_MAX];
};

static enum rc on_replay(void *context, const struct mig_record *record, struct err *err)
{
    struct fixture *f = context;
    assert_in_range(f->replayed, 0, RECORDS_MAX - 1);
    f->records[f->replayed] = *record;
    f->records[f->replayed].plan = NULL;
    f->records[f->replayed].findings = NULL;
    if (record->plan != NULL)
        f->plan = *record->plan;
    if (record->findings != NULL)
        f->findings = *record->findings;
    f->replayed++;
    return f->refuse == RC_OK ? RC_OK : err_set(err, f->refuse, "does not follow");
}

static void on_journaled(void *context, uint64_t seq, enum rc rc, const struct err *err)
{
    (void)err;
    struct fixture *f = context;
    assert_in_range(f->journaled, 0, RECORDS_MAX - 1);
    f->seqs[f->journaled] = seq;
    f->rcs[f->journaled++] = rc;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    snprintf(f->dir, sizeof f->dir, "/tmp/zkferry-journal-XXXXXX");
    f->base = event_base_new();
    *state = f;
    return mkdtemp(f->dir) != NULL && f->base != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"journal", "lock", "instance"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", f->dir, names[i]);
        unlink(path);
    }
    event_base_free(f->base);
    int result = rmdir(f->dir);
    free(f);
    return result;
}

static enum rc start(struct fixture *f, struct err *err)
{
    const struct mig_journal_callbacks callbacks = {
        .context = f, .replay = on_replay, .journaled = on_journaled};
    f->replayed = f->journaled = 0;
    assert_int_equal(mig_helper_new(f->base, &f->helper, err), RC_OK);
    return mig_journal_open(f->dir, f->helper, &callbacks, &f->journal, err);
}

static void stop(struct fixture *f)
{
    mig_helper_free(f->helper);
    mig_journal_free(f->journal);
    f->helper = NULL;
    f->journal = NULL;
}

static void start_ok(struct fixture *f)
{
    struct err err = {.code = RC_OK};
    if (start(f, &err) != RC_OK)
        fail_msg("%s", err.text);
}

static void append(struct fixture *f, uint64_t seq, const struct mig_record *record)
{
    struct err err;
    assert_int_equal(mig_journal_append(f->journal, seq, record, &err), RC_OK);
}

static void add_server(struct zkp_server *server, const char *line)
{
    struct err err;
    assert_int_equal(zkp_server_parse(zkp_slice_str(line), server, &err), RC_OK);
}

static void fill_plan(struct mig_plan *plan)
{
    memset(plan, 0, sizeof *plan);
    snprintf(plan->id, sizeof plan->id, "p-1");
    plan->kind = CONF_KIND_REPLACE;
    plan->created_wall_ms = 1700000000123;
    plan->sources.count = 2;
    add_server(&plan->sources.servers[0], "server.1=a:2888:3888:participant;a:2181");
    add_server(&plan->sources.servers[1], "server.2=b:2888:3888:observer;0.0.0.0:2181");
    plan->leaving.count = 1;
    plan->leaving.ids[0] = 2;
    plan->targets.count = 1;
    add_server(&plan->targets.servers[0], "server.4=[::1]:2888:3888:participant;[::1]:2181");
    plan->original.server_count = 1;
    plan->original.has_version = true;
    plan->original.version = 0x100000242;
    add_server(&plan->original.servers[0], "server.1=a:2888:3888:participant;a:2181");
    plan->confirm[MIG_GATE_REMOVE] = true;
    plan->accept_count = 1;
    snprintf(plan->accept[0], sizeof plan->accept[0], "server-down-2");
    plan->lag_ms = 500;
    plan->catch_up_rounds = 5;
    plan->switch_rate = 77;
    plan->prove_joiners = true;
    plan->join_timeout_ms = 3600000;
    plan->step_timeout_ms = 120000;
    for (uint32_t hook = 0; hook < CONF_HOOK_COUNT; hook++) {
        assert_int_equal(conf_command_add(&plan->hooks[hook], "/bin/program"), RC_OK);
        for (uint32_t i = 0; i < hook; i++)
            assert_int_equal(conf_command_add(&plan->hooks[hook], i == 0 ? "" : "{id} of {host}"), RC_OK);
    }
    plan->hook_timeout_ms = 61000;
    snprintf(plan->expected_version, sizeof plan->expected_version, "3.9.4");
    plan->hold_ms = 4000;
    plan->verify = CONF_VERIFY_FULL;
    plan->canary = (struct conf_canary){.share = 250,
                                        .clients.count = 2,
                                        .observe_ms = 60000,
                                        .errors = 125,
                                        .latency = 20000,
                                        .latency_floor_ms = 33,
                                        .expired = 3,
                                        .returned = 4};
    assert_true(conf_network_parse("10.1.0.0/16", &plan->canary.clients.items[0]));
    assert_true(conf_network_parse("fd00::/8", &plan->canary.clients.items[1]));
}

static void fill_record(struct mig_record *record, enum mig_record_kind kind)
{
    memset(record, 0, sizeof *record);
    record->kind = kind;
    record->wall_ms = 1700000000456;
    record->phase = MIG_PHASE_REMOVING;
    record->gate = MIG_GATE_REMOVE;
    snprintf(record->step, sizeof record->step, "remove.1");
    record->is_done = true;
    snprintf(record->joining, sizeof record->joining, "server.4=d:2888:3888:participant;d:2181");
    snprintf(record->leaving, sizeof record->leaving, "1");
    record->from_version = 0x200000001;
    record->via = 3;
    record->version = 0x7fffffffffffffff;
    record->server = 254;
    snprintf(record->text, sizeof record->text, "why \xc3\xa4");
    record->started_wall_ms = 1700000000001;
    record->hold_ms = 250;
    mig_tally_add(&record->tally, MIG_TALLY_MOVED, UINT64_MAX);
    mig_tally_add(&record->tally, "zkferry_client_closed_total{reason=\"expired\"}", 3);
    record->witness = (struct mig_witness_account){.started_wall_ms = 1700000000002, .figures.stall_ms = 70};
    uint64_t count = UINT64_MAX; /* each its own */
#define FILL(name, help) record->witness.figures.name = count--;
    MIG_WITNESS_COUNTS(FILL)
#undef FILL
    if (kind == MIG_RECORD_CANARY_BEGUN)
        record->usual = (struct mig_measures){60000, 150, 3, 1, 2, 54321, 1250};
}

static void fill_findings(struct mig_findings *findings)
{
    memset(findings, 0, sizeof *findings);
    findings->count = 2;
    findings->items[0] = (struct mig_finding){.rule = "server-down",
                                              .id = "server-down-2",
                                              .severity = MIG_BLOCK,
                                              .can_accept = true,
                                              .is_accepted = true,
                                              .server = 2,
                                              .seen = "no answer",
                                              .why = "the quorum",
                                              .todo = "start it",
                                              .pitfall = "P6 P12"};
    findings->items[1] =
        (struct mig_finding){.rule = "voters-even", .id = "voters-even", .severity = MIG_WARN, .server = -1};
}

static void assert_same_findings(const struct mig_findings *a, const struct mig_findings *b)
{
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct mig_finding *x = &a->items[i];
        const struct mig_finding *y = &b->items[i];
        assert_string_equal(x->rule, y->rule);
        assert_string_equal(x->id, y->id);
        assert_int_equal(x->severity, y->severity);
        assert_int_equal(x->can_accept, y->can_accept);
        assert_int_equal(x->is_accepted, y->is_accepted);
        assert_int_equal(x->server, y->server);
        assert_string_equal(x->seen, y->seen);
        assert_string_equal(x->why, y->why);
        assert_string_equal(x->todo, y->todo);
        assert_string_equal(x->pitfall, y->pitfall);
    }
}

static void assert_same_record(const struct mig_record *a, const struct mig_record *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->wall_ms, b->wall_ms);
    assert_int_equal(a->phase, b->phase);
    assert_int_equal(a->gate, b->gate);
    assert_string_equal(a->step, b->step);
    assert_int_equal(a->is_done, b->is_done);
    assert_string_equal(a->joining, b->joining);
    assert_string_equal(a->leaving, b->leaving);
    assert_int_equal(a->from_version, b->from_version);
    assert_int_equal(a->via, b->via);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->server, b->server);
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->started_wall_ms, b->started_wall_ms);
    assert_int_equal(a->hold_ms, b->hold_ms);
    assert_true(mig_tally_same(&a->tally, &b->tally));
    assert_memory_equal(&a->usual, &b->usual, sizeof a->usual);
    assert_memory_equal(&a->witness, &b->witness, sizeof a->witness);
}

static void assert_same_plan(const struct mig_plan *a, const struct mig_plan *b)
{
    assert_string_equal(a->id, b->id);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->created_wall_ms, b->created_wall_ms);
    assert_int_equal(a->sources.count, b->sources.count);
    for (uint32_t i = 0; i < a->sources.count; i++)
        assert_memory_equal(&a->sources.servers[i], &b->sources.servers[i], sizeof a->sources.servers[i]);
    assert_int_equal(a->targets.count, b->targets.count);
    assert_memory_equal(&a->targets.servers[0], &b->targets.servers[0], sizeof a->targets.servers[0]);
    assert_int_equal(a->leaving.count, b->leaving.count);
    for (uint32_t i = 0; i < a->leaving.count; i++)
        assert_int_equal(a->leaving.ids[i], b->leaving.ids[i]);
    assert_true(zkp_config_same_members(&a->original, &b->original));
    assert_int_equal(a->original.has_version, b->original.has_version);
    assert_int_equal(a->original.version, b->original.version);
    assert_memory_equal(a->confirm, b->confirm, sizeof a->confirm);
    assert_int_equal(a->accept_count, b->accept_count);
    assert_string_equal(a->accept[0], b->accept[0]);
    assert_int_equal(a->lag_ms, b->lag_ms);
    assert_int_equal(a->catch_up_rounds, b->catch_up_rounds);
    assert_int_equal(a->switch_rate, b->switch_rate);
    assert_int_equal(a->prove_joiners, b->prove_joiners);
    assert_int_equal(a->join_timeout_ms, b->join_timeout_ms);
    assert_int_equal(a->step_timeout_ms, b->step_timeout_ms);
    assert_int_equal(a->hold_ms, b->hold_ms);
    for (uint32_t hook = 0; hook < CONF_HOOK_COUNT; hook++)
        assert_true(conf_command_is_same(&a->hooks[hook], &b->hooks[hook]));
    assert_int_equal(a->hook_timeout_ms, b->hook_timeout_ms);
    assert_string_equal(a->expected_version, b->expected_version);
    assert_int_equal(a->verify, b->verify);
    assert_memory_equal(&a->canary, &b->canary, sizeof a->canary);
}

/* Also shows that the schema has a name for every kind of the C enum: the codec asserts it. */
static void every_kind_of_record_survives(void **state)
{
    struct fixture *f = *state;
    struct mig_plan plan;
    struct mig_record written[MIG_RECORD_COUNT];
    struct mig_findings findings;
    fill_plan(&plan);
    fill_findings(&findings);
    start_ok(f);
    assert_int_equal(f->replayed, 0);
    for (uint32_t kind = 0; kind < MIG_RECORD_COUNT; kind++) {
        fill_record(&written[kind], (enum mig_record_kind)kind);
        written[kind].plan = kind == MIG_RECORD_PLAN ? &plan : NULL;
        written[kind].findings = kind == MIG_RECORD_PLAN ? &findings : NULL;
        append(f, 100 + kind, &written[kind]);
    }
    stop(f);
    assert_int_equal(f->journaled, MIG_RECORD_COUNT);
    for (uint32_t kind = 0; kind < MIG_RECORD_COUNT; kind++) {
        assert_int_equal(f->seqs[kind], 100 + kind);
        assert_int_equal(f->rcs[kind], RC_OK);
    }
    start_ok(f);
    assert_int_equal(f->replayed, MIG_RECORD_COUNT);
    for (uint32_t kind = 0; kind < MIG_RECORD_COUNT; kind++)
        assert_same_record(&f->records[kind], &written[kind]);
    assert_same_plan(&f->plan, &plan);
    assert_same_findings(&f->findings, &findings);
    stop(f);
}

/* A record as it was written before there were counts, holds, findings and a witness: kind and wall_ms only.
 */
static void a_record_of_before_is_read(void **state)
{
    (void)state;
    struct mig_record record;
    struct err err;
    assert_int_equal(mig_record_decode(zkp_slice_str("\x08\x05\x10\x07"), &record, &err), RC_OK);
    assert_int_equal(record.kind, MIG_RECORD_CONFIRMED);
    assert_int_equal(record.wall_ms, 7);
    assert_int_equal(record.tally.count, 0);
    assert_int_equal(record.hold_ms, 0);
    assert_int_equal(record.started_wall_ms, 0);
    assert_null(record.findings);
    const struct mig_witness_account none = {.started_wall_ms = 0};
    assert_memory_equal(&record.witness, &none, sizeof none);
}

/* No witness, no bytes. */
static void a_record_without_a_witness_has_none(void **state)
{
    (void)state;
    struct mig_record record;
    struct mig_record again;
    struct zkp_slice with = {0};
    struct zkp_slice without = {0};
    struct err err;
    fill_record(&record, MIG_RECORD_PAUSED);
    assert_int_equal(mig_record_encode(&record, &with, &err), RC_OK);
    record.witness = (struct mig_witness_account){.started_wall_ms = 0};
    assert_int_equal(mig_record_encode(&record, &without, &err), RC_OK);
    assert_true(without.len < with.len);
    assert_int_equal(mig_record_decode(without, &again, &err), RC_OK);
    assert_same_record(&record, &again);
    free((void *)(uintptr_t)with.ptr);
    free((void *)(uintptr_t)without.ptr);
}

/* Journals from before there were other kinds say only "migrate": all sources leave. */
static void a_plan_without_leaving_takes_all_away(void **state)
{
    struct fixture *f = *state;
    struct mig_plan plan;
    struct mig_record record;
    fill_plan(&plan);
    plan.kind = CONF_KIND_MIGRATE;
    plan.leaving.count = 0;
    fill_record(&record, MIG_RECORD_PLAN);
    record.plan = &plan;
    start_ok(f);
    append(f, 1, &record);
    stop(f);
    start_ok(f);
    assert_int_equal(f->plan.leaving.count, 2);
    assert_int_equal(f->plan.leaving.ids[0], 1);
    assert_int_equal(f->plan.leaving.ids[1], 2);
    stop(f);
}

/* Also what journals of before say: they have no such field. */
static void a_plan_without_canaries_has_none(void **state)
{
    (void)state;
    struct mig_plan plan;
    struct mig_record record;
    struct mig_record again;
    struct zkp_slice bytes = {0};
    struct err err;
    fill_plan(&plan);
    plan.canary.share = 0;
    plan.canary.clients.count = 0;
    fill_record(&record, MIG_RECORD_PLAN);
    record.plan = &plan;
    assert_int_equal(mig_record_encode(&record, &bytes, &err), RC_OK);
    assert_int_equal(mig_record_decode(bytes, &again, &err), RC_OK);
    assert_false(conf_canary_is_on(&again.plan->canary));
    assert_int_equal(again.plan->canary.observe_ms, 0);
    mig_record_done(&again);
    free((void *)(uintptr_t)bytes.ptr);
}

static void every_phase_and_gate_survives(void **state)
{
    (void)state;
    for (int phase = 0; phase < MIG_PHASE_COUNT; phase++)
        for (int gate = 0; gate < MIG_GATE_COUNT; gate++) {
            struct mig_record record;
            struct mig_record again;
            struct zkp_slice bytes = {0};
            struct err err;
            fill_record(&record, MIG_RECORD_PHASE);
            record.phase = (enum mig_phase)phase;
            record.gate = (enum mig_gate)gate;
            assert_int_equal(mig_record_encode(&record, &bytes, &err), RC_OK);
            assert_int_equal(mig_record_decode(bytes, &again, &err), RC_OK);
            assert_same_record(&record, &again);
            mig_record_done(&again);
            free((void *)(uintptr_t)bytes.ptr);
        }
}

static void ends_are_reported_from_the_loop(void **state)
{
    struct fixture *f = *state;
    struct mig_record record;
    fill_record(&record, MIG_RECORD_PAUSED);
    start_ok(f);
    append(f, 1, &record);
    assert_int_equal(f->journaled, 0); /* not from inside the call */
    while (f->journaled == 0)
        assert_int_equal(event_base_loop(f->base, EVLOOP_ONCE), 0);
    assert_int_equal(f->seqs[0], 1);
    stop(f);
}

static void a_new_plan_replaces_the_old_one(void **state)
{
    struct fixture *f = *state;
    struct mig_plan plan;
    struct mig_record record;
    fill_plan(&plan);
    fill_record(&record, MIG_RECORD_PLAN);
    record.plan = &plan;
    start_ok(f);
    append(f, 1, &record);
    append(f, 2, &(struct mig_record){.kind = MIG_RECORD_FINISHED});
    snprintf(plan.id, sizeof plan.id, "p-2");
    append(f, 3, &record);
    append(f, 4, &(struct mig_record){.kind = MIG_RECORD_PAUSED});
    stop(f);
    start_ok(f);
    assert_int_equal(f->replayed, 2);
    assert_string_equal(f->plan.id, "p-2");
    assert_int_equal(f->records[1].kind, MIG_RECORD_PAUSED);
    stop(f);
}

static void a_refused_record_is_named(void **state)
{
    struct fixture *f = *state;
    struct err err = {.code = RC_OK};
    start_ok(f);
    append(f, 1, &(struct mig_record){.kind = MIG_RECORD_PAUSED});
    stop(f);
    f->refuse = RC_CORRUPT;
    assert_int_equal(start(f, &err), RC_CORRUPT);
    assert_non_null(strstr(err.text, "record 1 at offset 0: does not follow"));
    mig_helper_free(f->helper);
}

static void the_instance_belongs_to_the_directory(void **state)
{
    struct fixture *f = *state;
    char first[MIG_INSTANCE_MAX];
    start_ok(f);
    snprintf(first, sizeof first, "%s", mig_journal_instance(f->journal));
    stop(f);
    start_ok(f);
    assert_string_equal(first, mig_journal_instance(f->journal));
    stop(f);
}

static void rubbish_is_no_record(void **state)
{
    (void)state;
    static const char *const rubbish[] = {
        "", "\x08\x63", "\x08\x00", "\xff\xff\xff", "\x08\x01\x20\x63", "\x08\x01\x2a\x03xyz"};
    for (size_t i = 0; i < sizeof rubbish / sizeof rubbish[0]; i++) {
        struct mig_record record;
        struct err err = {.code = RC_OK};
        assert_int_equal(mig_record_decode(zkp_slice_str(rubbish[i]), &record, &err), RC_CORRUPT);
        assert_int_not_equal(err.text[0], '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_kind_of_record_survives, setup, teardown),
        cmocka_unit_test(every_phase_and_gate_survives),
        cmocka_unit_test(a_record_of_before_is_read),
        cmocka_unit_test(a_record_without_a_witness_has_none),
        cmocka_unit_test(a_plan_without_canaries_has_none),
        cmocka_unit_test_setup_teardown(ends_are_reported_from_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(a_plan_without_leaving_takes_all_away, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_plan_replaces_the_old_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_record_is_named, setup, teardown),
        cmocka_unit_test_setup_teardown(the_instance_belongs_to_the_directory, setup, teardown),
        cmocka_unit_test(rubbish_is_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
