/* Which connections of ours a server has counted when it answers srvr: known by what stood when it was asked
 * and when the answer was there. Control thread, pure. */
#ifndef PROXY_CONTROL_FLEET_OURS_H
#define PROXY_CONTROL_FLEET_OURS_H

#include <stdbool.h>
#include <stdint.h>

/* At one moment. Admin sessions are not in it: they know since when they stand. */
struct px_ours {
    uint32_t sessions;
    uint32_t changes;  /* sessions that came or went, in all */
    uint32_t details;  /* questions of the other prober, in all */
    bool asks_details; /* one of them is under way */
};

/* At least and at most so many. What came, went or was being made between the two moments may have been
 * counted or not. counts_asker: srvr was asked as a word, which is a connection of its own. */
void px_ours_counted(const struct px_ours *before, const struct px_ours *after, bool counts_asker,
                     int64_t *ret_least, int64_t *ret_most);

#endif
