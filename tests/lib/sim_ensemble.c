/* See sim_ensemble.h. */
#include "tests/lib/sim_ensemble.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zkproto/zkerr.h"

#define DEAD_LOCK_MS 3000

int32_t sim_first_id = 1;

int32_t sim_id(int32_t n)
{
    return n - 1 + sim_first_id;
}

static uint32_t index_of(int32_t id)
{
    assert_true(id >= sim_first_id);
    return (uint32_t)(id - sim_first_id);
}

static int32_t number_of(int32_t id)
{
    return (int32_t)index_of(id) + 1;
}

static struct zkp_server spec_of(int32_t id)
{
    int32_t host = number_of(id);
    char line[200];
    snprintf(line, sizeof(line), "server.%d=10.0.0.%d:2888:3888:participant;10.0.0.%d:2181", id, host, host);
    struct zkp_server server;
    assert_int_equal(zkp_server_parse(zkp_slice_str(line), &server, NULL), RC_OK);
    return server;
}

static void make_conf(struct conf *conf, enum conf_kind kind, uint32_t sources, uint32_t targets,
                      const int32_t *leaving)
{
    conf->kind = kind;
    for (; conf->source.count < sources; conf->source.count++)
        conf->source.servers[conf->source.count] = spec_of(sim_id((int32_t)conf->source.count + 1));
    for (; conf->target.count < targets; conf->target.count++)
        conf->target.servers[conf->target.count] =
            spec_of(sim_id((int32_t)(sources + conf->target.count) + 1));
    for (; leaving != NULL && leaving[conf->leaving.count] != 0; conf->leaving.count++)
        conf->leaving.ids[conf->leaving.count] = sim_id(leaving[conf->leaving.count]);
    conf->lag_ms = 500;
    conf->catch_up_rounds = 5;
    conf->switch_rate = 500;
    conf->join_timeout_ms = 3600000;
    conf->step_timeout_ms = 120000;
    conf->verify = CONF_VERIFY_COUNTS;
}

static bool is_source(const struct sim *sim, int32_t id)
{
    return id >= sim_first_id && index_of(id) < sim->conf.source.count;
}

/* One of those that the plan takes away. */
static bool must_leave(const struct sim *sim, int32_t id)
{
    if (sim->conf.kind == CONF_KIND_MIGRATE)
        return is_source(sim, id);
    for (uint32_t i = 0; i < sim->conf.leaving.count; i++)
        if (sim->conf.leaving.ids[i] == id)
            return true;
    return false;
}

static const struct zkp_server *line_of(const struct sim *sim, int32_t id)
{
    return is_source(sim, id) ? &sim->conf.source.servers[index_of(id)]
                              : &sim->conf.target.servers[index_of(id) - sim->conf.source.count];
}

struct sim *sim_new(void)
{
    return sim_new_kind(CONF_KIND_MIGRATE, 3, 3, NULL);
}

struct sim *sim_new_kind(enum conf_kind kind, uint32_t sources, uint32_t targets, const int32_t *leaving)
{
    assert_true(sources + targets <= SIM_SERVERS);
    struct sim *sim = calloc(1, sizeof(*sim));
    assert_non_null(sim);
    make_conf(&sim->conf, kind, sources, targets, leaving);
    sim->facts.now_ms = 1000;
    sim->facts.wall_ms = 1700000000000;
    sim->facts.lock = MIG_LOCK_NONE;
    sim->facts.has_credentials = true;
    sim->facts.target_binds = 1;
    sim->is_super = true;
    sim->detached_at_commit = -1;
    sim->probe_err = ZKP_ERR_BAD_VERSION;
    sim->epoch = 1;
    sim->counter = 7;
    sim->leader = sim_id(3);
    sim->unlisted = MIG_NO_SERVER;
    sim->config.has_version = true;
    sim->config.version = 0x100000000;
    sim->facts.server_count = sources + targets;
    for (uint32_t i = 0; i < SIM_SERVERS; i++) {
        struct sim_server *server = &sim->servers[i];
        server->id = sim_id((int32_t)i + 1);
        server->is_up = i < sources;
        server->sessions = i < sources ? 7 : 0;
        server->zxid = 0x100000007;
        server->uptime_ms = -1;
        strcpy(server->version, "3.9.4");
        struct zkp_server line = sim->conf.source.servers[i];
        line.client_port = 0; /* as most people start them: from static files, with clientPort= */
        line.client_host[0] = '\0';
        if (i < sources)
            assert_int_equal(mig_config_add(&sim->config, &line), RC_OK);
    }
    for (uint32_t i = 0; i < SIM_SERVERS; i++)
        sim->servers[i].answer = (struct zkp_conf_answer){.server_id = sim_id((int32_t)i + 1),
                                                          .client_port = -1,
                                                          .tick_time_ms = 2000,
                                                          .min_session_timeout_ms = 4000,
                                                          .max_session_timeout_ms = 40000,
                                                          .has_membership = true,
                                                          .membership = sim->config};
    sim->engine = mig_engine_new(&sim->conf, &sim->switches);
    assert_non_null(sim->engine);
    return sim;
}

void sim_hooks(struct sim *sim, bool has_start, bool has_stop, bool has_restart, bool has_backup)
{
    const bool has[CONF_HOOK_COUNT] = {has_start, has_stop, has_restart, has_backup};
    for (uint32_t i = 0; i < CONF_HOOK_COUNT; i++) {
        sim->conf.hooks[i] = (struct conf_command){0};
        if (has[i])
            assert_int_equal(conf_command_add(&sim->conf.hooks[i], "/bin/true"), RC_OK);
    }
    sim->conf.hook_timeout_ms = 60000;
    assert_int_equal(mig_engine_configure(sim->engine, &sim->conf), RC_OK);
}

void sim_free(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->record_count; i++)
        free(sim->plans[i]);
    for (uint32_t i = 0; i < sim->record_count; i++)
        free(sim->findings[i]);
    mig_engine_free(sim->engine);
    free(sim);
}

struct sim_server *sim_server(struct sim *sim, int32_t id)
{
    return &sim->servers[index_of(id)];
}

void sim_up(struct sim *sim, int32_t id, bool is_up)
{
    sim_server(sim, id)->is_up = is_up;
    if (is_up)
        sim_server(sim, id)->zxid = sim->epoch << 32 | sim->counter;
}

void sim_restart_server(struct sim *sim, int32_t id, const char *version)
{
    struct sim_server *server = sim_server(sim, id);
    assert_int_not_equal(sim->leader, id);
    assert_int_equal(server->sessions, 0);
    server->is_up = false;
    server->back_at_ms = sim->facts.now_ms + 900;
    strcpy(server->version, version);
    for (uint32_t i = 0; i < sim->config.server_count; i++) /* nobody else is missing */
        if (sim->config.servers[i].id != id)
            assert_true(sim_server(sim, sim->config.servers[i].id)->is_up);
}

static void come_back(struct sim *sim, struct sim_server *server)
{
    if (!server->is_up)
        server->gone_at_ms = sim->facts.now_ms;
    if (server->back_at_ms == 0 || sim->facts.now_ms < server->back_at_ms)
        return;
    server->back_at_ms = 0;
    server->is_up = true;
    server->mismatches = server->mismatches_after;
    if (!server->is_slow)
        server->zxid = sim->epoch << 32 | sim->counter;
}

/* One transaction: every live server has it. */
static void commit(struct sim *sim)
{
    sim->counter++;
    for (uint32_t i = 0; i < SIM_SERVERS; i++)
        if (sim->servers[i].is_up && !sim->servers[i].is_slow && sim->servers[i].own_mode == ZKP_MODE_UNKNOWN)
            sim->servers[i].zxid = sim->epoch << 32 | sim->counter;
}

void sim_write(struct sim *sim, uint32_t count)
{
    while (count-- > 0)
        commit(sim);
}

void sim_elect(struct sim *sim, int32_t leader)
{
    sim->leader = leader;
    sim->elected_ms = sim->facts.now_ms;
    sim->epoch++;
    sim->counter = 0;
    sim_server(sim, leader)->zxid = sim->epoch << 32; /* the followers only with the next transaction */
}

static void apply_config(struct sim *sim)
{
    commit(sim);
    sim->config.version = sim->epoch << 32 | sim->counter;
    const struct zkp_server *leader = zkp_config_find(&sim->config, sim->leader);
    if (leader != NULL && leader->role == ZKP_ROLE_PARTICIPANT)
        return;
    sim->detached = sim->loses;
    sim->detached_at_commit = -1;
    uint32_t next = 0;
    while (sim->config.servers[next].role == ZKP_ROLE_OBSERVER)
        next++;
    sim_elect(sim, sim->config.servers[next].id);
}

void sim_dynamic(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->config.server_count; i++)
        sim->config.servers[i] = *line_of(sim, sim->config.servers[i].id);
}

void sim_foreign_config(struct sim *sim, int32_t removed)
{
    if (removed > 0)
        mig_config_remove(&sim->config, removed);
    apply_config(sim);
}

/* Every look of the simulation is an answer. */
static void count_strangers(struct mig_server_facts *facts, struct sim_server *server)
{
    int64_t *at_ms = server->alone_at_ms;
    if (server->strangers > 0 || server->hides_count) {
        memset(at_ms, 0, sizeof(server->alone_at_ms));
    } else if (at_ms[0] != facts->srvr_at_ms) {
        memmove(at_ms + 1, at_ms, (MIG_ALONE_SAMPLES - 1) * sizeof(at_ms[0]));
        at_ms[0] = facts->srvr_at_ms;
    }
    facts->strangers = server->hides_count ? -1 : server->strangers;
    facts->alone_since_ms = at_ms[MIG_ALONE_SAMPLES - 1];
}

/* Without the empty places: this is done more often than anything else here. */
static void copy_config(struct zkp_config *to, const struct zkp_config *from)
{
    memcpy(to->servers, from->servers, from->server_count * sizeof(from->servers[0]));
    to->server_count = from->server_count;
    to->has_version = from->has_version;
    to->version = from->version;
    to->is_hierarchical = from->is_hierarchical;
}

static void observe_server(struct sim *sim, struct mig_server_facts *facts, struct sim_server *server)
{
    int64_t now_ms = sim->facts.now_ms;
    come_back(sim, server);
    bool is_seen = server->is_up && !server->is_cut_off;
    enum mig_health health = is_seen ? MIG_HEALTH_SERVING : MIG_HEALTH_DOWN;
    if (facts->health != health)
        facts->health_since_ms = now_ms;
    facts->id = sim->unlisted == server->id ? 200 : server->id;
    facts->side = is_source(sim, server->id) ? MIG_SIDE_SOURCE : MIG_SIDE_TARGET;
    facts->spec = line_of(sim, server->id);
    facts->health = health;
    facts->probed_at_ms = now_ms;
    facts->shows_service = is_seen;
    facts->our_sessions = server->sessions;
    facts->gone_at_ms = server->is_cut_off ? 0 : server->gone_at_ms;
    strcpy(facts->health_reason, is_seen              ? ""
                                 : server->is_cut_off ? "no answer in time"
                                                      : "connection refused");
    if (!is_seen)
        return;
    if (!server->is_stuck)
        copy_config(&server->answer.membership, &sim->config);
    bool leads = server->id == sim->leader;
    strcpy(facts->srvr.version, server->version);
    facts->srvr_at_ms = now_ms;
    const struct zkp_server *member = zkp_config_find(&sim->config, server->id);
    bool observes = member != NULL && member->role == ZKP_ROLE_OBSERVER;
    facts->srvr.mode = leads ? ZKP_MODE_LEADER : observes ? ZKP_MODE_OBSERVER : ZKP_MODE_FOLLOWER;
    if (server->own_mode != ZKP_MODE_UNKNOWN)
        facts->srvr.mode = server->own_mode;
    facts->srvr.zxid = server->zxid;
    facts->srvr.connections = server->sessions + server->strangers + 1;
    count_strangers(facts, server);
    facts->cons_at_ms = now_ms;
    facts->other_count = server->strangers > 0;
    strcpy(facts->others[0].address, "10.9.9.9:4711");
    facts->conf_seen = server->hides_conf ? MIG_SEEN_NOT_ALLOWED : MIG_SEEN_DATA;
    facts->conf = server->hides_conf ? NULL : &server->answer;
    facts->conf_at_ms = now_ms;
    facts->mntr_seen = server->awaits_mntr  ? MIG_SEEN_UNKNOWN
                       : server->hides_mntr ? MIG_SEEN_NOT_ALLOWED
                                            : MIG_SEEN_DATA;
    if (server->awaits_conf) {
        facts->conf_seen = MIG_SEEN_UNKNOWN;
        facts->conf = NULL;
    }
    facts->properties_seen = MIG_SEEN_DATA;
    facts->properties_at_ms = now_ms;
    facts->jute_max_bytes = 0xfffff;
    facts->mntr_at_ms = now_ms;
    facts->mntr = (struct mig_mntr){.synced_followers = leads ? 5 : -1,
                                    .synced_non_voting = -1,
                                    .digest_mismatches = server->mismatches,
                                    .uptime_ms = server->uptime_ms};
}

/* Everybody asks a hundred times per second, and usually has the answer in half a millisecond. */
static void count_requests(struct sim *sim)
{
    struct mig_canary_facts *canary = &sim->facts.canary;
    canary->rest.latency[0] += 2 * (sim->facts.sessions.total - canary->sessions);
    canary->canaries.latency[sim->canary_bucket] += 2 * canary->sessions;
}

static void observe_canaries(struct sim *sim)
{
    static const uint32_t bounds_us[] = {1000, 10000, 100000, 1000000};
    struct mig_canary_facts *canary = &sim->facts.canary;
    canary->round = sim->canary_round;
    canary->bounds_us = bounds_us;
    canary->bucket_count = 5;
    canary->sessions = 0;
    for (uint32_t i = 0; i < sim->facts.server_count; i++) {
        sim->facts.servers[i].our_canaries = sim->canary_round != 0 ? sim->servers[i].firsts : 0;
        canary->sessions += sim->facts.servers[i].our_canaries;
    }
}

static void observe(struct sim *sim)
{
    struct mig_facts *f = &sim->facts;
    f->sessions = (struct mig_session_facts){0};
    for (uint32_t i = 0; i < f->server_count; i++) {
        observe_server(sim, &f->servers[i], &sim->servers[i]);
        bool is_left = is_source(sim, sim->servers[i].id);
        f->sessions.total += sim->servers[i].sessions;
        *(is_left ? &f->sessions.source : &f->sessions.target) += sim->servers[i].sessions;
    }
    observe_canaries(sim);
    f->config = &sim->config;
    f->config_at_ms = f->now_ms;
    if (!sim->has_no_survey)
        f->survey.asked_at_ms = f->now_ms;
    if (sim->lock_free_at_ms != 0 && f->now_ms >= sim->lock_free_at_ms) {
        sim->lock[0] = '\0';
        sim->lock_free_at_ms = 0;
    }
    f->lock = sim->has_lock ? MIG_LOCK_OURS : MIG_LOCK_NONE;
    if (sim->hold_id != 0 && f->now_ms >= sim->hold.deadline_ms)
        sim->hold_id = 0;
    f->hold = (struct mig_hold_facts){
        .id = sim->hold_id,
        .is_held = sim->hold_id != 0,
        .unquiesced = sim->hold.scope == MIG_HOLD_ALL ? sim->unquiesced : sim->moving,
        .detached = sim->detached,
    };
}

void sim_routes(const struct sim *sim, struct mig_routes *ret_routes)
{
    mig_route(mig_engine_traffic(sim->engine), mig_engine_drained(sim->engine), &sim->facts, ret_routes);
}

/* The one with the fewest sessions; 0 = nobody is admitted. */
static int32_t taker(struct sim *sim, const struct mig_routes *routes, bool is_first)
{
    int32_t to = 0;
    for (uint32_t i = 0; i < routes->count; i++) {
        const struct mig_route *route = &routes->routes[i];
        bool is_admitted = is_first ? route->is_canary_eligible && sim->servers[i].is_up : route->is_admitted;
        if (is_admitted && (to == 0 || sim_server(sim, to)->sessions > sim->servers[i].sessions))
            to = route->id;
    }
    return to;
}

/* One session of that kind leaves each server that it must leave. */
static void move_group(struct sim *sim, const struct mig_routes *routes, bool is_first)
{
    int32_t to = taker(sim, routes, is_first);
    for (uint32_t i = 0; to != 0 && i < routes->count; i++) {
        struct sim_server *server = &sim->servers[i];
        const struct mig_route *route = &routes->routes[i];
        int64_t count = is_first ? server->firsts : server->sessions - server->firsts;
        bool leaves = (is_first ? route->canaries_empty : route->empties) || !server->is_up;
        if (!leaves || count == 0 || server->id == to)
            continue;
        server->sessions--;
        sim_server(sim, to)->sessions++;
        server->firsts -= is_first;
        sim_server(sim, to)->firsts += is_first;
    }
}

/* Workers: sessions leave where they must, and go where they are admitted. */
static void move_sessions(struct sim *sim)
{
    struct mig_routes routes;
    sim_routes(sim, &routes);
    sim->detached -= sim->detached > 0;
    sim->canary_round = routes.canary_round;
    if (sim->hold_id != 0)
        return;
    move_group(sim, &routes, false);
    move_group(sim, &routes, true);
}

/* ---- invariants: whatever the fault, these hold ---- */

/* No reconfig while sessions move; the leader leaves only with everybody quiet, and told who it is. */
static void check_hold(const struct sim *sim, bool takes_leader)
{
    assert_true(sim->hold_id != 0);
    assert_int_equal(sim->hold.scope, takes_leader ? MIG_HOLD_ALL : MIG_HOLD_MOVES);
    assert_int_equal(takes_leader ? sim->unquiesced : sim->moving, 0);
    assert_int_equal(sim->hold.exit_epoch, takes_leader ? sim->epoch : 0);
    assert_int_equal(sim->hold.server, takes_leader ? sim->leader : -1);
    assert_int_equal(sim->hold.own_zxid, 0); /* not known before it has happened */
}

/* Both are taken away by the plan, or both on the way back. */
static bool leaves_with(const struct sim *sim, int32_t id, int32_t leaver)
{
    return is_source(sim, leaver) ? must_leave(sim, id) : !is_source(sim, id);
}

/* Who stops voting by it, or MIG_NO_SERVER. */
static int32_t unseated(const struct mig_effect *effect)
{
    bool is_role = strstr(effect->joining, ":observer") != NULL;
    if (is_role)
        return atoi(effect->joining + strlen("server."));
    return effect->leaving[0] != '\0' ? atoi(effect->leaving) : MIG_NO_SERVER;
}

/* Written for a command, which may come while a request is on its way. */
static bool is_commanded(const struct mig_record *record)
{
    return record->kind == MIG_RECORD_ROLLBACK || record->kind == MIG_RECORD_PAUSED ||
           record->kind == MIG_RECORD_RESUMED || record->kind == MIG_RECORD_CONFIRMED;
}

static void check_reconfig(const struct sim *sim, const struct mig_effect *effect)
{
    const struct mig_record *last = &sim->records[sim->record_count - 1];
    while (is_commanded(last))
        last--;
    assert_int_equal(last->kind, MIG_RECORD_INTENT); /* intent is on disk before the request */
    assert_string_equal(last->joining, effect->joining);
    assert_string_equal(last->leaving, effect->leaving);
    assert_int_equal(effect->from_version, last->from_version);
    assert_true(sim->has_lock);
    bool has_leaver = effect->leaving[0] != '\0';
    int32_t leaver = atoi(effect->leaving);
    bool takes_leader = unseated(effect) == sim->leader;
    if (!has_leaver && takes_leader)
        assert_int_equal(sim->servers[index_of(sim->leader)].sessions, 0);
    if (!takes_leader || !sim->switches.no_hold)
        check_hold(sim, takes_leader);
    for (uint32_t i = 0; has_leaver && i < sim->facts.server_count; i++) {
        int32_t id = sim_id((int32_t)i + 1);
        bool is_alike = leaves_with(sim, id, leaver);
        if (id == leaver || (is_alike && effect->joining[0] == '\0'))
            assert_int_equal(sim->servers[i].sessions, 0); /* nobody is on those that leave */
        if (takes_leader && is_alike && id != leaver)      /* the leader leaves last */
            assert_null(zkp_config_find(&sim->config, id));
    }
}

/* Alive voters that may still fail; negative = no majority. */
static int32_t tolerated(const struct sim *sim)
{
    int32_t alive = 0;
    for (uint32_t i = 0; i < sim->config.server_count; i++)
        alive += sim->config.servers[i].role == ZKP_ROLE_PARTICIPANT &&
                 sim->servers[index_of(sim->config.servers[i].id)].is_up;
    return alive - (int32_t)(zkp_config_voters(&sim->config) / 2 + 1);
}

/* A majority is alive after every change, and one may fail if one could before. Only for the moment in which
 * a leader gives up leading this may be one less. */
static void check_quorum(const struct sim *sim, int32_t tolerated_before)
{
    assert_true(sim->conf.kind == CONF_KIND_ROLLING ||
                tolerated(sim) >= (tolerated_before < 1 ? tolerated_before : 1));
    assert_true(tolerated(sim) >= 0);
}

/* ---- effects ---- */

/* ZooKeeper takes no line without a client part (PrepRequestProcessor.java). */
static bool is_bad_line(const char *line)
{
    struct zkp_server server;
    return line[0] != '\0' &&
           (zkp_server_parse(zkp_slice_str(line), &server, NULL) != RC_OK || server.client_port == 0);
}

static bool apply_request(struct sim *sim, const struct mig_effect *effect)
{
    if (effect->from_version != sim->config.version)
        return false;
    int32_t tolerated_before = tolerated(sim);
    if (effect->joining[0] != '\0') {
        struct zkp_server server;
        assert_int_equal(zkp_server_parse(zkp_slice_str(effect->joining), &server, NULL), RC_OK);
        assert_int_equal(mig_config_add(&sim->config, &server), RC_OK);
        sim->order[sim->reconfigs++] =
            server.role == ZKP_ROLE_OBSERVER ? -number_of(server.id) : number_of(server.id);
    }
    if (effect->leaving[0] != '\0') {
        mig_config_remove(&sim->config, atoi(effect->leaving));
        sim->order[sim->reconfigs++] = -number_of(atoi(effect->leaving));
    }
    apply_config(sim);
    sim->requests++;
    check_quorum(sim, tolerated_before);
    return true;
}

/* What the leader has taken and could not commit yet comes before everything later. */
static void apply_late(struct sim *sim)
{
    if (!sim->has_late)
        return;
    sim->has_late = false;
    assert_true(apply_request(sim, &sim->late));
}

static void do_reconfig(struct sim *sim, const struct mig_effect *effect, struct mig_event *event)
{
    check_reconfig(sim, effect);
    apply_late(sim);
    int32_t about =
        effect->joining[0] != '\0' ? atoi(effect->joining + strlen("server.")) : atoi(effect->leaving);
    enum sim_fault fault = SIM_NO_FAULT;
    if (sim->fault_at == 0 || sim->fault_at == about) {
        fault = sim->fault;
        sim->fault = SIM_NO_FAULT;
    }
    event->rc = RC_UNKNOWN;
    event->zk_err = 0;
    if (effect->via != sim->leader) {
        event->rc = RC_IO;
    } else if (fault == SIM_REFUSED) {
        event->rc = RC_REFUSED;
        event->zk_err = sim->fault_err;
    } else if (fault == SIM_NEVER_SENT) {
        event->rc = RC_IO;
    } else if (fault == SIM_LOST_DROPPED) {
        return;
    } else if (is_bad_line(effect->joining)) {
        event->rc = RC_REFUSED;
        event->zk_err = ZKP_ERR_BAD_ARGUMENTS;
    } else if (fault == SIM_LOST_LATE) {
        sim->late = *effect;
        sim->has_late = true;
    } else if (!apply_request(sim, effect)) {
        event->rc = RC_REFUSED;
        event->zk_err = ZKP_ERR_BAD_VERSION;
    } else if (fault == SIM_NO_FAULT) {
        event->rc = RC_OK;
        event->config = &sim->config;
    }
}

static void do_lock(struct sim *sim, const struct mig_effect *effect, struct mig_event *event)
{
    event->rc = RC_OK;
    if (sim->lock[0] != '\0' && !sim->has_lock) {
        event->rc = RC_EXISTS;
        strcpy(event->text, sim->lock);
        return;
    }
    strcpy(sim->lock, effect->text);
    sim->has_lock = true;
}

static void do_journal(struct sim *sim, const struct mig_effect *effect, struct mig_event *event)
{
    bool is_full = sim->journal_capacity != 0 && sim->record_count >= sim->journal_capacity;
    event->rc = sim->journal_fails || is_full ? RC_IO : RC_OK;
    if (event->rc != RC_OK) {
        strcpy(event->text, "no space left on device");
        return;
    }
    if (sim->on_record != NULL)
        sim->on_record(sim, sim->record_context);
    assert_true(sim->record_count < SIM_RECORDS_MAX);
    uint32_t at = sim->record_count++;
    sim->records[at] = effect->record;
    if (effect->record.plan != NULL) {
        sim->plans[at] = malloc(sizeof(struct mig_plan));
        assert_non_null(sim->plans[at]);
        *sim->plans[at] = *effect->record.plan;
        sim->records[at].plan = sim->plans[at];
    }
    if (effect->record.findings != NULL) {
        sim->findings[at] = malloc(sizeof(struct mig_findings));
        assert_non_null(sim->findings[at]);
        *sim->findings[at] = *effect->record.findings;
        sim->records[at].findings = sim->findings[at];
    }
}

static void take_hold(struct sim *sim, const struct mig_effect *effect)
{
    bool is_all = effect->scope == MIG_HOLD_ALL;
    if (sim->hold.hold_id == effect->hold_id) {
        assert_int_equal(sim->hold.scope, effect->scope);
        assert_true(effect->deadline_ms >= sim->hold.deadline_ms);
        if (sim->hold_id == 0) /* workers do not begin again what they have ended */
            return;
    } else {
        *(is_all ? &sim->holds : &sim->move_holds) += 1;
    }
    sim->hold_id = effect->hold_id;
    sim->hold = *effect;
}

static void do_barrier(struct sim *sim)
{
    apply_late(sim);
    commit(sim);
    if (sim->detached_at_commit >= 0)
        return;
    sim->detached_at_commit = sim->detached;
    sim->commit_ms = sim->facts.now_ms;
}

static void enqueue(struct sim *sim);

/* What programs do to servers. Once per run: the engine must not need it twice. */
static bool do_hook(struct sim *sim, const struct mig_effect *effect, struct mig_event *event)
{
    const struct mig_hook_call *call = &effect->hook;
    assert_int_equal(sim->hook_seq, 0); /* one at a time */
    assert_true(sim->hook_count < SIM_HOOKS_MAX);
    assert_true(call->command.count > 0);
    sim->hooks[sim->hook_count++] = (struct sim_hook){call->hook, call->server, sim->requests};
    event->rc = sim->hook_rc;
    strcpy(event->text, sim->hook_rc == RC_OK ? "exit status 0" : "exit status 3");
    if (sim->hook_hangs) {
        sim->hook_seq = effect->seq;
        sim->hook_due_ms = sim->facts.now_ms + call->timeout_ms;
        return false;
    }
    if (sim->hook_is_idle)
        return true;
    if (sim->hook_rc == RC_OK && call->hook == CONF_HOOK_START)
        sim_up(sim, call->server, true);
    else if (sim->hook_rc == RC_OK && call->hook == CONF_HOOK_STOP)
        sim_up(sim, call->server, false);
    else if (sim->hook_rc == RC_OK && call->hook == CONF_HOOK_RESTART)
        sim_restart_server(sim, call->server, "3.9.5");
    return true;
}

/* A hook that hangs is ended at its time limit. */
static void end_hook(struct sim *sim)
{
    if (sim->hook_seq == 0 || sim->facts.now_ms < sim->hook_due_ms)
        return;
    struct mig_event event = {.kind = MIG_EVENT_HOOK_RESULT, .seq = sim->hook_seq, .rc = RC_TIMEOUT};
    strcpy(event.text, "it was ended");
    sim->hook_seq = 0;
    mig_engine_step(sim->engine, &sim->facts, &event, &sim->effects);
    enqueue(sim);
}

static bool do_verify(struct sim *sim, const struct mig_effect *effect, struct mig_event *event)
{
    event->kind = MIG_EVENT_VERIFY_RESULT;
    event->rc = sim->data_rc;
    strcpy(event->text, sim->data_text);
    sim->comparisons++;
    sim->compared = effect->compare;
    sim->is_compared_full = effect->is_full;
    return !sim->data_is_slow;
}

/* Returns false when the effect has no result. */
static bool carry_out(struct sim *sim, const struct mig_effect *effect, struct mig_event *event)
{
    *event = (struct mig_event){.seq = effect->seq, .rc = RC_OK};
    switch (effect->kind) {
    case MIG_EFFECT_JOURNAL:
        event->kind = MIG_EVENT_JOURNALED;
        do_journal(sim, effect, event);
        return true;
    case MIG_EFFECT_TAKE_LOCK:
        event->kind = MIG_EVENT_LOCK_RESULT;
        do_lock(sim, effect, event);
        return true;
    case MIG_EFFECT_PROBE_RECONFIG:
        event->kind = MIG_EVENT_PROBE_RESULT;
        event->zk_err = sim->probe_err;
        return true;
    case MIG_EFFECT_CHECK_SUPER:
        event->kind = MIG_EVENT_SUPER_RESULT;
        event->rc = sim->is_super && !sim_server(sim, effect->via)->lacks_super ? RC_OK : RC_REFUSED;
        return true;
    case MIG_EFFECT_RECONFIG:
        event->kind = MIG_EVENT_RECONFIG_RESULT;
        do_reconfig(sim, effect, event);
        return true;
    case MIG_EFFECT_BARRIER:
    case MIG_EFFECT_READ_CONFIG:
        event->kind = effect->kind == MIG_EFFECT_BARRIER ? MIG_EVENT_BARRIER_RESULT : MIG_EVENT_CONFIG_RESULT;
        event->rc = effect->via == sim->leader && !sim->is_deaf ? RC_OK : RC_IO;
        if (event->rc == RC_OK && !(sim->reads_early && effect->kind == MIG_EFFECT_READ_CONFIG))
            do_barrier(sim);
        event->config = effect->kind == MIG_EFFECT_READ_CONFIG && event->rc == RC_OK ? &sim->config : NULL;
        return true;
    case MIG_EFFECT_HOLD:
        take_hold(sim, effect);
        return false;
    case MIG_EFFECT_RELEASE:
        if (sim->hold_id == effect->hold_id)
            sim->hold_id = 0;
        return false;
    case MIG_EFFECT_DROP_LOCK:
        if (sim->has_lock)
            sim->lock[0] = '\0';
        sim->has_lock = false;
        return false;
    case MIG_EFFECT_RUN_HOOK:
        event->kind = MIG_EVENT_HOOK_RESULT;
        return do_hook(sim, effect, event);
    case MIG_EFFECT_VERIFY:
        return do_verify(sim, effect, event);
    case MIG_EFFECT_REPROBE:
    case MIG_EFFECT_LOG:
    case MIG_EFFECT_COUNT:
        break;
    }
    return false;
}

/* ---- the shell's queue: effects in order; what a result causes waits for the next tick ---- */

static void enqueue(struct sim *sim)
{
    assert_true(sim->queued + sim->effects.count <= SIM_QUEUE_MAX);
    memcpy(&sim->queue[sim->queued], sim->effects.items, sim->effects.count * sizeof(sim->queue[0]));
    sim->queued += sim->effects.count;
}

static struct mig_effect dequeue(struct sim *sim)
{
    struct mig_effect first = sim->queue[0];
    sim->queued--;
    memmove(sim->queue, &sim->queue[1], sim->queued * sizeof(sim->queue[0]));
    return first;
}

static void run_one(struct sim *sim, const struct mig_effect *effect)
{
    struct mig_event event;
    bool has_result = carry_out(sim, effect, &event);
    if (effect->kind != MIG_EFFECT_LOG && effect->kind != MIG_EFFECT_REPROBE) {
        sim->effects_done++;
        sim->has_crashed = sim->crash_after != 0 && sim->effects_done == sim->crash_after;
    }
    if (!has_result || sim->has_crashed)
        return;
    if (event.kind == MIG_EVENT_JOURNALED && event.rc != RC_OK)
        sim->queued = 0; /* effects.h: nothing behind a failed record runs */
    observe(sim);
    mig_engine_step(sim->engine, &sim->facts, &event, &sim->effects);
    enqueue(sim);
}

static void run_effects(struct sim *sim)
{
    for (uint32_t left = sim->queued; left > 0 && sim->queued > 0 && !sim->has_crashed; left--) {
        struct mig_effect effect = dequeue(sim);
        run_one(sim, &effect);
    }
}

struct mig_answer sim_command(struct sim *sim, enum mig_command_kind kind, const char *gate)
{
    struct mig_command command = {.kind = kind, .nonce = 0xabcd, .gate = gate, .server = 2};
    mig_engine_view(sim->engine, &sim->facts, &sim->view);
    command.plan_id = kind == MIG_COMMAND_CONFIRM ? sim->view.plan_id : NULL;
    struct mig_answer answer;
    observe(sim);
    mig_engine_command(sim->engine, &sim->facts, &command, &answer, &sim->effects);
    enqueue(sim);
    mig_engine_view(sim->engine, &sim->facts, &sim->view);
    return answer;
}

struct mig_answer sim_confirm(struct sim *sim, const char *gate, const char *accept)
{
    const struct mig_command command = {.kind = MIG_COMMAND_CONFIRM,
                                        .plan_id = sim->view.plan_id,
                                        .gate = gate,
                                        .accept_count = 1,
                                        .accept = {accept}};
    struct mig_answer answer;
    observe(sim);
    mig_engine_command(sim->engine, &sim->facts, &command, &answer, &sim->effects);
    enqueue(sim);
    mig_engine_view(sim->engine, &sim->facts, &sim->view);
    return answer;
}

struct mig_answer sim_drain(struct sim *sim, enum mig_command_kind kind, int32_t server)
{
    const struct mig_command command = {.kind = kind, .server = server};
    struct mig_answer answer;
    observe(sim);
    mig_engine_command(sim->engine, &sim->facts, &command, &answer, &sim->effects);
    enqueue(sim);
    return answer;
}

void sim_start(struct sim *sim, const char *accept)
{
    struct mig_command command = {.kind = MIG_COMMAND_START, .nonce = 1, .accept_count = accept != NULL};
    command.accept[0] = accept;
    struct mig_answer answer;
    observe(sim);
    mig_engine_command(sim->engine, &sim->facts, &command, &answer, &sim->effects);
    assert_string_equal(answer.message, "");
    assert_int_equal(answer.rc, RC_OK);
    enqueue(sim);
}

void sim_tick(struct sim *sim)
{
    static const struct mig_event tick = {.kind = MIG_EVENT_TICK};
    sim->facts.now_ms += SIM_STEP_MS;
    sim->facts.wall_ms += SIM_STEP_MS;
    observe(sim);
    move_sessions(sim);
    observe(sim);
    count_requests(sim);
    mig_engine_step(sim->engine, &sim->facts, &tick, &sim->effects);
    enqueue(sim);
    end_hook(sim);
    run_effects(sim);
    mig_engine_view(sim->engine, &sim->facts, &sim->view);
    if (sim->confirms && sim->view.waiting_gate != MIG_GATE_NONE && !sim->has_crashed)
        (void)sim_command(sim, MIG_COMMAND_CONFIRM, mig_gate_name(sim->view.waiting_gate));
}

bool sim_until(struct sim *sim, enum mig_phase phase, int64_t max_ms)
{
    int64_t end_ms = sim->facts.now_ms + max_ms;
    mig_engine_view(sim->engine, &sim->facts, &sim->view);
    while (sim->view.phase != phase && sim->facts.now_ms < end_ms && !sim->has_crashed)
        sim_tick(sim);
    return sim->view.phase == phase;
}

bool sim_until_waiting(struct sim *sim, const char *text, int64_t max_ms)
{
    int64_t end_ms = sim->facts.now_ms + max_ms;
    while (strstr(sim->view.waiting_for, text) == NULL && sim->facts.now_ms < end_ms)
        sim_tick(sim);
    return strstr(sim->view.waiting_for, text) != NULL;
}

bool sim_run_for(struct sim *sim, int64_t ms)
{
    int64_t end_ms = sim->facts.now_ms + ms;
    while (sim->facts.now_ms < end_ms)
        sim_tick(sim);
    return true;
}

/* A PLAN record begins a new file: what stands before it is gone. */
static uint32_t journal_start(const struct sim *sim)
{
    for (uint32_t i = sim->record_count; i > 0; i--)
        if (sim->records[i - 1].kind == MIG_RECORD_PLAN)
            return i - 1;
    return 0;
}

struct mig_engine *sim_replay(const struct sim *sim)
{
    struct mig_engine *engine = mig_engine_new(&sim->conf, &sim->switches);
    assert_non_null(engine);
    struct err err = {.text = ""};
    for (uint32_t i = journal_start(sim); i < sim->record_count; i++) {
        enum rc rc = mig_engine_replay(engine, &sim->records[i], &err);
        assert_string_equal(err.text, "");
        assert_int_equal(rc, RC_OK);
    }
    return engine;
}

void sim_restart(struct sim *sim)
{
    mig_engine_free(sim->engine);
    sim->engine = sim_replay(sim);
    sim->has_crashed = false;
    sim->crash_after = 0;
    sim->hook_seq = 0; /* whatever it does now, nobody reports it */
    sim->queued = 0;
    sim->hold_id = 0; /* workers died too */
    sim->canary_round = 0;
    sim->facts.canary = (struct mig_canary_facts){0};
    sim->hold = (struct mig_effect){0};
    if (sim->has_lock)
        sim->lock_free_at_ms = sim->facts.now_ms + DEAD_LOCK_MS;
    sim->has_lock = false;
    mig_engine_view(sim->engine, &sim->facts, &sim->view);
}

void sim_assert_rolled_back(struct sim *sim)
{
    assert_string_equal(sim->view.failed_reason, "");
    assert_int_equal(sim->view.phase, MIG_PHASE_ROLLED_BACK);
    for (int32_t n = 1; n <= (int32_t)sim->facts.server_count; n++) {
        int32_t id = sim_id(n);
        const struct zkp_server *member = zkp_config_find(&sim->config, id);
        assert_int_equal(member != NULL, is_source(sim, id));
        if (member != NULL)
            assert_true(mig_same_server(member, line_of(sim, id)));
        else
            assert_int_equal(sim_server(sim, id)->sessions, 0);
    }
    for (uint32_t i = 0; i < sim->view.steps->count; i++) {
        enum mig_step_state state = sim->view.steps->items[i].state;
        assert_true(state == MIG_STEP_DONE || state == MIG_STEP_SKIPPED);
    }
    assert_int_equal(sim->hold_id, 0);
    assert_false(sim->has_lock);
}

void sim_assert_finished(struct sim *sim)
{
    assert_string_equal(sim->view.failed_reason, "");
    assert_int_equal(sim->view.phase, MIG_PHASE_FINISHED);
    for (int32_t n = 1; n <= (int32_t)sim->facts.server_count; n++) {
        int32_t id = sim_id(n);
        assert_int_equal(zkp_config_find(&sim->config, id) != NULL, !must_leave(sim, id));
        if (must_leave(sim, id))
            assert_int_equal(sim_server(sim, id)->sessions, 0);
    }
    for (uint32_t i = 0; i < sim->view.steps->count; i++)
        assert_int_equal(sim->view.steps->items[i].state, MIG_STEP_DONE);
    assert_int_equal(sim->hold_id, 0);
    assert_false(sim->has_lock);
}
