/* The text blocks `source: |` and `target: |`: ZooKeeper's server lines, each error with the line of
 * the file it stands on. Lines of a dynamic config file that carry no server are passed over.
 * Thread: the one that loads. */
#include "conf/conf_int.h"

/* The line without blanks around it. */
static struct zkp_slice trimmed(const char *begin, const char *end)
{
    while (begin < end && (*begin == ' ' || *begin == '\t'))
        begin++;
    while (end > begin && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    return zkp_slice_of(begin, (uint32_t)(end - begin));
}

static bool starts_with(struct zkp_slice line, const char *prefix)
{
    size_t len = strlen(prefix);

    return line.len >= len && memcmp(line.ptr, prefix, len) == 0;
}

/* People paste the whole dynamic file, which ends with its version. */
static bool carries_no_server(struct zkp_slice line)
{
    return line.len == 0 || line.ptr[0] == '#' || starts_with(line, "version=");
}

/* Keeps the list ascending; false: the id is there already. */
static bool insert(struct conf_servers *list, const struct zkp_server *server, int line, int *ret_first_line)
{
    uint32_t at = list->count;

    while (at > 0 && list->servers[at - 1].id >= server->id)
        at--;
    if (at < list->count && list->servers[at].id == server->id) {
        *ret_first_line = list->lines[at];
        return false;
    }
    for (uint32_t i = list->count; i > at; i--) {
        list->servers[i] = list->servers[i - 1];
        list->lines[i] = list->lines[i - 1];
    }
    list->servers[at] = *server;
    list->lines[at] = line;
    list->count++;
    return true;
}

static void add_line(struct conf_reader *r, const struct conf_key *key, struct zkp_slice text, int line)
{
    struct conf_servers *list = (struct conf_servers *)((char *)r->conf + key->offset);
    struct zkp_server server;
    struct err err;
    int first_line;

    if (zkp_server_parse(text, &server, &err) != RC_OK) {
        conf_problem(r, line, key->name, "%s", err.text);
        return;
    }
    if (list->count == ZKP_SERVERS_MAX) {
        conf_problem(r, line, key->name, "server.%d is one too many, allowed is at most %u servers",
                     (int)server.id, ZKP_SERVERS_MAX);
        return;
    }
    if (!insert(list, &server, line, &first_line))
        conf_problem(r, line, key->name,
                     "server.%d is given twice (first on line %d), allowed is each id once", (int)server.id,
                     first_line);
}

void conf_servers_set(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value)
{
    struct conf_servers *list = (struct conf_servers *)((char *)r->conf + key->offset);
    uint32_t problems_before = r->problem_count;
    int line = value->is_block ? value->line + 1 : value->line;
    const char *end = value->text + value->len;

    for (const char *begin = value->text; begin < end && !conf_problems_full(r); line++) {
        const char *newline = memchr(begin, '\n', (size_t)(end - begin));
        const char *line_end = newline == NULL ? end : newline;
        struct zkp_slice text = trimmed(begin, line_end);
        if (!carries_no_server(text))
            add_line(r, key, text, line);
        begin = line_end + 1;
    }
    if (list->count == 0 && r->problem_count == problems_before) {
        char allowed[CONF_ALLOWED_MAX];
        conf_key_allowed(key, allowed, sizeof(allowed));
        conf_problem(r, value->line, key->name, "has no server lines, allowed is %s", allowed);
    }
}
