/* UTF-8 checks for text of peers: JSON and Prometheus must be valid, what a peer sends need not. Pure. */
#ifndef PROXY_ADMIN_UTF8_H
#define PROXY_ADMIN_UTF8_H

#include <stddef.h>

#define PX_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, written for every byte that fits nowhere */

/* Length (1 to 4) of the well-formed sequence at p, or 0: not well-formed (Unicode, table 3-7: no overlong
 * forms, no surrogates, nothing above U+10FFFF). left >= 1. */
size_t px_utf8_sequence(const char *p, size_t left);

#endif
