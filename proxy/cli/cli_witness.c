/* What the continuity witness says, in one line of the status. */
#include "proxy/cli/cli.h"

/* The faults, by their names in the answer. */
static const char *const faults[] = {"unknown",        "refused",         "gaps",        "disconnects",
                                     "expired",        "ephemerals_lost", "events_late", "events_missed",
                                     "events_doubled", "watches_lost"};

static void print_faults(FILE *out, const json_t *witness)
{
    const char *before = ", INTERRUPTED: ";

    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        json_int_t count = px_cli_number(witness, faults[i]);

        if (count == 0)
            continue;
        (void)fprintf(out, "%s%" JSON_INTEGER_FORMAT " %s", before, count, faults[i]);
        before = ", ";
    }
}

void px_cli_print_witness(FILE *out, const json_t *status)
{
    const json_t *witness = json_object_get(status, "witness");

    if (!json_is_object(witness))
        return;
    (void)fprintf(out, "witness   %" JSON_INTEGER_FORMAT " writes acknowledged, longest stall %.1f s",
                  px_cli_number(witness, "acked"),
                  json_number_value(json_object_get(witness, "stall_seconds")));
    if (json_is_true(json_object_get(witness, "clean")))
        (void)fputs(", nothing was interrupted", out);
    else
        print_faults(out, witness);
    (void)fputc('\n', out);
}
