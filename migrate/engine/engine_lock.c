/* The plan lock: an ephemeral in the ensemble, so that two controllers cannot both drive. After a restart our
 * own former session may hold it until it expires: it is known by the plan id in the node. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"

static bool is_other(const struct mig_engine *e, const char *holder)
{
    return strstr(holder, e->plan.id) == NULL;
}

static bool refuse(struct run *r, const char *holder, bool *ret_is_foreign)
{
    (void)engine_fail(r, "another controller holds the plan lock: %s", holder);
    *ret_is_foreign = true;
    return false;
}

static void ask(struct run *r)
{
    struct mig_engine *e = r->e;
    if (e->op.is_pending || (e->lock_at_ms != 0 && r->f->now_ms - e->lock_at_ms < RETRY_MS))
        return;
    e->lock_at_ms = r->f->now_ms;
    struct mig_effect *effect = run_ask(r, MIG_EFFECT_TAKE_LOCK, r->leader.id);
    mig_text_set(effect->text, sizeof(effect->text), "%s", e->plan.id);
}

bool engine_lock(struct run *r, bool *ret_is_foreign)
{
    struct mig_engine *e = r->e;
    const struct engine_op *op = run_take(r, MIG_EFFECT_TAKE_LOCK);
    if (r->f->lock == MIG_LOCK_OURS || (op != NULL && op->rc == RC_OK))
        return true;
    if (op != NULL && op->rc == RC_EXISTS && is_other(e, op->text))
        return refuse(r, op->text, ret_is_foreign);
    if (r->f->lock == MIG_LOCK_FOREIGN && is_other(e, r->f->lock_holder))
        return refuse(r, r->f->lock_holder, ret_is_foreign);
    if (op != NULL && op->rc == RC_EXISTS)
        run_wait(r, "", "the plan lock: a former session of this proxy holds it until it expires");
    else if (op != NULL)
        run_wait(r, "see that the leader is reachable", "the plan lock: %s", op->text);
    ask(r);
    return false;
}
