/* The files of `zkferry joiner-config ID`: printed, or written for a server that joins. Existing files are
 * never changed: the directory may be the one of a server with data. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy/cli/cli.h"

#define FILE_PATH_MAX 4096u

/* Names come out of an HTTP answer: only these, whatever it says. */
static bool is_known_name(const char *name)
{
    static const char *const names[] = {"zoo.cfg", "zoo.cfg.dynamic", "myid"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool has_content(const char *path, const char *text)
{
    FILE *file = fopen(path, "re");
    bool is_same = file != NULL;

    for (const char *at = text; is_same && *at != '\0'; at++)
        is_same = getc(file) == (unsigned char)*at;
    is_same = is_same && getc(file) == EOF;
    if (file != NULL)
        (void)fclose(file);
    return is_same;
}

static enum rc write_all(int fd, const char *text)
{
    size_t left = strlen(text);

    while (left > 0) {
        ssize_t written = write(fd, text, left);

        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return RC_IO;
        text += written;
        left -= (size_t)written;
    }
    return RC_OK;
}

static enum rc write_file(const char *dir, const char *name, const char *text, struct err *err)
{
    char path[FILE_PATH_MAX];
    enum rc rc;
    int fd;

    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return err_set(err, RC_TOO_BIG, "%s: the path is too long", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST)
        return has_content(path, text) ? RC_OK
                                       : err_set(err, RC_EXISTS, "%s exists and has other content", path);
    if (fd < 0)
        return err_set(err, RC_IO, "%s: %s", path, strerror(errno));
    rc = write_all(fd, text);
    if (close(fd) != 0 || rc != RC_OK)
        return err_set(err, RC_IO, "%s: %s", path, strerror(errno));
    return RC_OK;
}

enum rc px_cli_files_write(const json_t *answer, const char *dir, struct err *err)
{
    const json_t *files = json_object_get(answer, "files");

    if (json_array_size(files) == 0)
        return err_set(err, RC_MALFORMED, "the answer has no files");
    if (mkdir(dir, 0755) != 0 && errno != EEXIST)
        return err_set(err, RC_IO, "%s: %s", dir, strerror(errno));
    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *name = json_string_value(json_object_get(file, "name"));
        const char *text = json_string_value(json_object_get(file, "text"));
        enum rc rc;

        if (name == NULL || text == NULL || !is_known_name(name))
            return err_set(err, RC_MALFORMED, "the answer has a file that does not belong there");
        rc = write_file(dir, name, text, err);
        if (rc != RC_OK)
            return rc;
    }
    return RC_OK;
}

void px_cli_print_files(FILE *out, const json_t *answer)
{
    const json_t *files = json_object_get(answer, "files");

    for (size_t i = 0; i < json_array_size(files); i++) {
        const json_t *file = json_array_get(files, i);
        const char *name = json_string_value(json_object_get(file, "name"));
        const char *text = json_string_value(json_object_get(file, "text"));

        (void)fprintf(out, "%s# --- %s ---\n%s", i > 0 ? "\n" : "", name != NULL ? name : "",
                      text != NULL ? text : "");
    }
}
