/* The data plane's metrics, one row each (design.md §6): the enum, the storage and the exposition come from
 * here. Rows of one family stand together. Arrays (per server and opcode) are in metrics.h.
 * X(id, family name, COUNTER|GAUGE, labels as printed or "", help) */
#ifndef PROXY_NET_METRIC_TABLE_H
#define PROXY_NET_METRIC_TABLE_H

#include "proxy/session/reason.h"

#define PX_METRIC_CLOSED_ROW(X, name, label)                                                                 \
    X(CLOSED_##name, "zkferry_client_closed_total", COUNTER, "reason=\"" label "\"",                         \
      "Client connections closed, by reason.")

#define WATCHES_HELP "Watches that servers hold for clients, by kind."

#define MOVES_HELP      "Moves of sessions to another server with the client's socket kept, by result."
#define REATTACHES_HELP "Sessions whose server was lost, attached elsewhere with the client's socket kept."
#define STAYED_HELP     "Moves that came to nothing, by what the last try met; the session goes on where it was."
#define INSTEAD_HELP    "Sessions that had to be returned because they can't be moved, by reason."
#define PINGS_HELP      "Pings of clients answered, and pings sent to servers, by the proxy itself."

#define TROUBLES_HELP                                                                                        \
    "Sessions cut off by their server's fault, that lost it, or that no server took twice; canaries apart."
#define MISFITS_HELP  "What servers sent that fits nothing; each is the loss of that server."
#define EXPIRED_HELP  "Sessions that expired; canaries apart."
#define RETURNED_HELP "Sessions returned because they could not be moved; canaries apart."

#define PX_METRICS(X)                                                                                        \
    X(CLIENTS_ACCEPTED, "zkferry_client_connections_total", COUNTER, "", "Client connections accepted.")     \
    X(CLIENTS, "zkferry_client_connections", GAUGE, "", "Client connections open now.")                      \
    PX_CLOSE_REASONS(PX_METRIC_CLOSED_ROW, X)                                                                \
    X(STATE_GREETING, "zkferry_sessions", GAUGE, "state=\"greeting\"", "Sessions by state.")                 \
    X(STATE_CLAIMING, "zkferry_sessions", GAUGE, "state=\"claiming\"", "Sessions by state.")                 \
    X(STATE_WAITING, "zkferry_sessions", GAUGE, "state=\"waiting\"", "Sessions by state.")                   \
    X(STATE_DIALING, "zkferry_sessions", GAUGE, "state=\"dialing\"", "Sessions by state.")                   \
    X(STATE_ACTIVE, "zkferry_sessions", GAUGE, "state=\"active\"", "Sessions by state.")                     \
    X(STATE_RETURNING, "zkferry_sessions", GAUGE, "state=\"returning\"", "Sessions by state.")               \
    X(STATE_HOLDING, "zkferry_sessions", GAUGE, "state=\"holding\"", "Sessions by state.")                   \
    X(STATE_HELD, "zkferry_sessions", GAUGE, "state=\"held\"", "Sessions by state.")                         \
    X(STATE_LEAVING, "zkferry_sessions", GAUGE, "state=\"leaving\"", "Sessions by state.")                   \
    X(STATE_SEEKING, "zkferry_sessions", GAUGE, "state=\"seeking\"", "Sessions by state.")                   \
    X(STATE_JOINING, "zkferry_sessions", GAUGE, "state=\"joining\"", "Sessions by state.")                   \
    X(STATE_RESTORING, "zkferry_sessions", GAUGE, "state=\"restoring\"", "Sessions by state.")               \
    X(STATE_ENDING, "zkferry_sessions", GAUGE, "state=\"ending\"", "Sessions by state.")                     \
    X(STATE_DEAD, "zkferry_sessions", GAUGE, "state=\"dead\"", "Sessions by state.")                         \
    X(RETURN_DONE, "zkferry_returns_total", COUNTER, "result=\"done\"",                                      \
      "Returns of sessions (client's socket closed when quiet), by result.")                                 \
    X(RETURN_BUSY, "zkferry_returns_total", COUNTER, "result=\"busy\"",                                      \
      "Returns of sessions (client's socket closed when quiet), by result.")                                 \
    X(RETURN_LOST, "zkferry_returns_total", COUNTER, "result=\"lost\"",                                      \
      "Returns of sessions (client's socket closed when quiet), by result.")                                 \
    X(MOVE_DONE, "zkferry_moves_total", COUNTER, "result=\"done\"", MOVES_HELP)                              \
    X(MOVE_STAYED, "zkferry_moves_total", COUNTER, "result=\"stayed\"", MOVES_HELP)                          \
    X(MOVE_BUSY, "zkferry_moves_total", COUNTER, "result=\"busy\"", MOVES_HELP)                              \
    X(MOVE_LOST, "zkferry_moves_total", COUNTER, "result=\"lost\"", MOVES_HELP)                              \
    X(STAYED_REFUSED, "zkferry_moves_stayed_total", COUNTER, "reason=\"refused\"", STAYED_HELP)              \
    X(STAYED_TIMEOUT, "zkferry_moves_stayed_total", COUNTER, "reason=\"timeout\"", STAYED_HELP)              \
    X(STAYED_CLOSED, "zkferry_moves_stayed_total", COUNTER, "reason=\"closed\"", STAYED_HELP)                \
    X(STAYED_FULL, "zkferry_moves_stayed_total", COUNTER, "reason=\"full\"", STAYED_HELP)                    \
    X(STAYED_MALFORMED, "zkferry_moves_stayed_total", COUNTER, "reason=\"malformed\"", STAYED_HELP)          \
    X(STAYED_LOCAL, "zkferry_moves_stayed_total", COUNTER, "reason=\"local\"", STAYED_HELP)                  \
    X(STAYED_SHORTAGE, "zkferry_moves_stayed_total", COUNTER, "reason=\"shortage\"", STAYED_HELP)            \
    X(STAYED_NOT_KNOWN, "zkferry_moves_stayed_total", COUNTER, "reason=\"not_known\"", STAYED_HELP)          \
    X(STAYED_NO_SERVER, "zkferry_moves_stayed_total", COUNTER, "reason=\"no_server\"", STAYED_HELP)          \
    X(REATTACH_DONE, "zkferry_reattaches_total", COUNTER, "result=\"done\"", REATTACHES_HELP)                \
    X(REATTACH_LOST, "zkferry_reattaches_total", COUNTER, "result=\"lost\"", REATTACHES_HELP)                \
    X(INSTEAD_SASL, "zkferry_returned_instead_total", COUNTER, "reason=\"sasl\"", INSTEAD_HELP)              \
    X(INSTEAD_WATCHES, "zkferry_returned_instead_total", COUNTER, "reason=\"watches\"", INSTEAD_HELP)        \
    X(INSTEAD_AUTH, "zkferry_returned_instead_total", COUNTER, "reason=\"auth\"", INSTEAD_HELP)              \
    X(INSTEAD_READ_ONLY, "zkferry_returned_instead_total", COUNTER, "reason=\"read_only\"", INSTEAD_HELP)    \
    X(INSTEAD_LOCAL, "zkferry_returned_instead_total", COUNTER, "reason=\"local\"", INSTEAD_HELP)            \
    X(PINGS_ANSWERED, "zkferry_pings_total", COUNTER, "what=\"answered\"", PINGS_HELP)                       \
    X(PINGS_SENT, "zkferry_pings_total", COUNTER, "what=\"sent\"", PINGS_HELP)                               \
    X(EVENTS_DROPPED, "zkferry_watch_events_dropped_total", COUNTER, "",                                     \
      "Watch events not passed on: the client got them from its last server.")                               \
    X(HOLD_BEGUN, "zkferry_holds_total", COUNTER, "event=\"begun\"", "Holds, counted per worker.")           \
    X(HOLD_RELEASED, "zkferry_holds_total", COUNTER, "event=\"released\"", "Holds, counted per worker.")     \
    X(HOLD_TIMED_OUT, "zkferry_holds_total", COUNTER, "event=\"timed_out\"", "Holds, counted per worker.")   \
    X(HOLD_MET, "zkferry_holds_total", COUNTER, "event=\"met\"", "Holds, counted per worker.")               \
    X(CONNECT_WAITED, "zkferry_connects_waited_total", COUNTER, "",                                          \
      "Client connects that had to wait for a server.")                                                      \
    X(CONNECT_RETRIED, "zkferry_connects_retried_total", COUNTER, "",                                        \
      "Dials that were tried again on another server.")                                                      \
    X(ELSEWHERE, "zkferry_connects_elsewhere_total", COUNTER, "",                                            \
      "Sessions given to a server that the plan does not prefer, since those that it prefers took none.")    \
    X(TAKEOVERS, "zkferry_session_takeovers_total", COUNTER, "",                                             \
      "Sessions attached anew while an older connection still held them.")                                   \
    X(GUARD_CONFIG_HIDDEN, "zkferry_guarded_total", COUNTER, "what=\"config_node\"",                         \
      "Requests answered or changed by the guard.")                                                          \
    X(GUARD_RECONFIG, "zkferry_guarded_total", COUNTER, "what=\"reconfig\"",                                 \
      "Requests answered or changed by the guard.")                                                          \
    X(GUARD_CHECK, "zkferry_guarded_total", COUNTER, "what=\"check\"",                                       \
      "Requests answered or changed by the guard.")                                                          \
    X(GUARD_CREATE_TTL, "zkferry_guarded_total", COUNTER, "what=\"create_ttl\"",                             \
      "Requests answered or changed by the guard.")                                                          \
    X(WATCH_EVENTS, "zkferry_watch_events_total", COUNTER, "", "Watch events passed to clients.")            \
    X(WATCHES_DATA, "zkferry_watches", GAUGE, "kind=\"data\"", WATCHES_HELP)                                 \
    X(WATCHES_CHILD, "zkferry_watches", GAUGE, "kind=\"child\"", WATCHES_HELP)                               \
    X(WATCHES_PERSISTENT, "zkferry_watches", GAUGE, "kind=\"persistent\"", WATCHES_HELP)                     \
    X(WATCHES_RECURSIVE, "zkferry_watches", GAUGE, "kind=\"recursive\"", WATCHES_HELP)                       \
    X(WATCH_OVERFLOW, "zkferry_watch_overflow_total", COUNTER, "",                                           \
      "Sessions whose watches are no longer followed: over the limit or out of memory.")                     \
    X(DECODE_CLIENT, "zkferry_decoder_errors_total", COUNTER, "from=\"client\"",                             \
      "Frames that could not be understood.")                                                                \
    X(DECODE_SERVER, "zkferry_decoder_errors_total", COUNTER, "from=\"server\"",                             \
      "Frames that could not be understood.")                                                                \
    X(MISFIT_SKIPPED, "zkferry_server_misfits_total", COUNTER, "what=\"skipped\"", MISFITS_HELP)             \
    X(MISFIT_UNASKED, "zkferry_server_misfits_total", COUNTER, "what=\"unasked\"", MISFITS_HELP)             \
    X(MISFIT_UNREADABLE, "zkferry_server_misfits_total", COUNTER, "what=\"unreadable\"", MISFITS_HELP)       \
    X(CLIENT_BYTES_IN, "zkferry_client_bytes_total", COUNTER, "direction=\"in\"",                            \
      "Bytes on client connections.")                                                                        \
    X(CLIENT_BYTES_OUT, "zkferry_client_bytes_total", COUNTER, "direction=\"out\"",                          \
      "Bytes on client connections.")                                                                        \
    X(HELD_BYTES, "zkferry_buffered_bytes", GAUGE, "",                                                       \
      "Bytes of buffers for slow peers and for frames that are not all there.")                              \
    X(BACK_PRESSURE, "zkferry_back_pressure_total", COUNTER, "",                                             \
      "Times a connection was no longer read because its peer was slow.")                                    \
    X(TROUBLES_REST, "zkferry_session_troubles_total", COUNTER, "group=\"rest\"", TROUBLES_HELP)             \
    X(TROUBLES_CANARY, "zkferry_session_troubles_total", COUNTER, "group=\"canary\"", TROUBLES_HELP)         \
    X(EXPIRED_REST, "zkferry_session_expirations_total", COUNTER, "group=\"rest\"", EXPIRED_HELP)            \
    X(EXPIRED_CANARY, "zkferry_session_expirations_total", COUNTER, "group=\"canary\"", EXPIRED_HELP)        \
    X(RETURNED_REST, "zkferry_session_returns_total", COUNTER, "group=\"rest\"", RETURNED_HELP)              \
    X(RETURNED_CANARY, "zkferry_session_returns_total", COUNTER, "group=\"canary\"", RETURNED_HELP)

#endif
