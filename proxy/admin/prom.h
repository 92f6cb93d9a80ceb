/* Prometheus text exposition, format 0.0.4: a family is opened once, its samples follow it, so HELP and
 * TYPE stand once per family and families are contiguous by construction. Writes into an evbuffer.
 * Not here: which metrics exist (proxy/net/metric_table.h and the integrator say that) and the protobuf
 * form. Control thread. */
#ifndef PROXY_ADMIN_PROM_H
#define PROXY_ADMIN_PROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evbuffer;

enum px_prom_kind { PX_PROM_COUNTER, PX_PROM_GAUGE, PX_PROM_HISTOGRAM };

struct px_prom_label {
    const char *name;
    const char *value; /* any text; escaped; invalid UTF-8 is replaced */
};

/* Owned by the caller, lives for one scrape. */
struct px_prom {
    struct evbuffer *out;   /* borrowed */
    const char *family;     /* the open one, borrowed; NULL before the first */
    enum px_prom_kind kind; /* its kind */
};

void px_prom_init(struct px_prom *prom, struct evbuffer *out);

/* Opens a family. name is borrowed until the next one is opened; counters end in _total (asserted). */
void px_prom_family(struct px_prom *prom, const char *name, enum px_prom_kind kind, const char *help);

/* One sample of the open family (counter or gauge). labels may be NULL when label_count is 0. */
void px_prom_sample(struct px_prom *prom, const struct px_prom_label *labels, size_t label_count,
                    double value);
/* The same for whole numbers; exact to 64 bits in the text. */
void px_prom_count(struct px_prom *prom, const struct px_prom_label *labels, size_t label_count,
                   uint64_t value);

/* The same with labels as they are printed ("reason=\"returned\"", "" = none): for tables of literals. */
void px_prom_count_literal(struct px_prom *prom, const char *labels, uint64_t value);

/* One series of the open histogram family: `bounds` ascending upper bounds, `counts` has bound_count + 1
 * entries, each the number of observations in its own bucket (not cumulative), the last one above all
 * bounds (+Inf). sum in the family's unit. */
void px_prom_histogram(struct px_prom *prom, const struct px_prom_label *labels, size_t label_count,
                       const double *bounds, const uint64_t *counts, size_t bound_count, double sum);

#endif
