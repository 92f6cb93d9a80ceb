/* A healthy ensemble as preflight sees it, for tests that change one fact of it: three sources (3 leads),
 * three targets that have joined, a plan to migrate, both harmless probes answered. */
#ifndef TESTS_UNIT_PREFLIGHT_BENCH_H
#define TESTS_UNIT_PREFLIGHT_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/sim_ensemble.h"
#include "zkproto/zkerr.h"

/* One run of the rules over a world that a fault may have changed. */
struct world {
    struct sim *sim;
    struct mig_plan plan;
    struct mig_probes probes;
    struct mig_switches switches;
    struct mig_drained drained;
    struct mig_findings findings;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->sim = sim_new();
    sim_dynamic(w->sim);
    for (int32_t id = 4; id <= 6; id++)
        sim_up(w->sim, id, true);
    sim_tick(w->sim); /* fills the facts */
    w->sim->facts.whole_max_bytes = 4 * 1024 * 1024;
    assert_int_equal(mig_plan_make(&w->sim->conf, 1, 1, &w->plan, NULL), RC_OK);
    w->probes = (struct mig_probes){.reconfig_at_ms = 1,
                                    .reconfig_err = ZKP_ERR_BAD_VERSION,
                                    .reconfig_via = 3,
                                    .super_at_ms = 1,
                                    .is_super = true};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    sim_free(w->sim);
    free(w);
    return 0;
}

static struct mig_server_facts *server(struct world *w, int32_t id)
{
    return &w->sim->facts.servers[id - 1];
}

static void judge(struct world *w)
{
    mig_preflight(&w->plan, &w->sim->facts, &w->probes, &w->drained, &w->switches, &w->findings);
}

#endif
