/* logfmt lines on stderr: `ts=… lvl=… event=… key=value …`, one event per line (design.md §6).
 * A thread with a ring (workers) never touches the file: it appends to its own bounded ring and the
 * control thread writes it out with px_log_drain. Every other thread (control, main, helper) writes its
 * line itself with one write(2). A full ring drops the line and counts it: a worker never waits for a log.
 * Not here: rotation, files, syslog (stderr belongs to the service manager). Never log payloads,
 * passwords or session passwords. */
#ifndef PROXY_LOG_H
#define PROXY_LOG_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "zkproto/err.h"

#define PX_LOG_LINE_MAX  2048u /* bytes with newline; below PIPE_BUF, so that lines never mix in a pipe */
#define PX_LOG_RING_SIZE (64u * 1024u) /* bytes per worker: some 400 lines between two drains */
#define PX_LOG_RINGS_MAX 256u          /* threads with a ring in one process; conf allows fewer workers */

enum px_log_level { PX_LOG_DEBUG, PX_LOG_INFO, PX_LOG_WARN, PX_LOG_ERROR, PX_LOG_FATAL };

/* Read by every thread without a call, so that a line below the level costs one test.
 * Written by px_log_set_level only. */
extern _Atomic(int) px_log_threshold;

/* px_log(PX_LOG_INFO, "session.moved", "sid=%#" PRIx64 " to=%d reason=%s", sid, to, reason);
 * event is a literal that can be grepped. The format is a list of key=value pairs with one space between
 * them; a value may consist of several conversions ("peer=%s:%u"). A value that needs it is quoted and
 * escaped as a whole, so text of a peer may be passed with %s as it is: it can never add a key, a line
 * or a terminal sequence. Conversions: d i u x X c s p f g %%, with h hh l ll z j t, width, precision,
 * '*', and the flags '0' and '#'. A NULL string is written as "(null)". Lines over PX_LOG_LINE_MAX are
 * cut and end in cut=true. Any thread. */
#define px_log(level, event, ...)                                                                            \
    ((int)(level) >= atomic_load_explicit(&px_log_threshold, memory_order_relaxed)                           \
         ? px_log_line((level), (event), __VA_ARGS__)                                                        \
         : (void)0)

/* The call behind px_log; does not look at the threshold. An empty format ("") is fine. */
void px_log_line(enum px_log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Default: PX_LOG_INFO. Any thread. */
void px_log_set_level(enum px_log_level level);
const char *px_log_level_name(enum px_log_level level); /* "debug" … "fatal" */
/* Where lines go; default 2 (stderr). The descriptor stays the caller's. Before threads start. */
void px_log_set_fd(int fd);

/* Gives the calling thread a ring; from now on its lines go there, except PX_LOG_FATAL, which is written
 * at once because an abort usually follows. RC_FULL: PX_LOG_RINGS_MAX are in use; RC_NOMEM. The thread
 * works without a ring then: it writes its lines itself. */
enum rc px_log_ring_attach(void) RC_MUST_CHECK;
/* The calling thread writes directly again. What is in the ring is still drained. Nothing to do without
 * a ring. */
void px_log_ring_detach(void);

/* Writes out what all rings hold, oldest first within each ring, and one `event=log.dropped lines=N` line
 * when lines were lost since the last call. Control thread only (one reader); a few times per second is
 * enough. */
void px_log_drain(void);
/* Lines dropped since the start, over all rings. Any thread. */
uint64_t px_log_dropped(void);
/* What one peer, or one kind of event, causes in lines is limited (log_limit.h). The next line of the kind
 * that goes out ends in left_out=N; px_log_sweep tells of those after which none came (event=log.left_out).
 * Every thread that logs calls it for itself, about once a second. */
void px_log_sweep(void);
/* Lines left out for that since the start. Any thread. */
uint64_t px_log_left_out(void);
/* Drains and frees all rings. Only when every thread that attached one has ended. */
void px_log_done(void);

/* Writes the pairs of `format` as they appear in a line, for tests and for other writers of logfmt.
 * Always NUL-terminated; returns the length written; *ret_is_cut tells whether something did not fit
 * (then a whole number of pairs was written). capacity >= 1. Pure. */
uint32_t px_log_format(char *buf, uint32_t capacity, bool *ret_is_cut, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

#endif
