/* A broken invariant: printed and aborted, in release builds too (style.md §3). */
#ifndef ZKPROTO_ASSERT_H
#define ZKPROTO_ASSERT_H

/* Prints "file:line: invariant broken: text" to stderr and aborts. Defined in err.c. */
_Noreturn void zkp_assert_failed(const char *file, int line, const char *text);

#define ASSERT(condition) ((condition) ? (void)0 : zkp_assert_failed(__FILE__, __LINE__, #condition))

#endif
