/* Every message between threads: direction, fields, owner, answer (style.md §8). Plain data, except that a
 * message may own a descriptor, a directive reference or an array, which px_msg_free gives back unless the
 * receiver took them (set the field to -1 / NULL). */
#ifndef PROXY_NET_MSG_H
#define PROXY_NET_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/net/directive.h"
#include "proxy/net/origins.h"
#include "proxy/session/session.h"
#include "zkproto/connect.h"
#include "zkproto/opcode.h"
#include "zkproto/word.h"

enum px_msg_kind {
    PX_MSG_DIRECTIVE,  /* control -> worker: apply it; no answer (shared.h shows the version) */
    PX_MSG_ADOPT,      /* control -> worker: an accepted client */
    PX_MSG_LIST,       /* control -> worker: answered by SESSIONS */
    PX_MSG_STOP,       /* control -> worker: close everything and end the thread */
    PX_MSG_RELEASE,    /* worker -> worker: let go of a session; answered by RELEASED */
    PX_MSG_RELEASED,   /* worker -> worker */
    PX_MSG_KICK_PROBE, /* worker -> control: a connect waits and no server qualifies; probe now */
    PX_MSG_WORD,       /* worker -> control: a four-letter word to answer; the descriptor goes along */
    PX_MSG_SESSIONS,   /* worker -> control: answer to LIST */
    PX_MSG_COUNT
};

struct px_adopt {
    int fd; /* owned; non-blocking, close-on-exec */
    struct px_address peer;
    enum conf_guard config_node;
    uint32_t listener;        /* index in conf->listeners */
    bool is_own;              /* a session of the daemon itself */
    struct px_origin *origin; /* its share in it; NULL when is_own */
};

/* One session for /v1/sessions, cons and stat. Plain. */
struct px_session_row {
    int64_t session_id; /* 0 = not established */
    struct px_address client;
    uint32_t slot; /* PX_SLOT_NONE = no server */
    int32_t timeout_ms;
    const char *state; /* constant text: "active", "held", … */
    bool is_canary;
    uint32_t outstanding_count;
    int64_t last_zxid;
    int32_t last_xid;
    enum zkp_op_index last_op;
    uint64_t received_count; /* requests */
    uint64_t sent_count;     /* replies and events */
    int64_t established_ms;  /* CLOCK_MONOTONIC; 0 = not established */
    int64_t heard_ms;        /* CLOCK_MONOTONIC */
};

struct px_msg {
    struct px_msg *next; /* the mailbox's */
    enum px_msg_kind kind;
    uint32_t worker; /* sender, when a worker sends */
    union {
        struct px_directive *directive; /* owned reference */
        struct px_adopt adopt;
        struct {
            uint64_t request_id;
            int64_t deadline_ms; /* a worker that gets to it later does not answer */
        } list;
        struct {
            int64_t session_id;
            uint8_t password[ZKP_PASSWORD_LEN]; /* what the newcomer presented */
            bool has_password;                  /* it presented 16 bytes */
            uint64_t holder_token;
            uint64_t newcomer_token;
        } release;
        struct {
            int64_t session_id;
            uint64_t newcomer_token;
            enum px_password judged; /* FITS: it is free; WRONG: the holder keeps it; UNDECIDED: ask again */
        } released;
        struct {
            int fd; /* owned; the word, and what came in the same packet behind it, was read */
            struct px_address peer;
            enum zkp_word word;
            uint32_t listener;
            struct px_origin *origin; /* owned: given back when the socket is closed */
        } word;
        struct {
            uint64_t request_id;
            uint32_t count;
            struct px_session_row *rows; /* owned */
        } sessions;
    };
};

/* Zeroed, of that kind. NULL when out of memory. */
struct px_msg *px_msg_new(enum px_msg_kind kind);
/* Frees it and what it still owns. NULL is fine. */
void px_msg_free(struct px_msg *msg);

#endif
