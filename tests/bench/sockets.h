/* TCP sockets as all three programs want them: non-blocking, no delay, IPv4 numeric addresses (everything
 * here runs on loopback). Any thread. */
#ifndef TESTS_BENCH_SOCKETS_H
#define TESTS_BENCH_SOCKETS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* "127.0.0.1:2181"; false when it is none. */
bool bench_address_parse(const char *text, struct sockaddr_in *ret_address);
/* A connect that has begun: writable or in error once it is decided. -1 with errno on failure. */
int bench_dial(const struct sockaddr_in *address);
/* 0 once a dialed socket is connected, else the errno value. */
int bench_dial_error(int fd);
/* Listens; port 0 = any free one, *address then has it. -1 with errno on failure. */
int bench_listen(struct sockaddr_in *address);
/* -1 with errno when nobody waits. */
int bench_accept(int listener);
/* As many open files as the limit allows: two per session are needed. */
void bench_files_raise(void);

#endif
