/* The table of the admin port's calls and what each one asks of the integrator (see admin.h). */
#include <ctype.h>
#include <event2/buffer.h>
#include <stdlib.h>

#include "proxy/admin/admin_int.h"

/* Calls without parameters. */
#define PLAIN_HANDLER(op)                                                                                    \
    static bool handle_##op(struct px_admin *admin, const struct px_admin_request *request)                  \
    {                                                                                                        \
        if (admin->ops->op == NULL)                                                                          \
            return false;                                                                                    \
        admin->ops->op(admin->context, request->reply);                                                      \
        return true;                                                                                         \
    }
/* Calls about one server. */
#define SERVER_HANDLER(op)                                                                                   \
    static bool handle_##op(struct px_admin *admin, const struct px_admin_request *request)                  \
    {                                                                                                        \
        if (admin->ops->op == NULL)                                                                          \
            return false;                                                                                    \
        admin->ops->op(admin->context, request->reply, request->server_id);                                  \
        return true;                                                                                         \
    }

PLAIN_HANDLER(healthz)
PLAIN_HANDLER(readyz)
PLAIN_HANDLER(status)
PLAIN_HANDLER(plan)
PLAIN_HANDLER(preflight)
PLAIN_HANDLER(servers)
PLAIN_HANDLER(sessions)
PLAIN_HANDLER(report)
PLAIN_HANDLER(verification)
PLAIN_HANDLER(reload)
SERVER_HANDLER(joiner_config)
SERVER_HANDLER(drain)
SERVER_HANDLER(undrain)

static bool handle_command(struct px_admin *admin, const struct px_admin_request *request)
{
    if (admin->ops->command == NULL)
        return false;
    admin->ops->command(admin->context, request->reply, request->command, &request->args);
    return true;
}

static bool handle_verify(struct px_admin *admin, const struct px_admin_request *request)
{
    if (admin->ops->verify == NULL)
        return false;
    admin->ops->verify(admin->context, request->reply, &request->args);
    return true;
}

static bool handle_events(struct px_admin *admin, const struct px_admin_request *request)
{
    if (admin->ops->events == NULL)
        return false;
    admin->ops->events(admin->context, request->reply, &request->args);
    return true;
}

static bool handle_metrics(struct px_admin *admin, const struct px_admin_request *request)
{
    struct evbuffer *text;
    struct px_prom prom;

    if (admin->ops->metrics == NULL)
        return false;
    text = evbuffer_new();
    if (text == NULL) {
        px_admin_reply_error(request->reply, 503, "nomem", "out of memory", "");
        return true;
    }
    px_prom_init(&prom, text);
    admin->ops->metrics(admin->context, &prom);
    px_admin_reply_buffer(request->reply, 200, "text/plain; version=0.0.4; charset=utf-8", text);
    evbuffer_free(text);
    return true;
}

#define GET_OPEN(path, name)                                                                                 \
    {                                                                                                        \
        EVHTTP_REQ_GET, path, handle_##name, 0, true                                                         \
    }
#define GET(path, name)                                                                                      \
    {                                                                                                        \
        EVHTTP_REQ_GET, path, handle_##name, 0, false                                                        \
    }
#define POST(path, name)                                                                                     \
    {                                                                                                        \
        EVHTTP_REQ_POST, path, handle_##name, 0, false                                                       \
    }
#define COMMAND(path, name)                                                                                  \
    {                                                                                                        \
        EVHTTP_REQ_POST, path, handle_command, PX_ADMIN_##name, false                                        \
    }

static const struct px_admin_route routes[] = {
    GET_OPEN("/healthz", healthz),
    GET_OPEN("/readyz", readyz),
    GET_OPEN("/metrics", metrics),
    GET("/v1/status", status),
    GET("/v1/plan", plan),
    GET("/v1/preflight", preflight),
    GET("/v1/servers", servers),
    GET("/v1/sessions", sessions),
    GET("/v1/report", report),
    GET("/v1/events", events),
    GET("/v1/joiner-config/*", joiner_config),
    GET("/v1/verify", verification),
    COMMAND("/v1/migration/start", START),
    COMMAND("/v1/migration/confirm", CONFIRM),
    COMMAND("/v1/migration/pause", PAUSE),
    COMMAND("/v1/migration/resume", RESUME),
    COMMAND("/v1/migration/retry", RETRY),
    COMMAND("/v1/migration/rollback", ROLLBACK),
    POST("/v1/servers/*/drain", drain),
    POST("/v1/servers/*/undrain", undrain),
    POST("/v1/verify", verify),
    POST("/v1/reload", reload),
};

const char *px_admin_command_name(enum px_admin_command command)
{
    static const char *const names[PX_ADMIN_COMMAND_COUNT] = {"start",  "confirm", "pause",
                                                              "resume", "retry",   "rollback"};

    return (unsigned)command < PX_ADMIN_COMMAND_COUNT ? names[command] : "unknown";
}

/* Nothing is decoded: "..", "%2e" and the like simply do not match. */
static bool path_matches(const char *pattern, const char *path, int32_t *ret_server_id)
{
    int64_t id = 0;

    while (*pattern != '\0') {
        if (*pattern != '*') {
            if (*pattern++ != *path++)
                return false;
            continue;
        }
        if (!isdigit((unsigned char)*path))
            return false;
        for (; isdigit((unsigned char)*path) && id <= INT32_MAX; path++)
            id = id * 10 + (*path - '0');
        pattern++;
    }
    if (*path != '\0' || id > INT32_MAX)
        return false;
    *ret_server_id = (int32_t)id;
    return true;
}

const struct px_admin_route *px_admin_route_find(const char *path, enum evhttp_cmd_type method,
                                                 int32_t *ret_server_id, unsigned *ret_allowed)
{
    *ret_allowed = 0;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (!path_matches(routes[i].path, path, ret_server_id))
            continue;
        if (routes[i].method == method)
            return &routes[i];
        *ret_allowed |= (unsigned)routes[i].method;
    }
    return NULL;
}
