/* Keys whose value is a list: listeners, local addresses, networks, ids of servers, sets of words. Each call
 * adds one item. Thread: the one that loads. */
#include <stdio.h>
#include <stdlib.h>

#include "conf/conf_int.h"
#include "zkproto/assert.h"

static void refuse(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *item,
                   const char *why)
{
    char allowed[CONF_ALLOWED_MAX];
    char shown[CONF_NAME_MAX];

    conf_key_allowed(key, allowed, sizeof(allowed));
    conf_show(shown, sizeof(shown), item->text, item->len);
    conf_problem(r, item->line, key->name, "\"%s\" %s, allowed is %s", shown, why, allowed);
}

static void add_flag(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *item)
{
    const struct conf_choice *choice = conf_choice_named(key->choices, item->text);

    if (choice == NULL) {
        refuse(r, key, item, "is not known");
        return;
    }
    bool *flag = (bool *)((char *)r->conf + choice->value);
    if (*flag)
        refuse(r, key, item, "is given twice");
    *flag = true;
}

static void add_bind(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *item)
{
    struct conf_binds *binds = (struct conf_binds *)((char *)r->conf + key->offset);
    char host[ZKP_HOST_MAX];

    if (!conf_host_numeric(item->text, host, sizeof(host))) {
        refuse(r, key, item, "is not a numeric address");
        return;
    }
    if (zkp_host_is_wildcard(host)) {
        refuse(r, key, item, "is a wildcard");
        return;
    }
    for (uint32_t i = 0; i < binds->count; i++) {
        if (strcmp(binds->hosts[i], host) == 0) {
            refuse(r, key, item, "is given twice");
            return;
        }
    }
    if (r->asks_host && conf_host_is_absent(host)) { /* every session would wait for ever in silence */
        refuse(r, key, item, "is no address of this host");
        return;
    }
    if (binds->count == CONF_BINDS_MAX) {
        refuse(r, key, item, "is one too many");
        return;
    }
    memcpy(binds->hosts[binds->count++], host, sizeof(host));
}

/* Whether there is such a server is checked when all of the file is known. */
static void add_id(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *item)
{
    struct conf_ids *list = (struct conf_ids *)((char *)r->conf + key->offset);
    char *end;
    long id = strtol(item->text, &end, 10);

    if (end == item->text || *end != '\0' || id < CONF_SERVER_ID_MIN || id > CONF_SERVER_ID_MAX) {
        refuse(r, key, item, "is not an id");
        return;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->ids[i] == (int32_t)id) {
            refuse(r, key, item, "is given twice");
            return;
        }
    }
    if (list->count == ZKP_SERVERS_MAX) {
        refuse(r, key, item, "is one too many");
        return;
    }
    list->ids[list->count] = (int32_t)id;
    list->lines[list->count++] = item->line;
}

static void add_network(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *item)
{
    struct conf_networks *list = (struct conf_networks *)((char *)r->conf + key->offset);
    struct conf_network network;

    if (!conf_network_parse(item->text, &network)) {
        refuse(r, key, item, "is not a network");
        return;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (memcmp(&list->items[i], &network, sizeof(network)) == 0) {
            refuse(r, key, item, "is given twice");
            return;
        }
    }
    if (list->count == CONF_NETWORKS_MAX) {
        refuse(r, key, item, "is one too many");
        return;
    }
    list->items[list->count++] = network;
}

void conf_listener_add(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *address,
                       const struct conf_scalar *guard)
{
    const struct conf_key *guard_key = conf_key_named("guard.config_node");
    struct conf_listener listener = {0};
    const char *why;

    ASSERT(guard_key != NULL);
    if (!conf_address_parse(address->text, &listener.address, &why)) {
        refuse(r, key, address, why);
        return;
    }
    if (guard != NULL) {
        const struct conf_choice *choice = conf_choice_named(guard_key->choices, guard->text);
        if (choice == NULL) {
            refuse(r, key, guard, "is not a known guard");
            return;
        }
        listener.config_node = (enum conf_guard)choice->value;
    }
    if (r->conf->listener_count == CONF_LISTENERS_MAX) {
        refuse(r, key, address, "is one too many");
        return;
    }
    uint32_t at = r->conf->listener_count++;
    r->conf->listeners[at] = listener;
    r->is_guard_given[at] = guard != NULL;
    r->listener_lines[at] = address->line;
}

void conf_list_add(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *item)
{
    ASSERT(conf_key_is_list(key));
    if (key->type == CONF_TYPE_FLAGS)
        add_flag(r, key, item);
    else if (key->type == CONF_TYPE_BINDS)
        add_bind(r, key, item);
    else if (key->type == CONF_TYPE_IDS)
        add_id(r, key, item);
    else if (key->type == CONF_TYPE_NETWORKS)
        add_network(r, key, item);
    else
        conf_listener_add(r, key, item, NULL);
}
