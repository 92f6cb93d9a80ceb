/* The client ports: bound once, accepted on the control thread, handed over by a callback. Not here: which
 * worker gets a socket (control.c) and what is spoken on it (proxy/net). Control thread. */
#ifndef PROXY_CONTROL_PORT_LISTEN_H
#define PROXY_CONTROL_PORT_LISTEN_H

#include <sys/socket.h>

#include "conf/conf.h"
#include "zkproto/err.h"

struct event_base;
struct px_listeners;

/* A new non-blocking, close-on-exec socket that now belongs to the callee. index: which listener of conf. */
typedef void px_accepted_fn(void *context, int fd, const struct sockaddr *peer, socklen_t peer_len,
                            uint32_t index);

/* Asked before each client is accepted; false: not now, accepting pauses for a moment. */
typedef bool px_may_accept_fn(void *context);

/* Binds every address of conf->listeners; connections queue in the kernel until px_listeners_start.
 * Errors name the address. base and context are borrowed. */
enum rc px_listeners_open(struct event_base *base, const struct conf *conf, px_may_accept_fn *may_accept,
                          px_accepted_fn *accepted, void *context, struct px_listeners **ret_listeners,
                          struct err *err) RC_MUST_CHECK;
enum rc px_listeners_start(struct px_listeners *listeners) RC_MUST_CHECK;
/* Closes the listening sockets; idempotent. */
void px_listeners_stop(struct px_listeners *listeners);
void px_listeners_free(struct px_listeners *listeners);                           /* NULL is fine */
uint16_t px_listeners_port(const struct px_listeners *listeners, uint32_t index); /* the real one */
/* "127.0.0.1:2181,[::1]:2181" with the real ports. Returns buf. */
const char *px_listeners_text(const struct px_listeners *listeners, char *buf, uint32_t capacity);

#endif
