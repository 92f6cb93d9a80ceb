/* The helper thread: two lists under one mutex (waiting jobs, ended jobs), a condition variable towards the
 * thread, an eventfd towards the loop. The loop side swaps the list of ended jobs out and reports them
 * without the lock. */
#include "migrate/helper.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "zkproto/assert.h"

struct job {
    struct job *next;
    mig_job_fn *run;
    mig_done_fn *done;
    void *arg;
};

struct job_list {
    struct job *first;
    struct job **last; /* where the next one is linked */
};

struct mig_helper {
    pthread_mutex_t mutex;
    pthread_cond_t wakeup;
    struct job_list waiting; /* under mutex */
    struct job_list ended;   /* under mutex */
    bool is_stopping;        /* under mutex */
    uint32_t unreported;     /* loop only: submitted, end not reported */
    int wake_fd;
    struct event *wake_event;
    pthread_t thread;
};

static void list_init(struct job_list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void list_put(struct job_list *list, struct job *job)
{
    job->next = NULL;
    *list->last = job;
    list->last = &job->next;
}

static struct job *list_take(struct job_list *list)
{
    struct job *job = list->first;
    list->first = job->next;
    if (list->first == NULL)
        list->last = &list->first;
    return job;
}

/* A full counter (EAGAIN) has woken the loop already; nothing else can fail on an eventfd. */
static void wake_loop(const struct mig_helper *helper)
{
    uint64_t one = 1;
    ssize_t n = write(helper->wake_fd, &one, sizeof one);
    ASSERT(n == (ssize_t)sizeof one || errno == EAGAIN);
}

static void *helper_main(void *arg)
{
    struct mig_helper *helper = arg;
    pthread_mutex_lock(&helper->mutex);
    for (;;) {
        while (helper->waiting.first == NULL && !helper->is_stopping)
            pthread_cond_wait(&helper->wakeup, &helper->mutex);
        if (helper->waiting.first == NULL)
            break;
        struct job *job = list_take(&helper->waiting);
        pthread_mutex_unlock(&helper->mutex);
        job->run(job->arg);
        pthread_mutex_lock(&helper->mutex);
        list_put(&helper->ended, job);
        wake_loop(helper);
    }
    pthread_mutex_unlock(&helper->mutex);
    return NULL;
}

static void report_ended(struct mig_helper *helper)
{
    pthread_mutex_lock(&helper->mutex);
    struct job *job = helper->ended.first;
    list_init(&helper->ended);
    pthread_mutex_unlock(&helper->mutex);
    while (job != NULL) {
        struct job *next = job->next;
        mig_done_fn *done = job->done;
        void *arg = job->arg;
        free(job);
        helper->unreported--;
        done(arg);
        job = next;
    }
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    uint64_t count;
    if (read(fd, &count, sizeof count) == (ssize_t)sizeof count)
        report_ended(arg);
}

static enum rc start_thread(struct mig_helper *helper, struct err *err)
{
    pthread_mutex_init(&helper->mutex, NULL);
    pthread_cond_init(&helper->wakeup, NULL);
    int failed = pthread_create(&helper->thread, NULL, helper_main, helper);
    if (failed == 0)
        return RC_OK;
    pthread_cond_destroy(&helper->wakeup);
    pthread_mutex_destroy(&helper->mutex);
    return err_set(err, RC_IO, "helper thread: %s", strerror(failed));
}

enum rc mig_helper_new(struct event_base *base, struct mig_helper **ret_helper, struct err *err)
{
    struct mig_helper *helper = calloc(1, sizeof *helper);
    if (helper == NULL)
        return err_set(err, RC_NOMEM, "helper thread: out of memory");
    enum rc rc;
    list_init(&helper->waiting);
    list_init(&helper->ended);
    helper->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (helper->wake_fd < 0) {
        rc = err_set(err, RC_IO, "helper thread: eventfd: %s", strerror(errno));
        goto out;
    }
    helper->wake_event = event_new(base, helper->wake_fd, EV_READ | EV_PERSIST, on_wake, helper);
    if (helper->wake_event == NULL || event_add(helper->wake_event, NULL) < 0) {
        rc = err_set(err, RC_NOMEM, "helper thread: no event");
        goto out;
    }
    rc = start_thread(helper, err);
    if (rc == RC_OK) {
        *ret_helper = helper;
        return RC_OK;
    }
out:
    if (helper->wake_event != NULL)
        event_free(helper->wake_event);
    if (helper->wake_fd >= 0)
        close(helper->wake_fd);
    free(helper);
    return rc;
}

void mig_helper_free(struct mig_helper *helper)
{
    if (helper == NULL)
        return;
    pthread_mutex_lock(&helper->mutex);
    helper->is_stopping = true;
    pthread_cond_signal(&helper->wakeup);
    pthread_mutex_unlock(&helper->mutex);
    pthread_join(helper->thread, NULL);
    report_ended(helper);
    ASSERT(helper->unreported == 0); /* a done function that submits during the free has lost its job */
    event_free(helper->wake_event);
    close(helper->wake_fd);
    pthread_cond_destroy(&helper->wakeup);
    pthread_mutex_destroy(&helper->mutex);
    free(helper);
}

enum rc mig_helper_submit(struct mig_helper *helper, mig_job_fn *job, mig_done_fn *done, void *arg)
{
    if (helper->unreported >= MIG_HELPER_JOBS_MAX)
        return RC_FULL;
    struct job *entry = malloc(sizeof *entry);
    if (entry == NULL)
        return RC_NOMEM;
    *entry = (struct job){.run = job, .done = done, .arg = arg};
    pthread_mutex_lock(&helper->mutex);
    if (helper->is_stopping) {
        pthread_mutex_unlock(&helper->mutex);
        free(entry);
        return RC_CLOSED;
    }
    list_put(&helper->waiting, entry);
    helper->unreported++;
    pthread_cond_signal(&helper->wakeup);
    pthread_mutex_unlock(&helper->mutex);
    return RC_OK;
}
