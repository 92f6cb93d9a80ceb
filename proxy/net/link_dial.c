/* Dialling one server for one link (design.md §4). Worker thread. Which one: link_route.c.
 * TCP up says nothing: servers that do not serve accept and then send FIN (protocol.md §1.2); only the
 * ConnectResponse counts, so the deadline and the in-flight limit cover both. */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrate/sockets.h"
#include "proxy/log.h"
#include "proxy/net/link_int.h"
#include "proxy/net/worker_int.h"

#define DIAL_MS 3000 /* one try; a healthy server answers in milliseconds, a hung one never */
#define JOIN_MS 1000 /* the same for a session whose requests wait meanwhile */
#define FULL_MS 2000 /* its live sessions got replies that recently: refusals mean "full" */

static void place_give(struct px_link *link)
{
    struct px_attempt *attempt = link->attempt;

    if (!attempt->has_place)
        return;
    attempt->has_place = false;
    link->worker->free_places++;
    px_shared_connect_give(link->worker->shared, attempt->slot);
}

/* What this worker has seen itself is newer than any probe. */
static void note_result(struct px_link *link, enum px_dial_result result)
{
    struct px_worker *worker = link->worker;
    struct px_attempt *attempt = link->attempt;
    bool is_answer = result == PX_DIAL_OK || result == PX_DIAL_EXPIRED;

    if (result != PX_DIAL_LOCAL && result != PX_DIAL_SHORTAGE)
        attempt->last_error = 0;
    attempt->last_result = result;
    attempt->last_slot = attempt->slot;
    px_shared_dial_ended(worker->shared, attempt->slot, result, attempt->last_error, worker->now_ms);
    px_worker_note_dial(worker, attempt->slot, result);
    if (result == PX_DIAL_REFUSED)
        attempt->refused |= 1ull << attempt->slot;
    else
        attempt->refused = 0;
    if (is_answer || px_link_is_dead(link))
        return;
    px_metric_add(worker->metrics, PX_METRIC_CONNECT_RETRIED, 1);
    px_log(PX_LOG_DEBUG, "dial.failed", "server=%d result=%s why=%s",
           (int)worker->directive->servers[attempt->slot].id, px_dial_result_name(result),
           attempt->last_error != 0 ? strerror(attempt->last_error) : "");
}

void px_link_dial_answered(struct px_link *link)
{
    note_result(link, PX_DIAL_OK);
    place_give(link);
    link->attempt->is_answered = true;
}

void px_link_dial_end(struct px_link *link, enum px_dial_result result)
{
    struct px_attempt *attempt = link->attempt;

    if (attempt == NULL || attempt->slot == PX_SLOT_NONE || attempt->is_adopted)
        return;
    if (!attempt->is_answered || result != PX_DIAL_OK)
        note_result(link, result);
    place_give(link);
    if (result == PX_DIAL_OK)
        return;
    px_conn_close(&attempt->next);
    attempt->slot = PX_SLOT_NONE;
}

enum px_dial_result px_link_dial_closed(const struct px_link *link)
{
    const struct px_shared_slot *slot = &link->worker->shared->slots[link->attempt->slot];
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

/* What fails before anything has left this host fails at once, and would fail at once again: the link waits
 * (the slot is bad for a while), and where it is the process that lacks something, so do all. Ports run out
 * per server. */
static enum px_dial_result local_failure(struct px_link *link, int error)
{
    struct px_worker *worker = link->worker;

    link->attempt->last_error = error;
    if (!mig_socket_is_short(error) || error == EADDRNOTAVAIL)
        return PX_DIAL_LOCAL;
    px_worker_note_shortage(worker, error);
    return PX_DIAL_SHORTAGE;
}

/* Why connect() failed, at once or later. On one machine a server that accepts and closes may show as EPIPE.
 */
static enum px_dial_result connect_failure(struct px_link *link, int error)
{
    switch (error) {
    case ECONNREFUSED:
        return PX_DIAL_REFUSED;
    case ETIMEDOUT:
        return PX_DIAL_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
        return px_link_dial_closed(link);
    default:
        return local_failure(link, error);
    }
}

/* *ret_fd is connecting. */
static enum px_dial_result dial_open(struct px_link *link, uint32_t slot, int *ret_fd)
{
    struct px_worker *worker = link->worker;
    const struct px_server_directive *server = &worker->directive->servers[slot];
    const struct px_address *address = &server->addresses[worker->turn++ % server->address_count];
    int fd = mig_socket_new(address->storage.ss_family);

    if (fd < 0)
        return local_failure(link, errno);
    if (dial_bind(worker, fd, server->side, address->storage.ss_family) != 0) {
        enum px_dial_result result = local_failure(link, errno);
        close(fd);
        return result;
    }
    if (connect(fd, (const struct sockaddr *)&address->storage, address->length) != 0 &&
        errno != EINPROGRESS) {
        enum px_dial_result result = connect_failure(link, errno);
        close(fd);
        return result;
    }
    *ret_fd = fd;
    return PX_DIAL_OK;
}

/* A session that is attached already must not wait for one hung server until its time is over. */
static int64_t dial_deadline(const struct px_link *link)
{
    int64_t try_ms = link->worker->now_ms + (link->is_established ? JOIN_MS : DIAL_MS);
    int64_t all_ms = px_session_deadline_ms(link->core);

    return link->is_established || try_ms < all_ms ? try_ms : all_ms;
}

static void step_routed(struct px_link *link, uint32_t slot)
{
    struct px_event event = px_link_event(link, PX_EVENT_ROUTED);

    event.known_zxid = px_shared_zxid(link->worker->shared, link->worker->directive, slot);
    px_link_step(link, &event);
}

/* Its third descriptor; one that lost its server takes back what it had. */
static bool is_extra(const struct px_link *link)
{
    return link->is_established && !px_session_is_detached(link->core);
}

static bool take_place(struct px_link *link, uint32_t slot)
{
    struct px_worker *worker = link->worker;

    if (worker->now_ms < worker->dials_after_ms)
        return false;
    if (is_extra(link) && !px_shared_may_move(worker->shared)) {
        px_worker_note_shortage(worker, EMFILE);
        return false;
    }
    return px_shared_connect_take(worker->shared, slot, worker->skips_pacing ? UINT32_MAX : PX_CONNECTS_MAX);
}

/* On the same machine a connect is over before connect() returns EINPROGRESS: asking saves a loop turn. */
static bool is_decided(int fd)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};

    return poll(&writable, 1, 0) == 1;
}

bool px_link_dial(struct px_link *link, uint32_t slot)
{
    struct px_worker *worker = link->worker;
    struct px_attempt *attempt = link->attempt;
    enum px_dial_result result;
    int fd = -1;

    if (!take_place(link, slot))
        return true; /* another worker was faster, or none may dial now; px_link_route looks again */
    attempt->has_place = true;
    attempt->slot = slot;
    attempt->tried |= 1ull << slot;
    attempt->is_dialled = attempt->is_answered = false;
    worker->slot_begun_ms[slot] = worker->now_ms;
    step_routed(link, slot);
    result = dial_open(link, slot, &fd);
    if (result != PX_DIAL_OK) {
        if (result == PX_DIAL_SHORTAGE)
            attempt->tried &= ~(1ull << slot); /* that says nothing about the server */
        px_link_dial_end(link, result);
        px_link_step_kind(link, PX_EVENT_NEXT_GONE);
        return false;
    }
    px_conn_open(&attempt->next, fd);
    attempt->next.is_connecting = true;
    attempt->dial_deadline_ms = dial_deadline(link);
    return is_decided(fd) ? px_link_dial_ready(link) : true;
}

static enum px_dial_result dial_error(struct px_link *link)
{
    int error = 0;
    socklen_t length = sizeof(error);

    if (getsockopt(link->attempt->next.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
        return PX_DIAL_LOCAL;
    return error == 0 ? PX_DIAL_OK : connect_failure(link, error);
}

bool px_link_dial_ready(struct px_link *link)
{
    enum px_dial_result result = dial_error(link);

    link->attempt->next.is_connecting = false;
    if (result == PX_DIAL_OK) {
        link->attempt->is_dialled = true;
        px_link_step_kind(link, PX_EVENT_DIALLED);
        return true;
    }
    px_link_dial_end(link, result);
    px_link_step_kind(link, PX_EVENT_NEXT_GONE);
    return false;
}
