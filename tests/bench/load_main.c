/* bench_load: the command line. See load.h. */
#include <getopt.h>
#include <inttypes.h>
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
    "--watches N    per session, over the --paths (hold)\n"
    "--probes N --probe-ms MS   sessions that read, and how often (hold)\n"
    "--cpu-of PID   also measures that process's CPU time\n"
    "--bare 1       does not create the nodes first\n";

enum option_id {
    SESSIONS = 1,
    OUTSTANDING,
    IN_FLIGHT,
    PATHS,
    VALUE_SIZE,
    TIMEOUT,
    OP,
    RATE,
    WARMUP,
    SECONDS,
    REQUESTS,
    WATCHES,
    PROBES,
    PROBE_MS,
    CPU_OF,
    BARE,
    ROUNDS
};

static const struct option long_options[] = {{"sessions", required_argument, NULL, SESSIONS},
                                             {"outstanding", required_argument, NULL, OUTSTANDING},
                                             {"in-flight", required_argument, NULL, IN_FLIGHT},
                                             {"paths", required_argument, NULL, PATHS},
                                             {"value-size", required_argument, NULL, VALUE_SIZE},
                                             {"timeout-ms", required_argument, NULL, TIMEOUT},
                                             {"op", required_argument, NULL, OP},
                                             {"rate", required_argument, NULL, RATE},
                                             {"warmup", required_argument, NULL, WARMUP},
                                             {"seconds", required_argument, NULL, SECONDS},
                                             {"requests", required_argument, NULL, REQUESTS},
                                             {"watches", required_argument, NULL, WATCHES},
                                             {"probes", required_argument, NULL, PROBES},
                                             {"probe-ms", required_argument, NULL, PROBE_MS},
                                             {"cpu-of", required_argument, NULL, CPU_OF},
                                             {"bare", required_argument, NULL, BARE},
                                             {"rounds", required_argument, NULL, ROUNDS},
                                             {NULL, 0, NULL, 0}};

static _Noreturn void usage(void)
{
    fputs(usage_text, stderr);
    exit(2);
}

static double number(const char *text, double min, double max)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max))
        usage();
    return value;
}

static uint32_t count(const char *text, uint32_t min, uint32_t max)
{
    return (uint32_t)number(text, min, max);
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

static void set_shape(struct load_options *o, int option, const char *text)
{
    if (option == SESSIONS)
        o->sessions = count(text, 1, LOAD_SESSIONS_MAX);
    else if (option == OUTSTANDING)
        o->outstanding = count(text, 1, LOAD_OUTSTANDING_MAX);
    else if (option == IN_FLIGHT)
        o->in_flight = count(text, 1, LOAD_SESSIONS_MAX);
    else if (option == PATHS)
        o->paths = count(text, 1, 1000000);
    else if (option == VALUE_SIZE)
        o->value_bytes = count(text, 0, LOAD_VALUE_MAX);
    else if (option == WATCHES)
        o->watches = count(text, 0, LOAD_OUTSTANDING_MAX);
    else if (option == PROBES)
        o->probes = count(text, 0, LOAD_SESSIONS_MAX);
    else if (option == ROUNDS)
        o->rounds = count(text, 1, 1000);
    else if (option == BARE)
        o->is_bare = count(text, 0, 1) == 1;
}

static void set_option(struct load_options *o, int option, const char *text)
{
    if (option == OP)
        set_op(o, text);
    else if (option == RATE)
        o->rate = number(text, 0, 1e8);
    else if (option == WARMUP)
        o->warmup_ns = (int64_t)(number(text, 0, 3600) * (double)BENCH_NS_PER_S);
    else if (option == SECONDS)
        o->measure_ns = (int64_t)(number(text, 0.01, 3600) * (double)BENCH_NS_PER_S);
    else if (option == REQUESTS)
        o->requests = (uint64_t)number(text, 1, 1e12);
    else if (option == TIMEOUT)
        o->timeout_ms = (int32_t)number(text, 1000, 1e6);
    else if (option == PROBE_MS)
        o->probe_ms = number(text, 0.01, 1e6);
    else if (option == CPU_OF)
        o->cpu_of = (pid_t)number(text, 1, 1e9);
    else
        set_shape(o, option, text);
}

static void parse(int argc, char **argv, struct load_options *o)
{
    int option;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (option == '?')
            usage();
        set_option(o, option, optarg);
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
