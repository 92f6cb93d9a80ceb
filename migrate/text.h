/* Sentences for people in fixed buffers: always terminated, cut when too long. Pure. */
#ifndef MIGRATE_TEXT_H
#define MIGRATE_TEXT_H

#include <stdint.h>

void mig_text_set(char *buf, uint32_t capacity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void mig_text_add(char *buf, uint32_t capacity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
