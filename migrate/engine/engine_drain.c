/* Drain and undrain of one server, outside of plans: what an operator wants survives a restart, and counts
 * from the moment its record is on disk. What it does to sessions is routing's business. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/engine/routing.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

bool engine_is_draining(const struct mig_engine *e)
{
    return mig_drained_any(&e->drained) || e->drain.seq != 0;
}

/* Would anybody admit sessions without this one? */
static bool leaves_another(const struct run *r, int32_t id)
{
    struct mig_drained then = r->e->drained;
    struct mig_routes routes;
    if (mig_drained_set(&then, id, true) != RC_OK)
        return false;
    mig_route(mig_engine_traffic(r->e), &then, r->f, &routes);
    return mig_routes_admit(&routes);
}

static void order(struct run *r, const struct mig_command *command, const struct mig_server_facts *server,
                  struct mig_answer *answer)
{
    bool is_drain = command->kind == MIG_COMMAND_DRAIN;
    run_journal(r, is_drain ? MIG_RECORD_DRAINED : MIG_RECORD_UNDRAINED)->server = command->server;
    r->e->drain =
        (struct drain_order){.seq = r->e->journal_seq, .server = command->server, .is_drain = is_drain};
    run_log(r, is_drain ? "server.drained" : "server.undrained", "server %d", command->server);
    if (is_drain)
        mig_text_set(answer->message, sizeof(answer->message),
                     "%lld sessions leave server %d; `zkferry servers` shows how many are left",
                     (long long)server->our_sessions, command->server);
    else
        mig_text_set(answer->message, sizeof(answer->message), "server %d admits sessions again",
                     command->server);
}

void engine_drain(struct run *r, const struct mig_command *command, struct mig_answer *answer)
{
    const struct mig_engine *e = r->e;
    const struct mig_server_facts *server = mig_facts_server(r->f, command->server);
    bool is_drain = command->kind == MIG_COMMAND_DRAIN;
    bool is_drained = mig_drained_has(&e->drained, command->server);
    if (server == NULL && !is_drained) /* one that left the file while drained can still be undrained */
        engine_refuse(answer, 404, "no_such_server", "`zkferry servers` lists them",
                      "there is no server %d in the configuration", command->server);
    else if (e->drain.seq != 0)
        engine_refuse(answer, 409, "busy", "try again",
                      "server %d is being drained or undrained at this moment", e->drain.server);
    else if (is_drain == is_drained)
        mig_text_set(answer->message, sizeof(answer->message), "server %d is %s already", command->server,
                     is_drain ? "drained" : "undrained");
    else if (is_drain && !leaves_another(r, command->server))
        engine_refuse(answer, 409, "last_server", "see `zkferry servers` for why the others do not",
                      "without server %d no server would admit sessions", command->server);
    else
        order(r, command, server, answer);
}

void engine_drain_journaled(struct mig_engine *e, const struct mig_event *event)
{
    bool is_ours = event->rc != RC_OK || event->seq == e->drain.seq; /* a failed write drops all behind it */
    if (e->drain.seq == 0 || !is_ours)
        return;
    if (event->rc == RC_OK) {
        enum rc rc = mig_drained_set(&e->drained, e->drain.server, e->drain.is_drain);
        ASSERT(rc == RC_OK); /* it was tried before it was ordered */
    }
    e->drain.seq = 0;
}
