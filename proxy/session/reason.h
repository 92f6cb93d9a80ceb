/* Why a client's connection ended: one list for the session core, logs and metrics. Pure. */
#ifndef PROXY_SESSION_REASON_H
#define PROXY_SESSION_REASON_H

/* ROW(A, name, label): A is handed through, so that other tables can include this one. */
#define PX_CLOSE_REASONS(ROW, A)                                                                             \
    ROW(A, CLIENT_GONE, "client_gone")             /* FIN or RST of the client */                            \
    ROW(A, CLOSE_SESSION, "close_session")         /* the client closed its session */                       \
    ROW(A, RETURNED, "returned")                   /* quiet, socket closed, comes back with its session */   \
    ROW(A, SERVER_GONE, "server_gone")             /* server's FIN or RST, no write unanswered */            \
    ROW(A, REFUSED, "refused")                     /* the same, behind an answer that says why */            \
    ROW(A, EVENTS_UNKNOWN, "events_unknown")       /* events of a persistent watch may be lost */            \
    ROW(A, UNKNOWN_OUTCOME, "unknown_outcome")     /* the same with an unanswered write */                   \
    ROW(A, EXPIRED, "expired")                     /* the server said so; told to the client */              \
    ROW(A, SILENT, "silent")                       /* not heard for its whole timeout */                     \
    ROW(A, SUPERSEDED, "superseded")               /* its client came back on another connection */          \
    ROW(A, WRONG_PASSWORD, "wrong_password")       /* attached a held session without its password */        \
    ROW(A, OWNER_CONFLICT, "owner_conflict")       /* a server gave out an id that another client holds */   \
    ROW(A, HANDSHAKE_TIMEOUT, "handshake_timeout") /* connected and said nothing */                          \
    ROW(A, SESSIONS_FULL, "sessions_full")         /* limits.sessions was reached when it spoke */           \
    ROW(A, SILENT_FULL, "silent_full")             /* silent for longest, beyond limits.silent */            \
    ROW(A, ADDRESS_SILENT, "address_silent")       /* the same of its address */                             \
    ROW(A, NO_SERVER, "no_server")                 /* no server in the client's own timeout */               \
    ROW(A, FRAME_LENGTH, "frame_length")           /* length <= 0 */                                         \
    ROW(A, FRAME_TOO_BIG, "frame_too_big")         /* a request over limits.request_bytes */                 \
    ROW(A, BAD_CONNECT, "bad_connect")             /* first frame is no ConnectRequest */                    \
    ROW(A, BAD_REQUEST, "bad_request")             /* a request that cannot be read */                       \
    ROW(A, SERVER_PROTOCOL, "server_protocol")     /* a reply to nothing, or a frame that cannot be read */  \
    ROW(A, LIMIT, "limit")                         /* over limits.reply_bytes or limits.whole_bytes */       \
    ROW(A, NO_MEMORY, "no_memory")                                                                           \
    ROW(A, SHUTDOWN, "shutdown") /* the proxy ends */                                                        \
    ROW(A, WORD, "word")         /* a four-letter word, handed to the control thread */

enum px_close_reason {
#define PX_CLOSE_ENUM(A, name, label) PX_CLOSE_##name,
    PX_CLOSE_REASONS(PX_CLOSE_ENUM, )
#undef PX_CLOSE_ENUM
        PX_CLOSE_COUNT
};

const char *px_close_reason_name(enum px_close_reason reason); /* the label */

#endif
