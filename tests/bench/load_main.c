/* bench_load: the command line. See load.h. */
#include <getopt.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/load.h"
#include "tests/bench/sockets.h"

static const char usage_text[] =
    "usage: bench_load MODE HOST:PORT [HOST:PORT] [OPTION VALUE]…\n"
    "modes: run       keeps requests under way\n"
    "       hold      sessions that are there; a line on stdin asks for a report, its end ends them\n"
    "       connect   sessions that come and go, --requests of them in --in-flight places\n"
    "       reattach  takes all sessions from the first server to the second and back, --rounds times\n"
    "--sessions N --outstanding N --in-flight N --paths N --value-size BYTES --timeout-ms MS\n"
    "--op get|set|exists|mixed   mixed: 90 of 100 are get, the others set\n"
    "--rate R       requests/s of all sessions, latency counts from when each was due; 0 = closed loop\n"
    "--warmup S --seconds S, or --requests N without a warm-up\n"
    "--watches N    per session, over the --paths (hold; reattach: set again each time)\n"
    "--probes N --probe-ms MS   sessions that read, and how often (hold)\n"
    "--cpu-of PID   also measures that process's CPU time\n"
    "--bare 1       does not create the nodes first\n";

enum kind { COUNT, LARGE, NUMBER, REAL, SECONDS, FLAG, OP }; /* the fields' types: see store() */

struct row {
    const char *name;
    enum kind kind;
    size_t offset;
    double min;
    double max;
};

#define AT(field) offsetof(struct load_options, field)

static const struct row rows[] = {
    {"sessions", COUNT, AT(sessions), 1, LOAD_SESSIONS_MAX},
    {"outstanding", COUNT, AT(outstanding), 1, LOAD_OUTSTANDING_MAX},
    {"in-flight", COUNT, AT(in_flight), 1, LOAD_SESSIONS_MAX},
    {"paths", COUNT, AT(paths), 1, 1e6},
    {"value-size", COUNT, AT(value_bytes), 0, LOAD_VALUE_MAX},
    {"timeout-ms", NUMBER, AT(timeout_ms), 1000, 1e6},
    {"op", OP, 0, 0, 0},
    {"rate", REAL, AT(rate), 0, 1e8},
    {"warmup", SECONDS, AT(warmup_ns), 0, 3600},
    {"seconds", SECONDS, AT(measure_ns), 0.01, 3600},
    {"requests", LARGE, AT(requests), 1, 1e12},
    {"rounds", COUNT, AT(rounds), 1, 1000},
    {"watches", COUNT, AT(watches), 0, LOAD_OUTSTANDING_MAX},
    {"probes", COUNT, AT(probes), 0, LOAD_SESSIONS_MAX},
    {"probe-ms", REAL, AT(probe_ms), 0.01, 1e6},
    {"cpu-of", NUMBER, AT(cpu_of), 1, INT32_MAX},
    {"bare", FLAG, AT(is_bare), 0, 1},
};
#define ROW_COUNT (sizeof rows / sizeof rows[0])

static _Noreturn void usage(void)
{
    fputs(usage_text, stderr);
    exit(2);
}

static double number(const struct row *row, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= row->min && value <= row->max))
        usage();
    return value;
}

static void set_op(struct load_options *o, const char *name)
{
    static const struct {
        const char *name;
        enum load_op op;
        uint32_t set_percent;
    } ops[] = {
        {"get", LOAD_GET, 0}, {"set", LOAD_SET, 100}, {"exists", LOAD_EXISTS, 0}, {"mixed", LOAD_GET, 10}};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(name, ops[i].name) == 0) {
            o->op_name = ops[i].name;
            o->op = ops[i].op;
            o->set_percent = ops[i].set_percent;
            return;
        }
    }
    usage();
}

static void store(void *field, enum kind kind, double value)
{
    switch (kind) {
    case COUNT:
        *(uint32_t *)field = (uint32_t)value;
        return;
    case LARGE:
        *(uint64_t *)field = (uint64_t)value;
        return;
    case NUMBER:
        *(int32_t *)field = (int32_t)value; /* pid_t, too */
        return;
    case REAL:
        *(double *)field = value;
        return;
    case SECONDS:
        *(int64_t *)field = (int64_t)(value * (double)BENCH_NS_PER_S);
        return;
    case FLAG:
        *(bool *)field = value > 0.0;
        return;
    case OP:
        return;
    }
}

static void set_option(struct load_options *o, const struct row *row, const char *text)
{
    if (row->kind == OP)
        set_op(o, text);
    else
        store((char *)o + row->offset, row->kind, number(row, text));
}

static void parse(int argc, char **argv, struct load_options *o)
{
    struct option options[ROW_COUNT + 1] = {{0}};
    int option, index;
    for (size_t i = 0; i < ROW_COUNT; i++)
        options[i] = (struct option){.name = rows[i].name, .has_arg = required_argument};
    while ((option = getopt_long(argc, argv, "", options, &index)) != -1) {
        if (option == '?')
            usage();
        set_option(o, &rows[index], optarg);
    }
    if (argc - optind < 2 || argc - optind > 1 + (int)LOAD_ADDRESSES_MAX)
        usage();
    o->mode = argv[optind++];
    for (; optind < argc; optind++)
        if (!bench_address_parse(argv[optind], &o->addresses[o->address_count++]))
            usage();
}

/* What follows from the mode. */
static void settle(struct load_options *o)
{
    if (strcmp(o->mode, "connect") == 0) {
        o->sessions = o->in_flight;
        if (o->requests == 0)
            usage();
    }
    if (o->outstanding < o->watches)
        o->outstanding = o->watches; /* a session's watches are asked for at once */
    if (o->probes > o->sessions || (o->cpu_of > 0 && bench_cpu_ns(o->cpu_of) < 0))
        usage();
}

void load_print_histogram(const char *name, const struct bench_histogram *histogram)
{
    static const struct {
        const char *name;
        double share;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    printf("\"%s\": {\"count\": %" PRIu64 ", \"mean\": %.3f", name, histogram->count,
           bench_histogram_mean(histogram) / 1e3);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        printf(", \"%s\": %.3f", points[i].name,
               (double)bench_histogram_at(histogram, points[i].share) / 1e3);
    printf(", \"max\": %.3f}", (double)histogram->max / 1e3);
}

static enum rc run_mode(struct load *load)
{
    static const struct {
        const char *name;
        enum rc (*run)(struct load *load);
    } modes[] = {
        {"run", load_run}, {"hold", load_hold}, {"connect", load_connect}, {"reattach", load_reattach}};
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(load->options.mode, modes[i].name) == 0)
            return modes[i].run(load);
    usage();
}

int main(int argc, char **argv)
{
    static struct load load; /* two histograms: too large for the stack */
    struct load_options options = {.op_name = "get",
                                   .sessions = 16,
                                   .outstanding = 1,
                                   .in_flight = 32,
                                   .paths = 100,
                                   .value_bytes = 100,
                                   .op = LOAD_GET,
                                   .timeout_ms = 30000,
                                   .rounds = 2,
                                   .probe_ms = 5.0,
                                   .warmup_ns = BENCH_NS_PER_S / 2,
                                   .measure_ns = 2 * BENCH_NS_PER_S};
    parse(argc, argv, &options);
    settle(&options);
    bench_files_raise();
    enum rc rc = load_init(&load, &options);
    if (rc == RC_OK)
        rc = run_mode(&load);
    if (rc != RC_OK)
        fprintf(stderr, "bench_load: %s (%s)\n", load.err.text, rc_text(rc));
    load_done(&load);
    return rc == RC_OK ? 0 : 1;
}
