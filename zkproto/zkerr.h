/* ZooKeeper's error codes on the wire and their names (protocol.md §1.4). Pure. */
#ifndef ZKPROTO_ZKERR_H
#define ZKPROTO_ZKERR_H

#include <stdint.h>

#define ZKP_ERRS(X)                                                                                          \
    X(OK, 0)                                                                                                 \
    X(SYSTEM_ERROR, -1)                                                                                      \
    X(RUNTIME_INCONSISTENCY, -2)                                                                             \
    X(DATA_INCONSISTENCY, -3)                                                                                \
    X(CONNECTION_LOSS, -4)                                                                                   \
    X(MARSHALLING_ERROR, -5)                                                                                 \
    X(UNIMPLEMENTED, -6)                                                                                     \
    X(OPERATION_TIMEOUT, -7)                                                                                 \
    X(BAD_ARGUMENTS, -8)                                                                                     \
    X(UNKNOWN_SESSION, -12)                                                                                  \
    X(NEW_CONFIG_NO_QUORUM, -13)                                                                             \
    X(RECONFIG_IN_PROGRESS, -14)                                                                             \
    X(NO_NODE, -101)                                                                                         \
    X(NO_AUTH, -102)                                                                                         \
    X(BAD_VERSION, -103)                                                                                     \
    X(NO_CHILDREN_FOR_EPHEMERALS, -108)                                                                      \
    X(NODE_EXISTS, -110)                                                                                     \
    X(NOT_EMPTY, -111)                                                                                       \
    X(SESSION_EXPIRED, -112)                                                                                 \
    X(INVALID_CALLBACK, -113)                                                                                \
    X(INVALID_ACL, -114)                                                                                     \
    X(AUTH_FAILED, -115)                                                                                     \
    X(SESSION_MOVED, -118)                                                                                   \
    X(NOT_READ_ONLY, -119)                                                                                   \
    X(EPHEMERAL_ON_LOCAL_SESSION, -120)                                                                      \
    X(NO_WATCHER, -121)                                                                                      \
    X(REQUEST_TIMEOUT, -122)                                                                                 \
    X(RECONFIG_DISABLED, -123)                                                                               \
    X(SESSION_CLOSED_REQUIRE_SASL_AUTH, -124)                                                                \
    X(QUOTA_EXCEEDED, -125)                                                                                  \
    X(THROTTLED_OP, -127)

enum zkp_err {
#define ZKP_ERR_ENUM(name, number) ZKP_ERR_##name = number,
    ZKP_ERRS(ZKP_ERR_ENUM)
#undef ZKP_ERR_ENUM
};

/* "NO_NODE" …, or "UNKNOWN_ERROR" for a number that is not in the table; never NULL. */
const char *zkp_err_name(int32_t err);

#endif
