/* The order of the walk: a node before its children, siblings by name. Only the listings along the present
 * branches are kept, so the tree's size does not matter, the width of its nodes does. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/verify/verify_int.h"
#include "zkproto/assert.h"

/* Names of children held at a time: a dozen million of them. */
#define LISTED_BYTES_MAX (UINT64_C(512) * 1024 * 1024)

/* A slash is before every other character: the children of /a come before /a-b. */
static int order_of(char character)
{
    return character == '/' ? 1 : character == '\0' ? 0 : 1 + (int)(unsigned char)character;
}

int verify_path_order(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return order_of(*a) - order_of(*b);
}

/* --- listings --- */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void dir_free(struct mig_verify *v, struct verify_dir *dir)
{
    v->listed_bytes -= dir->byte_count;
    free(dir->path);
    free(dir->bytes);
    free(dir->names);
    free(dir);
}

void verify_walk_forget(struct mig_verify *v, struct verify_job *job)
{
    v->listed_bytes -= job->byte_count;
    free(job->bytes);
    job->bytes = NULL;
    job->byte_count = job->byte_capacity = 0;
    job->name_count = 0;
}

void verify_walk_free(struct mig_verify *v)
{
    while (v->top) {
        struct verify_dir *below = v->top->below;
        dir_free(v, v->top);
        v->top = below;
    }
}

static bool make_room(struct mig_verify *v, struct verify_job *job, uint64_t more)
{
    uint64_t needed = job->byte_count + more;
    if (v->listed_bytes + more > LISTED_BYTES_MAX) {
        verify_stop(v, "the tree has more children in one place than are kept in memory (512 MiB of names)");
        return false;
    }
    if (needed <= job->byte_capacity)
        return true;
    uint64_t capacity = needed * 2;
    char *bytes = realloc(job->bytes, capacity);
    if (!bytes) {
        verify_stop(v, "out of memory");
        return false;
    }
    job->bytes = bytes;
    job->byte_capacity = capacity;
    return true;
}

static bool is_skipped(const struct mig_verify *v, const char *path, const char *name)
{
    size_t length = strlen(path);
    for (uint32_t i = 0; i < v->skip_count; i++) {
        const char *skip = v->skips[i];
        if (strncmp(skip, path, length) == 0 && skip[length] == '/' && strcmp(skip + length + 1, name) == 0)
            return true;
    }
    return false;
}

/* Visited before `from`, with everything below it. */
static bool is_before_from(const struct mig_verify *v, const char *path, const char *name)
{
    size_t length = strlen(path);
    if (strncmp(v->from, path, length) != 0 || v->from[length] != '/')
        return false; /* the walk is behind it already */
    const char *from = v->from + length + 1;
    size_t from_length = strcspn(from, "/");
    int order = strncmp(name, from, from_length);
    return order < 0;
}

static const char *dir_path(const struct verify_job *job)
{
    return strcmp(job->path, "/") == 0 ? "" : job->path;
}

void verify_walk_add(struct mig_verify *v, struct verify_job *job, const struct mig_names *names)
{
    const char *path = dir_path(job);
    const char *name = names->bytes;
    for (uint32_t i = 0; i < names->count; i++) {
        size_t length = strlen(name) + 1;
        if (!is_skipped(v, path, name) && !is_before_from(v, path, name)) {
            if (!make_room(v, job, length))
                return;
            memcpy(job->bytes + job->byte_count, name, length);
            job->byte_count += length;
            v->listed_bytes += length;
            job->name_count++;
        }
        name += length;
    }
}

static void sort_names(struct verify_dir *dir, uint32_t count)
{
    char *name = dir->bytes;
    for (uint32_t i = 0; i < count; i++, name += strlen(name) + 1)
        dir->names[i] = name;
    qsort(dir->names, count, sizeof dir->names[0], by_name);
    for (uint32_t i = 0; i < count; i++)
        if (dir->count == 0 || strcmp(dir->names[i], dir->names[dir->count - 1]) != 0)
            dir->names[dir->count++] = dir->names[i];
}

void verify_walk_open(struct mig_verify *v, struct verify_job *job, uint32_t servers)
{
    if (job->name_count == 0)
        return;
    struct verify_dir *dir = calloc(1, sizeof *dir);
    char **names = calloc(job->name_count, sizeof *names);
    char *path = strdup(dir_path(job));
    if (!dir || !names || !path) {
        free(dir);
        free(names);
        free(path);
        verify_stop(v, "out of memory");
        return;
    }
    *dir = (struct verify_dir){.below = v->top,
                               .path = path,
                               .servers = servers,
                               .bytes = job->bytes,
                               .byte_count = job->byte_count,
                               .names = names};
    sort_names(dir, job->name_count);
    job->bytes = NULL; /* the dir's now; they stay counted */
    job->byte_count = job->byte_capacity = 0;
    job->name_count = 0;
    v->top = dir;
}

/* --- the next node --- */

static char *path_of(const struct verify_dir *dir)
{
    const char *name = dir->names[dir->next];
    size_t length = strlen(dir->path) + strlen(name) + 2;
    char *path = malloc(length);
    if (path)
        snprintf(path, length, "%s/%s", dir->path, name);
    return path;
}

/* Somebody is left to be compared with the reference. */
static bool has_other(const struct mig_verify *v, const struct verify_dir *dir)
{
    return (dir->servers & v->active & ~verify_bit(MIG_VERIFY_REFERENCE)) != 0;
}

bool verify_walk_next(struct mig_verify *v, char **ret_path, uint32_t *ret_servers)
{
    while (v->top && (v->top->next == v->top->count || !has_other(v, v->top))) {
        struct verify_dir *done = v->top;
        v->top = done->below;
        dir_free(v, done);
    }
    if (v->has_root && !v->top)
        return false;
    char *path = v->has_root ? path_of(v->top) : strdup("/");
    if (!path) {
        verify_stop(v, "out of memory");
        return false;
    }
    *ret_servers = v->has_root ? v->top->servers : UINT32_MAX;
    *ret_path = path;
    if (v->has_root)
        v->top->next++;
    v->has_root = true;
    return true;
}

/* --- how far it is --- */

/* Keeps the one that is visited first; false: there was no memory for the path. */
static bool keep_first(char **first, char *take_path)
{
    bool is_first = take_path && (!*first || verify_path_order(take_path, *first) < 0);
    char *other = is_first ? *first : take_path;
    bool is_ok = take_path != NULL;
    if (is_first)
        *first = take_path;
    free(other);
    return is_ok;
}

/* Whatever is not done yet is under way, or still in a listing, or below one of these. */
bool mig_verify_at(const struct mig_verify *v, char *buf, uint32_t capacity)
{
    char *first = NULL;
    bool is_ok = true;
    for (uint32_t i = 0; i < VERIFY_JOBS; i++)
        if (v->jobs[i].stage != JOB_FREE)
            is_ok = keep_first(&first, strdup(v->jobs[i].path)) && is_ok;
    for (const struct verify_dir *dir = v->top; dir; dir = dir->below)
        if (dir->next < dir->count)
            is_ok = keep_first(&first, path_of(dir)) && is_ok;
    const char *at = first ? first : v->has_root ? "" : v->from[0] ? v->from : "/";
    is_ok = is_ok && strlen(at) < capacity;
    if (is_ok)
        snprintf(buf, capacity, "%s", at);
    free(first);
    return is_ok;
}
