/* One load from file to snapshot: read, parse, defaults, checks, secrets. Control thread or main:
 * blocks on the file system. Never touches the running snapshot. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_int.h"
#include "zkproto/assert.h"
#include "zkproto/secret.h"

/* A default goes through the parser of its key, so that it is held to the same rules. */
static void set_fallback(struct conf_reader *r, const struct conf_key *key)
{
    char text[CONF_NAME_MAX];
    char *rest = NULL;

    (void)snprintf(text, sizeof(text), "%s", key->fallback);
    if (!conf_key_is_list(key)) {
        struct conf_scalar value = {.text = text, .len = strlen(text)};
        conf_value_set(r, key, &value);
        return;
    }
    for (char *item = strtok_r(text, ", ", &rest); item != NULL; item = strtok_r(NULL, ", ", &rest)) {
        struct conf_scalar value = {.text = item, .len = strlen(item)};
        conf_list_add(r, key, &value);
    }
}

static int32_t core_count(void)
{
    cpu_set_t set;

    CPU_ZERO(&set); /* what we may run on, which in a container is less than what there is */
    int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < 1 ? 1 : count;
}

static void complete(struct conf_reader *r)
{
    uint32_t problems_before = r->problem_count;

    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        if (r->lines[i] == 0 && conf_key_at(i)->fallback != NULL)
            set_fallback(r, conf_key_at(i));
    }
    ASSERT(r->problem_count == problems_before);
    if (r->conf->workers == 0)
        r->conf->workers = core_count();
    for (uint32_t i = 0; i < r->conf->listener_count; i++) {
        if (!r->is_guard_given[i])
            r->conf->listeners[i].config_node = r->conf->config_node;
    }
}

static void read_all(struct conf_reader *r, struct zkp_slice text, enum conf_secrets secrets)
{
    r->asks_host = secrets == CONF_SECRETS_READ;
    conf_parse_yaml(r, text);
    if (r->is_nomem || conf_problems_full(r))
        return;
    complete(r);
    conf_check(r);
    if (secrets == CONF_SECRETS_READ && r->conf->super_file[0] != '\0')
        conf_secret_read(r);
}

enum rc conf_parse_text(const char *name, struct zkp_slice text, enum conf_secrets secrets,
                        struct conf **ret_conf, struct conf_problems *ret_problems)
{
    struct conf_reader *r = conf_zalloc(sizeof(*r));
    struct conf *conf = conf_zalloc(sizeof(*conf));
    enum rc rc = RC_OK;

    if (r == NULL || conf == NULL) {
        rc = RC_NOMEM;
        goto out;
    }
    r->file = name;
    r->conf = conf;
    conf->super = "";
    (void)snprintf(conf->file, sizeof(conf->file), "%s", name);
    read_all(r, text, secrets);
    if (r->is_nomem) {
        rc = RC_NOMEM;
    } else if (r->problem_count > 0) {
        conf_problems_take(r, ret_problems);
        rc = RC_INVALID;
    } else {
        *ret_conf = conf;
        conf = NULL;
    }
out:
    if (rc == RC_NOMEM)
        conf_problems_nomem(ret_problems);
    conf_free(conf);
    free(r);
    return rc;
}

/* A load that ended before there was anything to parse. */
static enum rc refuse_file(const char *file, enum rc rc, const char *why, struct conf_problems *ret_problems)
{
    struct conf_reader *r = conf_zalloc(sizeof(*r));

    if (r == NULL) {
        conf_problems_nomem(ret_problems);
        return RC_NOMEM;
    }
    r->file = file;
    conf_problem(r, 0, "", "%s", why);
    conf_problems_take(r, ret_problems);
    free(r);
    return rc;
}

/* Of a regular file; -1 with errno. A FIFO, or a terminal, must not hang who reads. */
static int open_regular(const char *file)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;

    int fault = 0;

    if (fd < 0)
        return -1;
    if (fstat(fd, &status) != 0)
        fault = errno;
    else if (!S_ISREG(status.st_mode))
        fault = S_ISDIR(status.st_mode) ? EISDIR : ENOTSUP;
    if (fault == 0)
        return fd;
    (void)close(fd);
    errno = fault;
    return -1;
}

/* Fills buf (CONF_FILE_BYTES_MAX + 1 bytes); 0 or an errno. */
static int read_file(const char *file, uint8_t *buf, uint32_t *ret_len)
{
    int fd = open_regular(file);
    uint32_t used = 0;
    int fault = 0;

    if (fd < 0)
        return errno;
    while (used <= CONF_FILE_BYTES_MAX) {
        ssize_t got = read(fd, buf + used, CONF_FILE_BYTES_MAX + 1u - used);
        if (got < 0 && errno == EINTR)
            continue;
        fault = got < 0 ? errno : 0;
        if (got <= 0)
            break;
        used += (uint32_t)got;
    }
    (void)close(fd);
    *ret_len = used;
    return fault;
}

enum rc conf_load(const char *file, struct conf **ret_conf, struct conf_problems *ret_problems)
{
    uint8_t *buf = conf_zalloc(CONF_FILE_BYTES_MAX + 1u);
    uint32_t len = 0;
    enum rc rc;

    if (buf == NULL) {
        conf_problems_nomem(ret_problems);
        return RC_NOMEM;
    }
    int fault = strlen(file) < CONF_PATH_MAX ? read_file(file, buf, &len) : ENAMETOOLONG;
    if (fault != 0) {
        char why[160];
        (void)snprintf(why, sizeof(why), "cannot be read (%s), allowed is a readable file",
                       fault == ENOTSUP ? "Not a regular file" : strerror(fault));
        rc = refuse_file(file, RC_IO, why, ret_problems);
    } else if (len > CONF_FILE_BYTES_MAX) {
        rc = refuse_file(file, RC_TOO_BIG, "is too large, allowed is at most 64 KiB", ret_problems);
    } else {
        rc = conf_parse_text(file, zkp_slice_of(buf, len), CONF_SECRETS_READ, ret_conf, ret_problems);
    }
    free(buf);
    return rc;
}

void conf_free(struct conf *conf)
{
    if (conf == NULL)
        return;
    zkp_secret_drop(conf->super);
    free(conf);
}
