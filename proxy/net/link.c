/* Life of a link: adopting, stepping the core, carrying out its actions. Worker thread. Its end:
 * link_close.c. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"

_Static_assert(sizeof(struct px_link) <= PX_LINK_BYTES_MAX,
               "an idle session costs more than 1 KB, see link_int.h");
_Static_assert(PX_METRIC_MISFIT_UNREADABLE - PX_METRIC_MISFIT_SKIPPED == PX_MISFIT_COUNT - 1,
               "the rows of zkferry_server_misfits_total follow enum px_misfit");
_Static_assert(PX_METRIC_STATE_DEAD - PX_METRIC_STATE_GREETING == PX_SESSION_DEAD - PX_SESSION_GREETING,
               "the rows of zkferry_sessions follow the states");

static void link_enlist(struct px_link *link, enum px_session_state state)
{
    struct px_worker *worker = link->worker;

    TAILQ_INSERT_TAIL(&worker->links[state], link, entry);
    worker->link_counts[state]++;
    px_metric_add(worker->metrics, PX_METRIC_STATE_GREETING + state, 1);
}

static void link_delist(struct px_link *link, enum px_session_state state)
{
    struct px_worker *worker = link->worker;

    TAILQ_REMOVE(&worker->links[state], link, entry);
    worker->link_counts[state]--;
    px_metric_sub(worker->metrics, PX_METRIC_STATE_GREETING + state, 1);
}

void px_link_adopt(struct px_worker *worker, const struct px_adopt *take_adopt)
{
    struct px_link *link = calloc(1, sizeof(*link));
    int64_t deadline_ms = worker->now_ms + atomic_load_explicit(&worker->shared->limits.handshake_timeout_ms,
                                                                memory_order_relaxed);

    if (link != NULL)
        link->core =
            px_session_new(take_adopt->config_node != CONF_GUARD_PASS, deadline_ms, &worker->watch_space);
    if (link == NULL || link->core == NULL) {
        free(link);
        close(take_adopt->fd);
        px_origin_leave(take_adopt->origin);
        px_metric_add(worker->metrics, PX_METRIC_CLOSED_NO_MEMORY, 1);
        return;
    }
    link->worker = worker;
    link->claim.token = ++worker->last_token;
    link->peer_length = take_adopt->peer.length;
    if (link->peer_length > sizeof(link->peer))
        link->peer_length = 0; /* no address of a client we know how to print */
    memcpy(&link->peer, &take_adopt->peer.storage, link->peer_length);
    link->listener = take_adopt->listener;
    link->is_own = take_adopt->is_own;
    link->origin = take_adopt->origin;
    link->deferred = PX_EVENT_COUNT;
    link->slot = PX_SLOT_NONE;
    px_conn_init(&link->client, link, PX_CONN_CLIENT);
    px_conn_init(&link->server, link, PX_CONN_SERVER);
    px_conn_open(&link->client, take_adopt->fd);
    px_link_judge_canary(link, 0);
    link_enlist(link, PX_SESSION_GREETING);
    px_metric_add(worker->metrics, PX_METRIC_CLIENTS_ACCEPTED, 1);
    px_metric_add(worker->metrics, PX_METRIC_CLIENTS, 1);
    /* Who has spoken while it waited for us was not silent. */
    px_link_on_event(&link->client.polled, EPOLLIN);
    if (px_session_state(link->core) == PX_SESSION_GREETING)
        px_link_fall_silent(link);
}

bool px_link_is_dead(const struct px_link *link)
{
    return px_session_state(link->core) == PX_SESSION_DEAD;
}

void px_link_free(struct px_link *link)
{
    link_delist(link, PX_SESSION_DEAD);
    px_conn_done(&link->client);
    px_conn_done(&link->server);
    px_link_attempt_free(link);
    px_session_free(link->core);
    free(link);
}

struct px_event px_link_event(const struct px_link *link, enum px_event_kind kind)
{
    const struct px_worker *worker = link->worker;
    struct px_event event = {.kind = kind,
                             .now_ms = worker->now_ms,
                             .now_us = worker->now_us,
                             .own_zxid = worker->own_zxid,
                             .is_client_mid_frame = px_conn_is_mid_frame(&link->client),
                             .is_server_mid_frame =
                                 link->server.stream_left > 0 && !link->server.drops_stream};

    if (worker->directive == NULL)
        return event;
    event.nobody_expires_ms = worker->directive->nobody_expires_ms;
    if (link->slot != PX_SLOT_NONE)
        event.old_leads = worker->directive->servers[link->slot].is_leader;
    return event;
}

static void link_send(struct px_link *link, struct px_conn *to, const struct px_actions *actions,
                      const struct px_action *action)
{
    px_walk_flush(link);
    px_conn_write(to, actions->bytes + action->send.offset, action->send.length);
}

static void link_put(struct px_link *link, struct px_conn *to, struct zkp_slice slice)
{
    px_walk_flush(link);
    px_conn_write(to, slice.ptr, slice.len);
}

/* The core waits for the zxid of a server that it can't ask itself; control can. */
static void await_applied(struct px_link *link, int64_t zxid)
{
    link->awaited_zxid = zxid;
    px_worker_kick_probe(link->worker, PX_KICK_SOON_MS);
}

static void link_act(struct px_link *link, const struct px_actions *actions, const struct px_action *action)
{
    switch (action->kind) {
    case PX_ACTION_FORWARD:
        px_walk_forward(link);
        break;
    case PX_ACTION_DROP:
        px_walk_drop(link);
        break;
    case PX_ACTION_HIDE_MULTI:
        px_walk_hide_multi(link, action->mask);
        break;
    case PX_ACTION_SEND_CLIENT:
        link_send(link, &link->client, actions, action);
        break;
    case PX_ACTION_SEND_SERVER:
        link_send(link, px_link_server(link), actions, action);
        break;
    case PX_ACTION_SEND_NEXT:
        link_send(link, &link->attempt->next, actions, action);
        break;
    case PX_ACTION_PUT_CLIENT:
        link_put(link, &link->client, action->slice);
        break;
    case PX_ACTION_PUT_SERVER:
        link_put(link, px_link_server(link), action->slice);
        break;
    case PX_ACTION_PUT_NEXT:
        link_put(link, &link->attempt->next, action->slice);
        break;
    case PX_ACTION_PAUSE_CLIENT:
        px_conn_pause_session(&link->client);
        break;
    case PX_ACTION_RESUME_CLIENT:
        px_conn_resume_session(&link->client);
        break;
    case PX_ACTION_CLAIM:
        px_link_claim(link, action->session_id);
        break;
    case PX_ACTION_ROUTE:
        px_link_want_server(link);
        break;
    case PX_ACTION_DROP_NEXT:
        px_link_dial_end(link, PX_DIAL_MALFORMED);
        break;
    case PX_ACTION_ADOPT:
        px_link_adopt_next(link, action->session_id);
        break;
    case PX_ACTION_DROP_SERVER:
        px_conn_close(&link->server);
        break;
    case PX_ACTION_LOSE_SERVER:
        px_link_lose_server(link, action->misfit);
        break;
    case PX_ACTION_AWAIT_APPLIED:
        await_applied(link, action->zxid);
        break;
    case PX_ACTION_CLOSE_CLIENT:
        px_conn_close(&link->client);
        break;
    case PX_ACTION_CLOSE:
        px_link_die(link, action->reason);
        break;
    }
}

static void link_changed(struct px_link *link, enum px_session_state before, enum px_session_state after)
{
    link_delist(link, before);
    link_enlist(link, after);
    px_link_speak(link);
    if (before == PX_SESSION_RETURNING && after == PX_SESSION_ACTIVE) {
        px_metric_add(link->worker->metrics, PX_METRIC_RETURN_BUSY, 1);
        link->again_ms = link->worker->now_ms + PX_LEAVE_AGAIN_MS;
    }
    if (before == PX_SESSION_HELD && after == PX_SESSION_SEEKING)
        link->worker->lost_in_hold++;
    if (after == PX_SESSION_RESTORING)
        px_link_dial_answered(link);
}

static void step_once(struct px_link *link, const struct px_event *event)
{
    enum px_session_state before = px_session_state(link->core);
    enum px_session_state after;
    struct px_actions actions;

    px_session_step(link->core, event, &actions);
    after = px_session_state(link->core);
    if (before != after)
        link_changed(link, before, after);
    if (actions.note != PX_NOTE_NONE)
        px_link_count_note(link, event, &actions);
    px_link_count_outcome(link, actions.outcome);
    if (actions.stall != PX_STALL_NONE)
        px_metrics_stall(link->worker->metrics, actions.stall, actions.stall_us);
    if (actions.dropped_events > 0)
        px_metric_add(link->worker->metrics, PX_METRIC_EVENTS_DROPPED, actions.dropped_events);
    for (uint32_t i = 0; i < actions.count; i++)
        link_act(link, &actions, &actions.list[i]);
    if (actions.has_more && !px_link_is_dead(link))
        link->deferred = PX_EVENT_CONTINUE;
}

/* One call of step_once, so that the compiler puts it here: every frame passes. */
void px_link_step(struct px_link *link, const struct px_event *event)
{
    struct px_event next;

    for (;;) {
        step_once(link, event);
        if (link->deferred == PX_EVENT_COUNT || px_link_is_dead(link))
            return;
        next = px_link_event(link, link->deferred);
        link->deferred = PX_EVENT_COUNT;
        event = &next;
    }
}

void px_link_step_kind(struct px_link *link, enum px_event_kind kind)
{
    struct px_event event = px_link_event(link, kind);

    px_link_step(link, &event);
}

uint32_t px_link_out_max(const struct px_link *link)
{
    uint32_t limit =
        atomic_load_explicit(&link->worker->shared->limits.client_buffer_max, memory_order_relaxed);

    return px_worker_is_short(link->worker) && limit > PX_HELD_LITTLE ? PX_HELD_LITTLE : limit;
}

static void press_back(struct px_link *link, struct px_conn *reader, const struct px_conn *writer)
{
    uint32_t limit = px_link_out_max(link);
    bool is_full = writer->out.length > limit;

    if (!is_full && (reader->pauses & PX_PAUSE_PEER_FULL) != 0)
        is_full = writer->out.length > limit / 2;
    if (px_conn_pause(reader, PX_PAUSE_PEER_FULL, is_full) && is_full)
        px_metric_add(link->worker->metrics, PX_METRIC_BACK_PRESSURE, 1);
}

static void limit_inflight(struct px_link *link)
{
    uint32_t limit = (link->client.pauses & PX_PAUSE_INFLIGHT) != 0 ? PX_INFLIGHT_RESUME : PX_INFLIGHT_MAX;

    px_conn_pause(&link->client, PX_PAUSE_INFLIGHT, px_session_outstanding(link->core) >= limit);
}

static bool waits_for_quiet(const struct px_link *link)
{
    enum px_session_state state = px_session_state(link->core);

    return state == PX_SESSION_RETURNING || state == PX_SESSION_HOLDING || state == PX_SESSION_LEAVING;
}

static void step_settle(struct px_link *link)
{
    struct px_event event = px_link_event(link, PX_EVENT_SETTLE);

    event.is_server_mid_frame = px_conn_is_mid_frame(&link->server);
    px_link_step(link, &event);
}

/* One that was just attached, in a hold: before any of its requests goes on. */
static void step_hold(struct px_link *link)
{
    struct px_event event = px_link_event(link, PX_EVENT_HOLD);

    event.deadline_ms = link->worker->hold.deadline_ms;
    px_link_step(link, &event);
}

/* The requests that stood before the client's FIN have been passed on. */
static bool is_client_over(const struct px_link *link)
{
    return link->client.is_broken || (link->client.is_ended && (link->client.pauses & PX_PAUSE_SESSION) == 0);
}

/* It serves, and both sides are read on: how most turns leave a link. */
static bool is_at_ease(const struct px_link *link)
{
    return px_session_state(link->core) == PX_SESSION_ACTIVE && link->worker->hold.id == 0 &&
           link->attempt == NULL && px_conn_is_plain(&link->client) && px_conn_is_plain(&link->server) &&
           px_session_outstanding(link->core) < PX_INFLIGHT_MAX;
}

void px_link_settle(struct px_link *link)
{
    if (is_at_ease(link))
        return;
    px_link_move_in(link);
    if (px_session_state(link->core) == PX_SESSION_ACTIVE && px_worker_holds(link->worker, link))
        step_hold(link);
    while (!px_link_is_dead(link) && link->client.wants_walk)
        px_link_walk_held(&link->client);
    while (!px_link_is_dead(link) && link->server.wants_walk)
        px_link_walk_held(&link->server);
    if (waits_for_quiet(link))
        step_settle(link);
    if (!px_link_is_dead(link) && is_client_over(link))
        px_link_step_kind(link, PX_EVENT_CLIENT_GONE);
    if (px_link_is_dead(link))
        return;
    press_back(link, &link->client, &link->server);
    press_back(link, &link->server, &link->client);
    limit_inflight(link);
    px_conn_arm(&link->client);
    px_conn_arm(&link->server);
    if (link->attempt != NULL)
        px_conn_arm(&link->attempt->next);
}

struct px_address px_link_peer(const struct px_link *link)
{
    struct px_address peer = {.length = link->peer_length};

    memcpy(&peer.storage, &link->peer, link->peer_length);
    return peer;
}

void px_link_row(const struct px_link *link, struct px_session_row *ret_row)
{
    struct px_session_facts facts;

    px_session_facts_get(link->core, &facts);
    *ret_row = (struct px_session_row){
        .is_canary = link->is_canary,
        .session_id = link->is_established ? facts.session_id : 0,
        .client = px_link_peer(link),
        .slot = link->slot == PX_SLOT_NONE && link->attempt != NULL ? link->attempt->slot : link->slot,
        .timeout_ms = facts.timeout_ms,
        .state = px_session_state_name(px_session_state(link->core)),
        .outstanding_count = px_session_outstanding(link->core),
        .last_zxid = facts.last_zxid,
        .last_xid = facts.last_xid,
        .last_op = facts.last_op,
        .received_count = facts.received_count,
        .sent_count = facts.sent_count,
        .established_ms = facts.established_ms,
        .heard_ms = facts.heard_ms,
    };
}
