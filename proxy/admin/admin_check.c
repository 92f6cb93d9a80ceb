/* Checks before a call is taken. The admin port has no passwords and listens on loopback, where every web
 * page open on the same machine can reach it: DNS rebinding gives the page a name of its own for our address,
 * cross-site requests come without one. So calls want a Host that is an address or localhost, no foreign
 * Origin, and JSON by its name (a form can't send that). */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "proxy/admin/admin_int.h"

#define HOST_HEADER_MAX   300u
#define HTTP_DEFAULT_PORT 80u
#define ORIGIN_SCHEME     "http://"
#define JSON_CONTENT_TYPE "application/json"

/* "1.2.3.4:80", "[::1]:80", "localhost": splits in place. False: not of this form. */
static bool split_host(char *text, char **ret_name, const char **ret_port)
{
    char *end;

    if (text[0] == '[') {
        *ret_name = text + 1;
        end = strchr(text, ']');
        if (end == NULL)
            return false;
        *end++ = '\0';
    } else {
        *ret_name = text;
        end = text + strcspn(text, ":");
    }
    *ret_port = "";
    if (*end == '\0')
        return true;
    if (*end != ':' || end[1] == '\0')
        return false;
    *end = '\0';
    *ret_port = end + 1;
    return true;
}

static bool port_matches(const char *text, uint16_t port)
{
    unsigned long number = HTTP_DEFAULT_PORT;
    char *end = NULL;

    if (*text != '\0') {
        if (strspn(text, "0123456789") != strlen(text) || strlen(text) > 5)
            return false;
        number = strtoul(text, &end, 10);
    }
    return port == 0 || number == port;
}

bool px_admin_host_is_local(const char *host, uint16_t port)
{
    char copy[HOST_HEADER_MAX];
    unsigned char address[sizeof(struct in6_addr)];
    bool is_bracketed = host[0] == '[';
    const char *port_text;
    char *name;

    if (strlen(host) >= sizeof copy)
        return false;
    (void)strcpy(copy, host);
    if (!split_host(copy, &name, &port_text) || !port_matches(port_text, port))
        return false;
    if (is_bracketed)
        return inet_pton(AF_INET6, name, address) == 1;
    return strcasecmp(name, "localhost") == 0 || inet_pton(AF_INET, name, address) == 1;
}

bool px_admin_origin_is_ours(const char *origin, const char *host)
{
    size_t len = strlen(ORIGIN_SCHEME);

    return strncasecmp(origin, ORIGIN_SCHEME, len) == 0 && strcasecmp(origin + len, host) == 0;
}

static bool is_json_type(const char *type)
{
    size_t len = strlen(JSON_CONTENT_TYPE);

    return type != NULL && strncasecmp(type, JSON_CONTENT_TYPE, len) == 0 &&
           (type[len] == '\0' || type[len] == ';' || type[len] == ' ');
}

static enum rc check_host(const struct px_admin *admin, struct evhttp_request *request, bool is_post)
{
    const char *host = evhttp_find_header(evhttp_request_get_input_headers(request), "Host");

    if (host != NULL && px_admin_host_is_local(host, is_post ? admin->port : 0))
        return RC_OK;
    px_admin_send_error(request, 403, "bad_host", "the Host header does not name this machine by its address",
                        "use an address or localhost, with the admin port itself");
    return RC_REFUSED;
}

static enum rc check_post(struct evhttp_request *request)
{
    struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
    const char *host = evhttp_find_header(headers, "Host");
    const char *origin = evhttp_find_header(headers, "Origin");
    size_t body_len = evbuffer_get_length(evhttp_request_get_input_buffer(request));

    if (origin != NULL && !px_admin_origin_is_ours(origin, host)) {
        px_admin_send_error(request, 403, "bad_origin", "pages of other origins may not call this port", "");
        return RC_REFUSED;
    }
    if (body_len > PX_ADMIN_BODY_MAX) {
        px_admin_send_error(request, 413, "too_big", "the body is larger than 64 KiB", "");
        return RC_TOO_BIG;
    }
    if (body_len > 0 && !is_json_type(evhttp_find_header(headers, "Content-Type"))) {
        px_admin_send_error(request, 415, "not_json", "the body must be JSON",
                            "send Content-Type: application/json");
        return RC_REFUSED;
    }
    return RC_OK;
}

enum rc px_admin_check(const struct px_admin *admin, struct evhttp_request *request,
                       const struct px_admin_route *route)
{
    bool is_post = route->method == EVHTTP_REQ_POST;
    enum rc rc = RC_OK;

    if (!route->is_open)
        rc = check_host(admin, request, is_post);
    if (rc == RC_OK && is_post)
        rc = check_post(request);
    return rc;
}
