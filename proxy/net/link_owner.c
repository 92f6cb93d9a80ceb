/* One session id, one client connection: claiming it in the owner map, and asking an older holder, on
 * whichever worker, to let go first (design.md §4). Worker thread. */
#include <stddef.h>
#include <string.h>

#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"

_Static_assert(PX_WORKERS_MAX <= 1u << (64 - PX_TOKEN_WORKER_SHIFT), "a token names its worker");

static void ask_release(struct px_link *link, int64_t session_id, uint64_t holder)
{
    struct zkp_slice password = px_session_password(link->core);
    struct px_msg *msg = px_msg_new(PX_MSG_RELEASE);

    if (msg == NULL)
        return; /* the connect times out, and the client tries again */
    msg->worker = link->worker->options.index;
    msg->release.session_id = session_id;
    msg->release.has_password = password.len == ZKP_PASSWORD_LEN;
    if (msg->release.has_password)
        memcpy(msg->release.password, password.ptr, ZKP_PASSWORD_LEN);
    msg->release.holder_token = holder;
    msg->release.newcomer_token = link->claim.token;
    px_mailbox_push(link->worker->shared->mailboxes[px_token_worker(holder)], msg);
}

void px_link_claim(struct px_link *link, int64_t session_id)
{
    uint64_t holder;
    enum rc rc = px_owner_claim(link->worker->shared->owners, &link->claim, session_id, &holder);

    if (rc == RC_OK) {
        px_link_judge_canary(link, session_id);
        link->deferred = PX_EVENT_ADMITTED;
    } else if (rc == RC_EXISTS) {
        ask_release(link, session_id, holder);
    } /* out of memory: the connect times out, and the client tries again */
}

void px_link_unclaim(struct px_link *link)
{
    px_owner_release(link->worker->shared->owners, &link->claim);
}

void px_link_claim_established(struct px_link *link, int64_t session_id)
{
    uint64_t holder;

    if (link->claim.session_id == session_id)
        return;
    px_link_unclaim(link); /* the server gave another id than the one asked for */
    if (px_owner_claim(link->worker->shared->owners, &link->claim, session_id, &holder) != RC_OK)
        link->deferred = PX_EVENT_CONFLICT;
}

static void answer_release(struct px_worker *worker, const struct px_msg *request, enum px_password judged)
{
    struct px_msg *msg = px_msg_new(PX_MSG_RELEASED);

    if (msg == NULL)
        return;
    msg->worker = worker->options.index;
    msg->released.session_id = request->release.session_id;
    msg->released.newcomer_token = request->release.newcomer_token;
    msg->released.judged = judged;
    px_mailbox_push(worker->shared->mailboxes[request->worker], msg);
}

/* Whom the newcomer has met, NULL when that one is gone or holds another id by now. */
static struct px_link *find_holder(struct px_worker *worker, const struct px_msg *request)
{
    struct px_claim *claim =
        px_owner_find(worker->shared->owners, request->release.session_id, worker->options.index);

    if (claim == NULL || claim->token != request->release.holder_token)
        return NULL;
    return (struct px_link *)((char *)claim - offsetof(struct px_link, claim));
}

void px_owner_on_release(struct px_worker *worker, const struct px_msg *msg)
{
    struct px_link *holder = find_holder(worker, msg);
    enum px_password judged = PX_PASSWORD_FITS;
    struct zkp_slice password = {0};

    if (msg->release.has_password)
        password = zkp_slice_of(msg->release.password, ZKP_PASSWORD_LEN);
    if (holder != NULL)
        judged = px_session_password_judge(holder->core, password);
    if (holder != NULL && judged == PX_PASSWORD_FITS) {
        px_metric_add(worker->metrics, PX_METRIC_TAKEOVERS, 1);
        px_link_step_kind(holder, PX_EVENT_SUPERSEDE);
    }
    answer_release(worker, msg, judged);
}

/* Oldest first, and so are the answers: it is among the first. */
static struct px_link *find_newcomer(struct px_worker *worker, uint64_t token)
{
    struct px_link *link;

    TAILQ_FOREACH(link, &worker->links[PX_SESSION_CLAIMING], entry)
    if (link->claim.token == token)
        break;
    return link;
}

static void claim_again(struct px_link *newcomer, int64_t session_id)
{
    newcomer->again_ms = 0;
    px_link_claim(newcomer, session_id);
    if (newcomer->deferred == PX_EVENT_ADMITTED) {
        newcomer->deferred = PX_EVENT_COUNT;
        px_link_step_kind(newcomer, PX_EVENT_ADMITTED);
    }
    px_link_settle(newcomer);
}

void px_owner_on_released(struct px_worker *worker, const struct px_msg *msg)
{
    struct px_link *newcomer = find_newcomer(worker, msg->released.newcomer_token);

    if (newcomer == NULL)
        return;
    switch (msg->released.judged) {
    case PX_PASSWORD_FITS:
        claim_again(newcomer, msg->released.session_id); /* somebody else may have been faster */
        break;
    case PX_PASSWORD_WRONG:
        px_link_step_kind(newcomer, PX_EVENT_DENIED);
        break;
    case PX_PASSWORD_UNDECIDED:
        newcomer->again_ms = worker->now_ms + PX_TICK_MS;
        break;
    }
}

static void tick_one(struct px_link *link, void *context)
{
    const struct px_worker *worker = context;
    struct px_session_facts facts;

    if (link->again_ms == 0 || worker->now_ms < link->again_ms)
        return;
    px_session_facts_get(link->core, &facts);
    claim_again(link, facts.session_id);
}

void px_owner_tick(struct px_worker *worker)
{
    px_worker_each(worker, PX_SESSION_CLAIMING, tick_one, worker);
}
