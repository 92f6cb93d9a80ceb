/* Small text scanning for server.c and word.c: what ZooKeeper prints for people. Private to zkproto.
 * Pure, any thread, no allocation, no locale. */
#ifndef ZKPROTO_TEXT_INT_H
#define ZKPROTO_TEXT_INT_H

#include "zkproto/slice.h"

/* Cuts the piece before the next separator off *rest; false when nothing is left. An empty piece between two
 * separators is a piece; one after the last separator is not. */
bool zkp_text_next(struct zkp_slice *rest, char separator, struct zkp_slice *ret_piece);
/* Without blanks, tabs and line ends on both sides. */
struct zkp_slice zkp_text_trim(struct zkp_slice text);
bool zkp_text_is(struct zkp_slice text, const char *literal);
/* Like zkp_text_is, ASCII letters of either case. */
bool zkp_text_is_nocase(struct zkp_slice text, const char *literal);
/* True and the rest behind it when text starts with prefix. */
bool zkp_text_after(struct zkp_slice text, const char *prefix, struct zkp_slice *ret_rest);
/* Position of the first byte c, or text.len. */
uint32_t zkp_text_index(struct zkp_slice text, char c);
/* text[from, end). */
struct zkp_slice zkp_text_from(struct zkp_slice text, uint32_t from);
/* All of text must be digits (base 10 or 16, no sign, no 0x) that fit. */
bool zkp_text_u64(struct zkp_slice text, uint32_t base, uint64_t *ret_value);
/* Decimal with an optional minus, within [min, max]. */
bool zkp_text_i64(struct zkp_slice text, int64_t min, int64_t max, int64_t *ret_value);
/* Copies with a NUL; false when it does not fit. */
/* A whole number however Java prints it: "12", "12.0", "1.2E7", "-3.0". False for anything with a fraction,
 * and beyond int64. Exact: nothing goes through a double. */
bool zkp_text_whole(struct zkp_slice text, int64_t *ret_value);
bool zkp_text_copy(struct zkp_slice text, char *buf, uint32_t capacity);

#endif
