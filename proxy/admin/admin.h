/* The admin port: HTTP/1.1 on the control thread's event_base (design.md §2, §6). Routes, checks and JSON
 * are here; what the answers say comes from the integrator's table of ops. Nothing here knows the plan,
 * the workers or the schema: messages are printed by walking their descriptors (pb_json.h).
 * Everything runs on the control thread. Not here: TLS and access control; conf lets it listen on loopback
 * only until they exist. */
#ifndef PROXY_ADMIN_ADMIN_H
#define PROXY_ADMIN_ADMIN_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proxy/admin/prom.h"
#include "zkproto/err.h"

struct event_base;
struct px_admin;

#define PX_ADMIN_BODY_MAX         (64u * 1024u) /* a POST has a plan id and some finding ids: 64 KiB is plenty */
#define PX_ADMIN_PENDING_MAX      48u           /* requests that wait for an answer; more get 503 */
#define PX_ADMIN_CONNECTIONS_MAX  64u           /* a scraper, dashboards, people: more have something wrong */
#define PX_ADMIN_REQUEST_MS       15000 /* from the connection, or the last answer, to the end of a request */
#define PX_ADMIN_ANSWER_MS        15000 /* until an answer is read */
#define PX_ADMIN_UNREAD_MAX       (32u * 1024u * 1024u) /* of all; then only probes and scrapers are answered */
#define PX_ADMIN_REPLY_TIMEOUT_MS 10000u                /* an op that has not answered by then: 504 */
#define PX_ADMIN_PLAN_ID_MAX      64u
#define PX_ADMIN_PHASE_MAX        32u
#define PX_ADMIN_ACCEPT_MAX       64u /* findings accepted by name in one request */
#define PX_ADMIN_FINDING_ID_MAX   64u
#define PX_ADMIN_SERVERS_MAX      64u
#define PX_ADMIN_FROM_MAX         1024u

/* Names one request that waits for its answer. Plain data: copy it, keep it, send it to a worker and back.
 * It owns nothing; an answer to a request that is over (answered, client gone, timed out) is dropped, but
 * not after px_admin_free. */
struct px_admin_reply {
    struct px_admin *admin;
    uint64_t id;
};

/* Each op must lead to exactly one of these, at once or later within PX_ADMIN_REPLY_TIMEOUT_MS. Arguments
 * are borrowed for the call. */

/* 200 with the message as JSON. */
void px_admin_reply_message(struct px_admin_reply reply, const ProtobufCMessage *message);
/* 200 with this text, which is JSON already. */
void px_admin_reply_json(struct px_admin_reply reply, const char *text);
/* 200 with {"message": text}: the command was taken, or had been taken before (confirm is idempotent). */
void px_admin_reply_done(struct px_admin_reply reply, const char *text);
/* Plain text with any status, for healthz and readyz. */
void px_admin_reply_text(struct px_admin_reply reply, int http_status, const char *text);
/* {"error": {"code", "message", "hint"}}. code: one word for programs ("wrong_phase"); message: what is
 * wrong; hint: what to do about it, "" when there is nothing to say. */
void px_admin_reply_error(struct px_admin_reply reply, int http_status, const char *code, const char *message,
                          const char *hint);
/* The same from a result: its code gives the HTTP status (RC_REFUSED 409, RC_NOT_FOUND 404, RC_INVALID and
 * RC_MALFORMED 400, RC_AGAIN 503, RC_TIMEOUT 504, other 500) and the error code in lower case. */
void px_admin_reply_rc(struct px_admin_reply reply, const struct err *err, const char *hint);
/* 200 with {"id": id, "files": [{"name", "text"}, …]}: the answer to joiner-config. Names the command line
 * accepts: zoo.cfg, zoo.cfg.dynamic, myid. */
struct px_admin_file {
    const char *name;
    const char *text;
};
void px_admin_reply_files(struct px_admin_reply reply, int32_t server_id, const struct px_admin_file *files,
                          size_t count);

enum px_admin_command {
    PX_ADMIN_START,
    PX_ADMIN_CONFIRM,
    PX_ADMIN_PAUSE,
    PX_ADMIN_RESUME,
    PX_ADMIN_RETRY,
    PX_ADMIN_ROLLBACK,
    PX_ADMIN_COMMAND_COUNT
};
const char *px_admin_command_name(enum px_admin_command command); /* "start" … */

/* `since` comes from a GET's query ("?since=17"), the rest from the body of a POST, {"plan_id": "…", "phase":
 * "…", "accept": ["…", …], "servers": [1, …], "from": "/…"}, every key optional here; what a command needs is
 * the op's to check. "" and 0 when absent. */
struct px_admin_args {
    char plan_id[PX_ADMIN_PLAN_ID_MAX];
    char phase[PX_ADMIN_PHASE_MAX];
    uint32_t accept_count;
    char accept[PX_ADMIN_ACCEPT_MAX][PX_ADMIN_FINDING_ID_MAX];
    uint32_t server_count;
    int32_t servers[PX_ADMIN_SERVERS_MAX]; /* ids */
    char from[PX_ADMIN_FROM_MAX];          /* a znode's path */
    uint64_t since;                        /* the last event the caller has */
};

/* What the integrator offers. `context` is px_admin_new's. A NULL op answers 501. Called on the control
 * thread, out of the loop, never from inside another op. args are borrowed for the call. */
struct px_admin_ops {
    void (*status)(void *context, struct px_admin_reply reply);
    void (*plan)(void *context, struct px_admin_reply reply);
    void (*preflight)(void *context, struct px_admin_reply reply);
    void (*servers)(void *context, struct px_admin_reply reply);
    void (*sessions)(void *context, struct px_admin_reply reply); /* asks the workers: answers later */
    void (*report)(void *context, struct px_admin_reply reply);
    void (*events)(void *context, struct px_admin_reply reply, const struct px_admin_args *args);
    void (*healthz)(void *context, struct px_admin_reply reply);
    void (*readyz)(void *context, struct px_admin_reply reply);
    /* Writes all families at once; the text is sent when it returns. */
    void (*metrics)(void *context, struct px_prom *prom);
    void (*joiner_config)(void *context, struct px_admin_reply reply, int32_t server_id);
    void (*command)(void *context, struct px_admin_reply reply, enum px_admin_command command,
                    const struct px_admin_args *args);
    void (*drain)(void *context, struct px_admin_reply reply, int32_t server_id);
    void (*undrain)(void *context, struct px_admin_reply reply, int32_t server_id);
    void (*verify)(void *context, struct px_admin_reply reply, const struct px_admin_args *args);
    void (*verification)(void *context, struct px_admin_reply reply); /* how it stands, or went */
    void (*reload)(void *context, struct px_admin_reply reply);
};

/* Listens on address (numeric host or "localhost"; port 0 = any free one, see px_admin_port). base, ops and
 * context are borrowed and must outlive the admin. RC_IO: the address can't be bound, the text says why. */
enum rc px_admin_new(struct event_base *base, const struct conf_address *address,
                     const struct px_admin_ops *ops, void *context, struct px_admin **ret_admin,
                     struct err *err) RC_MUST_CHECK;
/* The port it listens on. */
uint16_t px_admin_port(const struct px_admin *admin);
/* Closes every connection, also those with a request that waits; before event_base_free. NULL is fine. */
void px_admin_free(struct px_admin *admin);

#endif
