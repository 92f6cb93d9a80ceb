/* See probe_ask.h. A bufferevent serves: these connections are short, few, and carry one answer. */
#include "migrate/probe_ask.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>

struct mig_ask {
    struct bufferevent *bev;
    struct event *deadline;
    mig_asked_fn *fn;
    void *context;
};

void mig_ask_free(struct mig_ask *ask)
{
    if (!ask)
        return;
    if (ask->deadline)
        event_free(ask->deadline);
    if (ask->bev)
        bufferevent_free(ask->bev);
    free(ask);
}

static void finish(struct mig_ask *ask, enum mig_probe_kind kind)
{
    struct evbuffer *input = bufferevent_get_input(ask->bev);
    uint32_t length = (uint32_t)evbuffer_get_length(input);
    struct zkp_slice bytes = {0};
    if (kind == MIG_PROBE_KIND_EMPTY && length > 0) {
        kind = MIG_PROBE_KIND_DATA;
        bytes = zkp_slice_of(evbuffer_pullup(input, -1), length);
    }
    ask->fn(ask->context, kind, bytes); /* frees the ask */
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    finish(arg, MIG_PROBE_KIND_TIMED_OUT);
}

/* A server that closes with unread bytes of ours sends RST behind its answer: what was read still counts. */
static enum mig_probe_kind kind_of(const struct mig_ask *ask, short what)
{
    bool has_bytes = evbuffer_get_length(bufferevent_get_input(ask->bev)) > 0;
    int error = EVUTIL_SOCKET_ERROR();
    if ((what & BEV_EVENT_EOF) || has_bytes || error == ECONNRESET || error == EPIPE)
        return MIG_PROBE_KIND_EMPTY;
    return error == ECONNREFUSED ? MIG_PROBE_KIND_CONN_REFUSED : MIG_PROBE_KIND_UNREACHABLE;
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)bev;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        finish(arg, kind_of(arg, what));
}

static void on_read(struct bufferevent *bev, void *arg)
{
    if (evbuffer_get_length(bufferevent_get_input(bev)) > MIG_ASK_ANSWER_MAX)
        finish(arg, MIG_PROBE_KIND_MALFORMED);
}

static enum rc start(struct mig_ask *ask, const struct mig_address *address, enum zkp_word word,
                     int32_t timeout_ms)
{
    const struct timeval deadline = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    struct sockaddr_storage storage = address->storage;
    if (!ask->bev || !ask->deadline || event_add(ask->deadline, &deadline) != 0)
        return RC_NOMEM;
    bufferevent_setcb(ask->bev, on_read, NULL, on_event, ask);
    if (bufferevent_write(ask->bev, zkp_word_text(word), 4) != 0 ||
        bufferevent_enable(ask->bev, EV_READ | EV_WRITE) != 0)
        return RC_NOMEM;
    return bufferevent_socket_connect(ask->bev, (struct sockaddr *)&storage, (int)address->length) == 0
               ? RC_OK
               : RC_IO;
}

enum rc mig_ask_new(struct event_base *base, const struct mig_address *address, enum zkp_word word,
                    int32_t timeout_ms, mig_asked_fn *fn, void *context, struct mig_ask **ret_ask)
{
    struct mig_ask *ask = calloc(1, sizeof *ask);
    if (!ask)
        return RC_NOMEM;
    ask->fn = fn;
    ask->context = context;
    ask->bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
    ask->deadline = event_new(base, -1, 0, on_deadline, ask);
    enum rc rc = start(ask, address, word, timeout_ms);
    if (rc != RC_OK) {
        mig_ask_free(ask);
        return rc;
    }
    *ret_ask = ask;
    return RC_OK;
}
