/* What the writer and the reader of exported sessions share. Inside proxy/session only. */
#ifndef PROXY_SESSION_EXPORT_INT_H
#define PROXY_SESSION_EXPORT_INT_H

#include "proxy/session/session_int.h"

/* One bit per flag of session_data; the order is part of the version. */
#define EXPORT_FLAGS(X)                                                                                      \
    X(has_read_only)                                                                                         \
    X(read_only)                                                                                             \
    X(hides_config)                                                                                          \
    X(is_marked)                                                                                             \
    X(has_sasl)                                                                                              \
    X(has_lost_auth)                                                                                         \
    X(is_attached_read_only)                                                                                 \
    X(is_local)                                                                                              \
    X(ends_with_server)                                                                                      \
    X(filters_events)                                                                                        \
    X(is_marker_last)                                                                                        \
    X(has_shown_config)

enum export_flag {
#define EXPORT_FLAG_ENUM(name) EXPORT_FLAG_##name,
    EXPORT_FLAGS(EXPORT_FLAG_ENUM)
#undef EXPORT_FLAG_ENUM
        EXPORT_FLAG_COUNT
};

/* The states as they are written. */
enum export_state { EXPORT_ACTIVE = 1, EXPORT_HELD = 2 };

/* Written as they stand in memory: who changes them raises the version. */
_Static_assert(PX_REQUEST_OURS == 5 && PX_REQUEST_WATCH_SENT == 2, "raise PX_EXPORT_VERSION");

/* xid, sent_us, detail, opcode, kind, watch, is_kept: each an int32. */
#define EXPORT_REQUEST_LEN 28u

#endif
