/* One four-letter word asked over its own connection: connect, send, read to the end. Control loop; at most
 * one callback, never from inside mig_ask_new. Not here: what the answer means (probe.c). */
#ifndef MIGRATE_PROBE_ASK_H
#define MIGRATE_PROBE_ASK_H

#include "migrate/probe/probe.h"

struct event_base;
struct mig_ask; /* owned by the prober */

/* conf and mntr are some KB; cons has a line of some 200 bytes per connection, and a server that allows
 * 20,000 of them is as large as they come. */
#define MIG_ASK_ANSWER_MAX (8u * 1024u * 1024u)

/* DATA: bytes (borrowed for the call) came and the server has closed; any other kind: why there are none. */
typedef void mig_asked_fn(void *context, enum mig_probe_kind kind, struct zkp_slice bytes);

/* RC_NOMEM: no call follows. */
enum rc mig_ask_new(struct event_base *base, const struct mig_address *address, enum zkp_word word,
                    int32_t timeout_ms, mig_asked_fn *fn, void *context,
                    struct mig_ask **ret_ask) RC_MUST_CHECK;
void mig_ask_free(struct mig_ask *ask); /* also from inside fn; NULL is fine */

#endif
