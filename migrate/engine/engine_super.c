/* What the way back needs is proven before the way there: once a target is a member, and more so once the
 * sources have left, reconfigs are sent over targets, and one that does not know the super user answers
 * NoAuth. The question can change nothing (effects.h, CHECK_SUPER), and a joiner that follows answers it
 * already: the leader judges, by the identities that the joiner gave the session. */
#include <string.h>

#include "migrate/engine/engine_int.h"

#define AGAIN_MS 3000 /* its files are corrected and it is started again in the meantime */

static int32_t target_index(const struct mig_engine *e, int32_t id)
{
    for (uint32_t i = 0; i < e->plan.targets.count; i++)
        if (e->plan.targets.servers[i].id == id)
            return (int32_t)i;
    return -1;
}

void super_absorb(struct mig_engine *e, const struct mig_facts *f, const struct mig_event *event)
{
    struct super_checks *supers = &e->supers;
    int32_t index = target_index(e, e->op.via);
    bool is_right = event->rc == RC_OK;
    if (index >= 0)
        supers->is_right[index] = is_right;
    supers->wrong = event->rc == RC_REFUSED ? e->op.via : 0; /* anything else is no answer */
    supers->retry_at_ms = is_right ? 0 : f->now_ms + (supers->wrong != 0 ? AGAIN_MS : RETRY_MS);
}

static void say(struct run *r, int32_t id)
{
    if (r->e->supers.wrong == id)
        run_wait(r,
                 "give it DigestAuthenticationProvider.superDigest as the sources have it (`zkferry "
                 "joiner-config` says "
                 "where), and start it again",
                 "target %d to know the super user: it refuses the password of credentials.super_file, and "
                 "without it "
                 "there would be no way back",
                 id);
    else
        run_wait(r, "", "target %d to say whether it knows the super user", id);
}

bool gate_super(struct run *r, int32_t id)
{
    struct mig_engine *e = r->e;
    int32_t index = target_index(e, id);
    if (index < 0 || e->supers.is_right[index])
        return true;
    say(r, id);
    if (!e->op.is_pending && r->f->now_ms >= e->supers.retry_at_ms) {
        (void)run_ask(r, MIG_EFFECT_CHECK_SUPER, id);
        e->op.is_of_target = true;
    }
    return false;
}
