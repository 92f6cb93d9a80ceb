/* The workers' counters about sessions as the engine carries them (migrate/engine/tally.h). Control thread.
 */
#ifndef PROXY_CONTROL_TALLY_H
#define PROXY_CONTROL_TALLY_H

#include "migrate/engine/tally.h"
#include "proxy/control/crew/crew.h"
#include "proxy/control/report/report.h"

/* Since the daemon began. counts: those that are asked for first. */
void px_tally(const struct px_crew *crew, const struct px_session_counts *counts,
              struct mig_tally *ret_tally);
/* No client of this tally was kept waiting longer; 0 = none waited, -1 = longer than the largest bucket. */
double px_tally_longest_pause(const struct mig_tally *tally);

#endif
