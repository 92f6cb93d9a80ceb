/* See prom.h. Format: the "text-based format" of Prometheus' exposition formats, version 0.0.4. */
#include "proxy/admin/prom.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/utf8.h"
#include "zkproto/assert.h"

#define NUMBER_MAX 32u /* "-1.7976931348623157e+308" and 20 digits fit */

static void add_text(struct px_prom *prom, const char *text)
{
    (void)evbuffer_add(prom->out, text, strlen(text)); /* out of memory: a scrape that does not parse */
}

void px_prom_init(struct px_prom *prom, struct evbuffer *out)
{
    *prom = (struct px_prom){.out = out};
}

/* Label values escape backslash, quote and newline; help texts are ours and have none of them. */
static void add_label_value(struct px_prom *prom, const char *value)
{
    size_t left = strlen(value);

    while (left > 0) {
        size_t len = px_utf8_sequence(value, left);

        if (len == 0)
            add_text(prom, PX_UTF8_REPLACEMENT);
        else if (*value == '\n')
            add_text(prom, "\\n");
        else if (*value == '"' || *value == '\\')
            (void)evbuffer_add(prom->out, (char[]){'\\', *value}, 2);
        else
            (void)evbuffer_add(prom->out, value, len);
        len = len > 0 ? len : 1;
        value += len;
        left -= len;
    }
}

/* The shortest of 15 to 17 digits that reads back as the same double. */
static void number_text(double value, char text[NUMBER_MAX])
{
    if (isnan(value)) {
        (void)snprintf(text, NUMBER_MAX, "NaN");
        return;
    }
    if (isinf(value)) {
        (void)snprintf(text, NUMBER_MAX, value > 0 ? "+Inf" : "-Inf");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, NUMBER_MAX, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            return;
    }
}

void px_prom_family(struct px_prom *prom, const char *name, enum px_prom_kind kind, const char *help)
{
    static const char *const kinds[] = {"counter", "gauge", "histogram"};
    size_t len = strlen(name);

    ASSERT(kind != PX_PROM_COUNTER || (len > 6 && strcmp(name + len - 6, "_total") == 0));
    prom->family = name;
    prom->kind = kind;
    (void)evbuffer_add_printf(prom->out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kinds[kind]);
}

/* le is the bound of a histogram's bucket, NULL elsewhere; it comes last. */
static void add_series(struct px_prom *prom, const char *suffix, const struct px_prom_label *labels,
                       size_t label_count, const char *le)
{
    const char *separator = "{";

    ASSERT(prom->family != NULL);
    (void)evbuffer_add_printf(prom->out, "%s%s", prom->family, suffix);
    for (size_t i = 0; i < label_count; i++) {
        (void)evbuffer_add_printf(prom->out, "%s%s=\"", separator, labels[i].name);
        add_label_value(prom, labels[i].value);
        add_text(prom, "\"");
        separator = ",";
    }
    if (le != NULL) {
        (void)evbuffer_add_printf(prom->out, "%sle=\"%s\"", separator, le);
        separator = ",";
    }
    add_text(prom, *separator == ',' ? "} " : " ");
}

static void add_count(struct px_prom *prom, uint64_t value)
{
    (void)evbuffer_add_printf(prom->out, "%" PRIu64 "\n", value);
}

static void add_number(struct px_prom *prom, double value)
{
    char text[NUMBER_MAX];

    number_text(value, text);
    (void)evbuffer_add_printf(prom->out, "%s\n", text);
}

void px_prom_sample(struct px_prom *prom, const struct px_prom_label *labels, size_t label_count,
                    double value)
{
    ASSERT(prom->kind != PX_PROM_HISTOGRAM);
    add_series(prom, "", labels, label_count, NULL);
    add_number(prom, value);
}

void px_prom_count(struct px_prom *prom, const struct px_prom_label *labels, size_t label_count,
                   uint64_t value)
{
    ASSERT(prom->kind != PX_PROM_HISTOGRAM);
    add_series(prom, "", labels, label_count, NULL);
    add_count(prom, value);
}

void px_prom_count_literal(struct px_prom *prom, const char *labels, uint64_t value)
{
    bool has_labels = labels[0] != '\0';

    ASSERT(prom->family != NULL && prom->kind != PX_PROM_HISTOGRAM);
    (void)evbuffer_add_printf(prom->out, has_labels ? "%s{%s} %" PRIu64 "\n" : "%s%s %" PRIu64 "\n",
                              prom->family, labels, value);
}

void px_prom_histogram(struct px_prom *prom, const struct px_prom_label *labels, size_t label_count,
                       const double *bounds, const uint64_t *counts, size_t bound_count, double sum)
{
    uint64_t cumulative = 0;
    char bound[NUMBER_MAX];

    ASSERT(prom->kind == PX_PROM_HISTOGRAM);
    for (size_t i = 0; i <= bound_count; i++) {
        cumulative += counts[i];
        number_text(i < bound_count ? bounds[i] : (double)INFINITY, bound);
        add_series(prom, "_bucket", labels, label_count, bound);
        add_count(prom, cumulative);
    }
    add_series(prom, "_sum", labels, label_count, NULL);
    add_number(prom, sum);
    add_series(prom, "_count", labels, label_count, NULL);
    add_count(prom, cumulative);
}
