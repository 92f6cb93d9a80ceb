/* A session's state as plain data, and back: the seam for handing sessions to another worker or another
 * process. Pure. The sockets are the caller's business, and so is what stands in their buffers.
 *
 * All numbers are big-endian, everything of variable length is preceded by its length or count, and the
 * version comes first. Opcodes are written as wire numbers, times as CLOCK_MONOTONIC: the bytes are good on
 * the same machine until it is booted again. */
#ifndef PROXY_SESSION_EXPORT_H
#define PROXY_SESSION_EXPORT_H

#include "proxy/session/buffer.h"
#include "proxy/session/session.h"

/* Raised whenever the bytes change their meaning: a list or an enum of session_export.c included. */
#define PX_EXPORT_VERSION 3

/* Appends the session's state to `out`, after the actions of its last step were carried out. RC_NOMEM.
 * RC_REFUSED: not in a state to be handed over. Only ACTIVE and HELD are, with requests unanswered or not:
 * before there is nothing that a new connect would not bring, afterwards nothing left; what lies between is
 * over in a moment, and hangs on a second connection, a routing decision or a deadline of its present worker.
 * The bytes hold the session's password and its auth packets: the caller wipes them. */
enum rc px_session_export(const struct px_session *session, struct px_buffer *out) RC_MUST_CHECK;

/* A session in the same state, its watches in `space` (borrowed, outlives it); the caller owns it. Its client
 * is to be read if it is ACTIVE, and paused if it is HELD. What is unanswered is still awaited from its
 * server. RC_MALFORMED: another version, or bytes that no export has written; RC_NOMEM. */
enum rc px_session_import(struct zkp_slice bytes, struct px_watch_space *space,
                          struct px_session **ret_session) RC_MUST_CHECK;

#endif
