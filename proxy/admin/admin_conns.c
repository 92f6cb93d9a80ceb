/* The connections of the admin port: how many there may be and how long each may take (see admin.h). evhttp
 * owns their sockets and what is spoken on them; it has no limit, waits for each byte anew, and warns in an
 * endless loop when no descriptor is left. A reference to each bufferevent is kept here: while evhttp has its
 * callbacks on it, the connection lives; without, evhttp has let go, and the socket is closed with the last
 * reference. Cutting is a shutdown: evhttp sees the end and lets go by itself. */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "migrate/monotonic.h"
#include "migrate/sockets.h"
#include "proxy/admin/admin_int.h"
#include "proxy/log.h"

#define BACKLOG       128
#define SWEEP_MS      200
#define SWEEP_FULL_MS 10 /* while nobody can come in */
#define CUT_AT_ONCE   16 /* idle ones make room for those that come */

/* One connection. Owned by admin->conns. */
struct px_admin_conn {
    struct px_admin_conn *prev;
    struct px_admin_conn *next;
    struct bufferevent *bev;
    int64_t since_ms;  /* it was accepted, or its last answer was sent */
    int64_t unread_ms; /* bytes of an answer wait for the reader since then; 0 = none do */
    bool is_asking;    /* a request is complete, its answer not sent yet */
    bool is_cut;
};

static bool is_gone(const struct px_admin_conn *conn)
{
    bufferevent_data_cb on_read = NULL, on_write = NULL;
    bufferevent_event_cb on_event = NULL;

    bufferevent_getcb(conn->bev, &on_read, &on_write, &on_event, NULL);
    return on_read == NULL && on_write == NULL && on_event == NULL;
}

static void conn_free(struct px_admin *admin, struct px_admin_conn *conn)
{
    DL_DELETE(admin->conns, conn);
    admin->conn_count--;
    (void)bufferevent_decref(conn->bev);
    free(conn);
}

static void conn_cut(struct px_admin_conn *conn)
{
    if (!conn->is_cut)
        (void)shutdown(bufferevent_getfd(conn->bev), SHUT_RDWR);
    conn->is_cut = true;
}

static size_t unread(const struct px_admin_conn *conn)
{
    return evbuffer_get_length(bufferevent_get_output(conn->bev));
}

static bool is_overdue(const struct px_admin *admin, struct px_admin_conn *conn, int64_t now_ms)
{
    if (unread(conn) == 0)
        conn->unread_ms = 0;
    else if (conn->unread_ms == 0)
        conn->unread_ms = now_ms;
    if (conn->unread_ms != 0)
        return now_ms - conn->unread_ms >= admin->answer_ms;
    return !conn->is_asking && now_ms - conn->since_ms >= admin->request_ms;
}

static void collect(struct px_admin *admin)
{
    struct px_admin_conn *conn, *next;

    DL_FOREACH_SAFE(admin->conns, conn, next)
    {
        if (is_gone(conn))
            conn_free(admin, conn);
    }
}

/* Those that have said nothing for the longest time. */
static void make_room(struct px_admin *admin)
{
    struct px_admin_conn *conn;
    uint32_t count = 0;

    DL_FOREACH(admin->conns, conn)
    {
        if (count == CUT_AT_ONCE)
            return;
        if (conn->is_asking)
            continue;
        conn_cut(conn);
        count++;
    }
}

static void arm(struct px_admin *admin)
{
    bool is_full = admin->conn_count >= PX_ADMIN_CONNECTIONS_MAX;
    const struct timeval delay = {.tv_usec = (is_full ? SWEEP_FULL_MS : SWEEP_MS) * 1000};

    (void)evtimer_add(admin->sweep, &delay);
}

/* Accepting has paused when there were too many, or no descriptor for one more: in both cases it is time to
 * see whether that is over. */
static void on_sweep(evutil_socket_t fd, short what, void *argument)
{
    struct px_admin *admin = argument;
    int64_t now_ms = mig_now_ms();
    struct px_admin_conn *conn;

    (void)fd;
    (void)what;
    collect(admin);
    DL_FOREACH(admin->conns, conn)
    {
        if (is_overdue(admin, conn, now_ms))
            conn_cut(conn);
    }
    if (admin->conn_count < PX_ADMIN_CONNECTIONS_MAX)
        (void)evconnlistener_enable(admin->listener);
    else
        make_room(admin);
    arm(admin);
}

/* evhttp wants a bufferevent for a socket that it has accepted. */
static struct bufferevent *on_accepted(struct event_base *base, void *argument)
{
    struct px_admin *admin = argument;
    struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
    struct px_admin_conn *conn = bev != NULL ? calloc(1, sizeof *conn) : NULL;

    if (conn == NULL)
        return bev; /* evhttp makes one itself, or does without us: memory has run out */
    bufferevent_incref(bev);
    conn->bev = bev;
    conn->since_ms = mig_now_ms();
    DL_APPEND(admin->conns, conn);
    admin->conn_count++;
    if (admin->conn_count < PX_ADMIN_CONNECTIONS_MAX)
        return bev;
    (void)evconnlistener_disable(admin->listener);
    arm(admin);
    return bev;
}

/* Level-triggered, the readable socket would bring us here again at once. The argument is evhttp's. */
static void on_accept_failed(struct evconnlistener *listener, void *argument)
{
    (void)argument;
    px_log(PX_LOG_ERROR, "accept.failed", "listener=admin why=%s", strerror(errno));
    (void)evconnlistener_disable(listener);
}

static int bind_to(const struct conf_address *address)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    char port[8];
    int on = 1;
    int fd;

    (void)snprintf(port, sizeof port, "%u", (unsigned)address->port);
    if (getaddrinfo(address->host, port, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    fd = mig_socket_new((sa_family_t)found->ai_family); /* who is accepted inherits its options */
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
                    bind(fd, found->ai_addr, found->ai_addrlen) != 0)) {
        int fault = errno;

        close(fd);
        errno = fault;
        fd = -1;
    }
    freeaddrinfo(found);
    return fd;
}

enum rc px_admin_listen(struct px_admin *admin, const struct conf_address *address)
{
    int fd = bind_to(address);

    admin->request_ms = PX_ADMIN_REQUEST_MS;
    admin->answer_ms = PX_ADMIN_ANSWER_MS;
    if (fd < 0)
        return RC_IO;
    admin->listener = evconnlistener_new(admin->base, NULL, NULL,
                                         LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, fd);
    if (admin->listener == NULL) {
        close(fd);
        return RC_IO;
    }
    admin->sweep = evtimer_new(admin->base, on_sweep, admin);
    if (admin->sweep == NULL || evhttp_bind_listener(admin->http, admin->listener) == NULL) {
        evconnlistener_free(admin->listener);
        return RC_NOMEM;
    }
    evconnlistener_set_error_cb(admin->listener, on_accept_failed);
    evhttp_set_bevcb(admin->http, on_accepted, admin);
    arm(admin);
    return RC_OK;
}

void px_admin_conns_free(struct px_admin *admin)
{
    if (admin->sweep != NULL)
        event_free(admin->sweep);
    while (admin->conns != NULL)
        conn_free(admin, admin->conns);
}

static void on_sent(struct evhttp_request *request, void *argument)
{
    struct px_admin_conn *conn = argument;

    (void)request;
    conn->is_asking = false;
    conn->since_ms = mig_now_ms();
}

void px_admin_conn_asks(struct px_admin *admin, struct evhttp_request *request)
{
    const struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
    struct px_admin_conn *conn;

    DL_SEARCH_SCALAR(admin->conns, conn, bev, bev);
    if (conn == NULL)
        return;
    conn->is_asking = true;
    evhttp_request_set_on_complete_cb(request, on_sent, conn);
}

size_t px_admin_unread(const struct px_admin *admin)
{
    const struct px_admin_conn *conn;
    size_t sum = 0;

    DL_FOREACH(admin->conns, conn)
    sum += unread(conn);
    return sum;
}
