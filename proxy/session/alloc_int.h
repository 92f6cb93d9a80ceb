/* The one allocation call of the watch modules, so that a test can make each one fail (test_watch_memory.c
 * replaces it). Inside proxy/session only. */
#ifndef PROXY_SESSION_ALLOC_INT_H
#define PROXY_SESSION_ALLOC_INT_H

#include <stddef.h>

/* Zeroed, to be freed with free(); NULL when out of memory. */
void *px_session_alloc(size_t bytes);

#endif
