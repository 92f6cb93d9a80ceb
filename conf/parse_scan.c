/* The first pass over a file, over libyaml's events: they know the exact place of what we refuse (bad syntax,
 * tags, aliases, further documents). See parse_int.h. Thread: the one that loads. */
#include <stdio.h>

#include "conf/parse_int.h"

/* Listeners as maps need four levels. libyaml's time grows with the square of the depth: a file of 64 KB
 * that is nothing but brackets costs it seconds. */
#define NESTING_MAX 8

/* What the first pass has to remember between events. */
struct scan {
    int document_count;
    int depth;
    bool is_done;
};

int conf_yaml_line(yaml_mark_t mark)
{
    return (int)mark.line + 1;
}

/* A reader error (bad UTF-8) knows only its byte. */
static int line_of_offset(struct zkp_slice text, size_t offset)
{
    int line = 1;

    for (size_t i = 0; i < offset && i < text.len; i++)
        line += text.ptr[i] == '\n' ? 1 : 0;
    return line;
}

void conf_yaml_report(struct conf_reader *r, const yaml_parser_t *parser, struct zkp_slice text)
{
    const char *why = parser->problem != NULL ? parser->problem : "unknown error";

    if (parser->error == YAML_MEMORY_ERROR) {
        r->is_nomem = true;
    } else if (parser->error == YAML_READER_ERROR) {
        conf_problem(r, line_of_offset(text, parser->problem_offset), "", "%s, allowed is UTF-8 text", why);
    } else {
        char place[32];
        (void)snprintf(place, sizeof(place), "column %zu", parser->problem_mark.column + 1);
        conf_problem(r, conf_yaml_line(parser->problem_mark), place, "%s, allowed is valid YAML", why);
    }
}

static const yaml_char_t *tag_of_event(const yaml_event_t *event)
{
    if (event->type == YAML_SCALAR_EVENT)
        return event->data.scalar.tag;
    if (event->type == YAML_SEQUENCE_START_EVENT)
        return event->data.sequence_start.tag;
    if (event->type == YAML_MAPPING_START_EVENT)
        return event->data.mapping_start.tag;
    return NULL;
}

static void check_depth(struct conf_reader *r, const yaml_event_t *event, struct scan *scan)
{
    if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT)
        scan->depth++;
    else if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
        scan->depth--;
    if (scan->depth > NESTING_MAX) {
        conf_problem(r, conf_yaml_line(event->start_mark), "", "is nested too deep, allowed are %d levels",
                     NESTING_MAX);
        scan->is_done = true;
    }
}

static void check_event(struct conf_reader *r, const yaml_event_t *event, struct scan *scan)
{
    int line = conf_yaml_line(event->start_mark);

    if (event->type == YAML_ALIAS_EVENT)
        conf_problem(r, line, "", "an alias (*name) is not supported, allowed is the value itself");
    else if (event->type == YAML_DOCUMENT_START_EVENT && ++scan->document_count == 2)
        conf_problem(r, line, "", "a second document begins, allowed is one per file");
    else if (tag_of_event(event) != NULL)
        conf_problem(r, line, "", "a tag (!name) is not supported, allowed is the plain value");
}

/* libyaml's readers stop at the first error; what they found before it is reported too. */
void conf_yaml_scan(struct conf_reader *r, struct zkp_slice text)
{
    yaml_parser_t parser;
    struct scan scan = {0};

    if (!yaml_parser_initialize(&parser)) {
        r->is_nomem = true;
        return;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.ptr, text.len);
    while (!scan.is_done && !conf_problems_full(r)) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            conf_yaml_report(r, &parser, text);
            break;
        }
        scan.is_done = event.type == YAML_STREAM_END_EVENT;
        check_event(r, &event, &scan);
        check_depth(r, &event, &scan);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
}
