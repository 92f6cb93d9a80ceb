/* See text.h. */
#include "migrate/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void mig_text_set(char *buf, uint32_t capacity, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(buf, capacity, format, args);
    va_end(args);
}

void mig_text_add(char *buf, uint32_t capacity, const char *format, ...)
{
    size_t used = strlen(buf);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(buf + used, capacity - used, format, args);
    va_end(args);
}
