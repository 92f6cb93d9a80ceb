/* Whether every thread's loop still turns: one whose turn lasts longer than a second keeps all its sessions
 * waiting, and nobody else would say so. The service manager is told only while all of them turn
 * (sd_notify(3): NOTIFY_SOCKET, WATCHDOG_USEC), so that it may end a daemon that can't. Control thread. */
#ifndef PROXY_CONTROL_WATCHDOG_H
#define PROXY_CONTROL_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>

#include "proxy/net/shared.h"

#define PX_WATCHDOG_TURN_MS 1000 /* a turn that lasts longer is told */

struct px_watchdog {
    struct {
        uint32_t turn;    /* as last seen; odd = in it */
        int64_t since_ms; /* when that was first seen */
        bool is_told;
    } workers[PX_WORKERS_MAX];
    uint64_t slow_worker_turns;
    uint64_t slow_control_turns;
    char notify_socket[108]; /* "" = nobody to tell */
    int64_t notify_every_ms; /* 0 = no watchdog wanted */
    int64_t notified_ms;
};

/* Reads the environment, and takes the variables out of it: what we start does not speak for us. */
void px_watchdog_init(struct px_watchdog *watchdog);
/* Looks at the workers' turns; due_ms: when this look was to come, which tells of the control thread itself.
 * Logs a turn that lasts too long once while it lasts (event=loop.stuck) and once when it is over
 * (event=loop.slow), and tells the service manager when all turn. Several times a second. */
void px_watchdog_look(struct px_watchdog *watchdog, const struct px_shared *shared, int64_t due_ms,
                      int64_t now_ms);
/* "READY=1", "STOPPING=1". */
void px_watchdog_notify(const struct px_watchdog *watchdog, const char *state);

#endif
