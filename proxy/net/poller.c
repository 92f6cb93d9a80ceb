/* See poller.h. */
#include "proxy/net/poller.h"

#include <stddef.h>
#include <unistd.h>

#include "zkproto/assert.h"

enum rc px_poller_init(struct px_poller *poller)
{
    *poller = (struct px_poller){.epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    return poller->epoll_fd < 0 ? RC_IO : RC_OK;
}

void px_poller_done(struct px_poller *poller)
{
    if (poller->epoll_fd >= 0)
        close(poller->epoll_fd);
    poller->epoll_fd = -1;
}

enum rc px_poller_set(struct px_poller *poller, struct px_polled *polled, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = polled};
    int operation = polled->armed == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

    ASSERT(events != 0);
    if (epoll_ctl(poller->epoll_fd, operation, fd, &event) != 0)
        return RC_IO;
    polled->armed = events;
    return RC_OK;
}

void px_poller_remove(struct px_poller *poller, struct px_polled *polled, int fd)
{
    if (polled->armed == 0)
        return;
    polled->armed = 0;
    (void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* it is in the set, so this can't fail */
    for (int i = poller->ready_at; i < poller->ready_count; i++)
        if (poller->ready[i].data.ptr == polled)
            poller->ready[i].data.ptr = NULL;
}

static void poller_call(struct px_polled *polled, uint32_t what)
{
    if ((what & (EPOLLERR | EPOLLHUP)) != 0)
        what = polled->armed;
    /* It may have been armed for something else since. */
    if ((what & polled->armed) != 0)
        polled->fn(polled, what & polled->armed);
}

void px_poller_wait(struct px_poller *poller, int timeout_ms)
{
    int count = epoll_wait(poller->epoll_fd, poller->ready, PX_POLLER_BATCH, timeout_ms);

    poller->ready_count = count < 0 ? 0 : count; /* a signal: an empty turn */
    poller->ready_at = 0;
}

void px_poller_call(struct px_poller *poller)
{
    while (poller->ready_at < poller->ready_count) {
        const struct epoll_event *event = &poller->ready[poller->ready_at++];
        if (event->data.ptr != NULL)
            poller_call(event->data.ptr, event->events);
    }
}
