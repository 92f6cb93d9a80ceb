/* Switches that break a safety rule on purpose, so that the tests of that rule can be shown to fail
 * (ZKFERRY_TEST_SWITCHES="no_drain,no_zxid_routing"). Always off in builds without PX_TEST_SWITCHES. */
#ifndef PROXY_NET_SWITCHES_H
#define PROXY_NET_SWITCHES_H

#include <stdbool.h>

/* Reads the environment: before or while threads start, not on the hot path. */
bool px_switch(const char *name);

#endif
