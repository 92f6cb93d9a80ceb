/* ZooKeeper's own server syntax and the text of /zookeeper/config (protocol.md §5.2):
 *   server.<id>=<host>:<quorum>:<election>[:participant|observer][|…][;[<client host>:]<client port>]
 * The order of quorum and election port is the text's; nothing is assumed about the numbers. Pure. */
#ifndef ZKPROTO_SERVER_H
#define ZKPROTO_SERVER_H

#include "zkproto/err.h"
#include "zkproto/slice.h"

#define ZKP_HOST_MAX             256u /* longest DNS name is 253 */
#define ZKP_SERVER_ADDRESSES_MAX 4u   /* '|' alternatives; ZooKeeper documents two or three */
#define ZKP_SERVERS_MAX          64u  /* members one ensemble may have here; real ones have 3 to 9 */
#define ZKP_SERVER_TEXT_MAX      2048u

enum zkp_role { ZKP_ROLE_PARTICIPANT, ZKP_ROLE_OBSERVER };

struct zkp_server_address {
    char host[ZKP_HOST_MAX]; /* without brackets */
    uint16_t quorum_port;
    uint16_t election_port;
};

struct zkp_server {
    int32_t id;
    enum zkp_role role;
    uint32_t address_count; /* >= 1 */
    struct zkp_server_address addresses[ZKP_SERVER_ADDRESSES_MAX];
    char client_host[ZKP_HOST_MAX]; /* as written; "" = only a port was given; 0.0.0.0/:: possible */
    uint16_t client_port;           /* 0 = no client part */
};

struct zkp_config {
    uint32_t server_count;
    struct zkp_server servers[ZKP_SERVERS_MAX]; /* ascending id */
    bool has_version;
    int64_t version;
    bool is_hierarchical; /* group. or weight. lines were seen */
};

/* One line "server.N=…", no newline. Errors say what is wrong and what is allowed. */
enum rc zkp_server_parse(struct zkp_slice line, struct zkp_server *ret_server, struct err *err) RC_MUST_CHECK;
/* ZooKeeper's printed form: "server.4=h:q:e:participant;ch:cp" (brackets around IPv6; a wildcard or
 * missing client host is printed as written). Returns the length, 0 when it does not fit. */
uint32_t zkp_server_format(const struct zkp_server *server, char *buf, uint32_t capacity);
/* Where clients connect: client_host, or the quorum host when that is empty or a wildcard
 * (design.md §2). NULL when the server has no client port. */
const char *zkp_server_client_host(const struct zkp_server *server);
/* The one comparison of hosts, for everything that people, files and servers write: addresses by their value
 * (Java prints ::1 as 0:0:0:0:0:0:0:1; ::ffff:10.0.0.1 is 10.0.0.1), scopes as text, names without case and
 * without the dot that ends a complete one. Wildcards are hosts like others. Names are not resolved. */
bool zkp_host_eq(const char *a, const char *b);
bool zkp_host_is_wildcard(const char *host); /* "", 0.0.0.0, ::, 0:0:…, * */

/* The whole text of the config node, of `conf`'s membership section or of a dynamic file: lines in any
 * order, blank lines and unknown keys ignored, duplicate ids refused. */
enum rc zkp_config_parse(struct zkp_slice text, struct zkp_config *ret_config, struct err *err) RC_MUST_CHECK;
const struct zkp_server *zkp_config_find(const struct zkp_config *config, int32_t id); /* or NULL */
uint32_t zkp_config_voters(const struct zkp_config *config);
/* Quorum and election addresses, in whatever order. */
bool zkp_server_same_addresses(const struct zkp_server *a, const struct zkp_server *b);
/* Same ids, roles and addresses (order of lines and client part's spelling of wildcards ignored);
 * versions are not compared. */
bool zkp_config_same_members(const struct zkp_config *a, const struct zkp_config *b);

#endif
