/* What a reload would change but may not. Compares two snapshots key by key, by meaning: the lines a
 * server stood on, or how an address was spelled, are no change. Pure, any thread. */
#include <stdio.h>

#include "conf/conf_int.h"

static bool is_same_server(const struct zkp_server *a, const struct zkp_server *b)
{
    return a->id == b->id && a->role == b->role && zkp_server_same_addresses(a, b) &&
           a->client_port == b->client_port && zkp_host_eq(a->client_host, b->client_host);
}

static bool is_same_servers(const struct conf_servers *a, const struct conf_servers *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (!is_same_server(&a->servers[i], &b->servers[i]))
            return false;
    }
    return true;
}

static bool is_same_address(const struct conf_address *a, const struct conf_address *b)
{
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* Addresses only: the guard of a listener is read from the newest snapshot, its socket is not. */
static bool is_same_listeners(const struct conf *a, const struct conf *b)
{
    if (a->listener_count != b->listener_count)
        return false;
    for (uint32_t i = 0; i < a->listener_count; i++) {
        if (!is_same_address(&a->listeners[i].address, &b->listeners[i].address))
            return false;
    }
    return true;
}

static bool is_same_binds(const struct conf_binds *a, const struct conf_binds *b)
{
    if (a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        if (strcmp(a->hosts[i], b->hosts[i]) != 0)
            return false;
    }
    return true;
}

/* In any order: who leaves first is the plan's business. */
static bool is_same_ids(const struct conf_ids *a, const struct conf_ids *b)
{
    uint32_t found = 0;

    for (uint32_t i = 0; i < a->count; i++) {
        for (uint32_t k = 0; k < b->count; k++)
            found += a->ids[i] == b->ids[k];
    }
    return a->count == b->count && found == a->count; /* none is there twice */
}

static bool is_same_hooks(const struct conf_command *a, const struct conf_command *b)
{
    for (uint32_t i = 0; i < CONF_HOOK_COUNT; i++) {
        if (!conf_command_is_same(&a[i], &b[i]))
            return false;
    }
    return true;
}

static bool is_same_networks(const struct conf_networks *a, const struct conf_networks *b)
{
    return a->count == b->count && memcmp(a->items, b->items, a->count * sizeof(a->items[0])) == 0;
}

static bool is_same_flags(const struct conf_choice *choices, const struct conf *a, const struct conf *b)
{
    for (; choices->name != NULL; choices++) {
        if (*(const bool *)((const char *)a + choices->value) !=
            *(const bool *)((const char *)b + choices->value))
            return false;
    }
    return true;
}

static bool is_same(const struct conf_key *key, const struct conf *a, const struct conf *b)
{
    const void *x = (const char *)a + key->offset;
    const void *y = (const char *)b + key->offset;

    switch (key->type) {
    case CONF_TYPE_NUMBER:
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
    case CONF_TYPE_SHARE:
    case CONF_TYPE_ENUM:
        return memcmp(x, y, sizeof(int32_t)) == 0;
    case CONF_TYPE_VERSION:
    case CONF_TYPE_PATH:
    case CONF_TYPE_ZNODE:
        return strcmp(x, y) == 0;
    case CONF_TYPE_ADDRESS:
        return is_same_address(x, y);
    case CONF_TYPE_SERVERS:
        return is_same_servers(x, y);
    case CONF_TYPE_BINDS:
        return is_same_binds(x, y);
    case CONF_TYPE_IDS:
        return is_same_ids(x, y);
    case CONF_TYPE_NETWORKS:
        return is_same_networks(x, y);
    case CONF_TYPE_LISTENERS:
        return is_same_listeners(a, b);
    case CONF_TYPE_FLAGS:
        return is_same_flags(key->choices, a, b);
    case CONF_TYPE_HOOKS:
        return is_same_hooks(x, y);
    case CONF_TYPE_COUNT:
        break;
    }
    return true;
}

static bool is_changed(const struct conf_key *key, const struct conf *old, const struct conf *new)
{
    if (strcmp(key->name, "credentials.super_file") == 0 && strcmp(old->super, new->super) != 0)
        return true; /* same file, other content */
    return !is_same(key, old, new);
}

void conf_reload_refusals(const struct conf *old, const struct conf *new, bool plan_runs, char *buf,
                          uint32_t capacity)
{
    size_t used = 0;

    buf[0] = '\0';
    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        const struct conf_key *key = conf_key_at(i);
        bool may_change =
            key->reload == CONF_RELOAD_ALWAYS || (key->reload == CONF_RELOAD_IDLE && !plan_runs);
        if (may_change || !is_changed(key, old, new) || used >= capacity)
            continue;
        used += (size_t)snprintf(buf + used, capacity - used, "%s%s", used > 0 ? ", " : "", key->name);
    }
}
