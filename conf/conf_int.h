/* What the files of conf/ share: the table of keys, the reader of one load, and the seams that tests
 * use. Nobody outside conf/ and tests/ includes this. One load runs on one thread; no globals. */
#ifndef CONF_CONF_INT_H
#define CONF_CONF_INT_H

#include <stddef.h>

#include "conf/conf.h"

#define CONF_FILE_BYTES_MAX   65536u /* 64 servers need 8 KB; what is larger is not a configuration */
#define CONF_PROBLEMS_MAX     64u    /* more than a person repairs at once; the rest is one line */
#define CONF_PROBLEM_TEXT_MAX 4096u  /* a path of 1 KB may stand in it three times */
#define CONF_ALLOWED_MAX      400u
#define CONF_KEYS_MAX         64u
#define CONF_NAME_MAX         128u /* a dotted key as shown in messages */
#define CONF_FRAME_LIMIT_MIN  (64 * 1024)
/* What myid may say. Above 254 no TTL nodes (EphemeralType.java); only the lowest byte is in session ids. */
#define CONF_SERVER_ID_MIN 0
#define CONF_SERVER_ID_MAX INT32_MAX

enum conf_type {
    CONF_TYPE_NUMBER,    /* int32_t */
    CONF_TYPE_DURATION,  /* int32_t milliseconds */
    CONF_TYPE_SIZE,      /* int32_t bytes */
    CONF_TYPE_ENUM,      /* an enum; names[].value is stored */
    CONF_TYPE_FLAGS,     /* list; names[].value is the offset of a bool in struct conf */
    CONF_TYPE_PATH,      /* char[CONF_PATH_MAX] */
    CONF_TYPE_ZNODE,     /* char[ZKP_HOST_MAX] */
    CONF_TYPE_ADDRESS,   /* struct conf_address */
    CONF_TYPE_LISTENERS, /* list; listeners and listener_count */
    CONF_TYPE_SERVERS,   /* text block; struct conf_servers */
    CONF_TYPE_BINDS,     /* list; struct conf_binds */
    CONF_TYPE_IDS,       /* list; struct conf_ids */
    CONF_TYPE_VERSION,   /* char[CONF_VERSION_MAX] */
    CONF_TYPE_HOOKS,     /* map of lists; struct conf_command[CONF_HOOK_COUNT] */
    CONF_TYPE_SHARE,     /* int32_t hundredths of a percent */
    CONF_TYPE_NETWORKS,  /* list; struct conf_networks */
    CONF_TYPE_COUNT
};

enum conf_reload {
    CONF_RELOAD_NEVER,
    CONF_RELOAD_IDLE, /* while no plan runs */
    CONF_RELOAD_ALWAYS
};

/* One allowed word. Tables end with name == NULL. */
struct conf_choice {
    const char *name;
    int32_t value;
};

/* One row per key. */
struct conf_key {
    const char *name; /* dotted, at most two dots: "migration.kind" */
    enum conf_type type;
    size_t offset;        /* in struct conf; unused for FLAGS */
    bool is_required;     /* a dotted key: when its section is given */
    const char *fallback; /* default as one would write it, lists comma-separated; NULL = none */
    int32_t min;
    int32_t max;
    const struct conf_choice *choices; /* ENUM, FLAGS */
    enum conf_reload reload;
    const char *help;
};

/* A value as it stands in the file. Borrowed from the YAML document. */
struct conf_scalar {
    const char *text; /* NUL-terminated, may hold further NULs */
    size_t len;
    int line;      /* of the value's beginning, from 1; 0 = a default */
    bool is_block; /* written with `|`: text begins on the next line */
};

struct conf_problem {
    int line;
    char text[CONF_PROBLEM_TEXT_MAX];
};

/* The state of one load. Owned by conf_parse_text. */
struct conf_reader {
    const char *file;
    struct conf *conf;
    int lines[CONF_KEYS_MAX]; /* by index of the key's row; 0 = not in the file */
    int migration_line;       /* 0 = no such section */
    int canary_line;          /* the same */
    bool is_guard_given[CONF_LISTENERS_MAX];
    int listener_lines[CONF_LISTENERS_MAX];
    bool asks_host; /* what is this host's may be asked of the kernel */
    bool is_nomem;
    uint32_t problem_count; /* <= CONF_PROBLEMS_MAX */
    uint32_t lost_count;    /* found after the table was full */
    struct conf_problem problems[CONF_PROBLEMS_MAX];
};

/* schema.c */
const struct conf_key *conf_key_at(uint32_t index);      /* NULL after the last one */
const struct conf_key *conf_key_named(const char *name); /* or NULL */
uint32_t conf_key_index(const struct conf_key *key);
bool conf_key_is_list(const struct conf_key *key);
bool conf_section_exists(const char *name);
/* "0 to 1024", "one of hide, proxy, pass": the end of every message and a column of the README. */
void conf_key_allowed(const struct conf_key *key, char *buf, uint32_t capacity);

/* problems.c: "file:line: key: text". line 0 leaves the line out, key "" the key. */
void conf_problem(struct conf_reader *r, int line, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool conf_problems_full(const struct conf_reader *r);
/* Sorts by line and hands over the text. Falls back to a constant when memory is short. */
void conf_problems_take(struct conf_reader *r, struct conf_problems *ret_problems);
void conf_problems_nomem(struct conf_problems *ret_problems);
/* A copy for messages, cut at about 60 bytes. */
void conf_show(char *buf, uint32_t capacity, const char *text, size_t len);

/* suggest.c */
/* Edit distance where swapping two neighbours counts once; long words give UINT32_MAX. */
uint32_t conf_distance(const char *a, const char *b);
/* The key of the section ("" = top level) that `name` probably meant, dotted; false = nothing is near. */
bool conf_suggest(const char *section, const char *name, char *buf, uint32_t capacity);
/* "address, guard": what may stand in a section. */
void conf_section_names(const char *section, char *buf, uint32_t capacity);

/* value.c: one scalar into the field of its key. A refused value becomes a problem. */
void conf_value_set(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value);
bool conf_duration_parse(const char *text, int64_t *ret_ms);
/* "5%", "0.25%"; at most two decimals. */
bool conf_share_parse(const char *text, int64_t *ret_share);
bool conf_size_parse(const char *text, int64_t *ret_bytes);
void conf_share_format(int32_t share, char *buf, uint32_t capacity);
void conf_duration_format(int32_t ms, char *buf, uint32_t capacity);
void conf_size_format(int32_t bytes, char *buf, uint32_t capacity);
/* Row of `text` in a table of choices, or NULL. */
const struct conf_choice *conf_choice_named(const struct conf_choice *choices, const char *text);

/* address.c */
/* "10.0.0.1:2181", "[::1]:2181", "localhost:0". The host is stored in the kernel's spelling. On failure
 * *ret_why is a constant text. */
bool conf_address_parse(const char *text, struct conf_address *ret_address, const char **ret_why);
bool conf_host_numeric(const char *host, char *buf, uint32_t capacity); /* false: not an IP address */
bool conf_host_is_loopback(const char *numeric_host);
/* An address of this host, or surely none: the kernel is asked, and may be short of what it takes to answer.
 */
bool conf_host_is_here(const char *numeric_host);
bool conf_host_is_absent(const char *numeric_host);
/* Whether both cannot be bound at once: same port (not 0), same host or a wildcard of its family. */
bool conf_address_overlaps(const struct conf_address *a, const struct conf_address *b);

/* list.c: one more item of a list. */
void conf_list_add(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *item);
/* guard == NULL: inherits guard.config_node. */
void conf_listener_add(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *address,
                       const struct conf_scalar *guard);

/* hooks.c: one more argument of a hook's command. */
void conf_hook_add(struct conf_reader *r, const struct conf_key *key, enum conf_hook hook,
                   const struct conf_scalar *item);

/* servers.c */
void conf_servers_set(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value);

/* parse.c: YAML text into reader->conf. Problems are collected. */
void conf_parse_yaml(struct conf_reader *r, struct zkp_slice text);

/* check.c: rules over several keys; only for values that were understood. */
void conf_check(struct conf_reader *r);

/* secret.c: reads super_file into conf->super. */
void conf_secret_read(struct conf_reader *r);

/* alloc.c: zeroed memory or NULL; released with free(). Alone in its file so that a test can put its
 * own in place and fail the n-th call. */
void *conf_zalloc(size_t bytes);

/* load.c */
enum conf_secrets { CONF_SECRETS_SKIP, CONF_SECRETS_READ };
/* As conf_load, over bytes; `name` stands for the file in messages. With CONF_SECRETS_SKIP no file is
 * touched (fuzzing). */
enum rc conf_parse_text(const char *name, struct zkp_slice text, enum conf_secrets secrets,
                        struct conf **ret_conf, struct conf_problems *ret_problems) RC_MUST_CHECK;

#endif
