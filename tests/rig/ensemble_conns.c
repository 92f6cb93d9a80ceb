/* Connections of a simulated ensemble: opened, abandoned, closed by their server. */
#include "tests/rig/ensemble.h"

void rig_close_server(struct rig_conn *conn)
{
    conn->has_server = conn->is_attached = false;
    conn->to_server.count = 0;
}

void rig_close_all(struct rig_ensemble *e, int server, bool loses_bytes)
{
    for (int i = 0; i < RIG_CONNS; i++) {
        struct rig_conn *conn = &e->conns[i];
        if (conn->server != server || !conn->has_server)
            continue;
        rig_close_server(conn);
        if (loses_bytes)
            conn->to_proxy.count = 0;
    }
}

int rig_open(struct rig_ensemble *e, int server)
{
    for (int i = 0; i < RIG_CONNS; i++) {
        struct rig_conn *conn = &e->conns[i];
        if (conn->has_proxy || (conn->has_server && conn->to_server.count > 0))
            continue;
        conn->server = server;
        conn->has_proxy = conn->has_server = true;
        conn->is_attached = false;
        conn->awaited = conn->once_set = conn->lasting_set = RIG_NONE;
        conn->to_server.count = conn->to_proxy.count = 0;
        memset(&conn->tables, 0, sizeof(conn->tables));
        return i;
    }
    return RIG_NONE;
}

void rig_abandon(struct rig_conn *conn)
{
    conn->has_proxy = false;
    conn->to_proxy.count = 0;
    if (conn->is_attached || conn->to_server.count == 0)
        rig_close_server(conn);
}
