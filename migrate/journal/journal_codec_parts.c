/* Counts and findings <-> zkf.Count and zkf.Finding. */
#include <stdlib.h>

#include "migrate/journal/journal_codec_int.h"

static char *unconst(const char *text)
{
    return (char *)(uintptr_t)text; /* protobuf-c wants char * where it only reads */
}

enum rc mig_tally_pack(const struct mig_tally *tally, size_t *ret_count, Zkf__Count ***ret_list,
                       struct err *err)
{
    struct {
        Zkf__Count *refs[MIG_TALLY_MAX]; /* first: the block is freed through it */
        Zkf__Count counts[MIG_TALLY_MAX];
    } *packed = NULL;
    *ret_count = 0;
    *ret_list = NULL;
    if (tally->count == 0)
        return RC_OK;
    packed = calloc(1, sizeof *packed);
    if (packed == NULL)
        return err_set(err, RC_NOMEM, "counts: out of memory");
    for (uint32_t i = 0; i < tally->count; i++) {
        Zkf__Count *m = packed->refs[i] = &packed->counts[i];
        zkf__count__init(m);
        m->name = unconst(tally->items[i].name);
        m->has_value = true;
        m->value = tally->items[i].value;
    }
    *ret_count = tally->count;
    *ret_list = packed->refs;
    return RC_OK;
}

enum rc mig_tally_unpack(size_t count, Zkf__Count *const *list, struct mig_tally *tally, struct err *err)
{
    tally->count = 0;
    if (count > MIG_TALLY_MAX)
        return err_set(err, RC_CORRUPT, "%zu counts, at most %u fit", count, MIG_TALLY_MAX);
    for (size_t i = 0; i < count; i++) {
        char name[MIG_TALLY_NAME_MAX];
        enum rc rc = mig_text_unpack(list[i]->name, "count", name, sizeof name, err);
        if (rc != RC_OK)
            return rc;
        mig_tally_add(tally, name, list[i]->value);
    }
    return RC_OK;
}

static Zkf__Finding__Severity severity_of(enum mig_severity severity)
{
    switch (severity) {
    case MIG_BLOCK:
        return ZKF__FINDING__SEVERITY__block;
    case MIG_WARN:
        return ZKF__FINDING__SEVERITY__warn;
    case MIG_INFO:
        break;
    }
    return ZKF__FINDING__SEVERITY__info;
}

static void pack_finding(const struct mig_finding *finding, Zkf__Finding *m)
{
    zkf__finding__init(m);
    m->id = unconst(finding->id);
    m->rule = unconst(finding->rule);
    m->seen = unconst(finding->seen);
    m->why = unconst(finding->why);
    m->todo = unconst(finding->todo);
    m->pitfall = unconst(finding->pitfall);
    m->has_severity = m->has_server = m->has_can_accept = m->has_is_accepted = true;
    m->severity = severity_of(finding->severity);
    m->server = finding->server;
    m->can_accept = finding->can_accept;
    m->is_accepted = finding->is_accepted;
}

enum rc mig_findings_pack(const struct mig_findings *findings, size_t *ret_count, Zkf__Finding ***ret_list,
                          struct err *err)
{
    struct {
        Zkf__Finding *refs[MIG_FINDINGS_MAX]; /* first, as above */
        Zkf__Finding messages[MIG_FINDINGS_MAX];
    } *packed = NULL;
    *ret_count = 0;
    *ret_list = NULL;
    if (findings->count == 0)
        return RC_OK;
    packed = calloc(1, sizeof *packed);
    if (packed == NULL)
        return err_set(err, RC_NOMEM, "findings: out of memory");
    for (uint32_t i = 0; i < findings->count; i++) {
        packed->refs[i] = &packed->messages[i];
        pack_finding(&findings->items[i], &packed->messages[i]);
    }
    *ret_count = findings->count;
    *ret_list = packed->refs;
    return RC_OK;
}

static enum mig_severity severity_from(Zkf__Finding__Severity stored)
{
    switch (stored) {
    case ZKF__FINDING__SEVERITY__block:
        return MIG_BLOCK;
    case ZKF__FINDING__SEVERITY__warn:
        return MIG_WARN;
    case ZKF__FINDING__SEVERITY__info:
    case _ZKF__FINDING__SEVERITY_IS_INT_SIZE:
        break;
    }
    return MIG_INFO;
}

static enum rc unpack_finding(const Zkf__Finding *m, struct mig_finding *finding, struct err *err)
{
    enum rc rc = mig_text_unpack(m->id, "finding", finding->id, sizeof finding->id, err);
    if (rc == RC_OK)
        rc = mig_text_unpack(m->rule, "rule", finding->rule, sizeof finding->rule, err);
    if (rc == RC_OK)
        rc = mig_text_unpack(m->seen, "seen", finding->seen, sizeof finding->seen, err);
    if (rc == RC_OK)
        rc = mig_text_unpack(m->why, "why", finding->why, sizeof finding->why, err);
    if (rc == RC_OK)
        rc = mig_text_unpack(m->todo, "todo", finding->todo, sizeof finding->todo, err);
    if (rc == RC_OK)
        rc = mig_text_unpack(m->pitfall, "pitfall", finding->pitfall, sizeof finding->pitfall, err);
    finding->severity = severity_from(m->severity);
    finding->server = m->server;
    finding->can_accept = m->can_accept;
    finding->is_accepted = m->is_accepted;
    return rc;
}

enum rc mig_findings_unpack(size_t count, Zkf__Finding *const *list, struct mig_findings *findings,
                            struct err *err)
{
    findings->count = 0;
    findings->is_cut = false;
    if (count > MIG_FINDINGS_MAX)
        return err_set(err, RC_CORRUPT, "%zu findings, at most %u fit", count, MIG_FINDINGS_MAX);
    for (size_t i = 0; i < count; i++) {
        enum rc rc = unpack_finding(list[i], &findings->items[i], err);
        if (rc != RC_OK)
            return rc;
    }
    findings->count = (uint32_t)count;
    return RC_OK;
}
