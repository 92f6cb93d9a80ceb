/* A plan: what one `start` intends, made once from the configuration and written to the journal whole, so
 * that a restart needs neither the file of that day nor anybody's memory. And its ordered list of steps.
 * Pure. */
#ifndef MIGRATE_PLAN_H
#define MIGRATE_PLAN_H

#include "conf/conf.h"
#include "migrate/engine/states.h"
#include "migrate/facts.h"
#include "zkproto/err.h"
#include "zkproto/server.h"

#define MIG_STEP_NAME_MAX  24u
#define MIG_STEPS_MAX      (3u * MIG_SERVERS_MAX + 15u) /* there and back again, and stopped */
#define MIG_ACCEPT_MAX     16u
#define MIG_FINDING_ID_MAX 64u

struct mig_servers {
    uint32_t count;
    struct zkp_server servers[MIG_SERVERS_MAX]; /* ascending id */
};

struct mig_ids {
    uint32_t count;
    int32_t ids[MIG_SERVERS_MAX]; /* ascending */
};

/* Owned by the engine; immutable after mig_plan_make. */
struct mig_plan {
    char id[MIG_PLAN_ID_MAX]; /* "" = no plan */
    enum conf_kind kind;
    int64_t created_wall_ms;
    struct mig_servers sources;
    struct mig_servers targets; /* empty for shrink and rolling */
    struct mig_ids leaving;     /* of the sources: all of them for migrate, none for expand and rolling */
    struct zkp_config original; /* config when the plan was accepted; server_count 0 until known */
    bool confirm[MIG_GATE_COUNT];
    uint32_t accept_count; /* findings accepted by name at start */
    char accept[MIG_ACCEPT_MAX][MIG_FINDING_ID_MAX];
    int32_t lag_ms;
    int32_t catch_up_rounds;
    int32_t switch_rate;
    int32_t join_timeout_ms;
    int32_t step_timeout_ms;
    struct conf_command hooks[CONF_HOOK_COUNT]; /* count 0 = a person does it */
    int32_t hook_timeout_ms;
    char expected_version[CONF_VERSION_MAX]; /* a restarted server must run it; "" = any */
    enum conf_verify verify;
    bool prove_joiners;        /* each is restarted once before it is added */
    int32_t hold_ms;           /* all sessions must be quiesced within; the reconfig is sent only then */
    struct conf_canary canary; /* who goes first; off when nobody leaves */
};

/* RC_REFUSED with the reason when no plan can be made: no targets (or some for shrink and rolling), a leaving
 * server that is no source, an id or an address on both sides, more servers than MIG_SERVERS_MAX, a target
 * without client port. Gates that such a plan does not pass are not kept. */
enum rc mig_plan_make(const struct conf *conf, int64_t wall_ms, uint32_t nonce, struct mig_plan *ret_plan,
                      struct err *err) RC_MUST_CHECK;
void mig_plan_name(struct mig_plan *plan, int64_t wall_ms, uint32_t nonce); /* gives it its id */
/* By the rule's name, by the finding's id, or by one of the rule's pitfalls. */
bool mig_plan_accepts(const struct mig_plan *plan, const char *rule, const char *finding_id);
bool mig_plan_leaves(const struct mig_plan *plan, int32_t id); /* a source that will be no member */
/* The targets that are members at the end and the sources that stay. */
uint32_t mig_plan_final_count(const struct mig_plan *plan);
/* Exactly these are its members, each with the plan's line. */
bool mig_plan_is_final(const struct mig_plan *plan, const struct zkp_config *config);
/* Where a server listens for clients, for a member whose line in the config doesn't say so (it was started
 * from a static file: server.N=… and clientPort=…): as its source line has it; where its own `conf` (facts;
 * NULL = not known) shows another port, that one, on all its addresses. False: the line says it itself, or
 * nobody knows. */
bool mig_plan_client_part(const struct mig_plan *plan, const struct mig_facts *facts,
                          struct zkp_server *member);
/* The same for all members of `original`: reconfig takes no line without a client part. */
void mig_plan_complete(struct mig_plan *plan, const struct mig_facts *facts);
/* The line a server joins with: the one it had when the plan began, or a target's. NULL: neither. */
const struct zkp_server *mig_plan_line(const struct mig_plan *plan, int32_t id);
const struct zkp_server *mig_servers_find(const struct mig_servers *servers, int32_t id); /* or NULL */

enum mig_step_kind {
    MIG_DO_PREFLIGHT,
    MIG_DO_LOCK,
    MIG_DO_JOIN,
    MIG_DO_ADD,
    MIG_DO_CATCH_UP,
    MIG_DO_SWITCH,
    MIG_DO_REMOVE,
    MIG_DO_VERIFY,
    MIG_DO_FINISH,
    /* the way back */
    MIG_DO_RESTORE,
    MIG_DO_CATCH_UP_BACK,
    MIG_DO_SWITCH_BACK,
    MIG_DO_WITHDRAW,
    MIG_DO_VERIFY_BACK,
    /* by hooks */
    MIG_DO_BACKUP,
    MIG_DO_STOP,
    /* of a rolling plan */
    MIG_DO_RESTART,
    MIG_DO_COMPARE, /* between switch and the first removal */
    MIG_DO_CANARY   /* before the switch */
};

struct mig_step {
    enum mig_step_kind kind;
    char name[MIG_STEP_NAME_MAX]; /* "add.4": see mig_plan_steps */
    int32_t server;               /* ADD, REMOVE, RESTORE, WITHDRAW, STOP, RESTART; else -1 */
    enum mig_step_state state;
    int64_t started_wall_ms; /* 0 = not yet */
    int64_t started_ms;      /* monotonic; 0 = not yet, or before a restart */
    int64_t seconds_ms;      /* how long it took or runs already, in ms */
    char detail[MIG_TEXT_MAX];
};

struct mig_steps {
    uint32_t count;
    struct mig_step items[MIG_STEPS_MAX];
};

/* preflight, lock; with targets: join, add.N ascending, catch_up; with leaving sources: canary if
 * somebody goes first, switch, compare (unless verify is off), remove.N ascending; rolling: restart.N
 * ascending; verify, finish. With hooks: backup before the first change of members, stop.N of those that left
 * after finish. The leader among those that leave is removed last; since leaders change, that order is
 * decided when it is time. */
void mig_plan_steps(const struct mig_plan *plan, struct mig_steps *ret_steps);
/* Appends the way back: restore.N for each source that may have left, catch_up_back, switch_back, withdraw.N
 * for each target, verify_back. Steps of the way there that are not done are given up. */
void mig_plan_turn_back(const struct mig_plan *plan, struct mig_steps *steps);
/* A member that is to be replaced and is dead leaves in the request that brings a new one: one voter more
 * would need one more alive. 0 = none. */
int32_t mig_plan_dead_leaver(const struct mig_plan *plan, const struct mig_facts *facts,
                             const struct zkp_config *config);
struct mig_step *mig_steps_find(struct mig_steps *steps, enum mig_step_kind kind, int32_t server);
struct mig_step *mig_steps_named(struct mig_steps *steps, const char *name); /* or NULL */

/* Same id, role and quorum addresses; client parts count only when both have one, and a wildcard client
 * host equals any (static sources list no client address, protocol.md §5.1). */
bool mig_same_server(const struct zkp_server *a, const struct zkp_server *b);
/* The same by members; versions are not compared. */
bool mig_same_members(const struct zkp_config *a, const struct zkp_config *b);
/* What `then` has that `now` has not and the other way round, for people: "server.2 is gone, server.3 has
 * another address or role, server.9 is new"; "" when the members are the same. */
void mig_config_difference(const struct zkp_config *now, const struct zkp_config *then, char *buf,
                           uint32_t capacity);
/* What a change makes of the config; the version is left as it was. RC_FULL: too many servers. */
enum rc mig_config_add(struct zkp_config *config, const struct zkp_server *server) RC_MUST_CHECK;
void mig_config_remove(struct zkp_config *config, int32_t id);
/* "1,2,3" for people. */
void mig_config_ids(const struct zkp_config *config, char *buf, uint32_t capacity);

/* Members of the config that are neither source nor target, or whose line differs from the plan's: writes
 * the difference for people ("server.9 is not in the plan") and returns false. */
bool mig_plan_fits(const struct mig_plan *plan, const struct zkp_config *config, char *buf,
                   uint32_t capacity);

#endif
