/* A running hook: its output, its time limit, its end. See hooks.h.
 *
 * Its end is the end of the process we made, not of its output: what a hook leaves running (a server) may
 * keep the pipe for ever. */
#include "proxy/control/hooks/hooks.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/control/hooks/hooks_int.h"
#include "proxy/log.h"
#include "zkproto/assert.h"

#define LINE_BYTES_MAX 1024u /* a longer line is logged in parts */
#define LINES_MAX      500u  /* per run: a chatty program may not fill the log */
#define READS_PER_TURN 16    /* nor keep the loop */
#define GRACE_MS       5000  /* between TERM and KILL */

enum stage {
    STAGE_IDLE,
    STAGE_REFUSED, /* it could not be run; reported from the loop */
    STAGE_RUNNING,
    STAGE_TERMINATED, /* TERM was sent */
    STAGE_KILLED,
};

struct px_hooks {
    struct event_base *base;
    px_hook_ended_fn *ended;
    void *context;
    enum stage stage;
    uint64_t seq;
    enum conf_hook hook;
    int32_t server;
    int32_t timeout_ms;
    struct px_hook_child child;
    struct event *exited;
    struct event *readable;
    struct event *timer;
    char line[LINE_BYTES_MAX + 1]; /* the beginning of one */
    uint32_t line_bytes;
    char last[256]; /* the last whole line: usually why it failed */
    uint32_t lines;
    uint32_t dropped;
    struct err refusal;
};

/* --- output --- */

static void log_line(struct px_hooks *h)
{
    h->line[h->line_bytes] = '\0';
    h->line_bytes = 0;
    snprintf(h->last, sizeof h->last, "%.*s", (int)sizeof h->last - 1, h->line);
    if (h->lines++ < LINES_MAX)
        px_log(PX_LOG_INFO, "hook.output", "hook=%s server=%d text=%s", conf_hook_name(h->hook), h->server,
               h->line);
    else
        h->dropped++;
}

static void take_output(struct px_hooks *h, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != '\n')
            h->line[h->line_bytes++] = bytes[i];
        if (bytes[i] == '\n' || h->line_bytes == LINE_BYTES_MAX)
            log_line(h);
    }
}

/* False when nothing more will come. */
static bool read_output(struct px_hooks *h)
{
    for (int turn = 0; turn < READS_PER_TURN; turn++) {
        char bytes[4096];
        ssize_t got = read(h->child.output, bytes, sizeof bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno == EAGAIN;
        if (got == 0)
            return false;
        take_output(h, bytes, (size_t)got);
    }
    return true;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct px_hooks *h = arg;
    if (!read_output(h))
        event_del(h->readable);
}

/* --- end --- */

static void forget(struct px_hooks *h)
{
    event_del(h->timer);
    if (h->exited)
        event_free(h->exited);
    if (h->readable)
        event_free(h->readable);
    h->exited = h->readable = NULL;
    if (h->stage >= STAGE_RUNNING) {
        close(h->child.pidfd);
        close(h->child.output);
    }
    h->stage = STAGE_IDLE;
}

static void report(struct px_hooks *h, enum rc rc, const char *why)
{
    struct mig_event event = {.kind = MIG_EVENT_HOOK_RESULT, .seq = h->seq, .rc = rc};
    bool has_last = rc != RC_OK && h->last[0] != '\0';
    snprintf(event.text, sizeof event.text, "%s%s%s", why, has_last ? "; its last output: " : "",
             has_last ? h->last : "");
    px_log(rc == RC_OK ? PX_LOG_INFO : PX_LOG_ERROR, "hook.ended",
           "hook=%s server=%d result=%s why=%s lines=%u lines_dropped=%u", conf_hook_name(h->hook), h->server,
           rc_text(rc), why, h->lines, h->dropped);
    forget(h);
    h->ended(h->context, &event);
}

static enum rc judge(const struct px_hooks *h, int status, char *why, size_t capacity)
{
    if (h->stage != STAGE_RUNNING) {
        snprintf(why, capacity, "it was ended after %d ms", h->timeout_ms);
        return RC_TIMEOUT;
    }
    if (WIFSIGNALED(status)) {
        snprintf(why, capacity, "ended by signal %d", WTERMSIG(status));
        return RC_REFUSED;
    }
    snprintf(why, capacity, "exit status %d", WEXITSTATUS(status));
    return WEXITSTATUS(status) == 0 ? RC_OK : RC_REFUSED;
}

/* Its id is ours until it is waited for, so nobody else's group is meant. */
static void on_exited(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct px_hooks *h = arg;
    int status = 0;
    char why[64];
    if (h->stage != STAGE_RUNNING)
        kill(-h->child.pid, SIGKILL); /* what of its group has not heard TERM */
    if (waitpid(h->child.pid, &status, WNOHANG) != h->child.pid)
        return;
    (void)read_output(h);
    if (h->line_bytes > 0)
        log_line(h);
    enum rc rc = judge(h, status, why, sizeof why);
    report(h, rc, why);
}

static void arm(struct px_hooks *h, int32_t delay_ms)
{
    const struct timeval delay = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000};
    event_add(h->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct px_hooks *h = arg;
    switch (h->stage) {
    case STAGE_REFUSED:
        report(h, h->refusal.code, h->refusal.text);
        return;
    case STAGE_RUNNING:
        h->stage = STAGE_TERMINATED;
        px_log(PX_LOG_WARN, "hook.timeout", "hook=%s server=%d after_ms=%d", conf_hook_name(h->hook),
               h->server, h->timeout_ms);
        kill(-h->child.pid, SIGTERM);
        arm(h, GRACE_MS);
        return;
    case STAGE_TERMINATED:
        h->stage = STAGE_KILLED;
        kill(-h->child.pid, SIGKILL);
        return;
    case STAGE_KILLED:
    case STAGE_IDLE:
        return;
    }
}

/* --- begin --- */

static void refuse(struct px_hooks *h, enum rc rc)
{
    h->stage = STAGE_REFUSED;
    h->refusal.code = rc == RC_NOMEM ? rc : RC_REFUSED;
    arm(h, 0);
}

static bool listen_to(struct px_hooks *h)
{
    h->exited = event_new(h->base, h->child.pidfd, EV_READ | EV_PERSIST, on_exited, h);
    h->readable = event_new(h->base, h->child.output, EV_READ | EV_PERSIST, on_readable, h);
    return h->exited && h->readable && event_add(h->exited, NULL) == 0 && event_add(h->readable, NULL) == 0;
}

static void end_group(struct px_hooks *h)
{
    kill(-h->child.pid, SIGKILL);
    waitpid(h->child.pid, NULL, 0); /* it dies at once */
}

void px_hooks_run(struct px_hooks *h, const struct mig_effect *effect)
{
    const struct mig_hook_call *call = &effect->hook;
    ASSERT(h->stage == STAGE_IDLE); /* the engine's rule: one at a time */
    h->seq = effect->seq;
    h->hook = call->hook;
    h->server = call->server;
    h->timeout_ms = call->timeout_ms;
    h->line_bytes = h->lines = h->dropped = 0;
    h->last[0] = '\0';
    px_log(PX_LOG_INFO, "hook.begin", "hook=%s server=%d program=%s timeout_ms=%d",
           conf_hook_name(call->hook), call->server, call->command.text, call->timeout_ms);
    enum rc rc = px_hook_spawn(effect, &h->child, &h->refusal);
    if (rc != RC_OK) {
        refuse(h, rc);
        return;
    }
    h->stage = STAGE_RUNNING;
    if (!listen_to(h)) {
        end_group(h);
        forget(h);
        refuse(h, err_set(&h->refusal, RC_NOMEM, "out of memory"));
        return;
    }
    arm(h, call->timeout_ms);
}

bool px_hooks_is_busy(const struct px_hooks *hooks)
{
    return hooks->stage != STAGE_IDLE;
}

struct px_hooks *px_hooks_new(struct event_base *base, px_hook_ended_fn *ended, void *context)
{
    struct px_hooks *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    *h = (struct px_hooks){.base = base, .ended = ended, .context = context};
    h->timer = event_new(base, -1, 0, on_timer, h);
    if (h->timer)
        return h;
    free(h);
    return NULL;
}

void px_hooks_free(struct px_hooks *hooks)
{
    if (!hooks)
        return;
    if (hooks->stage >= STAGE_RUNNING)
        end_group(hooks);
    forget(hooks);
    event_free(hooks->timer);
    free(hooks);
}
