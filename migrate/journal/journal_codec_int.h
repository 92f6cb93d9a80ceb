/* Between the parts of the journal's codec: records, the plan inside the first one, counts and findings. */
#ifndef MIGRATE_JOURNAL_CODEC_INT_H
#define MIGRATE_JOURNAL_CODEC_INT_H

#include "migrate/engine/tally.h"
#include "migrate/engine/witness.h"
#include "migrate/plan/plan.h"
#include "migrate/preflight/preflight.h"
#include "migrate/zkferry.pb-c.h"
#include "zkproto/err.h"

/* *ret_packed is one block of malloc'ed memory that points into itself and into plan; free() it. */
enum rc mig_plan_pack(const struct mig_plan *plan, Zkf__RecordedPlan **ret_packed,
                      struct err *err) RC_MUST_CHECK;
/* Fills plan; RC_CORRUPT when something is no plan. */
enum rc mig_plan_unpack(const Zkf__RecordedPlan *packed, struct mig_plan *plan,
                        struct err *err) RC_MUST_CHECK;

/* The list is one block of malloc'ed memory that points into itself and into what is packed; free() it.
 * Nothing to pack: count 0 and NULL. */
enum rc mig_tally_pack(const struct mig_tally *tally, size_t *ret_count, Zkf__Count ***ret_list,
                       struct err *err) RC_MUST_CHECK;
enum rc mig_findings_pack(const struct mig_findings *findings, size_t *ret_count, Zkf__Finding ***ret_list,
                          struct err *err) RC_MUST_CHECK;
/* RC_CORRUPT: more than there is room for. */
enum rc mig_tally_unpack(size_t count, Zkf__Count *const *list, struct mig_tally *tally,
                         struct err *err) RC_MUST_CHECK;
enum rc mig_findings_unpack(size_t count, Zkf__Finding *const *list, struct mig_findings *findings,
                            struct err *err) RC_MUST_CHECK;

/* Copies a stored text into a field of fixed size; absent = "". RC_CORRUPT when it does not fit. */
enum rc mig_text_unpack(const char *stored, const char *field, char *buf, size_t capacity,
                        struct err *err) RC_MUST_CHECK;

/* What the message points into; pack fills all of it. */
struct mig_packed_canary {
    Zkf__RecordedCanary message;
    char *pointers[CONF_NETWORKS_MAX];
    char lines[CONF_NETWORKS_MAX][CONF_NETWORK_TEXT_MAX];
};
void mig_canary_pack(const struct conf_canary *canary, struct mig_packed_canary *ret_packed);
/* packed NULL: nobody goes first. canary must be zeroed. */
enum rc mig_canary_unpack(const Zkf__RecordedCanary *packed, struct conf_canary *canary,
                          struct err *err) RC_MUST_CHECK;
void mig_measures_pack(const struct mig_measures *measures, Zkf__RecordedMeasures *ret_packed);
struct mig_measures mig_measures_unpack(const Zkf__RecordedMeasures *packed); /* NULL: all 0 */
void mig_witness_pack(const struct mig_witness_account *account, Zkf__RecordedWitness *ret_packed);
struct mig_witness_account mig_witness_unpack(const Zkf__RecordedWitness *packed); /* NULL: all 0 */

#endif
