/* The list, its lock and the eventfd. */
#include "proxy/net/mailbox.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/net/msg.h"

struct px_mailbox {
    pthread_mutex_t lock;
    struct px_msg *first; /* under lock, oldest first */
    struct px_msg **last; /* under lock, where the next one is linked */
    int wake_fd;
    struct event *wake; /* the receiver's, as the rest below */
    px_mailbox_fn *fn;
    void *context;
};

static struct px_msg *mailbox_take_all(struct px_mailbox *box)
{
    struct px_msg *all;

    pthread_mutex_lock(&box->lock);
    all = box->first;
    box->first = NULL;
    box->last = &box->first;
    pthread_mutex_unlock(&box->lock);
    return all;
}

int px_mailbox_fd(const struct px_mailbox *box)
{
    return box->wake_fd;
}

void px_mailbox_deliver(struct px_mailbox *box, px_mailbox_fn *fn, void *context)
{
    uint64_t count;
    struct px_msg *msg;

    if (read(box->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
        return;
    msg = mailbox_take_all(box);
    while (msg != NULL) {
        struct px_msg *next = msg->next;
        msg->next = NULL;
        fn(context, msg);
        msg = next;
    }
}

static void mailbox_on_wake(evutil_socket_t fd, short what, void *arg)
{
    struct px_mailbox *box = arg;

    (void)fd;
    (void)what;
    px_mailbox_deliver(box, box->fn, box->context);
}

enum rc px_mailbox_new(struct px_mailbox **ret_box, struct err *err)
{
    struct px_mailbox *box = calloc(1, sizeof(*box));

    if (box == NULL)
        return err_set(err, RC_NOMEM, "mailbox: out of memory");
    box->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (box->wake_fd < 0) {
        free(box);
        return err_set(err, RC_IO, "mailbox: eventfd: %s", strerror(errno));
    }
    pthread_mutex_init(&box->lock, NULL);
    box->last = &box->first;
    *ret_box = box;
    return RC_OK;
}

enum rc px_mailbox_attach(struct px_mailbox *box, struct event_base *base, px_mailbox_fn *fn, void *context)
{
    box->fn = fn;
    box->context = context;
    box->wake = event_new(base, box->wake_fd, EV_READ | EV_PERSIST, mailbox_on_wake, box);
    if (box->wake == NULL)
        return RC_NOMEM;
    return event_add(box->wake, NULL) == 0 ? RC_OK : RC_IO;
}

void px_mailbox_detach(struct px_mailbox *box)
{
    if (box->wake != NULL)
        event_free(box->wake);
    box->wake = NULL;
}

void px_mailbox_push(struct px_mailbox *box, struct px_msg *take_msg)
{
    const uint64_t one = 1;
    bool was_empty;
    ssize_t written;

    take_msg->next = NULL;
    pthread_mutex_lock(&box->lock);
    was_empty = box->first == NULL;
    *box->last = take_msg;
    box->last = &take_msg->next;
    pthread_mutex_unlock(&box->lock);
    if (!was_empty)
        return; /* its wake-up is on the way */
    do
        written = write(box->wake_fd, &one, sizeof(one));
    while (written < 0 && errno == EINTR);
}

void px_mailbox_free(struct px_mailbox *box)
{
    struct px_msg *msg;

    if (box == NULL)
        return;
    px_mailbox_detach(box);
    msg = mailbox_take_all(box);
    while (msg != NULL) {
        struct px_msg *next = msg->next;
        px_msg_free(msg);
        msg = next;
    }
    close(box->wake_fd);
    pthread_mutex_destroy(&box->lock);
    free(box);
}
