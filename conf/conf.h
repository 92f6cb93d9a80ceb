/* Configuration: one immutable snapshot per load (design.md §2). The table of keys is in schema.c.
 * Loaded on the control thread (or in main), read by every thread; nobody writes after conf_load. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/network.h"
#include "zkproto/err.h"
#include "zkproto/server.h"
#include "zkproto/word.h"

#define CONF_LISTENERS_MAX 16u
#define CONF_BINDS_MAX     32u
#define CONF_ADDRESS_MAX   300u
#define CONF_SECRET_MAX    256u
#define CONF_PATH_MAX      1024u

/* "host:port" with IPv6 brackets understood; port 0 = any free one. */
struct conf_address {
    char host[ZKP_HOST_MAX];
    uint16_t port;
};

enum conf_guard { CONF_GUARD_HIDE, CONF_GUARD_PROXY, CONF_GUARD_PASS };

struct conf_listener {
    struct conf_address address;
    enum conf_guard config_node; /* default: the global guard.config_node */
};

enum conf_kind {
    CONF_KIND_NONE, /* no migration section: a plain proxy */
    CONF_KIND_MIGRATE,
    CONF_KIND_EXPAND,
    CONF_KIND_SHRINK,
    CONF_KIND_REPLACE,
    CONF_KIND_ROLLING
};

enum conf_switch { CONF_OFF, CONF_ON };
/* What a plan compares of the data before servers leave. */
enum conf_verify { CONF_VERIFY_OFF, CONF_VERIFY_COUNTS, CONF_VERIFY_FULL };

/* A list of servers and the line of the file each came from (for messages of later checks). */
struct conf_servers {
    uint32_t count;
    struct zkp_server servers[ZKP_SERVERS_MAX]; /* ascending id */
    int lines[ZKP_SERVERS_MAX];
};

/* Ids of servers, as listed in the file, and the line each stood on. */
struct conf_ids {
    uint32_t count;
    int32_t ids[ZKP_SERVERS_MAX];
    int lines[ZKP_SERVERS_MAX];
};

#define CONF_VERSION_MAX       32u
#define CONF_ARGUMENTS_MAX     16u
#define CONF_COMMAND_BYTES_MAX 1024u

/* Commands of migration.hooks. */
enum conf_hook { CONF_HOOK_START, CONF_HOOK_STOP, CONF_HOOK_RESTART, CONF_HOOK_BACKUP, CONF_HOOK_COUNT };

/* Arguments of one program, itself the first; see conf_command_*. Zeroed = none. */
struct conf_command {
    uint32_t count;
    char text[CONF_COMMAND_BYTES_MAX]; /* each argument with its NUL, one behind the other */
};

struct conf_binds {
    uint32_t count;
    char hosts[CONF_BINDS_MAX][ZKP_HOST_MAX]; /* numeric addresses */
};

/* limits.per_address: of one client address, or one /64 of IPv6. */
struct conf_per_address {
    int32_t connections;         /* 0 = no limit of its own; the default */
    int32_t connects_per_second; /* and as many at once; 0 = no limit; the default */
    int32_t silent;              /* 0 = no limit of its own; default 500 */
    struct conf_networks exempt;
};

/* Who goes first in a switch, and what may happen to them before the plan pauses (migrate/engine/canary.h
 * says how each figure is measured). Shares are in hundredths of a percent. */
struct conf_canary {
    int32_t share;                /* of the sessions; 0 = none by share */
    struct conf_networks clients; /* and all of these */
    int32_t observe_ms;           /* default 300,000 */
    int32_t errors;               /* of the canaries; default 100 = 1 % */
    int32_t latency;              /* of what it was before; default 30,000 = 300 % */
    int32_t latency_floor_ms;     /* what is faster is never too slow; default 50 */
    int32_t expired;              /* sessions; default 0 */
    int32_t returned;             /* sessions; default 10 */
};
/* Whether anybody goes first at all. */
bool conf_canary_is_on(const struct conf_canary *canary);

struct conf {
    char file[CONF_PATH_MAX];
    /* listen */
    uint32_t listener_count;
    struct conf_listener listeners[CONF_LISTENERS_MAX];
    struct conf_address admin; /* loopback only in this version */
    /* top level */
    int32_t workers; /* >= 1 here: 0 in the file has become the number of cores */
    char state_dir[CONF_PATH_MAX];
    struct conf_servers source;
    struct conf_servers target; /* count 0 = none */
    /* credentials */
    char super_file[CONF_PATH_MAX];
    const char *super; /* "user:password" a zkproto/secret.h one; "" = none; conf_free drops it */
    /* migration */
    enum conf_kind kind;
    struct conf_ids leaving; /* of source; for shrink and replace, else empty: migrate takes all away */
    bool confirm_switch;
    bool confirm_remove;
    bool confirm_finish;
    int32_t lag_ms;             /* caught up = reaches the leader's zxid within this; default 500 */
    int32_t catch_up_rounds;    /* K consecutive rounds; default 5 */
    int32_t switch_rate;        /* sessions returned (moved) per second; default 500 */
    int32_t join_timeout_ms;    /* default 3,600,000: people start servers by hand */
    int32_t step_timeout_ms;    /* every other step; default 120,000 */
    int32_t quiesce_timeout_ms; /* a session's unanswered requests; default 5,000 */
    enum conf_switch witness;   /* the continuity witness runs during plans; default on */
    struct conf_command hooks[CONF_HOOK_COUNT]; /* count 0 = a person does it */
    char expected_version[CONF_VERSION_MAX];    /* of restarted servers, "3.9.4"; "" = any */
    int32_t hook_timeout_ms;                    /* of each run; default 60,000 */
    enum conf_verify verify;
    enum conf_switch prove_joiners; /* each is restarted before its add; default off */
    struct conf_canary canary;
    /* bind */
    struct conf_binds bind_source;
    struct conf_binds bind_target;
    /* guard, words */
    enum conf_guard config_node;
    bool words[ZKP_WORD_COUNT]; /* allowed on the client port; default ruok isro srvr stat mntr conf cons */
    /* limits */
    int32_t session_max; /* clients that have said what they want, over all listeners; default 15,000 */
    int32_t silent_max;  /* clients that have not; default 2,000 */
    struct conf_per_address per_address;
    int32_t handshake_timeout_ms; /* a client that connects and says nothing; default 10,000 */
    int32_t client_buffer_max;    /* bytes queued for one slow peer before its source is no longer read */
    int32_t request_bytes; /* longest request and reply that pass; 0, the default = the servers decide */
    int32_t reply_bytes;
    int32_t buffers_max; /* bytes that wait for slow peers, all together; default 256 MiB */
    int32_t whole_bytes; /* longest frame that is kept until it is there; default 4 MiB */
    /* probes */
    int32_t probe_interval_ms;      /* default 5,000 */
    int32_t probe_plan_interval_ms; /* default 1,000 */
    int32_t probe_timeout_ms;       /* default 3,000 */
    int32_t admin_server_port;      /* ZooKeeper's AdminServer on every server; 0 = not used; default 8080 */
    char state_root[ZKP_HOST_MAX];  /* znode for the plan lock; default /zookeeper/zkferry */
};

/* Every problem found, one line each: "file:line: key: problem, what is allowed". */
struct conf_problems {
    uint32_t count;
    char *text; /* newline-separated; owned; conf_problems_done frees */
};

/* Reads, checks and completes with defaults. RC_OK: *ret_conf is the caller's (conf_free). Otherwise
 * ret_problems has at least one line. Reads files, blocks: never on a worker. */
enum rc conf_load(const char *file, struct conf **ret_conf, struct conf_problems *ret_problems) RC_MUST_CHECK;
void conf_free(struct conf *conf); /* NULL is fine; wipes secrets */
void conf_problems_done(struct conf_problems *problems);

/* Which keys changed and cannot be applied by a reload (listen, workers, state_dir, …): writes a
 * comma-separated list of key names, "" when everything that changed is reloadable. source, target,
 * migration and credentials count as reloadable only when no plan runs. */
void conf_reload_refusals(const struct conf *old, const struct conf *new, bool plan_runs, char *buf,
                          uint32_t capacity);

const char *conf_kind_name(enum conf_kind kind);
const char *conf_hook_name(enum conf_hook hook);
enum conf_hook conf_hook_named(const char *name); /* CONF_HOOK_COUNT when it is none */

/* Borrowed from the command. index < count. */
const char *conf_command_argument(const struct conf_command *command, uint32_t index);
/* RC_FULL: too many, or too long together; nothing was added. */
enum rc conf_command_add(struct conf_command *command, const char *argument) RC_MUST_CHECK;
/* Its program is the same for every server: no placeholder is in it. */
bool conf_command_is_fixed(const struct conf_command *command);
/* Why this process can't run a program now; "" = it can. Asks the file system, which may block. Any thread.
 */
const char *conf_program_trouble(const char *path);
bool conf_command_is_same(const struct conf_command *a, const struct conf_command *b);

const char *conf_verify_name(enum conf_verify verify);
/* Prints every key with type, default, range and help (for `zkferryd --help-config` and the README). */
void conf_print_keys(void *stdio_file);

#endif
