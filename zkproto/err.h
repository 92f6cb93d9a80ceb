/* Result vocabulary of the whole program: one code for machines, one text for people.
 * Libraries return `enum rc`; where a human will read the cause they also fill a `struct err`.
 * Pure, any thread. */
#ifndef ZKPROTO_ERR_H
#define ZKPROTO_ERR_H

#define RC_LIST(X)                                                                                           \
    X(OK, "ok")                                                                                              \
    X(AGAIN, "not yet, more input or another try is needed")                                                 \
    X(MALFORMED, "malformed input")                                                                          \
    X(TOO_BIG, "larger than the limit")                                                                      \
    X(FULL, "no room left")                                                                                  \
    X(NOMEM, "out of memory")                                                                                \
    X(IO, "input/output error")                                                                              \
    X(CLOSED, "closed by the peer")                                                                          \
    X(TIMEOUT, "deadline passed")                                                                            \
    X(REFUSED, "refused")                                                                                    \
    X(CORRUPT, "stored data is corrupt")                                                                     \
    X(NOT_FOUND, "not found")                                                                                \
    X(EXISTS, "exists already")                                                                              \
    X(INVALID, "invalid value")                                                                              \
    X(UNKNOWN, "outcome unknown")

enum rc {
#define RC_ENUM(name, text) RC_##name,
    RC_LIST(RC_ENUM)
#undef RC_ENUM
        RC_COUNT
};

#define RC_MUST_CHECK __attribute__((warn_unused_result))

#define ERR_TEXT_MAX 512

/* Owned by the caller, usually on its stack. text is always NUL-terminated. */
struct err {
    enum rc code;
    char text[ERR_TEXT_MAX];
};

/* The constant text of a code; never NULL. */
const char *rc_text(enum rc rc);

/* Writes code and text (cut at ERR_TEXT_MAX) and returns code. err may be NULL: only the code is
 * returned. */
enum rc err_set(struct err *err, enum rc code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts "<formatted>: " before the text and returns err->code. err may be NULL (returns RC_IO). */
enum rc err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
