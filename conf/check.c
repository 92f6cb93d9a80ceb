/* Rules over several keys, and over servers that were understood one by one. Problems name the line of
 * the later of the two places. Thread: the one that loads; reads no files, asks the kernel at most which
 * addresses are this host's. */
#include <stdio.h>

#include "conf/conf_int.h"
#include "zkproto/assert.h"

static int line_of(const struct conf_reader *r, const char *name)
{
    const struct conf_key *key = conf_key_named(name);

    ASSERT(key != NULL);
    return r->lines[conf_key_index(key)];
}

static void check_server(struct conf_reader *r, const char *side, const struct zkp_server *server, int line)
{
    if (server->id < CONF_SERVER_ID_MIN || server->id > CONF_SERVER_ID_MAX)
        conf_problem(r, line, side, "server.%d has an id out of range, allowed is %d to %d", (int)server->id,
                     CONF_SERVER_ID_MIN, CONF_SERVER_ID_MAX);
    if (server->client_port == 0)
        conf_problem(r, line, side,
                     "server.%d has no client port, allowed is ...;[HOST:]PORT at the line's end",
                     (int)server->id);
    for (uint32_t i = 0; i < server->address_count; i++) {
        if (zkp_host_is_wildcard(server->addresses[i].host))
            conf_problem(r, line, side,
                         "server.%d has the wildcard %s as quorum address, allowed is an address that the "
                         "other servers reach",
                         (int)server->id, server->addresses[i].host);
    }
}

static bool is_same_place(const struct zkp_server *a, const struct zkp_server *b)
{
    return zkp_host_eq(a->addresses[0].host, b->addresses[0].host) &&
           a->addresses[0].quorum_port == b->addresses[0].quorum_port;
}

/* A line copied for the next server whose address was not edited. Only within one side: a server that
 * replaces a dead one may take over its address with a new id. */
static void check_places(struct conf_reader *r, const char *side, const struct conf_servers *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            bool is_later = list->lines[i] > list->lines[k];
            uint32_t later = is_later ? i : k;
            uint32_t first = is_later ? k : i;
            if (is_same_place(&list->servers[i], &list->servers[k]))
                conf_problem(r, list->lines[later], side,
                             "server.%d has the quorum address of server.%d (line %d), allowed is an address "
                             "of its own",
                             (int)list->servers[later].id, (int)list->servers[first].id, list->lines[first]);
        }
    }
}

/* Ids are the ensemble's: a joining entry with a known id would replace that member in place, which is
 * an address change of a live server and not a migration (protocol.md §5.1). */
static void check_sides(struct conf_reader *r)
{
    const struct conf_servers *source = &r->conf->source;
    const struct conf_servers *target = &r->conf->target;

    for (uint32_t t = 0; t < target->count; t++) {
        for (uint32_t s = 0; s < source->count; s++) {
            int id = (int)target->servers[t].id;
            if (source->servers[s].id != target->servers[t].id)
                continue;
            if (zkp_server_same_addresses(&source->servers[s], &target->servers[t]))
                conf_problem(r, target->lines[t], "target",
                             "server.%d is also in source (line %d), allowed is each server on one side", id,
                             source->lines[s]);
            else
                conf_problem(
                    r, target->lines[t], "target",
                    "server.%d has a new address but the id of a source server (line %d), allowed is "
                    "an id that no source server has",
                    id, source->lines[s]);
        }
    }
}

static void check_servers(struct conf_reader *r, const char *side, const struct conf_servers *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        check_server(r, side, &list->servers[i], list->lines[i]);
    check_places(r, side, list);
}

static void check_listeners(struct conf_reader *r)
{
    const struct conf *conf = r->conf;

    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_address *address = &conf->listeners[i].address;
        int line = r->listener_lines[i] != 0 ? r->listener_lines[i] : line_of(r, "listen.admin");
        for (uint32_t k = 0; k < i; k++) {
            if (conf_address_overlaps(address, &conf->listeners[k].address))
                conf_problem(r, line, "listen.clients",
                             "%s port %u is taken by an earlier entry, allowed is each address once",
                             address->host, (unsigned)address->port);
        }
        if (conf_address_overlaps(address, &conf->admin))
            conf_problem(r, line, "listen.clients",
                         "%s port %u is listen.admin's, allowed is each address once", address->host,
                         (unsigned)address->port);
    }
}

/* A wildcard takes only what comes to this host. */
static bool leads_to(const struct conf_reader *r, const struct conf_address *place,
                     const struct conf_address *listener)
{
    if (!conf_address_overlaps(place, listener))
        return false;
    return zkp_host_eq(place->host, listener->host) || conf_host_is_loopback(place->host) ||
           (r->asks_host && conf_host_is_here(place->host));
}

/* Names are resolved later; what answers there shows then whether they lead back to us. */
static bool numeric_place(const struct zkp_server *server, struct conf_address *ret_place)
{
    const char *host = zkp_server_client_host(server);

    if (host == NULL || zkp_host_is_wildcard(host))
        return false;
    ret_place->port = server->client_port;
    return conf_host_numeric(strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, ret_place->host,
                             sizeof(ret_place->host));
}

/* Taken for a healthy server it would give our clients back to us, in circles. */
static void check_circles(struct conf_reader *r, const char *side, const struct conf_servers *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct conf_address place;
        if (!numeric_place(&list->servers[i], &place))
            continue;
        for (uint32_t k = 0; k < r->conf->listener_count; k++) {
            if (leads_to(r, &place, &r->conf->listeners[k].address))
                conf_problem(r, list->lines[i], side,
                             "server.%d has zkferry's own client port as its client address, allowed is the "
                             "server's own",
                             (int)list->servers[i].id);
        }
    }
}

/* A handshake and what every library sends must pass. */
static void check_frame_limit(struct conf_reader *r, const char *name, int32_t limit)
{
    if (limit != 0 && limit < CONF_FRAME_LIMIT_MIN)
        conf_problem(r, line_of(r, name), name,
                     "\"%d\" is too small, allowed is 0 (the servers decide), or 64k and more", (int)limit);
}

static bool needs_target(enum conf_kind kind)
{
    return kind == CONF_KIND_MIGRATE || kind == CONF_KIND_EXPAND || kind == CONF_KIND_REPLACE;
}

static bool has_leavers(enum conf_kind kind)
{
    return kind == CONF_KIND_SHRINK || kind == CONF_KIND_REPLACE;
}

static bool is_source(const struct conf *conf, int32_t id)
{
    for (uint32_t i = 0; i < conf->source.count; i++) {
        if (conf->source.servers[i].id == id)
            return true;
    }
    return false;
}

static void check_leaving(struct conf_reader *r)
{
    const struct conf_ids *leaving = &r->conf->leaving;
    const char *kind = conf_kind_name(r->conf->kind);
    int line = line_of(r, "migration.leaving");

    /* An item that was refused has been reported already. */
    if (has_leavers(r->conf->kind) && leaving->count == 0 && (line == 0 || r->problem_count == 0))
        conf_problem(r, r->migration_line, "migration.leaving",
                     "is missing, allowed is at least one id of source when migration.kind is %s", kind);
    if (r->conf->kind != CONF_KIND_NONE && !has_leavers(r->conf->kind) && leaving->count > 0)
        conf_problem(r, line, "migration.leaving", "is given, allowed is [] when migration.kind is %s", kind);
    for (uint32_t i = 0; i < leaving->count; i++) {
        if (r->conf->source.count > 0 && !is_source(r->conf, leaving->ids[i]))
            conf_problem(r, leaving->lines[i], "migration.leaving",
                         "%d is no server of source, allowed is a list of ids of servers in source",
                         (int)leaving->ids[i]);
    }
    if (r->conf->kind == CONF_KIND_REPLACE && r->conf->target.count > 0 && leaving->count > 0 &&
        leaving->count != r->conf->target.count)
        conf_problem(r, line, "migration.leaving",
                     "names %u servers, allowed is as many as target has (%u) when migration.kind is replace",
                     leaving->count, r->conf->target.count);
    if (r->conf->kind == CONF_KIND_SHRINK && r->conf->source.count > 0 &&
        leaving->count >= r->conf->source.count)
        conf_problem(r, line, "migration.leaving", "names all of source, allowed is to leave some");
}

bool conf_canary_is_on(const struct conf_canary *canary)
{
    return canary->share > 0 || canary->clients.count > 0;
}

/* A section that names nobody is a mistake: somebody wanted to be careful. */
static void check_canary(struct conf_reader *r)
{
    if (r->canary_line != 0 && !conf_canary_is_on(&r->conf->canary) && r->problem_count == 0)
        conf_problem(r, r->canary_line, "migration.canary",
                     "names nobody, allowed is a share above 0%%, or clients, or no such section");
}

static void check_migration(struct conf_reader *r)
{
    if (r->migration_line == 0)
        return;
    if (needs_target(r->conf->kind) && line_of(r, "target") == 0)
        conf_problem(r, r->migration_line, "target",
                     "is missing, allowed is at least one server when migration.kind is %s",
                     conf_kind_name(r->conf->kind));
    bool adds_none = r->conf->kind == CONF_KIND_SHRINK || r->conf->kind == CONF_KIND_ROLLING;
    if (adds_none && line_of(r, "target") != 0)
        conf_problem(r, line_of(r, "target"), "target", "is given, allowed is none when migration.kind is %s",
                     conf_kind_name(r->conf->kind));
    check_leaving(r);
    check_canary(r);
    if (line_of(r, "credentials.super_file") == 0)
        conf_problem(
            r, r->migration_line, "credentials.super_file",
            "is missing, allowed is a file of mode 0600 with one line user:password (a plan needs it)");
}

void conf_check(struct conf_reader *r)
{
    check_servers(r, "source", &r->conf->source);
    check_servers(r, "target", &r->conf->target);
    check_sides(r);
    check_listeners(r);
    check_circles(r, "source", &r->conf->source);
    check_circles(r, "target", &r->conf->target);
    check_frame_limit(r, "limits.request_bytes", r->conf->request_bytes);
    check_frame_limit(r, "limits.reply_bytes", r->conf->reply_bytes);
    check_migration(r);
}
