/* How every TCP socket of the daemon is set up, in one place: those that listen (whoever is accepted inherits
 * it), those that dial. Any thread. */
#ifndef MIGRATE_SOCKETS_H
#define MIGRATE_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>
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
/* The peer has a session of that timeout: it may be suspended, with a full window, for as long. Linux counts
 * that as unacknowledged although the window's probes are answered (tcp_probe_timer), and so it does silence
 * (tcp_keepalive_timer): what ends first must be the session. */
void mig_socket_outlast(int fd, int32_t session_timeout_ms);

/* An errno of socket(), bind(), connect() or accept() that tells of this host only: it has no descriptor,
 * port or memory left. The peer was not asked, and nothing is known of it. */
bool mig_socket_is_short(int error);
/* 0, or the errno (a shortage or not) with which a socket of that family can't be had now. For libraries that
 * make their own and don't say why they could not. */
int mig_socket_lack(sa_family_t family);

#endif
