/* struct mig_record <-> the bytes of zkf.Record (zkferry.proto). The only user of the schema's Record: the
 * engine sees plain structs, the file sees bytes. Pure but for malloc; any thread. */
#ifndef MIGRATE_JOURNAL_CODEC_H
#define MIGRATE_JOURNAL_CODEC_H

#include "migrate/engine/effects.h"
#include "zkproto/slice.h"

/* ret_bytes->ptr is malloc'ed and the caller's; RC_NOMEM. */
enum rc mig_record_encode(const struct mig_record *record, struct zkp_slice *ret_bytes,
                          struct err *err) RC_MUST_CHECK;
/* RC_CORRUPT: not a record, an unknown kind, phase, gate or server line, a text that does not fit.
 * ret_record->plan, for a PLAN record, is malloc'ed: mig_record_done frees it. */
enum rc mig_record_decode(struct zkp_slice bytes, struct mig_record *ret_record,
                          struct err *err) RC_MUST_CHECK;
void mig_record_done(struct mig_record *decoded);

#endif
