/* See linger.h. */
#include "proxy/net/linger.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/net/worker_int.h"

/* A client library closes its side in milliseconds after FIN; a dead one is not waited for. */
#define LINGER_MS 2000

/* Owned by worker->lingers. */
struct px_linger {
    TAILQ_ENTRY(px_linger) entry;
    struct px_worker *worker;
    int fd;
    bool has_sent_fin;
    int64_t deadline_ms;
    struct px_origin *origin;
    struct px_buffer out;
    struct px_polled polled;
};

static void linger_free(struct px_linger *linger)
{
    TAILQ_REMOVE(&linger->worker->lingers, linger, entry);
    px_poller_remove(&linger->worker->poller, &linger->polled, linger->fd);
    close(linger->fd);
    px_shared_descriptors_add(linger->worker->shared, -1);
    px_origin_leave(linger->origin);
    px_buffer_done(&linger->out);
    free(linger);
}

static bool linger_flush(struct px_linger *linger)
{
    struct zkp_slice rest = px_buffer_slice(&linger->out);

    if (rest.len > 0) {
        ssize_t sent = send(linger->fd, rest.ptr, rest.len, MSG_NOSIGNAL);
        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        px_buffer_consume(&linger->out, (uint32_t)sent);
    }
    if (linger->out.length == 0 && !linger->has_sent_fin) {
        linger->has_sent_fin = true;
        return shutdown(linger->fd, SHUT_WR) == 0;
    }
    return true;
}

static bool linger_discard(struct px_linger *linger)
{
    ssize_t got = recv(linger->fd, linger->worker->scratch, PX_SCRATCH_SIZE, 0);

    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool linger_arm(struct px_linger *linger)
{
    uint32_t needs = linger->out.length > 0 ? EPOLLIN | EPOLLOUT : EPOLLIN;

    return px_poller_set(&linger->worker->poller, &linger->polled, linger->fd, needs) == RC_OK;
}

static void linger_on_event(struct px_polled *polled, uint32_t what)
{
    struct px_linger *linger = (struct px_linger *)((char *)polled - offsetof(struct px_linger, polled));
    bool goes_on = true;

    if ((what & EPOLLIN) != 0)
        goes_on = linger_discard(linger);
    if (goes_on && !linger->has_sent_fin) {
        goes_on = linger_flush(linger);
        if (goes_on && linger->has_sent_fin)
            goes_on = linger_arm(linger);
    }
    if (!goes_on)
        linger_free(linger);
}

void px_linger_start(struct px_worker *worker, int take_fd, struct px_buffer *take_out,
                     struct px_origin *take_origin)
{
    struct px_linger *linger = calloc(1, sizeof(*linger));

    if (linger == NULL) {
        close(take_fd);
        px_origin_leave(take_origin);
        px_buffer_done(take_out);
        return;
    }
    linger->worker = worker;
    linger->polled.fn = linger_on_event;
    linger->fd = take_fd;
    linger->origin = take_origin;
    linger->deadline_ms = worker->now_ms + LINGER_MS;
    linger->out = *take_out;
    *take_out = (struct px_buffer){0};
    TAILQ_INSERT_TAIL(&worker->lingers, linger, entry);
    px_shared_descriptors_add(worker->shared, 1);
    if (!linger_flush(linger) || !linger_arm(linger))
        linger_free(linger);
}

void px_linger_tick(struct px_worker *worker)
{
    struct px_linger *linger;

    /* All have the same duration, so the oldest is first. */
    while ((linger = TAILQ_FIRST(&worker->lingers)) != NULL && worker->now_ms >= linger->deadline_ms)
        linger_free(linger);
}

void px_linger_done(struct px_worker *worker)
{
    struct px_linger *linger;

    while ((linger = TAILQ_FIRST(&worker->lingers)) != NULL)
        linger_free(linger);
}
