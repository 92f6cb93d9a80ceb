/* Sockets of clients that are done: the last bytes are flushed, FIN is sent, and what the client still sends
 * is thrown away until its FIN. Closing at once with unread bytes would send RST, which takes replies that
 * the client has not read yet with it. Worker thread. */
#ifndef PROXY_NET_LINGER_H
#define PROXY_NET_LINGER_H

#include "proxy/session/buffer.h"

struct px_origin;
struct px_worker;

/* Takes the socket, the content of *take_out (left empty) and its share in an origin. Closes at once when out
 * of memory. */
void px_linger_start(struct px_worker *worker, int take_fd, struct px_buffer *take_out,
                     struct px_origin *take_origin);
/* Closes those whose time is over. */
void px_linger_tick(struct px_worker *worker);
/* Closes all. */
void px_linger_done(struct px_worker *worker);

#endif
