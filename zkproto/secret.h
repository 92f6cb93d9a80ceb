/* A password in memory: on a page of its own that is never swapped out, never part of a core file, empty in
 * a forked child, and wiped when the last holder lets it go. Holders share one copy. */
#ifndef ZKPROTO_SECRET_H
#define ZKPROTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define ZKP_SECRET_MAX 1024u /* bytes a secret may have */

/* A copy of text, terminated; let go with zkp_secret_drop(). "" for no bytes. NULL: no memory, or longer than
 * ZKP_SECRET_MAX. That the page could not be locked (RLIMIT_MEMLOCK) does not fail: see
 * zkp_secret_is_locked(). Any thread. */
const char *zkp_secret_new(const char *text, size_t len);

/* Another holder of what zkp_secret_new() gave; never fails. Any thread. */
const char *zkp_secret_share(const char *secret);

/* The last holder's call wipes and unmaps it. NULL and "" are fine. Any thread. */
void zkp_secret_drop(const char *secret);

/* Its page cannot be swapped out. "" has nothing to lock: true. */
bool zkp_secret_is_locked(const char *secret);

#endif
