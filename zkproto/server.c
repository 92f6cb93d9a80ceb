/* ZooKeeper's server lines and the config text made of them (protocol.md §5.2; QuorumPeer.java:
 * QuorumServer). Pure, any thread. Names are not resolved here: two names of one host count as different. */
#include "zkproto/server.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "zkproto/text_int.h"

#define PRINTED_MAX 80 /* bytes of somebody's input that an error text repeats */

static int shown(struct zkp_slice text)
{
    return (int)(text.len < PRINTED_MAX ? text.len : PRINTED_MAX);
}

static bool is_host_char(uint8_t c, bool is_bracketed)
{
    bool is_alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_alnum || c == '.' || c == '-' || c == '_')
        return true;
    return is_bracketed && (c == ':' || c == '%'); /* % starts a zone, as in fe80::1%eth0 */
}

static bool host_copy(struct zkp_slice text, bool is_bracketed, char ret_host[ZKP_HOST_MAX])
{
    for (uint32_t i = 0; i < text.len; i++) {
        if (!is_host_char(text.ptr[i], is_bracketed))
            return false;
    }
    /* Brackets are for IPv6 only: else format(parse(x)) would lose them. */
    if (text.len == 0 || (is_bracketed && zkp_text_index(text, ':') == text.len))
        return false;
    return zkp_text_copy(text, ret_host, ZKP_HOST_MAX);
}

/* Cuts "name:" or "[v6]:" off the front of *rest; the colon must be there. */
static bool take_host(struct zkp_slice *rest, char ret_host[ZKP_HOST_MAX])
{
    bool is_bracketed = rest->len > 0 && rest->ptr[0] == '[';
    uint32_t begin = is_bracketed ? 1 : 0;
    uint32_t end = zkp_text_index(*rest, is_bracketed ? ']' : ':');
    uint32_t colon = is_bracketed ? end + 1 : end;
    if (colon >= rest->len || rest->ptr[colon] != ':')
        return false;
    if (!host_copy(zkp_slice_of(rest->ptr + begin, end - begin), is_bracketed, ret_host))
        return false;
    *rest = zkp_text_from(*rest, colon + 1);
    return true;
}

static bool port_parse(struct zkp_slice text, uint16_t *ret_port)
{
    uint64_t port;
    if (!zkp_text_u64(text, 10, &port) || port < 1 || port > UINT16_MAX)
        return false;
    *ret_port = (uint16_t)port;
    return true;
}

static bool take_port(struct zkp_slice *rest, uint16_t *ret_port)
{
    struct zkp_slice piece;
    return zkp_text_next(rest, ':', &piece) && port_parse(piece, ret_port);
}

static bool role_parse(struct zkp_slice text, enum zkp_role *ret_role)
{
    /* Either case: QuorumPeer.java lowers it before it compares. */
    if (zkp_text_is_nocase(text, "participant"))
        *ret_role = ZKP_ROLE_PARTICIPANT;
    else if (zkp_text_is_nocase(text, "observer"))
        *ret_role = ZKP_ROLE_OBSERVER;
    else
        return false;
    return true;
}

/* host:quorum:election[:role]; has_role and the server's role are shared by all alternatives. */
static enum rc address_parse(struct zkp_slice text, struct zkp_server *server, bool *has_role,
                             struct err *err)
{
    struct zkp_server_address *address = &server->addresses[server->address_count];
    struct zkp_slice rest = text;
    if (!take_host(&rest, address->host))
        return err_set(err, RC_INVALID, "\"%.*s\": expected <host>:<quorum port>:<election port>, IPv6 in []",
                       shown(text), text.ptr);
    if (!take_port(&rest, &address->quorum_port) || !take_port(&rest, &address->election_port))
        return err_set(err, RC_INVALID, "\"%.*s\": quorum and election port must be 1 to 65535", shown(text),
                       text.ptr);
    server->address_count++;
    if (rest.len == 0)
        return RC_OK;
    enum zkp_role role;
    if (!role_parse(rest, &role))
        return err_set(err, RC_INVALID, "\"%.*s\": the role must be participant or observer", shown(rest),
                       rest.ptr);
    if (*has_role && role != server->role)
        return err_set(err, RC_INVALID, "all addresses of one server must have the same role");
    server->role = role;
    *has_role = true;
    return RC_OK;
}

static enum rc addresses_parse(struct zkp_slice text, struct zkp_server *server, struct err *err)
{
    bool has_role = false;
    struct zkp_slice piece;
    while (zkp_text_next(&text, '|', &piece)) {
        if (server->address_count == ZKP_SERVER_ADDRESSES_MAX)
            return err_set(err, RC_TOO_BIG, "more than %u addresses", ZKP_SERVER_ADDRESSES_MAX);
        enum rc rc = address_parse(zkp_text_trim(piece), server, &has_role, err);
        if (rc != RC_OK)
            return rc;
    }
    if (server->address_count == 0)
        return err_set(err, RC_INVALID, "expected <host>:<quorum port>:<election port>");
    return RC_OK;
}

/* [<host>:]<port>; a host of its own syntax is "*". */
static enum rc client_parse(struct zkp_slice text, struct zkp_server *server, struct err *err)
{
    struct zkp_slice rest = text;
    if (zkp_text_after(text, "*:", &rest))
        server->client_host[0] = '*';
    else if (zkp_text_index(text, ':') < text.len && !take_host(&rest, server->client_host))
        return err_set(err, RC_INVALID, "\"%.*s\": expected ;[<client host>:]<client port>, IPv6 in []",
                       shown(text), text.ptr);
    if (!port_parse(rest, &server->client_port))
        return err_set(err, RC_INVALID, "\"%.*s\": the client port must be 1 to 65535", shown(text),
                       text.ptr);
    return RC_OK;
}

/* "server.<id>=" off the front. */
static enum rc id_parse(struct zkp_slice *line, int32_t *ret_id, struct err *err)
{
    struct zkp_slice rest;
    uint64_t id;
    uint32_t equals = zkp_text_index(*line, '=');
    bool is_server = equals < line->len && zkp_text_after(zkp_slice_of(line->ptr, equals), "server.", &rest);
    if (!is_server || !zkp_text_u64(zkp_text_trim(rest), 10, &id) || id > INT32_MAX)
        return err_set(err, RC_INVALID, "\"%.*s\": expected server.<id>=…", shown(*line), line->ptr);
    *ret_id = (int32_t)id;
    *line = zkp_text_trim(zkp_text_from(*line, equals + 1));
    return RC_OK;
}

enum rc zkp_server_parse(struct zkp_slice line, struct zkp_server *ret_server, struct err *err)
{
    struct zkp_server server = {.role = ZKP_ROLE_PARTICIPANT};
    struct zkp_slice rest = zkp_text_trim(line);
    enum rc rc = id_parse(&rest, &server.id, err);
    if (rc != RC_OK)
        return rc;
    uint32_t semicolon = zkp_text_index(rest, ';');
    rc = addresses_parse(zkp_slice_of(rest.ptr, semicolon), &server, err);
    if (rc == RC_OK && semicolon < rest.len)
        rc = client_parse(zkp_text_trim(zkp_text_from(rest, semicolon + 1)), &server, err);
    if (rc != RC_OK) {
        err_wrap(err, "server.%d", server.id);
        return rc;
    }
    *ret_server = server;
    return RC_OK;
}

/* Appends; *used beyond capacity means that it did not fit. */
__attribute__((format(printf, 4, 5))) static void append(char *buf, uint32_t capacity, uint32_t *used,
                                                         const char *format, ...)
{
    va_list args;
    va_start(args, format);
    uint32_t begin = *used < capacity ? *used : capacity;
    int printed = vsnprintf(buf + begin, capacity - begin, format, args);
    va_end(args);
    *used += (uint32_t)printed; /* formats of ours into memory cannot fail */
}

static const char *bracket(const char *host, const char *which)
{
    return strchr(host, ':') ? which : "";
}

uint32_t zkp_server_format(const struct zkp_server *server, char *buf, uint32_t capacity)
{
    uint32_t used = 0;
    const char *role = server->role == ZKP_ROLE_OBSERVER ? "observer" : "participant";
    append(buf, capacity, &used, "server.%d=", server->id);
    for (uint32_t i = 0; i < server->address_count; i++) {
        const struct zkp_server_address *a = &server->addresses[i];
        append(buf, capacity, &used, "%s%s%s%s:%u:%u:%s", i > 0 ? "|" : "", bracket(a->host, "["), a->host,
               bracket(a->host, "]"), a->quorum_port, a->election_port, role);
    }
    const char *client = server->client_host;
    if (server->client_port != 0 && client[0] == '\0')
        append(buf, capacity, &used, ";%u", server->client_port);
    else if (server->client_port != 0)
        append(buf, capacity, &used, ";%s%s%s:%u", bracket(client, "["), client, bracket(client, "]"),
               server->client_port);
    return used < capacity ? used : 0;
}

bool zkp_host_is_wildcard(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (host[0] == '\0' || strcmp(host, "*") == 0)
        return true;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return v4.s_addr == htonl(INADDR_ANY);
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
}

const char *zkp_server_client_host(const struct zkp_server *server)
{
    if (server->client_port == 0)
        return NULL;
    return zkp_host_is_wildcard(server->client_host) ? server->addresses[0].host : server->client_host;
}

/* An address by its value, IPv4 as the IPv6 that means it; the scope behind a percent sign is given back. */
static bool host_value(const char *host, struct in6_addr *ret_value, const char **ret_scope)
{
    char plain[INET6_ADDRSTRLEN];
    size_t length = strcspn(host, "%");
    struct in_addr v4;
    *ret_scope = host + length;
    if (length >= sizeof plain)
        return false;
    memcpy(plain, host, length);
    plain[length] = '\0';
    if (inet_pton(AF_INET6, plain, ret_value) == 1)
        return true;
    if (inet_pton(AF_INET, host, &v4) != 1)
        return false;
    *ret_value = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&ret_value->s6_addr[12], &v4, sizeof v4);
    return true;
}

/* Without the dot that ends a complete name. */
static size_t name_length(const char *name)
{
    size_t length = strlen(name);
    return length > 1 && name[length - 1] == '.' ? length - 1 : length;
}

bool zkp_host_eq(const char *a, const char *b)
{
    struct in6_addr a6, b6;
    const char *a_scope, *b_scope;
    bool is_a = host_value(a, &a6, &a_scope);
    bool is_b = host_value(b, &b6, &b_scope);
    if (is_a && is_b)
        return memcmp(&a6, &b6, sizeof a6) == 0 && strcmp(a_scope, b_scope) == 0;
    size_t length = name_length(a);
    return is_a == is_b && length == name_length(b) && strncasecmp(a, b, length) == 0;
}

static bool address_eq(const struct zkp_server_address *a, const struct zkp_server_address *b)
{
    return a->quorum_port == b->quorum_port && a->election_port == b->election_port &&
           zkp_host_eq(a->host, b->host);
}

static bool has_address(const struct zkp_server *server, const struct zkp_server_address *wanted)
{
    for (uint32_t i = 0; i < server->address_count; i++) {
        if (address_eq(&server->addresses[i], wanted))
            return true;
    }
    return false;
}

bool zkp_server_same_addresses(const struct zkp_server *a, const struct zkp_server *b)
{
    if (a->address_count != b->address_count)
        return false;
    for (uint32_t i = 0; i < a->address_count; i++) {
        if (!has_address(b, &a->addresses[i]) || !has_address(a, &b->addresses[i]))
            return false;
    }
    return true;
}

static bool server_eq(const struct zkp_server *a, const struct zkp_server *b)
{
    if (a->id != b->id || a->role != b->role || !zkp_server_same_addresses(a, b))
        return false;
    if (a->client_port != b->client_port || a->client_port == 0)
        return a->client_port == b->client_port;
    if (zkp_host_is_wildcard(a->client_host) || zkp_host_is_wildcard(b->client_host))
        return zkp_host_is_wildcard(a->client_host) == zkp_host_is_wildcard(b->client_host);
    return zkp_host_eq(a->client_host, b->client_host);
}

bool zkp_config_same_members(const struct zkp_config *a, const struct zkp_config *b)
{
    if (a->server_count != b->server_count)
        return false;
    for (uint32_t i = 0; i < a->server_count; i++) { /* both are in ascending order */
        if (!server_eq(&a->servers[i], &b->servers[i]))
            return false;
    }
    return true;
}

const struct zkp_server *zkp_config_find(const struct zkp_config *config, int32_t id)
{
    for (uint32_t i = 0; i < config->server_count; i++) {
        if (config->servers[i].id == id)
            return &config->servers[i];
    }
    return NULL;
}

uint32_t zkp_config_voters(const struct zkp_config *config)
{
    uint32_t voters = 0;
    for (uint32_t i = 0; i < config->server_count; i++)
        voters += config->servers[i].role == ZKP_ROLE_PARTICIPANT ? 1 : 0;
    return voters;
}

/* Keeps the ids ascending. */
static enum rc config_add(struct zkp_config *config, const struct zkp_server *server, struct err *err)
{
    uint32_t at = config->server_count;
    if (at == ZKP_SERVERS_MAX)
        return err_set(err, RC_TOO_BIG, "more than %u servers", ZKP_SERVERS_MAX);
    if (zkp_config_find(config, server->id))
        return err_set(err, RC_INVALID, "server.%d stands there twice", server->id);
    for (; at > 0 && config->servers[at - 1].id > server->id; at--)
        config->servers[at] = config->servers[at - 1];
    config->servers[at] = *server;
    config->server_count++;
    return RC_OK;
}

static enum rc version_parse(struct zkp_slice text, struct zkp_config *config, struct err *err)
{
    uint64_t version; /* Long.toHexString: no sign, no 0x */
    if (!zkp_text_u64(zkp_text_trim(text), 16, &version))
        return err_set(err, RC_INVALID, "version=%.*s: expected a hexadecimal number", shown(text), text.ptr);
    config->has_version = true;
    config->version = (int64_t)version;
    return RC_OK;
}

static enum rc config_line(struct zkp_slice line, struct zkp_config *config, struct err *err)
{
    struct zkp_slice rest;
    if (zkp_text_after(line, "version=", &rest))
        return version_parse(rest, config, err);
    if (zkp_text_after(line, "group.", &rest) || zkp_text_after(line, "weight.", &rest))
        config->is_hierarchical = true;
    if (!zkp_text_after(line, "server.", &rest))
        return RC_OK;
    struct zkp_server server;
    enum rc rc = zkp_server_parse(line, &server, err);
    return rc == RC_OK ? config_add(config, &server, err) : rc;
}

enum rc zkp_config_parse(struct zkp_slice text, struct zkp_config *ret_config, struct err *err)
{
    struct zkp_config config = {0}; /* 85 KiB of stack */
    struct zkp_slice line;
    for (uint32_t number = 1; zkp_text_next(&text, '\n', &line); number++) {
        enum rc rc = config_line(zkp_text_trim(line), &config, err);
        if (rc != RC_OK) {
            err_wrap(err, "line %u", number);
            return rc;
        }
    }
    *ret_config = config;
    return RC_OK;
}
