/* Result codes' texts, error texts and the end of a process whose invariant is broken. Any thread; the only
 * output is zkp_assert_failed's. */
#include "zkproto/err.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "zkproto/assert.h"

static const char *const rc_texts[RC_COUNT] = {
#define RC_TEXT(name, text) [RC_##name] = (text),
    RC_LIST(RC_TEXT)
#undef RC_TEXT
};

const char *rc_text(enum rc rc)
{
    if ((unsigned)rc >= RC_COUNT)
        return "unknown result code";
    return rc_texts[rc];
}

enum rc err_set(struct err *err, enum rc code, const char *format, ...)
{
    if (!err)
        return code;
    /* Formatted aside first: callers may pass parts of err->text as arguments. */
    char text[ERR_TEXT_MAX] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(err->text, text, strlen(text) + 1);
    err->code = code;
    return code;
}

/* Adds what still fits; text stays NUL-terminated. */
static void text_append(char text[ERR_TEXT_MAX], const char *more)
{
    size_t used = strlen(text);
    size_t count = strnlen(more, ERR_TEXT_MAX - 1 - used);
    memcpy(text + used, more, count);
    text[used + count] = '\0';
}

enum rc err_wrap(struct err *err, const char *format, ...)
{
    if (!err)
        return RC_IO;
    char text[ERR_TEXT_MAX] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    text_append(text, ": ");
    text_append(text, err->text);
    memcpy(err->text, text, strlen(text) + 1);
    return err->code;
}

_Noreturn void zkp_assert_failed(const char *file, int line, const char *text)
{
    fprintf(stderr, "%s:%d: invariant broken: %s\n", file, line, text);
    fflush(stderr);
    abort();
}
