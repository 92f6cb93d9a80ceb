/* The question put to AdminServer, when the whitelist refuses the word: one or two GETs on one connection.
 * evhttp's callbacks only note; the connection is freed from the prober's own timer. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <netdb.h>
#include <stdio.h>

#include "migrate/monotonic.h"
#include "migrate/probe/probe_int.h"
#include "migrate/sockets.h"

#define HTTP_BODY_MAX    (1024 * 1024) /* monitor is 19 KB */
#define HTTP_HEADERS_MAX 8192
#define PATHS_MAX        2u

/* What a word is called there; conf is two commands, the second one adds the members. */
static const char *const paths[ZKP_WORD_COUNT][PATHS_MAX] = {
    [ZKP_WORD_SRVR] = {"/commands/stats", NULL},
    [ZKP_WORD_MNTR] = {"/commands/monitor", NULL},
    [ZKP_WORD_CONF] = {"/commands/configuration", "/commands/voting_view"},
    [ZKP_WORD_ENVI] = {"/commands/system_properties", NULL},
};

static enum rc parse(struct mig_prober *prober, struct zkp_slice json)
{
    const struct probe_question *q = &prober->question;
    if (q->word == ZKP_WORD_SRVR)
        return probe_parse_stats(json, &prober->parsed->srvr);
    if (q->word == ZKP_WORD_MNTR)
        return probe_parse_monitor(json, &prober->parsed->mntr);
    if (q->word == ZKP_WORD_ENVI)
        return probe_parse_properties(json, &prober->parsed->jute_max_bytes);
    if (q->path == 0)
        return probe_parse_configuration(json, &prober->parsed->conf);
    return probe_parse_voting_view(json, &prober->parsed->conf);
}

static enum rc get(struct mig_prober *prober);

static void answered(struct mig_prober *prober, struct zkp_slice body)
{
    struct probe_question *q = &prober->question;
    enum rc rc = parse(prober, body);
    if (rc == RC_AGAIN) {
        probe_over(prober, MIG_PROBE_KIND_NOT_SERVING, "");
        return;
    }
    if (rc != RC_OK) {
        probe_over(prober, MIG_PROBE_KIND_MALFORMED, "AdminServer");
        return;
    }
    q->path++;
    if (q->path == PATHS_MAX || paths[q->word][q->path] == NULL)
        probe_over(prober, MIG_PROBE_KIND_DATA, "");
    else if (get(prober) != RC_OK)
        probe_over(prober, MIG_PROBE_KIND_NOT_ASKED, "AdminServer: no memory");
}

/* The word is not allowed and there is no AdminServer to ask either. */
static void no_help(struct mig_prober *prober, int status)
{
    char detail[48];
    int lack = status == 0 ? mig_socket_lack(prober->question.address.storage.ss_family) : 0;
    if (mig_socket_is_short(lack)) {
        probe_over(prober, MIG_PROBE_KIND_NOT_ASKED, strerror(lack));
        return;
    }
    if (status == 0)
        snprintf(detail, sizeof detail, "AdminServer on port %u does not answer", prober->options.admin_port);
    else
        snprintf(detail, sizeof detail, "AdminServer answers HTTP %d", status);
    probe_over(prober, MIG_PROBE_KIND_NOT_ALLOWED, detail);
}

static void on_answer(struct evhttp_request *request, void *arg)
{
    struct mig_prober *prober = arg;
    int status = request != NULL ? evhttp_request_get_response_code(request) : 0;
    if (status == HTTP_INTERNAL) { /* what `monitor` says when the server does not serve */
        probe_over(prober, MIG_PROBE_KIND_NOT_SERVING, "");
        return;
    }
    if (status != HTTP_OK) {
        no_help(prober, status);
        return;
    }
    struct evbuffer *body = evhttp_request_get_input_buffer(request);
    size_t length = evbuffer_get_length(body);
    const uint8_t *bytes = evbuffer_pullup(body, -1);
    answered(prober, zkp_slice_of(bytes, (uint32_t)length));
}

static enum rc get(struct mig_prober *prober)
{
    struct probe_question *q = &prober->question;
    struct evhttp_request *request = evhttp_request_new(on_answer, prober);
    if (request == NULL)
        return RC_NOMEM;
    evhttp_add_header(evhttp_request_get_output_headers(request), "Host", "localhost");
    /* On failure the request is freed by evhttp. */
    int failed = evhttp_make_request(q->http, request, EVHTTP_REQ_GET, paths[q->word][q->path]);
    return failed == 0 ? RC_OK : RC_IO;
}

static struct evhttp_connection *connection_new(struct mig_prober *prober)
{
    char host[NI_MAXHOST];
    const struct mig_address *address = &prober->question.address;
    if (getnameinfo((const struct sockaddr *)&address->storage, address->length, host, sizeof host, NULL, 0,
                    NI_NUMERICHOST) != 0)
        return NULL;
    struct evhttp_connection *http =
        evhttp_connection_base_new(prober->base, NULL, host, prober->options.admin_port);
    if (http == NULL)
        return NULL;
    evhttp_connection_set_max_body_size(http, HTTP_BODY_MAX);
    evhttp_connection_set_max_headers_size(http, HTTP_HEADERS_MAX);
    return http;
}

enum rc probe_ask_admin(struct mig_prober *prober)
{
    struct probe_question *q = &prober->question;
    if (prober->options.admin_port == 0 || paths[q->word][0] == NULL)
        return RC_NOT_FOUND;
    errno = mig_socket_lack(q->address.storage.ss_family);
    if (mig_socket_is_short(errno))
        return RC_FULL;
    q->http = connection_new(prober);
    if (q->http == NULL)
        return RC_NOMEM;
    q->path = 0;
    q->from_admin_server = true;
    return get(prober);
}

void probe_admin_done(struct probe_question *question)
{
    if (question->http != NULL)
        evhttp_connection_free(question->http);
    question->http = NULL;
}
