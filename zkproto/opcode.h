/* The opcode table (protocol.md §1.4): one row per operation a client can send. Pure. */
#ifndef ZKPROTO_OPCODE_H
#define ZKPROTO_OPCODE_H

#include <stdbool.h>
#include <stdint.h>

enum zkp_op_class {
    ZKP_CLASS_READ,        /* answered by the server's own tree, through its pipeline */
    ZKP_CLASS_WRITE,       /* goes through the leader and may change state: unanswered = unknown */
    ZKP_CLASS_ORDERED,     /* sync: through the leader, no transaction */
    ZKP_CLASS_OUT_OF_BAND, /* auth, sasl: the reply overtakes the pipeline */
    ZKP_CLASS_SESSION,     /* closeSession */
    ZKP_CLASS_UNKNOWN,     /* an opcode this table does not know: treated like a write */
};

/* X(enum name, wire number, metric/log name, class, has path first?, may set a watch?, since) */
#define ZKP_OPS(X)                                                                                           \
    X(CREATE, 1, "create", WRITE, true, false, "3.0")                                                        \
    X(DELETE, 2, "delete", WRITE, true, false, "3.0")                                                        \
    X(EXISTS, 3, "exists", READ, true, true, "3.0")                                                          \
    X(GET_DATA, 4, "get_data", READ, true, true, "3.0")                                                      \
    X(SET_DATA, 5, "set_data", WRITE, true, false, "3.0")                                                    \
    X(GET_ACL, 6, "get_acl", READ, true, false, "3.0")                                                       \
    X(SET_ACL, 7, "set_acl", WRITE, true, false, "3.0")                                                      \
    X(GET_CHILDREN, 8, "get_children", READ, true, true, "3.0")                                              \
    X(SYNC, 9, "sync", ORDERED, true, false, "3.0")                                                          \
    X(PING, 11, "ping", READ, false, false, "3.0")                                                           \
    X(GET_CHILDREN2, 12, "get_children2", READ, true, true, "3.3.0")                                         \
    X(CHECK, 13, "check", WRITE, true, false, "3.4.0")                                                       \
    X(MULTI, 14, "multi", WRITE, false, false, "3.4.0")                                                      \
    X(CREATE2, 15, "create2", WRITE, true, false, "3.5.0")                                                   \
    X(RECONFIG, 16, "reconfig", WRITE, false, false, "3.5.0")                                                \
    X(CHECK_WATCHES, 17, "check_watches", READ, true, false, "3.5.0")                                        \
    X(REMOVE_WATCHES, 18, "remove_watches", READ, true, false, "3.5.0")                                      \
    X(CREATE_CONTAINER, 19, "create_container", WRITE, true, false, "3.5.1")                                 \
    X(DELETE_CONTAINER, 20, "delete_container", WRITE, true, false, "3.5.1")                                 \
    X(CREATE_TTL, 21, "create_ttl", WRITE, true, false, "3.5.3")                                             \
    X(MULTI_READ, 22, "multi_read", READ, false, false, "3.6.0")                                             \
    X(AUTH, 100, "auth", OUT_OF_BAND, false, false, "3.0")                                                   \
    X(SET_WATCHES, 101, "set_watches", READ, false, true, "3.0")                                             \
    X(SASL, 102, "sasl", OUT_OF_BAND, false, false, "3.4.0")                                                 \
    X(GET_EPHEMERALS, 103, "get_ephemerals", READ, true, false, "3.6.0")                                     \
    X(GET_ALL_CHILDREN_NUMBER, 104, "get_all_children_number", READ, true, false, "3.6.0")                   \
    X(SET_WATCHES2, 105, "set_watches2", READ, false, true, "3.6.0")                                         \
    X(ADD_WATCH, 106, "add_watch", READ, true, true, "3.6.0")                                                \
    X(WHO_AM_I, 107, "who_am_i", READ, false, false, "3.7.0")                                                \
    X(CREATE_SESSION, -10, "create_session", WRITE, false, false, "3.0")                                     \
    X(CLOSE_SESSION, -11, "close_session", SESSION, false, false, "3.0")

/* Wire numbers: ZKP_OP_GET_DATA = 4 … */
enum zkp_op {
#define ZKP_OP_NUMBER(name, number, text, class, has_path, may_watch, since) ZKP_OP_##name = number,
    ZKP_OPS(ZKP_OP_NUMBER)
#undef ZKP_OP_NUMBER
};

/* Dense indices for tables and metrics: ZKP_OPX_GET_DATA, …; the last row stands for unknown ones. */
enum zkp_op_index {
#define ZKP_OP_INDEX(name, number, text, class, has_path, may_watch, since) ZKP_OPX_##name,
    ZKP_OPS(ZKP_OP_INDEX)
#undef ZKP_OP_INDEX
        ZKP_OPX_UNKNOWN,
    ZKP_OPX_COUNT
};

struct zkp_op_row {
    int32_t number;
    const char *name;
    enum zkp_op_class class;
    bool has_path;  /* the body starts with a ustring path */
    bool may_watch; /* a success may register a watch */
    const char *since;
};

/* Never NULL: unknown numbers give the row "unknown", class UNKNOWN. Constant time. */
const struct zkp_op_row *zkp_op_row(enum zkp_op_index index);
enum zkp_op_index zkp_op_index(int32_t number);

#endif
