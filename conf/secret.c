/* Reads the super user's credentials. The file's content appears in no message, and no copy survives
 * beside conf->super. Blocks on the file system: control thread or main. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_int.h"
#include "zkproto/secret.h"

#define ALLOWED_FILE "allowed is a regular file of mode 0600 with one line user:password"

static const char key_name[] = "credentials.super_file";

/* The path itself is not shown where no such file exists: a password put there by mistake would be. */
static int open_checked(struct conf_reader *r, int line)
{
    const char *path = r->conf->super_file;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang the load */
    struct stat status;

    if (fd < 0 || fstat(fd, &status) != 0) {
        conf_problem(r, line, key_name, "cannot be opened (%s), " ALLOWED_FILE, strerror(errno));
    } else if (!S_ISREG(status.st_mode)) {
        conf_problem(r, line, key_name, "%s is not a regular file, " ALLOWED_FILE, path);
    } else if ((status.st_mode & 07777u & ~0600u) != 0) {
        conf_problem(r, line, key_name, "%s has mode %04o, allowed is 0600 or stricter: chmod 600 %s", path,
                     (unsigned)status.st_mode & 07777u, path);
    } else if (status.st_uid != geteuid() && status.st_uid != 0) {
        conf_problem(r, line, key_name, "%s belongs to user %u, allowed are this one (%u) and root", path,
                     (unsigned)status.st_uid, (unsigned)geteuid());
    } else {
        return fd;
    }
    if (fd >= 0)
        (void)close(fd);
    return -1;
}

/* Up to `capacity` bytes; -1 = read error. */
static ssize_t read_whole(int fd, char *buf, size_t capacity)
{
    size_t used = 0;

    while (used < capacity) {
        ssize_t got = read(fd, buf + used, capacity - used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        used += (size_t)got;
    }
    return (ssize_t)used;
}

/* NULL, or what is wrong with the content. */
static const char *content_fault(const char *text, size_t len)
{
    const char *colon = memchr(text, ':', len);

    if (len == 0)
        return "is empty";
    if (len >= CONF_SECRET_MAX)
        return "is longer than 255 bytes";
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < 0x20u || text[i] == 0x7f)
            return "has more than one line or control characters";
    }
    if (colon == NULL || colon == text || colon == text + len - 1)
        return "is not user:password";
    return NULL;
}

static void take(struct conf_reader *r, const char *text, size_t len)
{
    const char *secret = zkp_secret_new(text, len);

    if (secret == NULL)
        r->is_nomem = true;
    else
        r->conf->super = secret;
}

void conf_secret_read(struct conf_reader *r)
{
    int line = r->lines[conf_key_index(conf_key_named(key_name))];
    char text[CONF_SECRET_MAX + 2]; /* a newline, and one byte to notice that there is more */
    int fd = open_checked(r, line);

    if (fd < 0)
        return;
    ssize_t got = read_whole(fd, text, sizeof(text));
    int read_errno = errno;
    (void)close(fd);
    if (got < 0) {
        conf_problem(r, line, key_name, "cannot be read (%s), " ALLOWED_FILE, strerror(read_errno));
    } else {
        size_t len = (size_t)got;
        if (len > 0 && text[len - 1] == '\n')
            len--;
        const char *fault = content_fault(text, len);
        if (fault != NULL)
            conf_problem(r, line, key_name, "%s %s, " ALLOWED_FILE, r->conf->super_file, fault);
        else
            take(r, text, len);
    }
    explicit_bzero(text, sizeof(text));
}
