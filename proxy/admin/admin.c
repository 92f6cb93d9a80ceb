/* The evhttp server of the admin port: set-up, limits, and the way of one request (see admin.h). */
#include "proxy/admin/admin.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proxy/admin/admin_int.h"
#include "proxy/log.h"
#include "zkproto/assert.h"

#define HEADERS_MAX_BYTES 8192
/* Above our own limit, because evhttp answers 413 in HTML and below it we answer in JSON. */
#define EVHTTP_BODY_MAX_BYTES (4 * (ev_ssize_t)PX_ADMIN_BODY_MAX)
#define READ_TIMEOUT_S        10 /* between two reads of one client */

static const char *method_names(unsigned allowed)
{
    if (allowed == (EVHTTP_REQ_GET | EVHTTP_REQ_POST))
        return "GET, POST";
    return allowed == EVHTTP_REQ_POST ? "POST" : "GET"; /* the only ones routes have */
}

static void send_method_error(struct evhttp_request *request, unsigned allowed)
{
    char hint[32];

    (void)evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", method_names(allowed));
    (void)snprintf(hint, sizeof hint, "use %s", method_names(allowed));
    px_admin_send_error(request, 405, "method_not_allowed", "this path does not take this method", hint);
}

/* The body into args. False: answered already. */
static bool read_args(struct evhttp_request *request, struct px_admin_args *ret_args)
{
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t len = evbuffer_get_length(body);
    const char *bytes = len > 0 ? (const char *)evbuffer_pullup(body, -1) : "";
    struct err err;

    if (bytes == NULL) {
        px_admin_send_error(request, 503, "nomem", "out of memory", "");
        return false;
    }
    if (px_admin_body_parse(bytes, len, ret_args, &err) != RC_OK) {
        px_admin_send_error(request, 400, "bad_body", err.text, "send a JSON object or nothing");
        return false;
    }
    return true;
}

/* The query of a GET into args; keys that no call has are ignored. False: answered already. */
static bool read_query(struct evhttp_request *request, struct px_admin_args *ret_args)
{
    const char *query = evhttp_uri_get_query(evhttp_request_get_evhttp_uri(request));
    struct evkeyvalq pairs;
    const char *since;
    bool is_good;

    if (query == NULL)
        return true;
    if (evhttp_parse_query_str(query, &pairs) != 0) {
        px_admin_send_error(request, 400, "bad_query", "the query is not understood", "KEY=VALUE&...");
        return false;
    }
    since = evhttp_find_header(&pairs, "since");
    is_good = since == NULL || px_admin_query_number(since, &ret_args->since) == RC_OK;
    evhttp_clear_headers(&pairs);
    if (!is_good)
        px_admin_send_error(request, 400, "bad_query", "since is not a number",
                            "give the `last` of an answer");
    return is_good;
}

static void dispatch(struct px_admin *admin, struct evhttp_request *request,
                     const struct px_admin_route *route, int32_t server_id)
{
    struct px_admin_request call = {.command = route->command, .server_id = server_id};
    struct px_admin_call *pending;

    if (route->method == EVHTTP_REQ_POST && !read_args(request, &call.args))
        return;
    if (route->method == EVHTTP_REQ_GET && !read_query(request, &call.args))
        return;
    if (!route->is_open && px_admin_unread(admin) > PX_ADMIN_UNREAD_MAX) {
        px_admin_send_error(request, 503, "busy", "answers that nobody reads take up the memory",
                            "try again");
        return;
    }
    pending = px_admin_call_new(admin, request);
    if (pending == NULL) {
        px_admin_send_error(request, 503, "busy", "too many requests wait for an answer", "try again");
        return;
    }
    call.reply = (struct px_admin_reply){.admin = admin, .id = pending->id};
    if (!route->handler(admin, &call))
        px_admin_reply_error(call.reply, 501, "not_implemented", "this version does not have this call",
                             "see the release notes; status.can lists the calls that are allowed now");
}

/* An audit line for every attempt to change something, also for the refused ones. */
static void audit(struct evhttp_request *request)
{
    char *peer = NULL;
    ev_uint16_t port = 0;

    evhttp_connection_get_peer(evhttp_request_get_connection(request), &peer, &port);
    px_log(PX_LOG_INFO, "admin.call", "method=POST path=%.*s who=%s:%u", PX_ADMIN_LOGGED_PATH,
           evhttp_request_get_uri(request), peer != NULL ? peer : "unknown", (unsigned)port);
}

static void on_request(struct evhttp_request *request, void *argument)
{
    struct px_admin *admin = argument;
    enum evhttp_cmd_type method = evhttp_request_get_command(request);
    const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
    const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;
    unsigned allowed = 0;
    const struct px_admin_route *route;
    int32_t server_id = 0;

    px_admin_conn_asks(admin, request);
    if (method == EVHTTP_REQ_POST)
        audit(request);
    /* "//v1/status" parses as host "v1" (facts: evhttp): only paths are served, no absolute forms. */
    if (path == NULL || evhttp_uri_get_host(uri) != NULL || evhttp_uri_get_scheme(uri) != NULL) {
        px_admin_send_error(request, 400, "bad_uri", "the request target must be a path", "");
        return;
    }
    route = px_admin_route_find(path, method, &server_id, &allowed);
    if (route == NULL && allowed == 0)
        px_admin_send_error(request, 404, "no_such_path", "this path does not exist",
                            "GET /v1/status is the place to start");
    else if (route == NULL)
        send_method_error(request, allowed);
    else if (px_admin_check(admin, request, route) == RC_OK)
        dispatch(admin, request, route, server_id);
}

static uint16_t bound_port(const struct px_admin *admin)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;

    if (getsockname(evconnlistener_get_fd(admin->listener), (struct sockaddr *)&address, &len) != 0)
        return 0;
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)(void *)&address)->sin6_port)
                                         : ntohs(((struct sockaddr_in *)(void *)&address)->sin_port);
}

static struct evhttp *http_new(struct px_admin *admin)
{
    struct evhttp *http = evhttp_new(admin->base);

    if (http == NULL)
        return NULL;
    evhttp_set_max_headers_size(http, HEADERS_MAX_BYTES);
    evhttp_set_max_body_size(http, EVHTTP_BODY_MAX_BYTES);
    evhttp_set_timeout(http, READ_TIMEOUT_S);
    evhttp_set_default_content_type(http, NULL); /* each answer sets its own */
    /* A method outside this set is answered in HTML by evhttp; ours is 405 in JSON. */
    evhttp_set_allowed_methods(http, EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | EVHTTP_REQ_PUT |
                                         EVHTTP_REQ_DELETE | EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
                                         EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
    evhttp_set_gencb(http, on_request, admin);
    return http;
}

enum rc px_admin_new(struct event_base *base, const struct conf_address *address,
                     const struct px_admin_ops *ops, void *context, struct px_admin **ret_admin,
                     struct err *err)
{
    struct px_admin *admin = calloc(1, sizeof *admin);

    if (admin == NULL)
        return err_set(err, RC_NOMEM, "admin port: %s", rc_text(RC_NOMEM));
    admin->base = base;
    admin->ops = ops;
    admin->context = context;
    admin->http = http_new(admin);
    if (admin->http == NULL) {
        px_admin_free(admin);
        return err_set(err, RC_NOMEM, "admin port: %s", rc_text(RC_NOMEM));
    }
    if (px_admin_listen(admin, address) != RC_OK) {
        enum rc rc = err_set(err, RC_IO, "admin port: cannot listen on %s port %u: %s", address->host,
                             (unsigned)address->port, strerror(errno));

        px_admin_free(admin);
        return rc;
    }
    admin->port = bound_port(admin);
    *ret_admin = admin;
    return RC_OK;
}

uint16_t px_admin_port(const struct px_admin *admin)
{
    return admin->port;
}

void px_admin_free(struct px_admin *admin)
{
    if (admin == NULL)
        return;
    if (admin->http != NULL)
        evhttp_free(admin->http); /* closes every connection: their close callbacks end the calls */
    px_admin_calls_free(admin);
    px_admin_conns_free(admin);
    free(admin);
}
