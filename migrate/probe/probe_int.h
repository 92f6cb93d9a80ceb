/* Between the files of the prober: one question at a time (probe_ask.c: a word on a socket; probe_admin.c:
 * the same question to AdminServer), its answer understood (probe_parse.c, probe_json.c), schedule and health
 * (probe.c). */
#ifndef MIGRATE_PROBE_INT_H
#define MIGRATE_PROBE_INT_H

#include <event2/event.h>

#include "migrate/probe/probe.h"

struct evhttp_connection;

/* cons of a server with 10,000 connections is 2.5 MB; more is cut off as not understood. */
#define PROBE_ANSWER_MAX (8u * 1024u * 1024u)

/* What came back, understood. One per prober; the answer given to the owner points into it. */
struct probe_parsed {
    struct zkp_srvr srvr;
    struct mig_mntr mntr;
    struct zkp_conf_answer conf;
    int64_t jute_max_bytes;
};

/* The question under way. */
struct probe_question {
    enum zkp_word word; /* ZKP_WORD_NONE = no question */
    int64_t asked_at_ms;
    int64_t deadline_ms;
    struct mig_address address;
    int fd;
    struct event *io;
    uint8_t *text; /* the answer so far; grows, NUL-terminated at the end */
    uint32_t length;
    uint32_t capacity;
    struct evhttp_connection *http;
    uint32_t path; /* which of the word's AdminServer paths is asked */
    bool is_over;  /* kind and reason are set; the prober reports it */
    bool from_admin_server;
    enum mig_probe_kind kind;
    char reason[128];
};

enum probe_slot {
    PROBE_SLOT_SRVR,
    PROBE_SLOT_CONF,
    PROBE_SLOT_MNTR,
    PROBE_SLOT_CONS,
    PROBE_SLOT_HASH,
    PROBE_SLOT_PROPERTIES,
    PROBE_SLOT_COUNT
};

struct mig_prober {
    struct event_base *base;
    struct mig_address address;
    struct mig_prober_options options;
    struct mig_prober_callbacks callbacks;
    struct event *timer;
    int32_t interval_ms[PROBE_SLOT_COUNT]; /* 0 = never by itself */
    int64_t due_ms[PROBE_SLOT_COUNT];      /* INT64_MAX = not */
    struct probe_question question;
    struct probe_parsed *parsed; /* big: 64 servers */
    enum mig_health health;
    char health_reason[128];
    uint32_t bad_count; /* answers in a row, up to the limits */
    uint32_t good_count;
    bool is_reporting;
    bool is_freed; /* by the owner, inside one of its callbacks */
};

/* probe.c: the question has ended; reported in the next turn of the loop, outside of libevent's callbacks. */
void probe_over(struct mig_prober *prober, enum mig_probe_kind kind, const char *detail);

/* probe_ask.c */
void probe_ask(struct mig_prober *prober, enum zkp_word word, int64_t now_ms);
void probe_question_done(struct mig_prober *prober); /* closes and frees all of it */

/* probe_admin.c: RC_NOT_FOUND when AdminServer has nothing for this word or no port is known; RC_FULL: this
 * host has no socket for it, errno says what is short. */
enum rc probe_ask_admin(struct mig_prober *prober) RC_MUST_CHECK;
void probe_admin_done(struct probe_question *question);

/* probe_parse.c: a word's text. RC_MALFORMED: not what this word gives. Pure. */
enum rc probe_parse_text(enum zkp_word word, struct zkp_slice text,
                         struct probe_parsed *parsed) RC_MUST_CHECK;
void probe_mntr_init(struct mig_mntr *mntr); /* all keys absent */

/* probe_json.c: AdminServer's answers. RC_AGAIN: it says that it does not serve. Pure but for malloc. */
enum rc probe_parse_stats(struct zkp_slice json, struct zkp_srvr *srvr) RC_MUST_CHECK;
enum rc probe_parse_monitor(struct zkp_slice json, struct mig_mntr *mntr) RC_MUST_CHECK;
enum rc probe_parse_configuration(struct zkp_slice json, struct zkp_conf_answer *conf) RC_MUST_CHECK;
/* What the longest request may have: jute.maxbuffer as Java's Integer.getInteger reads it, or its default. */
enum rc probe_parse_properties(struct zkp_slice json, int64_t *ret_jute_max_bytes) RC_MUST_CHECK;
/* Voters only, without version: has_version stays false. */
enum rc probe_parse_voting_view(struct zkp_slice json, struct zkp_conf_answer *conf) RC_MUST_CHECK;

#endif
