/* Failpoints and test switches; empty in a release build (failpoint.h). */
#include "migrate/failpoint.h"

#if defined(PX_TEST_SWITCHES) && PX_TEST_SWITCHES

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Passings come from the control and the helper thread; nobody holds the lock for longer than a line. */
static pthread_mutex_t s_mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned s_passed;

static void log_passing(const char *file, const char *name, const char *detail)
{
    char line[512];
    int n = snprintf(line, sizeof line, "%s %s\n", name, detail != NULL ? detail : "");
    if (n < 0)
        return;
    size_t length = (size_t)n < sizeof line ? (size_t)n : sizeof line - 1;
    line[length - 1] = '\n';
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (fd < 0)
        return;
    if (write(fd, line, length) != (ssize_t)length)
        fprintf(stderr, "failpoint log %s: short write\n", file);
    close(fd);
}

/* "NAME", "NAME:N" or "NAME:N:stop" */
static bool is_due(const char *wanted, const char *name)
{
    size_t length = strlen(name);
    if (strncmp(wanted, name, length) != 0 || (wanted[length] != '\0' && wanted[length] != ':'))
        return false;
    unsigned long nth = wanted[length] == ':' ? strtoul(wanted + length + 1, NULL, 10) : 1;
    return ++s_passed == nth;
}

/* As hard as a power cut: no handler, no flush. Or everything stands still until a SIGCONT. */
static int signal_of(const char *wanted)
{
    size_t length = strlen(wanted);
    bool is_stop = length > 5 && strcmp(wanted + length - 5, ":stop") == 0;
    return is_stop ? SIGSTOP : SIGKILL;
}

void mig_failpoint_pass(const char *name, const char *detail)
{
    const char *file = getenv("ZKFERRY_FAILPOINT_LOG");
    const char *wanted = getenv("ZKFERRY_FAILPOINT");
    if (file == NULL && wanted == NULL)
        return;
    pthread_mutex_lock(&s_mutex);
    if (file != NULL)
        log_passing(file, name, detail);
    if (wanted != NULL && is_due(wanted, name))
        kill(getpid(), signal_of(wanted));
    pthread_mutex_unlock(&s_mutex);
}

bool mig_switch(const char *name)
{
    const char *list = getenv("ZKFERRY_TEST_SWITCHES");
    size_t length = strlen(name);
    while (list != NULL && *list != '\0') {
        size_t item = strcspn(list, ",");
        if (item == length && strncmp(list, name, length) == 0)
            return true;
        list += item + (list[item] == ',');
    }
    return false;
}

#endif
