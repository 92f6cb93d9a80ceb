/* Choosing and dialling a server for one link (design.md §4). Worker thread.
 * TCP up says nothing: servers that do not serve accept and then send FIN (protocol.md §1.2); only the
 * ConnectResponse counts, so the deadline and the in-flight limit cover both. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proxy/log.h"
#include "proxy/net/link_int.h"
#include "proxy/net/route.h"
#include "proxy/net/worker_int.h"

#define DIAL_MS        3000 /* one try; a healthy server answers in milliseconds, a hung one never */
#define BEHIND_WAIT_MS 1000 /* then the server itself decides: our numbers may be older than it is */
#define RETRY_MS       100  /* all were tried */
#define WAIT_MS        20   /* nobody qualifies: look again */
#define FULL_MS        2000 /* its live sessions got replies that recently: refusals mean "full" */

void px_link_place_give(struct px_link *link)
{
    if (!link->has_place)
        return;
    link->has_place = false;
    link->worker->free_places++;
    px_shared_connect_give(link->worker->shared, link->slot);
}

void px_link_dial_end(struct px_link *link, enum px_dial_result result)
{
    struct px_shared_slot *slot;

    if (!link->has_place)
        return;
    slot = &link->worker->shared->slots[link->slot];
    atomic_fetch_add_explicit(&slot->dials[result], 1, memory_order_relaxed);
    px_link_place_give(link);
    if (result == PX_DIAL_OK)
        return;
    px_conn_close(&link->server);
    if (result != PX_DIAL_EXPIRED && !px_link_is_dead(link)) {
        px_metric_add(link->worker->metrics, PX_METRIC_CONNECT_RETRIED, 1);
        px_log(PX_LOG_DEBUG, "dial.failed", "server=%d result=%s",
               (int)link->worker->directive->servers[link->slot].id, px_dial_result_name(result));
    }
    link->slot = PX_SLOT_NONE;
}

enum px_dial_result px_link_dial_closed(const struct px_link *link)
{
    const struct px_shared_slot *slot = &link->worker->shared->slots[link->slot];
    int64_t replied_ms = atomic_load_explicit(&slot->last_reply_ms, memory_order_relaxed);

    if (atomic_load_explicit(&slot->session_count, memory_order_relaxed) > 0 &&
        link->worker->now_ms - replied_ms < FULL_MS)
        return PX_DIAL_FULL;
    return PX_DIAL_CLOSED;
}

static int dial_bind(struct px_worker *worker, int fd, enum px_side side, sa_family_t family)
{
    const struct px_directive *directive = worker->directive;
    const int on = 1;

    for (uint32_t i = 0; i < directive->bind_count[side]; i++) {
        const struct px_address *local =
            &directive->binds[side][worker->turn++ % directive->bind_count[side]];
        if (local->storage.ss_family != family)
            continue;
        /* The port is chosen at connect, per destination: 64 k connections per server, not in all. */
        (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
        return bind(fd, (const struct sockaddr *)&local->storage, local->length);
    }
    return 0;
}

/* *ret_fd is connecting. */
static enum px_dial_result dial_open(struct px_worker *worker, uint32_t slot, int *ret_fd)
{
    const struct px_server_directive *server = &worker->directive->servers[slot];
    const struct px_address *address = &server->addresses[worker->turn++ % server->address_count];
    const int on = 1;
    int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return PX_DIAL_LOCAL;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (dial_bind(worker, fd, server->side, address->storage.ss_family) != 0) {
        close(fd);
        return PX_DIAL_LOCAL;
    }
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0 &&
        errno != EINPROGRESS) {
        enum px_dial_result result = errno == ECONNREFUSED ? PX_DIAL_REFUSED : PX_DIAL_LOCAL;
        close(fd);
        return result;
    }
    *ret_fd = fd;
    return PX_DIAL_OK;
}

static int64_t dial_deadline(const struct px_link *link)
{
    int64_t all_ms = px_session_deadline_ms(link->core);
    int64_t try_ms = link->worker->now_ms + DIAL_MS;

    return try_ms < all_ms ? try_ms : all_ms;
}

/* True when a connect is under way. */
static bool link_dial(struct px_link *link, uint32_t slot)
{
    struct px_worker *worker = link->worker;
    enum px_dial_result result;
    int fd;

    if (!px_shared_connect_take(worker->shared, slot))
        return true; /* another worker was faster; px_link_route looks again */
    link->has_place = true;
    link->slot = slot;
    link->tried |= 1ull << slot;
    link->is_dialled = false;
    px_link_step_kind(link, PX_EVENT_ROUTED);
    result = dial_open(worker, slot, &fd);
    if (result != PX_DIAL_OK) {
        px_link_dial_end(link, result);
        px_link_step_kind(link, PX_EVENT_SERVER_GONE);
        return false;
    }
    px_conn_open(&link->server, fd);
    link->server.is_connecting = true;
    link->dial_deadline_ms = dial_deadline(link);
    return true;
}

static const char *why_waits(const struct px_link *link, enum px_route route)
{
    switch (route) {
    case PX_ROUTE_BUSY:
        return "connects in flight";
    case PX_ROUTE_BEHIND:
        return "servers are behind the client";
    case PX_ROUTE_EXHAUSTED:
        return "every server refused";
    case PX_ROUTE_NONE:
    case PX_ROUTE_FOUND:
        break;
    }
    return link->worker->directive->why_waiting;
}

static void link_wait(struct px_link *link, enum px_route route, int64_t pause_ms)
{
    link->retry_ms = link->worker->now_ms + pause_ms;
    if (link->has_waited)
        return;
    link->has_waited = true;
    px_metric_add(link->worker->metrics, PX_METRIC_CONNECT_WAITED, 1);
    px_log(PX_LOG_INFO, "connect.waits", "why=%s", why_waits(link, route));
}

/* Whether the zxid may be ignored by now. */
static bool behind_long_enough(struct px_link *link)
{
    if (link->behind_since_ms == 0)
        link->behind_since_ms = link->worker->now_ms;
    return link->worker->ignores_zxid || link->worker->now_ms - link->behind_since_ms >= BEHIND_WAIT_MS;
}

static enum px_route link_pick(struct px_link *link, uint32_t *ret_slot)
{
    struct px_worker *worker = link->worker;
    struct px_route_ask ask = {.zxid = worker->ignores_zxid ? 0 : px_session_last_zxid(link->core),
                               .tried = link->tried};
    enum px_route route = px_route_pick(worker->directive, worker->shared, &ask, ret_slot);

    if (route != PX_ROUTE_BEHIND)
        return route;
    px_worker_kick_probe(worker);
    if (!behind_long_enough(link))
        return route;
    ask.ignores_zxid = true;
    return px_route_pick(worker->directive, worker->shared, &ask, ret_slot);
}

static void link_pause(struct px_link *link, enum px_route route)
{
    if (route == PX_ROUTE_EXHAUSTED) {
        link->tried = 0;
        link_wait(link, route, RETRY_MS);
        return;
    }
    if (route == PX_ROUTE_NONE)
        px_worker_kick_probe(link->worker);
    link_wait(link, route, WAIT_MS);
}

void px_link_route(struct px_link *link)
{
    while (px_session_state(link->core) == PX_SESSION_WAITING) {
        uint32_t slot;
        enum px_route route = link_pick(link, &slot);
        if (route != PX_ROUTE_FOUND) {
            link_pause(link, route);
            break;
        }
        if (link_dial(link, slot) && px_session_state(link->core) == PX_SESSION_WAITING) {
            link_wait(link, PX_ROUTE_BUSY, WAIT_MS);
            break;
        }
    }
    px_link_settle(link);
}

static enum px_dial_result dial_error(const struct px_link *link)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(link->server.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return PX_DIAL_LOCAL;
    switch (error) {
    case 0:
        return PX_DIAL_OK;
    case ECONNREFUSED:
        return PX_DIAL_REFUSED;
    case ETIMEDOUT:
        return PX_DIAL_TIMEOUT;
    case ECONNRESET:
        return px_link_dial_closed(link);
    default:
        return PX_DIAL_LOCAL;
    }
}

void px_link_dial_ready(struct px_link *link)
{
    enum px_dial_result result = dial_error(link);

    link->server.is_connecting = false;
    if (result == PX_DIAL_OK) {
        link->is_dialled = true;
        px_link_step_kind(link, PX_EVENT_DIALLED);
        return;
    }
    px_link_dial_end(link, result);
    px_link_step_kind(link, PX_EVENT_SERVER_GONE);
}
