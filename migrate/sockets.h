/* How every TCP socket of the daemon is set up, in one place: those that listen (whoever is accepted inherits
 * it), those that dial. Any thread. */
#ifndef MIGRATE_SOCKETS_H
#define MIGRATE_SOCKETS_H

#include <sys/socket.h>

/* A peer that is gone without a word is noticed after about two minutes of silence, whichever side owes
 * bytes: sessions have time limits of their own, this is for what no session stands behind any more. */
#define MIG_SOCKET_IDLE_S     60
#define MIG_SOCKET_INTERVAL_S 10
#define MIG_SOCKET_PROBES     6
#define MIG_SOCKET_UNACKED_MS 120000

/* A new socket of that family, non-blocking, closed on exec, set up; -1 with errno. */
int mig_socket_new(sa_family_t family);
/* Sets up one that somebody else has made. Without TCP_NODELAY a watch event, or a reply, behind an
 * unacknowledged one waits for the peer's delayed ACK, 40 ms. What can't be set stays as it is: families
 * other than TCP have none of it. */
void mig_socket_tune(int fd);

#endif
