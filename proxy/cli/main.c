/* Entry point of zkferry: arguments, then the command's run function. */
#include <stdlib.h>

#include "proxy/cli/cli.h"

int main(int argc, char **argv)
{
    struct px_cli_options options;
    struct err err;

    if (px_cli_parse(argc, argv, &options, &err) != RC_OK) {
        (void)fprintf(stderr, "zkferry: %s\ntry: zkferry --help\n", err.text);
        return PX_CLI_USAGE;
    }
    if (options.wants_help) {
        px_cli_help(stdout);
        return PX_CLI_DONE;
    }
    if (options.wants_version) {
        (void)printf("zkferry %s\n", ZKFERRY_VERSION);
        return PX_CLI_DONE;
    }
    return (int)options.command->run(&options);
}
