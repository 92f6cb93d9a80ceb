/* A queue of messages into one thread: a short list under a mutex and an eventfd in the receiver's loop
 * (style.md §8). Pushing is the only call across threads; the receiver swaps the list out and handles it
 * without the lock. Not here: what messages mean (msg.h). */
#ifndef PROXY_NET_MAILBOX_H
#define PROXY_NET_MAILBOX_H

#include "zkproto/err.h"

struct event_base;
struct px_mailbox;
struct px_msg;

/* Called on the receiver's thread, out of its loop. Takes msg: free with px_msg_free. */
typedef void px_mailbox_fn(void *context, struct px_msg *take_msg);

/* The mailbox can be pushed to at once; nothing is delivered before px_mailbox_attach. RC_IO: no eventfd. */
enum rc px_mailbox_new(struct px_mailbox **ret_box, struct err *err) RC_MUST_CHECK;
/* Delivers into base from now on. The receiver's thread; base is borrowed. */
enum rc px_mailbox_attach(struct px_mailbox *box, struct event_base *base, px_mailbox_fn *fn,
                          void *context) RC_MUST_CHECK;
/* For a receiver without libevent: readable when there is something; and that is handed to fn. */
int px_mailbox_fd(const struct px_mailbox *box);
void px_mailbox_deliver(struct px_mailbox *box, px_mailbox_fn *fn, void *context);
/* Stops delivery; before event_base_free. The receiver's thread. */
void px_mailbox_detach(struct px_mailbox *box);
/* Any thread. Takes msg, which needs no answer to be freed. Never blocks for longer than the list's lock. */
void px_mailbox_push(struct px_mailbox *box, struct px_msg *take_msg);
/* Frees what was not delivered, also descriptors inside. Nobody may push any more. NULL is fine. */
void px_mailbox_free(struct px_mailbox *box);

#endif
