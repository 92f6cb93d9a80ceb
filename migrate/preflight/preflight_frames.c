/* Preflight rules about how long a request may be: the servers' jute.maxbuffer, as far as it can be seen, and
 * our own limits beside it. */
#include "migrate/preflight/preflight_int.h"
#include "migrate/text.h"

/* The one that takes the longest; NULL = of none it is seen. */
static const struct mig_server_facts *most_generous(const struct mig_facts *facts)
{
    const struct mig_server_facts *most = NULL;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        if (server->properties_seen == MIG_SEEN_DATA &&
            (most == NULL || server->jute_max_bytes > most->jute_max_bytes))
            most = server;
    }
    return most;
}

static void check_ours(struct rules *r, const struct mig_server_facts *most)
{
    long long theirs = (long long)most->jute_max_bytes;
    if (r->facts->request_max_bytes > 0 && r->facts->request_max_bytes < theirs)
        rules_add(r, MIG_RULE_REQUEST_LIMIT_LOW, -1, "limits.request_bytes is %lld, server %d takes %lld",
                  (long long)r->facts->request_max_bytes, most->id, theirs);
    else if (r->facts->whole_max_bytes < theirs)
        rules_add(r, MIG_RULE_WHOLE_LIMIT_LOW, -1, "limits.whole_bytes is %lld, server %d takes %lld",
                  (long long)r->facts->whole_max_bytes, most->id, theirs);
}

static void check_same(struct rules *r, const struct mig_server_facts *most)
{
    for (uint32_t i = 0; i < r->facts->server_count; i++) {
        const struct mig_server_facts *server = &r->facts->servers[i];
        if (server->properties_seen == MIG_SEEN_DATA && server->jute_max_bytes < most->jute_max_bytes)
            rules_add(r, MIG_RULE_JUTE_DIFFERS, server->id, "jute.maxbuffer is %lld, server %d has %lld",
                      (long long)server->jute_max_bytes, most->id, (long long)most->jute_max_bytes);
    }
}

/* Not seen is not the default. */
static void check_seen(struct rules *r)
{
    char ids[128] = "";
    uint32_t count = 0;
    bool is_asked = true;
    for (uint32_t i = 0; i < r->facts->server_count; i++) {
        const struct mig_server_facts *server = &r->facts->servers[i];
        if (server->health != MIG_HEALTH_SERVING || server->properties_seen == MIG_SEEN_DATA)
            continue;
        mig_text_add(ids, sizeof(ids), "%s%d", count++ > 0 ? ", " : "", server->id);
        is_asked = is_asked && server->properties_at_ms != 0;
    }
    if (count > 0)
        rules_add(r, MIG_RULE_JUTE_UNKNOWN, -1, "not seen of server %s: AdminServer %s", ids,
                  is_asked ? "does not show it" : "has not been asked yet");
}

void rules_frames(struct rules *r)
{
    const struct mig_server_facts *most = most_generous(r->facts);
    if (most != NULL) {
        check_ours(r, most);
        check_same(r, most);
    }
    check_seen(r);
}
