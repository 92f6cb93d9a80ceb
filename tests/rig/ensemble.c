/* The beginning of a simulated ensemble, its crashes and its elections. */
#include "tests/rig/ensemble.h"

const char *const rig_names[RIG_PATHS] = {"/a", "/a/b", "/a/c", "/d", "/d/e", "/f"};
const int rig_parents[RIG_PATHS] = {RIG_NONE, 0, 0, RIG_NONE, 3, RIG_NONE};

static void rig_lose_leader(struct rig_ensemble *e)
{
    for (int i = 0; i < RIG_CONNS; i++)
        if (e->servers[e->conns[i].server].is_alive && !e->servers[e->conns[i].server].is_hung)
            rig_skip_write(e, &e->conns[i]);
    e->leader = RIG_NONE;
    e->leaderless_ms = e->now_ms;
    for (int i = 0; i < RIG_SERVERS; i++) /* followers drop their clients at once */
        if (e->servers[i].is_alive && !e->servers[i].is_hung)
            rig_close_all(e, i, false);
}

void rig_resign(struct rig_ensemble *e)
{
    rig_lose_leader(e);
}

void rig_crash(struct rig_ensemble *e, int server, bool loses_bytes)
{
    e->servers[server].is_alive = false;
    e->servers[server].is_hung = false;
    rig_close_all(e, server, loses_bytes);
    if (e->leader == server)
        rig_lose_leader(e);
}

void rig_hang(struct rig_ensemble *e, int server)
{
    e->servers[server].is_hung = true;
    e->servers[server].hung_epoch = e->epoch;
    if (e->leader == server)
        rig_lose_leader(e);
}

void rig_wake(struct rig_ensemble *e, int server)
{
    e->servers[server].is_hung = false;
    if (e->servers[server].hung_epoch != e->epoch || e->leader == RIG_NONE)
        rig_close_all(e, server, false);
}

void rig_restart(struct rig_ensemble *e, int server)
{
    e->servers[server].is_alive = true;
    while (e->servers[server].applied < e->log_count)
        rig_apply(e, server);
}

bool rig_may_elect(const struct rig_ensemble *e)
{
    int ready = 0;

    for (int i = 0; i < RIG_SERVERS; i++)
        ready += e->servers[i].is_alive && !e->servers[i].is_hung;
    return e->leader == RIG_NONE && ready >= 2;
}

void rig_elect(struct rig_ensemble *e, int server)
{
    for (int i = 0; i < RIG_SERVERS; i++)
        while (e->servers[i].is_alive && !e->servers[i].is_hung && e->servers[i].applied < e->log_count)
            rig_apply(e, i);
    e->epoch++;
    e->leader = server;
    e->leaderless_ms = e->touched_ms = e->now_ms;
}

void rig_begin(struct rig_ensemble *e, enum px_watch_rule rule)
{
    e->rule = rule;
    e->now_ms = 1000;
    e->epoch = 1;
    e->leader = 0;
    e->leaderless_ms = 0;
    e->log_count = 0;
    e->owner = RIG_NONE;
    e->is_expired = false;
    e->touched_ms = e->now_ms;
    e->timeout_ms = 0;
    for (int i = 0; i < RIG_SERVERS; i++)
        e->servers[i] = (struct rig_server){.is_alive = true, .timeout_max_ms = 60000};
    for (int i = 0; i < RIG_CONNS; i++) {
        e->conns[i].has_proxy = e->conns[i].has_server = e->conns[i].is_attached = false;
        e->conns[i].to_server.count = e->conns[i].to_proxy.count = 0;
    }
}
