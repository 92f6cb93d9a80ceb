/* See ours.h. */
#include "proxy/control/fleet/ours.h"

void px_ours_counted(const struct px_ours *before, const struct px_ours *after, bool counts_asker,
                     int64_t *ret_least, int64_t *ret_most)
{
    uint32_t more = before->sessions > after->sessions ? before->sessions : after->sessions;
    uint32_t changes = after->changes - before->changes;
    bool is_still = changes == 0 && before->sessions == after->sessions;
    bool had_details = before->asks_details || after->asks_details || before->details != after->details;
    *ret_least = (is_still ? more : 0) + counts_asker;
    *ret_most = (int64_t)more + changes + had_details + counts_asker;
}
