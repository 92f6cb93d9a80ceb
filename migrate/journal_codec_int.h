/* Between the two halves of the journal's codec: records and the plan inside the first one. */
#ifndef MIGRATE_JOURNAL_CODEC_INT_H
#define MIGRATE_JOURNAL_CODEC_INT_H

#include "migrate/plan.h"
#include "migrate/zkferry.pb-c.h"
#include "zkproto/err.h"

/* *ret_packed is one block of malloc'ed memory that points into itself and into plan; free() it. */
enum rc mig_plan_pack(const struct mig_plan *plan, Zkf__RecordedPlan **ret_packed,
                      struct err *err) RC_MUST_CHECK;
/* Fills plan; RC_CORRUPT when something is no plan. */
enum rc mig_plan_unpack(const Zkf__RecordedPlan *packed, struct mig_plan *plan,
                        struct err *err) RC_MUST_CHECK;

/* Copies a stored text into a field of fixed size; absent = "". RC_CORRUPT when it does not fit. */
enum rc mig_text_unpack(const char *stored, const char *field, char *buf, size_t capacity,
                        struct err *err) RC_MUST_CHECK;

#endif
