/* AdminServer's answers (/commands/NAME, 3.5 and later) to the same structs as the words' (protocol.md §5.4;
 * field names as 3.8.0 prints them). Pure but for malloc. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "migrate/probe/probe_int.h"
#include "zkproto/frame.h"

/* RC_AGAIN when the answer is an error text: "This ZooKeeper instance is not currently serving requests". */
static enum rc load(struct zkp_slice text, json_t **ret_root)
{
    json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        return RC_MALFORMED;
    }
    if (json_is_string(json_object_get(root, "error"))) {
        json_decref(root);
        return RC_AGAIN;
    }
    *ret_root = root;
    return RC_OK;
}

/* Doubles are exact up to there; beyond, nobody knows which number was meant. */
#define EXACT_MAX 9007199254740992.0

static bool whole(double value, int64_t *field)
{
    if (!(value >= -EXACT_MAX && value <= EXACT_MAX) || value != (double)(int64_t)value)
        return false;
    *field = (int64_t)value;
    return true;
}

static bool number(const json_t *object, const char *key, int64_t *field)
{
    const json_t *value = json_object_get(object, key);
    if (json_is_real(value)) /* with PrometheusMetricsProvider all numbers are */
        return whole(json_real_value(value), field);
    if (!json_is_integer(value))
        return false;
    *field = json_integer_value(value);
    return true;
}

static bool number32(const json_t *object, const char *key, int32_t *field)
{
    int64_t value;
    if (!number(object, key, &value) || value < INT32_MIN || value > INT32_MAX)
        return false;
    *field = (int32_t)value;
    return true;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

static enum zkp_mode mode_named(const char *name)
{
    for (int mode = ZKP_MODE_UNKNOWN; mode <= ZKP_MODE_PROXY; mode++)
        if (strcmp(zkp_mode_name((enum zkp_mode)mode), name) == 0)
            return (enum zkp_mode)mode;
    return ZKP_MODE_UNKNOWN;
}

enum rc probe_parse_stats(struct zkp_slice json, struct zkp_srvr *srvr)
{
    json_t *root;
    enum rc rc = load(json, &root);
    if (rc != RC_OK)
        return rc;
    const json_t *stats = json_object_get(root, "server_stats");
    memset(srvr, 0, sizeof *srvr);
    const char *version = text_of(root, "version"); /* "3.8.0-<hash>, built on …" */
    snprintf(srvr->version, sizeof srvr->version, "%.*s", (int)strcspn(version, "-,"), version);
    srvr->mode = mode_named(text_of(stats, "server_state"));
    bool is_whole = srvr->version[0] != '\0' && srvr->mode != ZKP_MODE_UNKNOWN &&
                    number(stats, "last_processed_zxid", &srvr->zxid);
    srvr->connections = srvr->outstanding = srvr->node_count = -1; /* not said is not none */
    number(stats, "num_alive_client_connections", &srvr->connections);
    number(stats, "outstanding_requests", &srvr->outstanding);
    number(root, "node_count", &srvr->node_count);
    srvr->latency_avg_ms = json_number_value(json_object_get(stats, "avg_latency"));
    json_decref(root);
    return is_whole ? RC_OK : RC_MALFORMED;
}

enum rc probe_parse_monitor(struct zkp_slice json, struct mig_mntr *mntr)
{
    json_t *root;
    enum rc rc = load(json, &root);
    if (rc != RC_OK)
        return rc;
    probe_mntr_init(mntr);
    number(root, "synced_followers", &mntr->synced_followers);
    number(root, "synced_non_voting_followers", &mntr->synced_non_voting);
    number(root, "ephemerals_count", &mntr->ephemerals_count);
    number(root, "approximate_data_size", &mntr->data_size);
    number(root, "global_sessions", &mntr->global_sessions);
    number(root, "local_sessions", &mntr->local_sessions);
    number(root, "digest_mismatches_count", &mntr->digest_mismatches);
    number(root, "uptime", &mntr->uptime_ms);
    snprintf(mntr->peer_state, sizeof mntr->peer_state, "%s", text_of(root, "peer_state"));
    number(root, "znode_count", &mntr->znode_count);
    bool is_monitor = text_of(root, "server_state")[0] != '\0' || mntr->znode_count >= 0;
    json_decref(root);
    return is_monitor ? RC_OK : RC_MALFORMED;
}

enum rc probe_parse_configuration(struct zkp_slice json, struct zkp_conf_answer *conf)
{
    json_t *root;
    enum rc rc = load(json, &root);
    if (rc != RC_OK)
        return rc;
    memset(conf, 0, sizeof *conf);
    bool is_whole =
        number32(root, "server_id", &conf->server_id) && number32(root, "tick_time", &conf->tick_time_ms);
    conf->client_port = -1;
    number32(root, "client_port", &conf->client_port);
    number32(root, "init_limit", &conf->init_limit);
    number32(root, "sync_limit", &conf->sync_limit);
    number32(root, "max_client_cnxns", &conf->max_client_cnxns);
    number32(root, "min_session_timeout", &conf->min_session_timeout_ms);
    number32(root, "max_session_timeout", &conf->max_session_timeout_ms);
    json_decref(root);
    return is_whole ? RC_OK : RC_MALFORMED;
}

/* Integer.decode, in which a bad value is as good as none (BinaryInputArchive.java: maxBuffer). */
static int64_t jute_max(const char *text)
{
    char *end = NULL;
    errno = 0;
    long long value = strtoll(text, &end, 0);
    bool is_number = text[0] != '\0' && *end == '\0' && errno == 0;
    return is_number && value >= INT32_MIN && value <= INT32_MAX ? value : (int64_t)ZKP_CLIENT_FRAME_MAX;
}

enum rc probe_parse_properties(struct zkp_slice json, int64_t *ret_jute_max_bytes)
{
    json_t *root;
    enum rc rc = load(json, &root);
    if (rc != RC_OK)
        return rc;
    bool is_whole = strcmp(text_of(root, "command"), "system_properties") == 0;
    if (is_whole)
        *ret_jute_max_bytes = jute_max(text_of(root, "jute.maxbuffer"));
    json_decref(root);
    return is_whole ? RC_OK : RC_MALFORMED;
}

/* "host:quorum:election" of the i-th address; the hosts of both lists are the same. */
static int print_address(const json_t *server, size_t i, char *buf, size_t capacity)
{
    const char *quorum = json_string_value(json_array_get(json_object_get(server, "server_addresses"), i));
    const char *election =
        json_string_value(json_array_get(json_object_get(server, "election_addresses"), i));
    const char *port = election != NULL ? strrchr(election, ':') : NULL;
    if (quorum == NULL || port == NULL)
        return -1;
    return snprintf(buf, capacity, "%s%s%s", i > 0 ? "|" : "", quorum, port);
}

/* A member as a line of ZooKeeper's own syntax, for the one parser of it. 0 = does not fit or incomplete. */
static size_t print_member(const char *id, const json_t *server, char *buf, size_t capacity)
{
    int n = snprintf(buf, capacity, "server.%s=", id);
    size_t length = (size_t)n;
    size_t count = json_array_size(json_object_get(server, "server_addresses"));
    for (size_t i = 0; i < count; i++) {
        n = length < capacity ? print_address(server, i, buf + length, capacity - length) : -1;
        if (n < 0)
            return 0;
        length += (size_t)n;
    }
    const char *client = text_of(server, "client_address");
    if (length >= capacity)
        return 0;
    n = snprintf(buf + length, capacity - length, ":%s%s%s", text_of(server, "learner_type"),
                 client[0] != '\0' ? ";" : "", client);
    length += (size_t)n;
    return count > 0 && length < capacity ? length : 0;
}

static enum rc print_members(const json_t *members, char *buf, size_t capacity, size_t *ret_length)
{
    size_t length = 0;
    const char *id;
    json_t *server;
    json_object_foreach((json_t *)(uintptr_t)members, id, server)
    {
        size_t n = print_member(id, server, buf + length, capacity - length - 1);
        if (n == 0)
            return RC_MALFORMED;
        length += n;
        buf[length++] = '\n';
    }
    *ret_length = length;
    return length > 0 ? RC_OK : RC_MALFORMED;
}

enum rc probe_parse_voting_view(struct zkp_slice json, struct zkp_conf_answer *conf)
{
    json_t *root;
    enum rc rc = load(json, &root);
    if (rc != RC_OK)
        return rc;
    size_t capacity = (size_t)ZKP_SERVERS_MAX * ZKP_SERVER_TEXT_MAX;
    char *text = malloc(capacity);
    size_t length = 0;
    rc = text != NULL ? print_members(json_object_get(root, "current_config"), text, capacity, &length)
                      : RC_NOMEM;
    if (rc == RC_OK)
        rc = zkp_config_parse(zkp_slice_of(text, (uint32_t)length), &conf->membership, NULL);
    conf->has_membership = rc == RC_OK;
    free(text);
    json_decref(root);
    return rc;
}
