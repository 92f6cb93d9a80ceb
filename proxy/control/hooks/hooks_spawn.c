/* Makes the process of a hook: arguments, environment, descriptors, signals, process group. The child is made
 * by posix_spawn, which is safe beside threads; it gets nothing of ours but stdin from /dev/null and one
 * pipe. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proxy/control/hooks/hooks.h"
#include "proxy/control/hooks/hooks_int.h"

#define ARGUMENT_MAX  2048u
#define VARIABLES     5u
#define VARIABLE_MAX  (ZKP_HOST_MAX + 32u)
#define VARIABLE_NAME "ZKFERRY_"

/* What execve wants, in one block. */
struct command_line {
    char *arguments[CONF_ARGUMENTS_MAX + 1];
    char texts[CONF_ARGUMENTS_MAX][ARGUMENT_MAX];
    char variables[VARIABLES][VARIABLE_MAX];
    char *environment[]; /* ours, then the variables, then NULL */
};

/* The value of the placeholder at text, and its length there; 0 = it is none. */
static uint32_t placeholder(const struct mig_hook_call *call, const char *text, char *value,
                            uint32_t capacity)
{
    if (strncmp(text, "{id}", 4) == 0) {
        snprintf(value, capacity, "%d", call->server);
        return 4;
    }
    if (strncmp(text, "{host}", 6) == 0) {
        snprintf(value, capacity, "%s", call->host);
        return 6;
    }
    if (strncmp(text, "{client_port}", 13) == 0) {
        snprintf(value, capacity, "%u", (unsigned)call->client_port);
        return 13;
    }
    return 0;
}

enum rc px_hook_expand(const struct mig_hook_call *call, const char *argument, char *buf, uint32_t capacity)
{
    uint32_t used = 0;
    while (*argument != '\0') {
        char value[ZKP_HOST_MAX] = {*argument, '\0'};
        uint32_t length = placeholder(call, argument, value, sizeof value);
        uint32_t size = (uint32_t)strlen(value);
        if (used + size >= capacity)
            return RC_TOO_BIG;
        memcpy(buf + used, value, size);
        used += size;
        argument += length > 0 ? length : 1;
    }
    buf[used] = '\0';
    return RC_OK;
}

static void set_variables(struct command_line *line, const struct mig_effect *effect)
{
    const struct mig_hook_call *call = &effect->hook;
    snprintf(line->variables[0], VARIABLE_MAX, VARIABLE_NAME "HOOK=%s", conf_hook_name(call->hook));
    snprintf(line->variables[1], VARIABLE_MAX, VARIABLE_NAME "ID=%d", call->server);
    snprintf(line->variables[2], VARIABLE_MAX, VARIABLE_NAME "HOST=%s", call->host);
    snprintf(line->variables[3], VARIABLE_MAX, VARIABLE_NAME "CLIENT_PORT=%u", (unsigned)call->client_port);
    snprintf(line->variables[4], VARIABLE_MAX, VARIABLE_NAME "PLAN=%.200s", effect->text);
}

/* NULL: out of memory. */
static struct command_line *command_line_new(const struct mig_effect *effect)
{
    size_t own = 0;
    while (environ[own])
        own++;
    struct command_line *line = calloc(1, sizeof *line + (own + VARIABLES + 1) * sizeof line->environment[0]);
    if (!line)
        return NULL;
    set_variables(line, effect);
    /* Of two variables with one name the first counts. */
    for (size_t i = 0; i < VARIABLES; i++)
        line->environment[i] = line->variables[i];
    for (size_t i = 0; i < own; i++)
        line->environment[VARIABLES + i] = environ[i];
    return line;
}

static enum rc set_arguments(struct command_line *line, const struct mig_hook_call *call, struct err *err)
{
    for (uint32_t i = 0; i < call->command.count; i++) {
        const char *argument = conf_command_argument(&call->command, i);
        if (px_hook_expand(call, argument, line->texts[i], ARGUMENT_MAX) != RC_OK)
            return err_set(err, RC_TOO_BIG, "argument %u is longer than %u bytes", i, ARGUMENT_MAX - 1);
        line->arguments[i] = line->texts[i];
    }
    return line->arguments[0] ? RC_OK : err_set(err, RC_INVALID, "there is no program");
}

/* Descriptors 0 to 2 and no other. */
static int set_files(posix_spawn_file_actions_t *files, int output)
{
    int fault = posix_spawn_file_actions_addopen(files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (fault == 0)
        fault = posix_spawn_file_actions_adddup2(files, output, STDOUT_FILENO);
    if (fault == 0)
        fault = posix_spawn_file_actions_adddup2(files, output, STDERR_FILENO);
    return fault == 0 ? posix_spawn_file_actions_addclosefrom_np(files, STDERR_FILENO + 1) : fault;
}

/* Signals as a program expects them: we ignore SIGPIPE. */
static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int fault = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
                                                         POSIX_SPAWN_SETSIGMASK);
    if (fault == 0)
        fault = posix_spawnattr_setpgroup(attributes, 0);
    if (fault == 0)
        fault = posix_spawnattr_setsigdefault(attributes, &all);
    return fault == 0 ? posix_spawnattr_setsigmask(attributes, &none) : fault;
}

static int spawn(struct command_line *line, int output, pid_t *ret_pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    int fault = posix_spawn_file_actions_init(&files);
    if (fault != 0)
        return fault;
    fault = posix_spawnattr_init(&attributes);
    if (fault == 0) {
        fault = set_files(&files, output);
        if (fault == 0)
            fault = set_attributes(&attributes);
        if (fault == 0)
            fault = posix_spawn(ret_pid, line->arguments[0], &files, &attributes, line->arguments,
                                line->environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return fault;
}

/* Without a pidfd we could not see its end. */
static enum rc watch(struct px_hook_child *child, struct err *err)
{
    child->pidfd = pidfd_open(child->pid, 0);
    if (child->pidfd >= 0)
        return RC_OK;
    enum rc rc = err_set(err, RC_IO, "pidfd_open: %s", strerror(errno));
    kill(-child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0); /* it dies at once */
    return rc;
}

enum rc px_hook_spawn(const struct mig_effect *effect, struct px_hook_child *ret_child, struct err *err)
{
    struct px_hook_child child = {.pidfd = -1};
    int ends[2] = {-1, -1};
    struct command_line *line = command_line_new(effect);
    if (!line)
        return err_set(err, RC_NOMEM, "out of memory");
    enum rc rc = set_arguments(line, &effect->hook, err);
    if (rc == RC_OK && (pipe2(ends, O_CLOEXEC) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0))
        rc = err_set(err, RC_IO, "pipe: %s", strerror(errno));
    if (rc == RC_OK) {
        int fault = spawn(line, ends[1], &child.pid);
        if (fault != 0)
            rc = err_set(err, RC_REFUSED, "%s cannot be run: %s", line->arguments[0], strerror(fault));
    }
    if (rc == RC_OK)
        rc = watch(&child, err);
    if (rc == RC_OK) {
        child.output = ends[0];
        *ret_child = child;
        ends[0] = -1;
    }
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    free(line);
    return rc;
}
