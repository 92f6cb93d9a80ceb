/* See listen.h. When the process is out of descriptors, accepting pauses for a moment instead of spinning on
 * a level-triggered readable socket. */
#include "proxy/control/port/listen.h"

#include <errno.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "migrate/sockets.h"
#include "proxy/log.h"
#include "proxy/net/address.h"

#define BACKLOG          1024
#define ACCEPTS_PER_TURN 64  /* one storm of connects may not keep the control loop from its other work */
#define ACCEPT_PAUSE_MS  100 /* out of descriptors: by then some have usually been closed */

struct listener {
    struct px_listeners *owner;
    uint32_t index;
    int fd;
    uint16_t port;
    struct event *readable;
    struct event *resume; /* ends a pause */
    char text[ZKP_HOST_MAX + 16];
};

struct px_listeners {
    struct event_base *base;
    px_may_accept_fn *may_accept;
    px_accepted_fn *accepted;
    void *context;
    uint32_t count;
    struct listener items[CONF_LISTENERS_MAX];
};

static void pause_accepting(struct listener *listener)
{
    const struct timeval delay = {.tv_usec = ACCEPT_PAUSE_MS * 1000};
    event_del(listener->readable);
    event_add(listener->resume, &delay);
}

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct listener *listener = arg;
    event_add(listener->readable, NULL);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct listener *listener = arg;
    struct px_listeners *owner = listener->owner;
    for (int turn = 0; turn < ACCEPTS_PER_TURN; turn++) {
        struct sockaddr_storage peer;
        socklen_t peer_len = sizeof peer;
        if (!owner->may_accept(owner->context)) {
            pause_accepting(listener);
            return;
        }
        int client = accept4(fd, (struct sockaddr *)&peer, &peer_len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client >= 0) {
            owner->accepted(owner->context, client, (struct sockaddr *)&peer, peer_len, listener->index);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) {
            px_log(PX_LOG_ERROR, "accept.failed", "listener=%s why=%s", listener->text, strerror(errno));
            pause_accepting(listener);
        }
        return;
    }
}

static enum rc bind_socket(int fd, const struct addrinfo *where, struct listener *listener, struct err *err)
{
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (where->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (bind(fd, where->ai_addr, where->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0)
        return err_set(err, RC_IO, "%s", strerror(errno));
    struct sockaddr_storage bound;
    socklen_t bound_len = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &bound_len) != 0)
        return err_set(err, RC_IO, "getsockname: %s", strerror(errno));
    listener->port = px_address_port((struct sockaddr *)&bound);
    px_address_text((struct sockaddr *)&bound, listener->text, sizeof listener->text);
    return RC_OK;
}

static enum rc open_listener(struct px_listeners *owner, const struct conf_address *address,
                             struct listener *listener, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)address->port);
    int failed = getaddrinfo(address->host, port, &hints, &found);
    if (failed)
        return err_set(err, RC_IO, "listen.clients: %s: %s", address->host, gai_strerror(failed));
    enum rc rc = RC_OK;
    listener->fd = mig_socket_new((sa_family_t)found->ai_family); /* who is accepted inherits its options */
    if (listener->fd < 0)
        rc = err_set(err, RC_IO, "socket: %s", strerror(errno));
    if (rc == RC_OK)
        rc = bind_socket(listener->fd, found, listener, err);
    if (rc == RC_OK) {
        listener->readable =
            event_new(owner->base, listener->fd, EV_READ | EV_PERSIST, on_readable, listener);
        listener->resume = event_new(owner->base, -1, 0, on_resume, listener);
        if (!listener->readable || !listener->resume)
            rc = err_set(err, RC_NOMEM, "event");
    }
    freeaddrinfo(found);
    return rc == RC_OK ? rc : err_wrap(err, "listen.clients: %s:%s", address->host, port);
}

enum rc px_listeners_open(struct event_base *base, const struct conf *conf, px_may_accept_fn *may_accept,
                          px_accepted_fn *accepted, void *context, struct px_listeners **ret_listeners,
                          struct err *err)
{
    struct px_listeners *listeners = calloc(1, sizeof *listeners);
    if (!listeners)
        return err_set(err, RC_NOMEM, "listeners");
    listeners->base = base;
    listeners->may_accept = may_accept;
    listeners->accepted = accepted;
    listeners->context = context;
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        struct listener *listener = &listeners->items[i];
        *listener = (struct listener){.owner = listeners, .index = i, .fd = -1};
        listeners->count = i + 1;
        enum rc rc = open_listener(listeners, &conf->listeners[i].address, listener, err);
        if (rc != RC_OK) {
            px_listeners_free(listeners);
            return rc;
        }
    }
    *ret_listeners = listeners;
    return RC_OK;
}

enum rc px_listeners_start(struct px_listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++)
        if (event_add(listeners->items[i].readable, NULL) != 0)
            return RC_IO;
    return RC_OK;
}

void px_listeners_stop(struct px_listeners *listeners)
{
    for (uint32_t i = 0; i < listeners->count; i++) {
        struct listener *listener = &listeners->items[i];
        if (listener->readable)
            event_free(listener->readable);
        if (listener->resume)
            event_free(listener->resume);
        if (listener->fd >= 0)
            close(listener->fd);
        listener->readable = listener->resume = NULL;
        listener->fd = -1;
    }
}

void px_listeners_free(struct px_listeners *listeners)
{
    if (!listeners)
        return;
    px_listeners_stop(listeners);
    free(listeners);
}

uint16_t px_listeners_port(const struct px_listeners *listeners, uint32_t index)
{
    return listeners->items[index].port;
}

const char *px_listeners_text(const struct px_listeners *listeners, char *buf, uint32_t capacity)
{
    uint32_t used = 0;
    buf[0] = '\0';
    for (uint32_t i = 0; i < listeners->count && used < capacity; i++)
        used +=
            (uint32_t)snprintf(buf + used, capacity - used, "%s%s", i ? "," : "", listeners->items[i].text);
    return buf;
}
