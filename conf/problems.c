/* Collects everything that is wrong with a file, so that one run shows all of it, in the file's order.
 * Bounded: a table in the reader. Thread: the one that loads. Does not print. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf_int.h"

#define SHOWN_BYTES_MAX 60u

static const char nomem_text[] = "out of memory while the configuration was read";

static bool is_control(char c)
{
    return (unsigned char)c < 0x20u || c == 0x7f;
}

static void write_place(const struct conf_reader *r, int line, const char *key, char *buf, size_t capacity)
{
    char place[24] = "";

    if (line > 0)
        (void)snprintf(place, sizeof(place), ":%d", line);
    (void)snprintf(buf, capacity, "%s%s: %s%s", r->file, place, key, key[0] != '\0' ? ": " : "");
}

void conf_problem(struct conf_reader *r, int line, const char *key, const char *format, ...)
{
    if (conf_problems_full(r)) {
        r->lost_count++;
        return;
    }

    struct conf_problem *problem = &r->problems[r->problem_count++];
    problem->line = line;
    write_place(r, line, key, problem->text, sizeof(problem->text));

    size_t used = strlen(problem->text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem->text + used, sizeof(problem->text) - used, format, arguments);
    va_end(arguments);
    /* One problem is one line, and the file's bytes must not drive somebody's terminal. */
    for (char *c = problem->text; *c != '\0'; c++)
        *c = is_control(*c) ? '?' : *c;
}

bool conf_problems_full(const struct conf_reader *r)
{
    return r->problem_count == CONF_PROBLEMS_MAX;
}

/* Stable, so that several problems of one line keep the order in which they were found. */
static void sort_order(const struct conf_reader *r, uint32_t order[CONF_PROBLEMS_MAX])
{
    for (uint32_t i = 0; i < r->problem_count; i++) {
        uint32_t at = i;
        while (at > 0 && r->problems[order[at - 1]].line > r->problems[i].line) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = i;
    }
}

void conf_problems_take(struct conf_reader *r, struct conf_problems *ret_problems)
{
    uint32_t order[CONF_PROBLEMS_MAX];
    size_t capacity = (size_t)(r->problem_count + 1u) * (CONF_PROBLEM_TEXT_MAX + 1u);
    char *text = conf_zalloc(capacity);

    if (text == NULL) {
        conf_problems_nomem(ret_problems);
        return;
    }
    sort_order(r, order);
    size_t used = 0;
    for (uint32_t i = 0; i < r->problem_count; i++)
        used += (size_t)snprintf(text + used, capacity - used, "%s%s", i > 0 ? "\n" : "",
                                 r->problems[order[i]].text);
    if (r->lost_count > 0)
        (void)snprintf(text + used, capacity - used, "\n%.200s: %u more problems are not shown", r->file,
                       r->lost_count);
    ret_problems->count = r->problem_count + (r->lost_count > 0 ? 1u : 0u);
    ret_problems->text = text;
}

void conf_problems_nomem(struct conf_problems *ret_problems)
{
    ret_problems->count = 1;
    ret_problems->text = (char *)(uintptr_t)nomem_text; /* never written, never freed */
}

void conf_problems_done(struct conf_problems *problems)
{
    if (problems->text != nomem_text)
        free(problems->text);
    *problems = (struct conf_problems){0};
}

void conf_show(char *buf, uint32_t capacity, const char *text, size_t len)
{
    static const char more[] = "...";
    size_t shown = len < SHOWN_BYTES_MAX ? len : SHOWN_BYTES_MAX;

    if (capacity < SHOWN_BYTES_MAX + sizeof(more))
        shown = shown < capacity - sizeof(more) ? shown : capacity - sizeof(more);
    while (shown < len && shown > 0 && ((unsigned char)text[shown] & 0xc0u) == 0x80u)
        shown--; /* never half a UTF-8 character */
    memcpy(buf, text, shown);
    memcpy(buf + shown, more, sizeof(more));
    if (shown == len)
        buf[shown] = '\0';
}
