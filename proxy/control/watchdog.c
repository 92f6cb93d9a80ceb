/* See watchdog.h. */
#include "proxy/control/watchdog.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "proxy/log.h"

#define NOTIFY_PARTS 4 /* of the manager's time, which it may see pass but for one */

void px_watchdog_init(struct px_watchdog *watchdog)
{
    const char *path = getenv("NOTIFY_SOCKET");
    const char *usec = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    *watchdog = (struct px_watchdog){0};
    if (path && (path[0] == '/' || path[0] == '@') && strlen(path) < sizeof watchdog->notify_socket)
        snprintf(watchdog->notify_socket, sizeof watchdog->notify_socket, "%s", path);
    if (usec && (!pid || strtoll(pid, NULL, 10) == getpid()))
        watchdog->notify_every_ms = strtoll(usec, NULL, 10) / 1000 / NOTIFY_PARTS;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void px_watchdog_notify(const struct px_watchdog *watchdog, const char *state)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    size_t length = strlen(watchdog->notify_socket);
    if (length == 0)
        return;
    memcpy(name.sun_path, watchdog->notify_socket, length);
    if (name.sun_path[0] == '@')
        name.sun_path[0] = '\0'; /* an abstract name */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return; /* what was to be told comes too late, which is the truth */
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&name,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    close(fd);
}

/* False while it has been in one turn for too long. */
static bool look_at_worker(struct px_watchdog *watchdog, uint32_t index, uint32_t turn, int64_t now_ms)
{
    int64_t lasted_ms = now_ms - watchdog->workers[index].since_ms;
    if (turn != watchdog->workers[index].turn) {
        if (watchdog->workers[index].is_told)
            px_log(PX_LOG_WARN, "loop.slow", "thread=worker-%" PRIu32 " took_ms=%" PRId64, index, lasted_ms);
        watchdog->workers[index].turn = turn;
        watchdog->workers[index].since_ms = now_ms;
        watchdog->workers[index].is_told = false;
        return true;
    }
    if (turn % 2 == 0 || lasted_ms < PX_WATCHDOG_TURN_MS)
        return true;
    if (!watchdog->workers[index].is_told) {
        watchdog->workers[index].is_told = true;
        watchdog->slow_worker_turns++;
        px_log(PX_LOG_ERROR, "loop.stuck", "thread=worker-%" PRIu32 " for_ms=%" PRId64, index, lasted_ms);
    }
    return false;
}

void px_watchdog_look(struct px_watchdog *watchdog, const struct px_shared *shared, int64_t due_ms,
                      int64_t now_ms)
{
    bool all_turn = true;
    if (now_ms - due_ms >= PX_WATCHDOG_TURN_MS) {
        watchdog->slow_control_turns++;
        px_log(PX_LOG_WARN, "loop.slow", "thread=control took_ms=%" PRId64, now_ms - due_ms);
    }
    for (uint32_t i = 0; i < shared->worker_count; i++) {
        uint32_t turn = atomic_load_explicit(&shared->workers[i].turn, memory_order_relaxed);
        if (!look_at_worker(watchdog, i, turn, now_ms))
            all_turn = false;
    }
    if (!all_turn || watchdog->notify_every_ms == 0 ||
        now_ms - watchdog->notified_ms < watchdog->notify_every_ms)
        return;
    watchdog->notified_ms = now_ms;
    px_watchdog_notify(watchdog, "WATCHDOG=1");
}
