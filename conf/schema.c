/* The one table of keys: what may stand in the file, its default, its range and what it is for. The
 * parser, the messages, the reload rules and the README's table all come from it. Constant data. */
#include <stdio.h>

#include "conf/conf_int.h"
#include "zkproto/assert.h"

static const struct conf_choice guards[] = {
    {"hide", CONF_GUARD_HIDE}, {"proxy", CONF_GUARD_PROXY}, {"pass", CONF_GUARD_PASS}, {NULL, 0}};

static const struct conf_choice kinds[] = {{"migrate", CONF_KIND_MIGRATE}, {"expand", CONF_KIND_EXPAND},
                                           {"shrink", CONF_KIND_SHRINK},   {"replace", CONF_KIND_REPLACE},
                                           {"rolling", CONF_KIND_ROLLING}, {NULL, 0}};

static const struct conf_choice verifies[] = {
    {"off", CONF_VERIFY_OFF}, {"counts", CONF_VERIFY_COUNTS}, {"full", CONF_VERIFY_FULL}, {NULL, 0}};

static const struct conf_choice confirms[] = {{"switch", offsetof(struct conf, confirm_switch)},
                                              {"remove", offsetof(struct conf, confirm_remove)},
                                              {"finish", offsetof(struct conf, confirm_finish)},
                                              {NULL, 0}};

/* Only words that the proxy can answer about itself; the others would have to name one server. */
#define WORD(id, name)                                                                                       \
    {                                                                                                        \
        name, offsetof(struct conf, words) + ZKP_WORD_##id * sizeof(bool)                                    \
    }
static const struct conf_choice words[] = {WORD(RUOK, "ruok"), WORD(ISRO, "isro"), WORD(SRVR, "srvr"),
                                           WORD(STAT, "stat"), WORD(MNTR, "mntr"), WORD(CONF, "conf"),
                                           WORD(CONS, "cons"), {NULL, 0}};
#undef WORD

static const struct conf_choice switches[] = {{"true", CONF_ON}, {"false", CONF_OFF}, {NULL, 0}};

#define AT(field) .offset = offsetof(struct conf, field)
#define SECOND    1000
#define MINUTE    (60 * SECOND)
#define HOUR      (60 * MINUTE)
#define GIB       (1024 * 1024 * 1024)

static const struct conf_key keys[] = {
    {"listen.clients", CONF_TYPE_LISTENERS, AT(listeners), .fallback = "0.0.0.0:2181",
     .help = "where clients connect; port 0 = any free one, logged"},
    {"listen.admin", CONF_TYPE_ADDRESS, AT(admin), .fallback = "127.0.0.1:9181",
     .help = "HTTP: control, status, /metrics"},
    {"workers", CONF_TYPE_NUMBER, AT(workers), .fallback = "0", .min = 0, .max = 1024,
     .help = "threads that serve clients; 0 = one per core"},
    {"state_dir", CONF_TYPE_PATH, AT(state_dir), .fallback = "/var/lib/zkferry",
     .help = "directory of the journal; must survive restarts"},
    {"source", CONF_TYPE_SERVERS, AT(source), .is_required = true, .reload = CONF_RELOAD_IDLE,
     .help = "the servers of today, in ZooKeeper's own syntax"},
    {"target", CONF_TYPE_SERVERS, AT(target), .reload = CONF_RELOAD_IDLE,
     .help = "the servers that join during a plan"},
    {"credentials.super_file", CONF_TYPE_PATH, AT(super_file), .reload = CONF_RELOAD_IDLE,
     .help = "one line user:password of ZooKeeper's super user, mode 0600; needed for plans"},
    {"migration.kind", CONF_TYPE_ENUM, AT(kind), .is_required = true, .choices = kinds,
     .reload = CONF_RELOAD_IDLE, .help = "what a plan does"},
    {"migration.leaving", CONF_TYPE_IDS, AT(leaving), .fallback = "", .reload = CONF_RELOAD_IDLE,
     .help = "the source servers that leave, for shrink and replace"},
    {"migration.confirm", CONF_TYPE_FLAGS, .fallback = "switch, remove, finish", .choices = confirms,
     .reload = CONF_RELOAD_IDLE, .help = "phases that wait for `zkferry confirm`; [] = run through"},
    {"migration.lag", CONF_TYPE_DURATION, AT(lag_ms), .fallback = "500ms", .min = 1, .max = 10 * MINUTE,
     .reload = CONF_RELOAD_IDLE,
     .help = "a target has caught up when it reaches the leader's zxid within this"},
    {"migration.catch_up_rounds", CONF_TYPE_NUMBER, AT(catch_up_rounds), .fallback = "5", .min = 1,
     .max = 1000, .reload = CONF_RELOAD_IDLE,
     .help = "consecutive rounds within lag before a target counts as caught up"},
    {"migration.switch_rate", CONF_TYPE_NUMBER, AT(switch_rate), .fallback = "500", .min = 1, .max = 100000,
     .reload = CONF_RELOAD_IDLE, .help = "sessions that change servers per second"},
    {"migration.join_timeout", CONF_TYPE_DURATION, AT(join_timeout_ms), .fallback = "1h", .min = SECOND,
     .max = 168 * HOUR, .reload = CONF_RELOAD_IDLE,
     .help = "how long a plan waits for the target servers to be started"},
    {"migration.step_timeout", CONF_TYPE_DURATION, AT(step_timeout_ms), .fallback = "2m", .min = SECOND,
     .max = 24 * HOUR, .reload = CONF_RELOAD_IDLE, .help = "deadline of every other step"},
    {"migration.quiesce_timeout", CONF_TYPE_DURATION, AT(quiesce_timeout_ms), .fallback = "5s", .min = 100,
     .max = 10 * MINUTE, .reload = CONF_RELOAD_IDLE,
     .help = "how long a session's unanswered requests are waited for"},
    {"migration.witness", CONF_TYPE_ENUM, AT(witness), .fallback = "true", .choices = switches,
     .reload = CONF_RELOAD_IDLE,
     .help = "during plans a session of zkferry's own proves, through its own client port, that nothing is "
             "interrupted"},
    {"migration.expected_version", CONF_TYPE_VERSION, AT(expected_version), .reload = CONF_RELOAD_IDLE,
     .help = "what servers must run after their restart in a rolling plan; none = anything"},
    {"migration.hooks", CONF_TYPE_HOOKS, AT(hooks), .reload = CONF_RELOAD_IDLE,
     .help = "programs that start, stop, restart a server or back it up, so that a plan needs nobody for it"},
    {"migration.hook_timeout", CONF_TYPE_DURATION, AT(hook_timeout_ms), .fallback = "1m", .min = 100,
     .max = 24 * HOUR, .reload = CONF_RELOAD_IDLE,
     .help = "a hook that runs longer is ended, and has failed"},
    {"migration.verify", CONF_TYPE_ENUM, AT(verify), .fallback = "counts", .choices = verifies,
     .reload = CONF_RELOAD_IDLE,
     .help = "data compared before servers leave and at the end: every node, or counts and nodes when they "
             "differ"},
    {"migration.prove_joiners", CONF_TYPE_ENUM, AT(prove_joiners), .fallback = "false", .choices = switches,
     .reload = CONF_RELOAD_IDLE,
     .help = "each target is restarted once before it is added, which shows whether its log is sound"},
    {"migration.canary.share", CONF_TYPE_SHARE, AT(canary.share), .fallback = "0%", .min = 0, .max = 5000,
     .reload = CONF_RELOAD_IDLE,
     .help = "sessions that go first in a switch, always the same ones; without share and clients all go at "
             "once"},
    {"migration.canary.clients", CONF_TYPE_NETWORKS, AT(canary.clients), .fallback = "",
     .reload = CONF_RELOAD_IDLE, .help = "clients whose sessions all go first, by their address"},
    {"migration.canary.observe", CONF_TYPE_DURATION, AT(canary.observe_ms), .fallback = "5m", .min = SECOND,
     .max = 24 * HOUR, .reload = CONF_RELOAD_IDLE,
     .help = "how long they are watched before the others follow"},
    {"migration.canary.errors", CONF_TYPE_SHARE, AT(canary.errors), .fallback = "1%", .min = 0, .max = 10000,
     .reload = CONF_RELOAD_IDLE,
     .help = "canaries cut off, without their server or not taken, above what was usual before: more pause "
             "the plan"},
    {"migration.canary.latency", CONF_TYPE_SHARE, AT(canary.latency), .fallback = "300%", .min = 10000,
     .max = 10000000, .reload = CONF_RELOAD_IDLE,
     .help = "their 99th percentile, of what it was for all before: more pauses the plan"},
    {"migration.canary.latency_floor", CONF_TYPE_DURATION, AT(canary.latency_floor_ms), .fallback = "50ms",
     .min = 1, .max = MINUTE, .reload = CONF_RELOAD_IDLE,
     .help = "a percentile below this is never too slow"},
    {"migration.canary.expired", CONF_TYPE_NUMBER, AT(canary.expired), .fallback = "0", .min = 0,
     .max = 1000000, .reload = CONF_RELOAD_IDLE,
     .help = "canaries that expire, above what was usual before: more pause the plan"},
    {"migration.canary.returned", CONF_TYPE_NUMBER, AT(canary.returned), .fallback = "10", .min = 0,
     .max = 1000000, .reload = CONF_RELOAD_IDLE, .help = "the same for canaries that had to be returned"},
    {"bind.source", CONF_TYPE_BINDS, AT(bind_source), .fallback = "", .reload = CONF_RELOAD_ALWAYS,
     .help =
         "local addresses for connections to source servers; each adds maxClientCnxns sessions per server"},
    {"bind.target", CONF_TYPE_BINDS, AT(bind_target), .fallback = "", .reload = CONF_RELOAD_ALWAYS,
     .help = "the same for target servers"},
    {"guard.config_node", CONF_TYPE_ENUM, AT(config_node), .fallback = "hide", .choices = guards,
     .reload = CONF_RELOAD_ALWAYS,
     .help = "what clients read in /zookeeper/config: nothing, the proxy's address, or the truth"},
    {"words", CONF_TYPE_FLAGS, .fallback = "ruok, isro, srvr, stat, mntr, conf, cons", .choices = words,
     .reload = CONF_RELOAD_ALWAYS, .help = "four-letter words answered on the client port"},
    {"limits.sessions", CONF_TYPE_NUMBER, AT(session_max), .fallback = "15000", .min = 1, .max = 1000000,
     .reload = CONF_RELOAD_ALWAYS,
     .help = "clients over all listeners that have said what they want: have a session, or wait for one"},
    {"limits.silent", CONF_TYPE_NUMBER, AT(silent_max), .fallback = "2000", .min = 1, .max = 1000000,
     .reload = CONF_RELOAD_ALWAYS,
     .help = "clients that have not, beside these; beyond it the one that was silent for longest is closed"},
    {"limits.per_address.connections", CONF_TYPE_NUMBER, AT(per_address.connections), .fallback = "0",
     .min = 0, .max = 1000000, .reload = CONF_RELOAD_ALWAYS,
     .help = "connections of one client address (one /64 of IPv6); 0 = no limit of its own"},
    {"limits.per_address.connects_per_second", CONF_TYPE_NUMBER, AT(per_address.connects_per_second),
     .fallback = "0", .min = 0, .max = 1000000, .reload = CONF_RELOAD_ALWAYS,
     .help = "its new connections, and as many at once; 0 = no limit"},
    {"limits.per_address.silent", CONF_TYPE_NUMBER, AT(per_address.silent), .fallback = "500", .min = 0,
     .max = 1000000, .reload = CONF_RELOAD_ALWAYS,
     .help = "of limits.silent, for one address; beyond it its oldest is closed; 0 = no limit of its own"},
    {"limits.per_address.exempt", CONF_TYPE_NETWORKS, AT(per_address.exempt), .fallback = "",
     .reload = CONF_RELOAD_ALWAYS, .help = "clients that these three are not for: gateways, balancers"},
    {"limits.handshake_timeout", CONF_TYPE_DURATION, AT(handshake_timeout_ms), .fallback = "10s", .min = 100,
     .max = 10 * MINUTE, .reload = CONF_RELOAD_ALWAYS,
     .help = "a client that connects and says nothing is closed after this"},
    {"limits.client_buffer", CONF_TYPE_SIZE, AT(client_buffer_max), .fallback = "256k", .min = 4096,
     .max = 64 * 1024 * 1024, .reload = CONF_RELOAD_ALWAYS,
     .help = "bytes queued for one slow peer before the other side is no longer read"},
    {"limits.buffers", CONF_TYPE_SIZE, AT(buffers_max), .fallback = "256m", .min = 1024 * 1024, .max = GIB,
     .reload = CONF_RELOAD_ALWAYS,
     .help = "bytes that wait for slow peers, all together; beyond that each may have 16k, and is read no "
             "faster than it is written"},
    {"limits.request_bytes", CONF_TYPE_SIZE, AT(request_bytes), .fallback = "0", .min = 0, .max = GIB,
     .reload = CONF_RELOAD_ALWAYS,
     .help = "longest request that is passed on, at least 64k; 0 = the servers decide (`jute.maxbuffer`)"},
    {"limits.reply_bytes", CONF_TYPE_SIZE, AT(reply_bytes), .fallback = "0", .min = 0, .max = GIB,
     .reload = CONF_RELOAD_ALWAYS, .help = "the same for replies"},
    {"limits.whole_bytes", CONF_TYPE_SIZE, AT(whole_bytes), .fallback = "4m", .min = 1024 * 1024,
     .max = 256 * 1024 * 1024, .reload = CONF_RELOAD_ALWAYS,
     .help = "longest of those that have to be there whole first: requests that set watches, multiReads and "
             "auth, events"},
    {"probes.interval", CONF_TYPE_DURATION, AT(probe_interval_ms), .fallback = "5s", .min = 100,
     .max = 10 * MINUTE, .reload = CONF_RELOAD_ALWAYS, .help = "time between health checks of a server"},
    {"probes.plan_interval", CONF_TYPE_DURATION, AT(probe_plan_interval_ms), .fallback = "1s", .min = 100,
     .max = MINUTE, .reload = CONF_RELOAD_ALWAYS, .help = "the same while a plan runs"},
    {"probes.timeout", CONF_TYPE_DURATION, AT(probe_timeout_ms), .fallback = "3s", .min = 50, .max = MINUTE,
     .reload = CONF_RELOAD_ALWAYS, .help = "a health check without an answer has failed after this"},
    {"probes.admin_server_port", CONF_TYPE_NUMBER, AT(admin_server_port), .fallback = "8080", .min = 0,
     .max = 65535, .reload = CONF_RELOAD_ALWAYS,
     .help = "port of ZooKeeper's AdminServer, asked where words are not allowed; 0 = not used"},
    {"state_root", CONF_TYPE_ZNODE, AT(state_root), .fallback = "/zookeeper/zkferry",
     .reload = CONF_RELOAD_IDLE, .help = "znode under which the plan lock is kept"},
};
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))
_Static_assert(KEY_COUNT <= CONF_KEYS_MAX, "conf_reader.lines is too small");

const struct conf_key *conf_key_at(uint32_t index)
{
    return index < KEY_COUNT ? &keys[index] : NULL;
}

const struct conf_key *conf_key_named(const char *name)
{
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].name, name) == 0)
            return &keys[i];
    }
    return NULL;
}

uint32_t conf_key_index(const struct conf_key *key)
{
    ASSERT(key >= keys && key < keys + KEY_COUNT);
    return (uint32_t)(key - keys);
}

bool conf_key_is_list(const struct conf_key *key)
{
    return key->type == CONF_TYPE_FLAGS || key->type == CONF_TYPE_LISTENERS || key->type == CONF_TYPE_BINDS ||
           key->type == CONF_TYPE_IDS || key->type == CONF_TYPE_NETWORKS;
}

bool conf_section_exists(const char *name)
{
    size_t len = strlen(name);

    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        if (strncmp(keys[i].name, name, len) == 0 && keys[i].name[len] == '.')
            return true;
    }
    return false;
}

const char *conf_verify_name(enum conf_verify verify)
{
    const struct conf_choice *choice = verifies;
    while (choice->name != NULL && choice->value != (int32_t)verify)
        choice++;
    return choice->name != NULL ? choice->name : "";
}

const char *conf_kind_name(enum conf_kind kind)
{
    for (const struct conf_choice *choice = kinds; choice->name != NULL; choice++) {
        if (choice->value == (int32_t)kind)
            return choice->name;
    }
    return "none";
}

static void choices_join(const struct conf_choice *choices, const char *before, char *buf, uint32_t capacity)
{
    int used = snprintf(buf, capacity, "%s", before);

    for (const struct conf_choice *choice = choices; choice->name != NULL; choice++) {
        if (used < 0 || (uint32_t)used >= capacity)
            return;
        used += snprintf(buf + used, capacity - (uint32_t)used, "%s%s", choice == choices ? "" : ", ",
                         choice->name);
    }
}

static void range_join(const struct conf_key *key, char *buf, uint32_t capacity)
{
    char min[32];
    char max[32];

    if (key->type == CONF_TYPE_DURATION) {
        conf_duration_format(key->min, min, sizeof(min));
        conf_duration_format(key->max, max, sizeof(max));
    } else if (key->type == CONF_TYPE_SHARE) {
        conf_share_format(key->min, min, sizeof(min));
        conf_share_format(key->max, max, sizeof(max));
    } else if (key->type == CONF_TYPE_SIZE) {
        conf_size_format(key->min, min, sizeof(min));
        conf_size_format(key->max, max, sizeof(max));
    } else {
        (void)snprintf(min, sizeof(min), "%d", (int)key->min);
        (void)snprintf(max, sizeof(max), "%d", (int)key->max);
    }
    (void)snprintf(buf, capacity, "%s to %s", min, max);
}

static const char *const type_names[CONF_TYPE_COUNT] = {
    [CONF_TYPE_NUMBER] = "number",      [CONF_TYPE_DURATION] = "duration", [CONF_TYPE_SIZE] = "size",
    [CONF_TYPE_ENUM] = "word",          [CONF_TYPE_FLAGS] = "list",        [CONF_TYPE_PATH] = "path",
    [CONF_TYPE_ZNODE] = "znode path",   [CONF_TYPE_ADDRESS] = "address",   [CONF_TYPE_LISTENERS] = "list",
    [CONF_TYPE_SERVERS] = "text block", [CONF_TYPE_BINDS] = "list",        [CONF_TYPE_IDS] = "list",
    [CONF_TYPE_HOOKS] = "map",          [CONF_TYPE_VERSION] = "version",   [CONF_TYPE_SHARE] = "percentage",
    [CONF_TYPE_NETWORKS] = "list",
};

/* For the types whose rows carry neither range nor words. */
static const char *const type_allowed[CONF_TYPE_COUNT] = {
    [CONF_TYPE_PATH] = "a path of at most 1023 bytes",
    [CONF_TYPE_ZNODE] = "an absolute path without a trailing slash, at most 255 bytes",
    [CONF_TYPE_ADDRESS] = "HOST:PORT with a loopback HOST (127.0.0.1, [::1])",
    [CONF_TYPE_LISTENERS] = "a list of 1 to 16 HOST:PORT or {address: HOST:PORT, guard: hide|proxy|pass}, "
                            "HOST numeric, IPv6 in brackets",
    [CONF_TYPE_SERVERS] = "`|` and lines server.ID=HOST:PORT:PORT[:participant|observer];[HOST:]PORT, "
                          "ID 0 to 2147483647",
    [CONF_TYPE_BINDS] = "a list of at most 32 numeric addresses of this host",
    [CONF_TYPE_IDS] = "a list of ids of servers in source",
    [CONF_TYPE_VERSION] = "a version as `srvr` shows it, without what follows a dash: 3.9.4",
    [CONF_TYPE_HOOKS] = "{start|stop|restart|backup: [/PROGRAM, ARGUMENT, ...]} with {id}, {host} and "
                        "{client_port} in arguments, at most 16 of 1023 bytes together",
    [CONF_TYPE_NETWORKS] = "a list of at most 16 networks ADDRESS/BITS, no bits set behind BITS",
};

void conf_key_allowed(const struct conf_key *key, char *buf, uint32_t capacity)
{
    if (key->type == CONF_TYPE_ENUM)
        choices_join(key->choices, "one of ", buf, capacity);
    else if (key->type == CONF_TYPE_FLAGS)
        choices_join(key->choices, "a list of ", buf, capacity);
    else if (type_allowed[key->type] != NULL)
        (void)snprintf(buf, capacity, "%s", type_allowed[key->type]);
    else
        range_join(key, buf, capacity);
}

/* `|` separates columns in Markdown tables. */
static void print_escaped(FILE *file, const char *text)
{
    for (; *text != '\0'; text++)
        fprintf(file, *text == '|' ? "\\%c" : "%c", *text);
}

static void print_default(FILE *file, const struct conf_key *key)
{
    if (key->is_required)
        fprintf(file, "required");
    else if (key->fallback == NULL)
        fprintf(file, "none");
    else if (conf_key_is_list(key))
        fprintf(file, "`[%s]`", key->fallback);
    else
        fprintf(file, "`%s`", key->fallback);
}

void conf_print_keys(void *stdio_file)
{
    static const char *const reload_names[] = {
        [CONF_RELOAD_NEVER] = "no", [CONF_RELOAD_IDLE] = "while no plan runs", [CONF_RELOAD_ALWAYS] = "yes"};
    FILE *file = stdio_file;

    fprintf(file, "| key | type | default | allowed | reloadable | meaning |\n");
    fprintf(file, "|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < KEY_COUNT; i++) {
        char allowed[CONF_ALLOWED_MAX];
        conf_key_allowed(&keys[i], allowed, sizeof(allowed));
        fprintf(file, "| `%s` | %s | ", keys[i].name, type_names[keys[i].type]);
        print_default(file, &keys[i]);
        fprintf(file, " | ");
        print_escaped(file, allowed);
        fprintf(file, " | %s | ", reload_names[keys[i].reload]);
        print_escaped(file, keys[i].help);
        fprintf(file, " |\n");
    }
}
