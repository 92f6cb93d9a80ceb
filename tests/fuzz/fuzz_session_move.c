/* A session that moves between the servers of a small simulated ensemble (tests/rig/machine.h), every
 * choice made by a byte of the input: what a client may rely on holds whatever happens. Input: the kind of
 * run, then choices; the run ends with them. */
#include <stdio.h>

#include "tests/rig/machine.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct choices {
    const uint8_t *bytes;
    size_t left;
};

/* The last ones are all 0: a run without choices comes to rest. */
static uint32_t next_choice(void *context, uint32_t below)
{
    struct choices *choices = context;

    if (choices->left == 0)
        return 0;
    choices->left--;
    return *choices->bytes++ % below;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct rig_machine m;
    struct choices choices = {.bytes = bytes + 1, .left = size - 1};
    struct rig_options options = {0};

    if (size == 0)
        return 0;
    options.rule = (bytes[0] & 1) != 0 ? PX_WATCH_ALL_MODES : PX_WATCH_ONE_MODE;
    options.has_lasting = (bytes[0] & 2) != 0;
    options.has_trouble = (bytes[0] & 4) != 0;
    options.has_deaf_old = (bytes[0] & 8) != 0;
    options.has_short = (bytes[0] & 16) != 0;
    options.exports = (bytes[0] & 32) != 0;
    rig_start(&m, &options, next_choice, &choices);
    while (choices.left > 0 && !m.is_closed && m.client.fault[0] == '\0')
        rig_choose_step(&m);
    rig_end_run(&m);
    rig_end(&m);
    if (m.client.fault[0] != '\0')
        fprintf(stderr, "%s\n", m.client.fault);
    ASSERT(m.client.fault[0] == '\0');
    return 0;
}
