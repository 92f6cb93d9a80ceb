/* Test switches, compiled in only with PX_TEST_SWITCHES (never in a release): places where the process can
 * be told to die, and safety rules that control runs take away to show that the tests would notice.
 *
 *   ZKFERRY_FAILPOINT=NAME[:N]     SIGKILL to ourselves at the N-th passing of NAME (default 1)
 *   ZKFERRY_FAILPOINT=NAME:N:stop  SIGSTOP instead: the world changes between two of our steps
 *   ZKFERRY_FAILPOINT_LOG=FILE     one line "NAME detail" appended per passing
 *   ZKFERRY_TEST_SWITCHES=a,b      mig_switch("a") is true
 *
 * The environment is read at each passing and must not be changed while threads run. Any thread. */
#ifndef MIGRATE_FAILPOINT_H
#define MIGRATE_FAILPOINT_H

#include <stdbool.h>

#if defined(PX_TEST_SWITCHES) && PX_TEST_SWITCHES
void mig_failpoint_pass(const char *name, const char *detail);
bool mig_switch(const char *name);
#define MIG_FAILPOINT(name, detail) mig_failpoint_pass((name), (detail))
#else
static inline bool mig_switch(const char *name)
{
    (void)name;
    return false;
}
#define MIG_FAILPOINT(name, detail) ((void)0)
#endif

#endif
