/* See report_store.h. */
#include "proxy/control/report/report_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/plan/plan.h"
#include "proxy/log.h"

#define FOLDER        "reports"
#define FILE_NAME_MAX (MIG_PLAN_ID_MAX + 16u)

struct px_report_store {
    struct mig_helper *helper;
    char state_dir[CONF_PATH_MAX];
    char plan_id[MIG_PLAN_ID_MAX];
    char *text; /* owned; NULL = none */
};

/* Owns copies: the store may be given the next text meanwhile. */
struct write_job {
    const char *state_dir; /* the store's: it outlives the helper */
    char plan_id[MIG_PLAN_ID_MAX];
    char *text;
    struct err err;
};

struct px_report_store *px_report_store_new(struct mig_helper *helper, const char *state_dir)
{
    struct px_report_store *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->helper = helper;
    snprintf(store->state_dir, sizeof store->state_dir, "%s", state_dir);
    return store;
}

void px_report_store_free(struct px_report_store *store)
{
    if (store)
        free(store->text);
    free(store);
}

/* --- files --- */

static enum rc io_error(struct err *err, const char *what)
{
    return err_set(err, RC_IO, FOLDER "/%s: %s", what, strerror(errno));
}

static int open_folder(const char *state_dir, bool is_made)
{
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -1;
    if (is_made && mkdirat(dir, FOLDER, 0700) == 0)
        (void)fsync(dir); /* else the whole folder may be gone after a power cut; the file's own sync tells */
    int folder = openat(dir, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    close(dir);
    return folder;
}

static bool write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        length -= (size_t)n;
    }
    return true;
}

static enum rc write_temporary(int folder, const char *name, const char *text, struct err *err)
{
    int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_error(err, name);
    enum rc rc = RC_OK;
    if (!write_all(fd, text, strlen(text)) || fsync(fd) < 0)
        rc = io_error(err, name);
    if (close(fd) < 0 && rc == RC_OK)
        rc = io_error(err, name);
    return rc;
}

static enum rc write_file(int folder, const char *plan_id, const char *text, struct err *err)
{
    char name[FILE_NAME_MAX];
    char temporary[FILE_NAME_MAX];
    snprintf(name, sizeof name, "%s.json", plan_id);
    snprintf(temporary, sizeof temporary, "%s.new", plan_id);
    enum rc rc = write_temporary(folder, temporary, text, err);
    if (rc == RC_OK && (renameat(folder, temporary, folder, name) < 0 || fsync(folder) < 0))
        rc = io_error(err, name);
    return rc;
}

static char *read_file(int folder, const char *plan_id, struct err *err)
{
    char name[FILE_NAME_MAX];
    snprintf(name, sizeof name, "%s.json", plan_id);
    errno = 0;
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
    struct stat stat;
    char *text = NULL;
    size_t size = 0;
    if (file && fstat(fd, &stat) == 0 && stat.st_size <= (off_t)PX_REPORT_MAX) {
        size = (size_t)stat.st_size;
        text = malloc(size + 1);
    }
    if (!text || fread(text, 1, size, file) != size) {
        err_set(err, errno == ENOENT ? RC_NOT_FOUND : RC_IO, FOLDER "/%s: %s", name, strerror(errno));
        free(text);
        text = NULL;
    }
    if (text)
        text[size] = '\0';
    if (file)
        fclose(file);
    return text;
}

/* --- on the helper thread --- */

static void run(void *arg)
{
    struct write_job *job = arg;
    int folder = open_folder(job->state_dir, true);
    if (folder < 0) {
        io_error(&job->err, "");
        return;
    }
    job->err.code = write_file(folder, job->plan_id, job->text, &job->err);
    close(folder);
}

static void job_free(struct write_job *job)
{
    if (job)
        free(job->text);
    free(job);
}

static void done(void *arg)
{
    struct write_job *job = arg;
    if (job->err.code == RC_OK)
        px_log(PX_LOG_INFO, "report.written", "plan=%s", job->plan_id);
    else
        px_log(PX_LOG_ERROR, "report.failed", "plan=%s why=%s", job->plan_id, job->err.text);
    job_free(job);
}

/* --- --- */

static void keep(struct px_report_store *store, const char *plan_id, char *take_text)
{
    free(store->text);
    store->text = take_text;
    snprintf(store->plan_id, sizeof store->plan_id, "%s", plan_id);
}

void px_report_store_put(struct px_report_store *store, const char *plan_id, char *take_text)
{
    struct write_job *job = calloc(1, sizeof *job);
    keep(store, plan_id, take_text);
    if (job) {
        job->state_dir = store->state_dir;
        snprintf(job->plan_id, sizeof job->plan_id, "%s", plan_id);
        job->text = strdup(take_text);
    }
    if (job && job->text && mig_helper_submit(store->helper, run, done, job) == RC_OK)
        return;
    px_log(PX_LOG_ERROR, "report.failed", "plan=%s why=%s", plan_id, "the helper thread takes no more");
    job_free(job);
}

enum rc px_report_store_load(struct px_report_store *store, const char *plan_id, struct err *err)
{
    int folder = open_folder(store->state_dir, false);
    if (folder < 0)
        return err_set(err, errno == ENOENT ? RC_NOT_FOUND : RC_IO, FOLDER ": %s", strerror(errno));
    char *text = read_file(folder, plan_id, err);
    close(folder);
    if (!text)
        return err->code;
    keep(store, plan_id, text);
    return RC_OK;
}

const char *px_report_store_get(const struct px_report_store *store, const char *plan_id)
{
    return store->text && strcmp(store->plan_id, plan_id) == 0 ? store->text : NULL;
}
