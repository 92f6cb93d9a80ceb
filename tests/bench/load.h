/* bench_load, the generator: many sessions on one thread and one epoll loop. A mode (load_run.c, load_hold.c,
 * load_connect.c, load_reattach.c) owns the sequence; load_session.c attaches sessions and cuts frames;
 * load_flight.c issues requests and pairs replies. Everything unexpected ends the run with exit code 1 and a
 * text: figures of a run that lost something are worth nothing. */
#ifndef TESTS_BENCH_LOAD_H
#define TESTS_BENCH_LOAD_H

#include "tests/bench/clock.h"
#include "tests/bench/histogram.h"
#include "tests/bench/stream.h"
#include "zkproto/connect.h"
#include "zkproto/header.h"

#define LOAD_ADDRESSES_MAX     2u
#define LOAD_SESSIONS_MAX      100000u
#define LOAD_OUTSTANDING_MAX   1024u
#define LOAD_PATH_MAX          32u
#define LOAD_WATCHES_AGAIN_MAX 16u                   /* reattach: one frame on the stack */
#define LOAD_VALUE_MAX         (48u * 1024u)         /* a setData fits into one batch of load_flight.c */
#define LOAD_STALL_NS          (10 * BENCH_NS_PER_S) /* no answer for so long: something was lost */

enum load_op { LOAD_GET, LOAD_SET, LOAD_EXISTS, LOAD_OP_COUNT };

struct load_options {
    const char *mode;
    const char *op_name; /* get, set, exists, mixed */
    struct sockaddr_in addresses[LOAD_ADDRESSES_MAX];
    uint32_t address_count;
    uint32_t sessions;
    uint32_t outstanding;
    uint32_t in_flight; /* connects */
    uint32_t paths;
    uint32_t value_bytes;
    uint32_t watches; /* per session */
    uint32_t set_percent;
    enum load_op op; /* of the others */
    int32_t timeout_ms;
    double rate;       /* requests/s of all sessions, 0 = closed loop */
    uint64_t requests; /* exactly so many instead of a time; 0 = the time */
    uint32_t rounds;
    uint32_t probes; /* hold: sessions that read all the time */
    double probe_ms; /* hold: pause between two reads of one */
    int64_t warmup_ns;
    int64_t measure_ns;
    pid_t cpu_of; /* 0 = nobody */
    bool is_bare; /* the paths are there already, or need not be */
};

enum load_state { LOAD_CLOSED, LOAD_DIALING, LOAD_ATTACHING, LOAD_ATTACHED };

/* Owned by load->sessions. */
struct load_session {
    struct bench_stream stream;
    enum load_state state;
    int parked_fd; /* the old connection while the session attaches elsewhere; -1 = none */
    int64_t id;
    uint8_t password[ZKP_PASSWORD_LEN];
    int64_t dialed_ns;
    int64_t sent_ns;
    int32_t next_xid;
    uint32_t due;    /* open loop: requests that are due and not issued */
    uint64_t issued; /* since the pacer began: which of its due times comes next */
    uint32_t first;  /* ring of flights: first, count */
    uint32_t count;
    int64_t *flights; /* when each request was sent, or should have been */
    int64_t worst_ns; /* hold: the longest answer since the last report */
};

/* Hands out due times: request n of all is due at start + n * interval and belongs to session n % sessions.
 */
struct load_pacer {
    int64_t start_ns;
    double interval_ns; /* 0 = closed loop: a request is due when the one before is answered */
    uint64_t handed_out;
    uint32_t sessions;
};

/* A request frame, ready but for its xid. */
struct load_frame {
    uint8_t *ptr;
    uint32_t len;
};

struct load;

/* What a mode wants to hear. Anything but RC_OK ends the run, with load->err telling why. */
struct load_mode {
    enum rc (*attached)(struct load *load, struct load_session *session);
    enum rc (*replied)(struct load *load, struct load_session *session,
                       const struct zkp_reply_header *header);
    enum rc (*lost)(struct load *load, struct load_session *session);    /* its connection ended */
    enum rc (*drained)(struct load *load, struct load_session *session); /* all that came in one recv was
                                                                            told; may be NULL */
};

struct load {
    struct load_options options;
    struct bench_loop *loop;
    const struct load_mode *mode;
    void *mode_state;          /* the mode's own */
    struct sockaddr_in target; /* where sessions dial now */
    struct load_session *sessions;
    struct load_frame *frames[LOAD_OP_COUNT]; /* per path */
    struct load_pacer pacer;
    uint32_t next_to_dial;
    uint32_t dialing;  /* connects in flight */
    uint32_t attached; /* sessions that are */
    int64_t now_ns;    /* of the present event */
    int64_t heard_ns;  /* the last answer of anybody */
    int64_t pinged_ns; /* the last look at who needs a ping */
    uint64_t random;
    uint64_t events; /* of watches */
    bool stdin_ready;
    struct err err;
    struct bench_histogram latency; /* ns */
    struct bench_histogram connects;
};

/* --- load_session.c --- */

/* RC_NOMEM, RC_IO. */
enum rc load_init(struct load *load, const struct load_options *options) RC_MUST_CHECK;
void load_done(struct load *load);
/* One wait and its events; due pings. Fails after LOAD_STALL_NS without an answer while one is awaited. */
enum rc load_turn(struct load *load, int64_t timeout_ns) RC_MUST_CHECK;
/* Begins connects until options.in_flight are under way or all sessions had theirs. */
enum rc load_dial_more(struct load *load) RC_MUST_CHECK;
/* Connects all sessions and waits for it. */
enum rc load_attach_all(struct load *load) RC_MUST_CHECK;
/* Connects the session to load->target, with the id it has, if any. */
enum rc load_dial(struct load *load, struct load_session *session) RC_MUST_CHECK;
enum rc load_send(struct load *load, struct load_session *session, struct zkp_slice bytes) RC_MUST_CHECK;
/* Ends the connection without a word to the server. */
void load_close(struct load *load, struct load_session *session);
/* The session's connection is set aside, open, until it is attached anew. */
void load_park(struct load *load, struct load_session *session);
/* Is any answer outstanding? Walks all sessions. */
bool load_is_awaiting(const struct load *load);
/* "session 7: text" into load->err. */
enum rc load_fail(struct load *load, const struct load_session *session, enum rc rc, const char *text);

/* --- load_frames.c --- */

enum rc load_frames_init(struct load *load) RC_MUST_CHECK;
void load_frames_done(struct load *load);
void load_path(uint32_t path, char text[LOAD_PATH_MAX]);
/* exists with a watch; the frame is written to buf. */
struct zkp_slice load_watch_frame(int32_t xid, uint32_t path, uint8_t *buf, uint32_t capacity);
/* Creates the paths over the first session; those that are there already get the value. */
enum rc load_make_paths(struct load *load) RC_MUST_CHECK;

/* --- load_flight.c --- */

void load_pacer_start(struct load *load, uint32_t sessions, double interval_ns);
/* Issues what is due and fits. */
enum rc load_issue_due(struct load *load, struct load_session *session) RC_MUST_CHECK;
/* Open loop: hands out what is due by now and issues what fits; *ret_wait_ns is the time until the next. */
enum rc load_pace(struct load *load, int64_t *ret_wait_ns) RC_MUST_CHECK;
/* Pairs a reply with the oldest flight; *ret_latency_ns counts from its due time. */
enum rc load_land(struct load *load, struct load_session *session, const struct zkp_reply_header *header,
                  int64_t *ret_latency_ns) RC_MUST_CHECK;
/* Sends closeSession. */
enum rc load_say_bye(struct load *load, struct load_session *session) RC_MUST_CHECK;
/* Waits for what is outstanding, closes every session (so that a server need not let them expire in the
 * middle of the next measurement) and waits for the answers. */
enum rc load_farewell(struct load *load) RC_MUST_CHECK;
/* Marks `count` more requests, whatever they are, as sent now. */
void load_take_off(struct load *load, struct load_session *session, uint32_t count);

/* --- modes: run to the end and print one JSON object per report --- */

enum rc load_run(struct load *load) RC_MUST_CHECK;
enum rc load_hold(struct load *load) RC_MUST_CHECK;
enum rc load_connect(struct load *load) RC_MUST_CHECK;
enum rc load_reattach(struct load *load) RC_MUST_CHECK;

/* "name": {"count": …, "p50": …, …} in microseconds. */
void load_print_histogram(const char *name, const struct bench_histogram *histogram);

#endif
