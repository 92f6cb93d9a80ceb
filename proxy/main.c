/* zkferryd: arguments, configuration, then the control thread. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "conf/conf.h"
#include "proxy/control/control.h"
#include "proxy/log.h"
#include "zkproto/secret.h"

struct arguments {
    const char *file;
    bool check_only;
    bool is_verbose;
};

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE };

static void print_usage(FILE *out)
{
    fprintf(out,
            "zkferryd %s: a ZooKeeper-protocol proxy that migrates the ensemble behind it\n\n"
            "  zkferryd -c FILE                  run\n"
            "  zkferryd --check-config -c FILE   say what is wrong with FILE; exit 0 or 1\n"
            "  zkferryd --help-config            every key, its default and its meaning\n"
            "  -v, --verbose                     log at level debug\n"
            "  --version, --help\n",
            ZKFERRY_VERSION);
}

/* Exit code, or -1 to go on. */
static int parse(int argc, char **argv, struct arguments *ret_arguments)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"check-config", no_argument, NULL, 'k'},
                                            {"help-config", no_argument, NULL, 'K'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"version", no_argument, NULL, 'V'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "c:vh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            ret_arguments->file = optarg;
            break;
        case 'k':
            ret_arguments->check_only = true;
            break;
        case 'v':
            ret_arguments->is_verbose = true;
            break;
        case 'K':
            conf_print_keys(stdout);
            return EXIT_OK;
        case 'V':
            printf("zkferryd %s\n", ZKFERRY_VERSION);
            return EXIT_OK;
        case 'h':
            print_usage(stdout);
            return EXIT_OK;
        default:
            print_usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (ret_arguments->file && optind == argc)
        return -1;
    print_usage(stderr);
    return EXIT_USAGE;
}

/* What is in memory includes a password and everything clients send: no core file, and nobody but root reads
 * /proc/PID/mem or attaches. Before the secret is read. */
static bool close_memory(void)
{
    const struct rlimit none = {0, 0};
    return setrlimit(RLIMIT_CORE, &none) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

int main(int argc, char **argv)
{
    struct arguments arguments = {0};
    int code = parse(argc, argv, &arguments);
    if (code >= 0)
        return code;
    if (!close_memory()) {
        fprintf(stderr, "zkferryd: core files cannot be ruled out: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    struct conf_problems problems = {0};
    struct conf *conf = NULL;
    if (conf_load(arguments.file, &conf, &problems) != RC_OK) {
        fprintf(stderr, "%s", problems.text ? problems.text : "out of memory\n");
        conf_problems_done(&problems);
        return EXIT_FAILED;
    }
    conf_problems_done(&problems);
    if (arguments.check_only) {
        conf_free(conf);
        return EXIT_OK;
    }
    if (arguments.is_verbose)
        px_log_set_level(PX_LOG_DEBUG);
    if (!zkp_secret_is_locked(conf->super))
        px_log(PX_LOG_WARN, "start.secret_unlocked",
               "what=\"the super password may be swapped out: raise RLIMIT_MEMLOCK\"");
    struct err err = {.code = RC_OK};
    if (px_control_run(conf, &err) != RC_OK) {
        px_log(PX_LOG_FATAL, "start.failed", "why=%s", err.text);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}
