/* Shared by admin.c, admin_conns.c, admin_routes.c, admin_reply.c, admin_check.c and admin_body.c only.
 * Control thread. */
#ifndef PROXY_ADMIN_ADMIN_INT_H
#define PROXY_ADMIN_ADMIN_INT_H

/* A path is as long as the caller likes: the log has this much of it. */
#define PX_ADMIN_LOGGED_PATH 128

#include <event2/http.h>
#include <jansson.h>

#include "proxy/admin/admin.h"

/* One request whose answer is still to come. Owned by admin->calls; freed when answered, timed out or when
 * the client went away. The evhttp request is evhttp's again as soon as it is answered. */
struct px_admin_call {
    struct px_admin_call *prev;
    struct px_admin_call *next;
    struct px_admin *admin;
    uint64_t id;
    struct evhttp_request *request;
    struct event *deadline;
};

struct px_admin_conn;

struct px_admin {
    struct event_base *base; /* borrowed */
    const struct px_admin_ops *ops;
    void *context;
    struct evhttp *http;
    uint16_t port;
    uint64_t last_id;
    struct px_admin_call *calls;
    uint32_t call_count;             /* <= PX_ADMIN_PENDING_MAX */
    struct evconnlistener *listener; /* http's */
    struct event *sweep;
    struct px_admin_conn *conns;
    uint32_t conn_count;
    int64_t request_ms; /* PX_ADMIN_REQUEST_MS but in tests; likewise the next one */
    int64_t answer_ms;
};

/* What a handler gets: the route's parameters and the decoded body. */
struct px_admin_request {
    struct px_admin_reply reply;
    enum px_admin_command command;
    int32_t server_id;
    struct px_admin_args args;
};

/* Returns false when the integrator has no such op: 501. */
typedef bool px_admin_handler(struct px_admin *admin, const struct px_admin_request *request);

struct px_admin_route {
    enum evhttp_cmd_type method;
    const char *path; /* compared byte by byte; '*' stands for a server id */
    px_admin_handler *handler;
    enum px_admin_command command; /* for the command handler */
    bool is_open;                  /* probes and scrapers: any Host header will do */
};

/* admin_conns.c. Listens, and hands its connections to admin->http; RC_IO: errno says why. */
enum rc px_admin_listen(struct px_admin *admin, const struct conf_address *address) RC_MUST_CHECK;
void px_admin_conns_free(struct px_admin *admin); /* after evhttp_free */
/* Its request is complete; from here on it is our turn. */
void px_admin_conn_asks(struct px_admin *admin, struct evhttp_request *request);
size_t px_admin_unread(const struct px_admin *admin); /* bytes of answers that nobody has read yet */

/* admin_routes.c. The route for path and method; NULL: none. *ret_allowed are the methods the path has
 * (EVHTTP_REQ_ bits), 0 when the path is unknown. */
const struct px_admin_route *px_admin_route_find(const char *path, enum evhttp_cmd_type method,
                                                 int32_t *ret_server_id, unsigned *ret_allowed);

/* admin_check.c. What a request must not be: RC_OK, or the error that was sent. */
enum rc px_admin_check(const struct px_admin *admin, struct evhttp_request *request,
                       const struct px_admin_route *route) RC_MUST_CHECK;
/* Pure parts of it, for tests. A Host header that names this machine by address or as localhost; port 0: any
 * port will do. */
bool px_admin_host_is_local(const char *host, uint16_t port);
/* Origin is the page's own origin as the Host header gives it. */
bool px_admin_origin_is_ours(const char *origin, const char *host);

/* admin_body.c. Body of a POST; empty (or white space) is the same as {}. RC_MALFORMED: no JSON object;
 * RC_INVALID: unknown key, wrong type; RC_TOO_BIG: text or list over its limit. Pure; any bytes will do. */
enum rc px_admin_body_parse(const char *bytes, size_t len, struct px_admin_args *ret_args,
                            struct err *err) RC_MUST_CHECK;

/* The same file: a whole number of a query. RC_INVALID: it is none, or too large. Pure. */
enum rc px_admin_query_number(const char *text, uint64_t *ret_number) RC_MUST_CHECK;

/* admin_reply.c. Registers a request that will be answered by id. NULL: too many wait, or no memory; then
 * nothing was sent. */
struct px_admin_call *px_admin_call_new(struct px_admin *admin, struct evhttp_request *request);
void px_admin_calls_free(struct px_admin *admin); /* after evhttp_free */
/* Answers at once, without a call. */
void px_admin_send_error(struct evhttp_request *request, int http_status, const char *code,
                         const char *message, const char *hint);
/* Answers a call with text of the given type; body is emptied. */
void px_admin_reply_buffer(struct px_admin_reply reply, int http_status, const char *content_type,
                           struct evbuffer *body);

#endif
