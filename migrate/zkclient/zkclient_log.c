/* The library's log lines: "time:pid:ZOO_LEVEL@func@line: text", without handle or level of their own
 * (stack.md §1). Parsed, bound to the connection whose call is running, rate-limited: a server that is down
 * gives 30 lines a second. */
#include <stdio.h>
#include <string.h>

#include "migrate/monotonic.h"
#include "migrate/zkclient/zkclient_int.h"

#define WINDOW_MS        10000
#define LINES_PER_WINDOW 5u

/* The library's callback has no context; one thread for all connections makes this safe (zkclient.h). */
static _Thread_local struct mig_zk *s_current;

void zk_enter(struct mig_zk *zk)
{
    s_current = zk;
}

void zk_leave(void)
{
    s_current = NULL;
}

static enum mig_zk_level level_of(const char *line)
{
    if (strstr(line, ":ZOO_ERROR@") != NULL)
        return MIG_ZK_LOG_ERROR;
    return strstr(line, ":ZOO_WARN@") != NULL ? MIG_ZK_LOG_WARN : MIG_ZK_LOG_INFO;
}

/* Behind "@func@line: "; the whole line when it looks different. */
static const char *text_of(const char *line)
{
    const char *p = strstr(line, ":ZOO_");
    p = p != NULL ? strchr(p, '@') : NULL;
    p = p != NULL ? strstr(p, ": ") : NULL;
    return p != NULL ? p + 2 : line;
}

static bool may_pass(struct zk_log_gate *gate, int64_t now_ms)
{
    if (now_ms - gate->window_ms >= WINDOW_MS) {
        gate->window_ms = now_ms;
        gate->lines = 0;
    }
    if (gate->lines >= LINES_PER_WINDOW) {
        gate->dropped++;
        return false;
    }
    gate->lines++;
    return true;
}

void zk_log(struct mig_zk *zk, enum mig_zk_level level, const char *text)
{
    char line[MIG_ZK_TEXT_MAX];
    if (zk->callbacks.log == NULL || zk->is_freed || !may_pass(&zk->log_gate, mig_now_ms()))
        return;
    if (zk->log_gate.dropped > 0) {
        snprintf(line, sizeof line, "%s (%u lines before it were left out)", text, zk->log_gate.dropped);
        text = line;
    }
    zk->log_gate.dropped = 0;
    zk->callbacks.log(zk->callbacks.context, level, text);
}

/* The library knows nothing but the door; people want to read the server. */
static void name_server(const struct mig_zk *zk, const char *line, size_t length, char *buf, size_t capacity)
{
    char door[ZK_HOST_MAX];
    zk_handle_door_text(zk, door, sizeof door);
    size_t used = 0;
    while (length > 0 && used + sizeof zk->host < capacity) {
        bool is_door = length >= strlen(door) && strncmp(line, door, strlen(door)) == 0;
        size_t taken = is_door ? strlen(door) : 1;
        used += (size_t)snprintf(buf + used, capacity - used, "%.*s", is_door ? ZK_HOST_MAX : 1,
                                 is_door ? zk->host : line);
        line += taken;
        length -= taken;
    }
    buf[used] = '\0';
}

void zk_on_log(const char *line)
{
    struct mig_zk *zk = s_current;
    if (zk == NULL || (zk->relay != NULL && zk_relay_state(zk->relay) == ZK_RELAY_LOST))
        return; /* why is known better, and told */
    char text[MIG_ZK_TEXT_MAX];
    const char *words = text_of(line);
    name_server(zk, words, strcspn(words, "\n"), text, sizeof text); /* some lines end with one */
    zk_log(zk, level_of(line), text);
}
