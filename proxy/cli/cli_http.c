/* One HTTP exchange with the daemon, by libcurl. */
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/cli/cli.h"

#define CONNECT_TIMEOUT_MS 5000L
#define TIMEOUT_MS         30000L      /* the daemon answers 504 by itself after ten seconds */
#define ANSWER_MAX         (64u << 20) /* 15,000 sessions are 3 MiB: more is not our daemon */
#define URL_MAX            2048u

struct buffer {
    char *bytes;
    size_t len;
};

static size_t on_bytes(char *bytes, size_t size, size_t count, void *argument)
{
    struct buffer *buffer = argument;
    size_t len = size * count;
    char *grown;

    if (len > ANSWER_MAX - buffer->len)
        return 0; /* libcurl takes that as an error */
    grown = realloc(buffer->bytes, buffer->len + len + 1);
    if (grown == NULL)
        return 0;
    memcpy(grown + buffer->len, bytes, len);
    buffer->bytes = grown;
    buffer->len += len;
    return len;
}

static void set_options(CURL *curl, const char *url, const char *body, struct curl_slist *headers,
                        struct buffer *buffer)
{
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY,
                           "*"); /* http_proxy of the shell is not for the admin port */
    (void)curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_USERAGENT, "zkferry/" ZKFERRY_VERSION);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, buffer);
    if (body != NULL) {
        (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    }
}

static enum rc perform(CURL *curl, const char *url, const char *path, const char *body,
                       struct px_cli_answer *ret_answer, struct err *err)
{
    char text[URL_MAX];
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    struct buffer buffer = {0};
    size_t url_len = strlen(url);
    CURLcode code;

    while (url_len > 0 && url[url_len - 1] == '/')
        url_len--;
    (void)snprintf(text, sizeof text, "%.*s%s", (int)url_len, url, path);
    set_options(curl, text, body, headers, &buffer);
    code = curl_easy_perform(curl);
    curl_slist_free_all(headers);
    if (code != CURLE_OK) {
        free(buffer.bytes);
        return err_set(err, RC_IO, "cannot reach zkferryd at %s: %s", url, curl_easy_strerror(code));
    }
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret_answer->http_status);
    ret_answer->json = buffer.len > 0 ? json_loadb(buffer.bytes, buffer.len, 0, NULL) : NULL;
    free(buffer.bytes);
    return RC_OK;
}

enum rc px_cli_exchange(const char *url, const char *path, const char *body, struct px_cli_answer *ret_answer,
                        struct err *err)
{
    CURL *curl = curl_easy_init();
    enum rc rc;

    if (curl == NULL)
        return err_set(err, RC_NOMEM, "%s", rc_text(RC_NOMEM));
    rc = perform(curl, url, path, body, ret_answer, err);
    curl_easy_cleanup(curl);
    return rc;
}

void px_cli_answer_done(struct px_cli_answer *answer)
{
    json_decref(answer->json);
    answer->json = NULL;
}
