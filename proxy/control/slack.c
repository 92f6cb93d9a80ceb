/* See slack.h. */
#include "proxy/control/slack.h"

#include <malloc.h>

/* The C library begins here and goes up to 32 MiB with every big block it sees freed: those would then be
 * slack. */
#define MMAP_THRESHOLD (128 * 1024)
#define BURST          512u  /* connections; a MiB or more */
#define PAUSE_MS       10000 /* a burst that ends in pieces costs the workers no more than this often */

void px_slack_init(struct px_slack *slack)
{
    *slack = (struct px_slack){.most = 0};
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
}

bool px_slack_tick(struct px_slack *slack, uint32_t clients, int64_t now_ms)
{
    if (clients > slack->most)
        slack->most = clients;
    if (slack->most - clients < BURST || clients > slack->most / 2)
        return false;
    if (slack->given_ms != 0 && now_ms - slack->given_ms < PAUSE_MS)
        return false;
    slack->given_ms = now_ms;
    slack->most = clients;
    (void)malloc_trim(0);
    return true;
}
