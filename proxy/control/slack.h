/* Memory that a burst has left behind: the C library keeps what small blocks gave back, for the next ones,
 * and thousands of connections leave a lot of it. Control thread. */
#ifndef PROXY_CONTROL_SLACK_H
#define PROXY_CONTROL_SLACK_H

#include <stdbool.h>
#include <stdint.h>

struct px_slack {
    uint32_t most; /* client connections at once, since the last time */
    int64_t given_ms;
};

/* Big buffers go back as soon as they are freed. Before other threads start. */
void px_slack_init(struct px_slack *slack);
/* Gives back what is free when so many connections have gone that it is worth it: the workers may have to
 * wait for their next block meanwhile, about a millisecond for each megabyte. True when it did. */
bool px_slack_tick(struct px_slack *slack, uint32_t clients, int64_t now_ms);

#endif
