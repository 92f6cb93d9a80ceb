/* Requests that wait for their answer, and the answers (see admin.h). An answer names its request by id, so
 * one that comes after the client or the deadline has gone finds nothing and is dropped. */
#include <ctype.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "proxy/admin/admin_int.h"
#include "proxy/admin/pb_json.h"
#include "proxy/log.h"
#include "zkproto/assert.h"

#define JSON_TYPE "application/json"

static void call_free(struct px_admin_call *call)
{
    DL_DELETE(call->admin->calls, call);
    call->admin->call_count--;
    event_free(call->deadline);
    free(call);
}

/* The client went away first. evhttp takes an unanswered request off the connection before it frees the
 * connection, and then nobody but us knows the request. */
static void on_close(struct evhttp_connection *connection, void *argument)
{
    struct px_admin_call *call = argument;

    (void)connection;
    if (evhttp_request_get_connection(call->request) == NULL)
        evhttp_request_free(call->request);
    call_free(call);
}

static void on_deadline(evutil_socket_t fd, short what, void *argument)
{
    struct px_admin_call *call = argument;
    struct px_admin_reply reply = {.admin = call->admin, .id = call->id};

    (void)fd;
    (void)what;
    px_admin_reply_error(reply, 504, "timeout", "the answer did not come in time", "try again");
}

struct px_admin_call *px_admin_call_new(struct px_admin *admin, struct evhttp_request *request)
{
    const struct timeval timeout = {.tv_sec = PX_ADMIN_REPLY_TIMEOUT_MS / 1000,
                                    .tv_usec = PX_ADMIN_REPLY_TIMEOUT_MS % 1000 * 1000};
    struct px_admin_call *call = NULL;

    if (admin->call_count < PX_ADMIN_PENDING_MAX)
        call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->deadline = evtimer_new(admin->base, on_deadline, call);
    if (call->deadline == NULL || evtimer_add(call->deadline, &timeout) != 0) {
        if (call->deadline != NULL)
            event_free(call->deadline);
        free(call);
        return NULL;
    }
    call->admin = admin;
    call->request = request;
    call->id = ++admin->last_id;
    DL_APPEND(admin->calls, call);
    admin->call_count++;
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_close, call);
    return call;
}

void px_admin_calls_free(struct px_admin *admin)
{
    while (admin->calls != NULL)
        call_free(admin->calls);
}

/* Ends the call; the request is the caller's to answer. NULL: it is over already. */
static struct evhttp_request *take_request(struct px_admin_reply reply)
{
    struct px_admin_call *call;
    struct evhttp_request *request;

    DL_SEARCH_SCALAR(reply.admin->calls, call, id, reply.id);
    if (call == NULL)
        return NULL;
    request = call->request;
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
    call_free(call);
    return request;
}

static void send_buffer(struct evhttp_request *request, int http_status, const char *content_type,
                        struct evbuffer *body)
{
    struct evkeyvalq *headers = evhttp_request_get_output_headers(request);

    (void)evhttp_add_header(headers, "Content-Type", content_type);
    (void)evhttp_add_header(headers, "Cache-Control", "no-store");
    (void)evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
    if (evhttp_request_get_command(request) == EVHTTP_REQ_POST)
        px_log(PX_LOG_INFO, "admin.answer", "path=%.*s status=%d", PX_ADMIN_LOGGED_PATH,
               evhttp_request_get_uri(request), http_status);
    evhttp_send_reply(request, http_status, NULL, body); /* NULL: evhttp's own phrase for the status */
}

static void send_text(struct evhttp_request *request, int http_status, const char *content_type,
                      const char *text)
{
    struct evbuffer *body = evbuffer_new();

    if (body != NULL)
        (void)evbuffer_add(body, text, strlen(text));
    send_buffer(request, http_status, content_type, body); /* NULL body: an empty answer, but an answer */
    if (body != NULL)
        evbuffer_free(body);
}

/* json may be NULL: it could not be built, which only lack of memory explains. */
static void send_json(struct evhttp_request *request, int http_status, json_t *take_json)
{
    char *text = take_json != NULL ? json_dumps(take_json, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;

    json_decref(take_json);
    if (text != NULL)
        send_text(request, http_status, JSON_TYPE, text);
    else
        send_text(request, 503, JSON_TYPE,
                  "{\"error\":{\"code\":\"nomem\",\"message\":\"out of memory\",\"hint\":\"\"}}");
    free(text);
}

void px_admin_send_error(struct evhttp_request *request, int http_status, const char *code,
                         const char *message, const char *hint)
{
    json_t *error = json_pack("{s:{s:o,s:o,s:o}}", "error", "code", px_pb_json_text(code), "message",
                              px_pb_json_text(message), "hint", px_pb_json_text(hint));

    send_json(request, http_status, error);
}

void px_admin_reply_buffer(struct px_admin_reply reply, int http_status, const char *content_type,
                           struct evbuffer *body)
{
    struct evhttp_request *request = take_request(reply);

    if (request != NULL)
        send_buffer(request, http_status, content_type, body);
}

void px_admin_reply_message(struct px_admin_reply reply, const ProtobufCMessage *message)
{
    struct evhttp_request *request = take_request(reply);

    if (request != NULL)
        send_json(request, 200, px_pb_json(message));
}

void px_admin_reply_json(struct px_admin_reply reply, const char *text)
{
    struct evhttp_request *request = take_request(reply);

    if (request != NULL)
        send_text(request, 200, JSON_TYPE, text);
}

void px_admin_reply_done(struct px_admin_reply reply, const char *text)
{
    struct evhttp_request *request = take_request(reply);

    if (request != NULL)
        send_json(request, 200, json_pack("{s:o}", "message", px_pb_json_text(text)));
}

void px_admin_reply_text(struct px_admin_reply reply, int http_status, const char *text)
{
    struct evhttp_request *request = take_request(reply);

    if (request != NULL)
        send_text(request, http_status, "text/plain; charset=utf-8", text);
}

void px_admin_reply_error(struct px_admin_reply reply, int http_status, const char *code, const char *message,
                          const char *hint)
{
    struct evhttp_request *request = take_request(reply);

    if (request != NULL)
        px_admin_send_error(request, http_status, code, message, hint);
}

/* Results that say more than "something broke inside"; all others are 500. */
static const struct rc_status {
    int http_status;
    const char *code;
} rc_statuses[RC_COUNT] = {
    [RC_AGAIN] = {503, "again"},         [RC_MALFORMED] = {400, "malformed"}, [RC_TOO_BIG] = {413, "too_big"},
    [RC_TIMEOUT] = {504, "timeout"},     [RC_REFUSED] = {409, "refused"},     [RC_EXISTS] = {409, "exists"},
    [RC_NOT_FOUND] = {404, "not_found"}, [RC_INVALID] = {400, "invalid"},     [RC_NOMEM] = {503, "nomem"},
};

void px_admin_reply_rc(struct px_admin_reply reply, const struct err *err, const char *hint)
{
    const struct rc_status *row = &rc_statuses[err->code];

    ASSERT(err->code != RC_OK);
    px_admin_reply_error(reply, row->code != NULL ? row->http_status : 500,
                         row->code != NULL ? row->code : "internal", err->text, hint);
}

void px_admin_reply_files(struct px_admin_reply reply, int32_t server_id, const struct px_admin_file *files,
                          size_t count)
{
    struct evhttp_request *request = take_request(reply);
    json_t *list = json_array();

    if (request == NULL) {
        json_decref(list);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        json_t *file = json_pack("{s:o,s:o}", "name", px_pb_json_text(files[i].name), "text",
                                 px_pb_json_text(files[i].text));

        if (json_array_append_new(list, file) != 0) {
            json_decref(list);
            list = NULL; /* answered as lack of memory: half a list would pass for a whole one */
            break;
        }
    }
    send_json(request, 200, json_pack("{s:i,s:o}", "id", (int)server_id, "files", list));
}
