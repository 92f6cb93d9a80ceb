/* The journal on disk: lock, open with replay, append, begin anew. Everything here may block. */
#include "migrate/journal/journal_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/failpoint.h"

#define JOURNAL      "journal"
#define JOURNAL_NEW  "journal.new"
#define INSTANCE     "instance"
#define INSTANCE_NEW "instance.new"

static enum rc io_error(struct err *err, const char *what)
{
    return err_set(err, RC_IO, "%s: %s", what, strerror(errno));
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool write_all(int fd, const uint8_t *bytes, size_t length)
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

/* Up to capacity bytes; -1 on an error. */
static ssize_t read_all(int fd, uint8_t *buf, size_t capacity)
{
    size_t length = 0;
    while (length < capacity) {
        ssize_t n = read(fd, buf + length, capacity - length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        length += (size_t)n;
    }
    return (ssize_t)length;
}

/* What is written there drives reconfigs of the ensemble: nobody else may write it. */
static enum rc check_owner(const struct stat *status, struct err *err)
{
    if (status->st_uid != geteuid() && status->st_uid != 0)
        return err_set(err, RC_REFUSED, "it belongs to user %u, allowed are this one (%u) and root",
                       (unsigned)status->st_uid, (unsigned)geteuid());
    if ((status->st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return err_set(err, RC_REFUSED, "it has mode %04o, others may write there: chmod go-w",
                       (unsigned)status->st_mode & 07777u);
    return RC_OK;
}

static enum rc open_directory(struct mig_journal_file *file, const char *state_dir, struct err *err)
{
    if (mkdir(state_dir, 0700) < 0 && errno != EEXIST)
        return io_error(err, state_dir);
    file->dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat status;
    if (file->dir < 0 || fstat(file->dir, &status) != 0)
        return io_error(err, state_dir);
    file->place = status.st_dev;
    file->node = status.st_ino;
    int length = snprintf(file->path, sizeof file->path, "%s", state_dir);
    if (length < 0 || (size_t)length >= sizeof file->path)
        return err_set(err, RC_TOO_BIG, "%s: longer than %u bytes", state_dir, MIG_JOURNAL_PATH_MAX - 1);
    return check_owner(&status, err);
}

/* The file is still the one that a restart would read: somebody may have removed it, or put a copy there. */
static bool is_in_place(const struct mig_journal_file *file)
{
    struct stat here, entry, open;
    if (stat(file->path, &here) != 0 || here.st_dev != file->place || here.st_ino != file->node)
        return false;
    if (file->fd < 0)
        return true;
    return fstat(file->fd, &open) == 0 && fstatat(file->dir, JOURNAL, &entry, AT_SYMLINK_NOFOLLOW) == 0 &&
           open.st_dev == entry.st_dev && open.st_ino == entry.st_ino;
}

static enum rc break_it(struct mig_journal_file *file, struct err *err, const char *what)
{
    mig_journal_file_bar(file, what);
    return err_set(err, RC_IO, "%s", file->why);
}

static enum rc check_place(struct mig_journal_file *file, struct err *err)
{
    if (is_in_place(file))
        return RC_OK;
    return break_it(
        file, err,
        "journal: state_dir or the journal in it was removed or replaced while zkferryd runs; bring "
        "it back, then restart zkferryd");
}

void mig_journal_file_bar(struct mig_journal_file *file, const char *why)
{
    file->is_broken = true;
    snprintf(file->why, sizeof file->why, "%s", why);
}

static enum rc take_lock(struct mig_journal_file *file, struct err *err)
{
    file->lock = openat(file->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->lock < 0)
        return io_error(err, "lock");
    if (flock(file->lock, LOCK_EX | LOCK_NB) == 0)
        return RC_OK;
    if (errno == EWOULDBLOCK)
        return err_set(err, RC_EXISTS, "another zkferryd uses this state directory");
    return io_error(err, "lock");
}

static enum rc replay_bytes(struct mig_journal_file *file, struct zkp_slice bytes, mig_payload_fn *fn,
                            void *context, struct err *err)
{
    size_t good = 0;
    if (bytes.len == 0)
        return err_set(err, RC_CORRUPT, "journal: empty, it never is when written by zkferryd");
    enum rc rc = mig_journal_scan(bytes, fn, context, &good, err);
    if (rc != RC_OK)
        return rc;
    if (good < bytes.len && (ftruncate(file->fd, (off_t)good) < 0 || fsync(file->fd) < 0))
        return io_error(err, "journal: cutting a torn record");
    file->cut = bytes.len - good;
    file->good = (int64_t)good;
    return lseek(file->fd, (off_t)good, SEEK_SET) >= 0 ? RC_OK : io_error(err, "journal");
}

static enum rc replay(struct mig_journal_file *file, mig_payload_fn *fn, void *context, struct err *err)
{
    file->fd = openat(file->dir, JOURNAL, O_RDWR | O_CLOEXEC | O_NONBLOCK); /* it may be anything */
    if (file->fd < 0)
        return errno == ENOENT ? RC_OK : io_error(err, "journal");
    struct stat stat;
    if (fstat(file->fd, &stat) < 0)
        return io_error(err, "journal");
    if (!S_ISREG(stat.st_mode))
        return err_set(err, RC_CORRUPT, "journal: not a regular file");
    if (stat.st_size > (off_t)MIG_JOURNAL_FILE_MAX)
        return err_set(err, RC_TOO_BIG, "journal: %lld bytes, at most %u are expected",
                       (long long)stat.st_size, MIG_JOURNAL_FILE_MAX);
    size_t size = (size_t)stat.st_size;
    uint8_t *bytes = malloc(size + 1);
    if (bytes == NULL)
        return err_set(err, RC_NOMEM, "journal: out of memory");
    enum rc rc;
    if (read_all(file->fd, bytes, size) == (ssize_t)size)
        rc = replay_bytes(file, zkp_slice_of(bytes, (uint32_t)size), fn, context, err);
    else
        rc = io_error(err, "journal");
    free(bytes);
    return rc;
}

enum rc mig_journal_file_open(struct mig_journal_file *file, const char *state_dir, mig_payload_fn *fn,
                              void *context, struct err *err)
{
    *file = (struct mig_journal_file){.dir = -1, .lock = -1, .fd = -1};
    enum rc rc = open_directory(file, state_dir, err);
    if (rc == RC_OK)
        rc = take_lock(file, err);
    if (rc == RC_OK && fn != NULL)
        rc = replay(file, fn, context, err);
    if (rc == RC_OK)
        return RC_OK;
    mig_journal_file_close(file);
    err_wrap(err, "state_dir %s", state_dir);
    return rc;
}

void mig_journal_file_close(struct mig_journal_file *file)
{
    close_fd(&file->fd);
    close_fd(&file->lock);
    close_fd(&file->dir);
}

static void store_u32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(value >> 8 * i);
}

/* Header and payload go out in one write: fewer ways to be torn. */
static enum rc write_record(int fd, struct zkp_slice payload, struct err *err)
{
    uint8_t *record = malloc(MIG_JOURNAL_HEADER + payload.len);
    if (record == NULL)
        return err_set(err, RC_NOMEM, "journal: out of memory");
    store_u32(record, payload.len);
    store_u32(record + 4, mig_crc32c(mig_crc32c(0, record, 4), payload.ptr, payload.len));
    memcpy(record + MIG_JOURNAL_HEADER, payload.ptr, payload.len);
    bool is_written = write_all(fd, record, MIG_JOURNAL_HEADER + payload.len);
    enum rc rc = is_written ? RC_OK : io_error(err, "journal: write");
    free(record);
    return rc;
}

static enum rc check_payload(struct mig_journal_file *file, struct zkp_slice payload, struct err *err)
{
    if (file->is_broken)
        return err_set(err, RC_IO, "%s", file->why);
    if (payload.len == 0 || payload.len > MIG_JOURNAL_PAYLOAD_MAX)
        return err_set(err, RC_TOO_BIG, "journal: a record of %u bytes, 1 to %u are allowed", payload.len,
                       MIG_JOURNAL_PAYLOAD_MAX);
    return check_place(file, err); /* and once more behind the write */
}

static enum rc append_here(struct mig_journal_file *file, struct zkp_slice payload, struct err *err)
{
    enum rc rc = write_record(file->fd, payload, err);
    if (rc != RC_OK) { /* disk full: take the piece back, so that the next one can be tried */
        if (ftruncate(file->fd, (off_t)file->good) < 0 || lseek(file->fd, (off_t)file->good, SEEK_SET) < 0)
            mig_journal_file_bar(file,
                                 "journal: a piece of a record could not be taken back, restart zkferryd");
        return rc;
    }
    MIG_FAILPOINT("journal_written", NULL);
    if (fdatasync(file->fd) < 0) { /* the kernel may have dropped the pages: nothing is known any more */
        enum rc failed = io_error(err, "journal: fdatasync");
        mig_journal_file_bar(file, "journal: an earlier sync failed, restart zkferryd");
        return failed;
    }
    rc = check_place(file, err); /* last: nothing is said to be done that a restart would not find */
    if (rc == RC_OK)
        file->good += MIG_JOURNAL_HEADER + payload.len;
    return rc;
}

enum rc mig_journal_file_append(struct mig_journal_file *file, struct zkp_slice payload, struct err *err)
{
    if (file->fd < 0)
        return mig_journal_file_begin(file, payload, err);
    enum rc rc = check_payload(file, payload, err);
    return rc == RC_OK ? append_here(file, payload, err) : rc;
}

/* The directory's entry is what makes a rename last. */
static enum rc rename_synced(int dir, const char *from, const char *to, struct err *err)
{
    if (renameat(dir, from, dir, to) < 0)
        return io_error(err, to);
    MIG_FAILPOINT("journal_renamed", to);
    return fsync(dir) == 0 ? RC_OK : io_error(err, to);
}

enum rc mig_journal_file_begin(struct mig_journal_file *file, struct zkp_slice payload, struct err *err)
{
    enum rc rc = check_payload(file, payload, err);
    if (rc != RC_OK)
        return rc;
    int fd = openat(file->dir, JOURNAL_NEW, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_error(err, JOURNAL_NEW);
    rc = write_record(fd, payload, err);
    if (rc == RC_OK && fsync(fd) < 0)
        rc = io_error(err, JOURNAL_NEW);
    MIG_FAILPOINT("journal_begun", NULL);
    if (rc == RC_OK)
        rc = rename_synced(file->dir, JOURNAL_NEW, JOURNAL, err);
    if (rc != RC_OK) {
        /* After a rename that may or may not have reached the disk, neither file is surely the journal. */
        if (unlinkat(file->dir, JOURNAL_NEW, 0) < 0 && errno == ENOENT)
            mig_journal_file_bar(file,
                                 "journal: it is not known which file is the journal, restart zkferryd");
        close(fd);
        return rc;
    }
    close_fd(&file->fd);
    file->fd = fd;
    file->good = MIG_JOURNAL_HEADER + payload.len;
    return check_place(file, err);
}

static bool is_instance(const uint8_t *text, ssize_t length)
{
    if (length != MIG_INSTANCE_MAX - 1)
        return false;
    for (ssize_t i = 0; i < length; i++)
        if (strchr("0123456789abcdef", text[i]) == NULL || text[i] == '\0')
            return false;
    return true;
}

static enum rc make_instance(struct mig_journal_file *file, char *ret_instance, struct err *err)
{
    uint8_t random[(MIG_INSTANCE_MAX - 1) / 2];
    char text[MIG_INSTANCE_MAX];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
        return io_error(err, INSTANCE);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(text + 2 * i, 3, "%02x", random[i]);
    int fd = openat(file->dir, INSTANCE_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return io_error(err, INSTANCE);
    bool is_written = write_all(fd, (const uint8_t *)text, MIG_INSTANCE_MAX - 1) && fsync(fd) == 0;
    enum rc rc = is_written ? RC_OK : io_error(err, INSTANCE);
    close(fd);
    if (rc == RC_OK)
        rc = rename_synced(file->dir, INSTANCE_NEW, INSTANCE, err);
    if (rc == RC_OK)
        memcpy(ret_instance, text, sizeof text);
    return rc;
}

enum rc mig_journal_file_instance(struct mig_journal_file *file, char ret_instance[MIG_INSTANCE_MAX],
                                  struct err *err)
{
    int fd = openat(file->dir, INSTANCE, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return make_instance(file, ret_instance, err);
    if (fd < 0)
        return io_error(err, INSTANCE);
    uint8_t text[MIG_INSTANCE_MAX + 1];
    ssize_t length = read_all(fd, text, sizeof text);
    close(fd);
    if (!is_instance(text, length))
        return err_set(err, RC_CORRUPT, "instance: not 32 hex digits; remove the file to get a new id");
    memcpy(ret_instance, text, MIG_INSTANCE_MAX - 1);
    ret_instance[MIG_INSTANCE_MAX - 1] = '\0';
    return RC_OK;
}
