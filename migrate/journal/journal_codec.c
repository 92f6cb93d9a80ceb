/* struct mig_record <-> zkf.Record. Kinds and phases are matched by name, so that the order of the C enums
 * is free; numbers are the schema's for ever. */
#include "migrate/journal/journal_codec.h"

#include <stdlib.h>

#include "migrate/journal/journal_codec_int.h"
#include "migrate/journal/journal_file.h"
#include "zkproto/assert.h"

static char *unconst(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int enum_value(const ProtobufCEnumDescriptor *descriptor, const char *name)
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(descriptor, name);
    ASSERT(value != NULL); /* the schema has every name of the C enum; a unit test walks them all */
    return value->value;
}

static void fill_message(const struct mig_record *record, Zkf__Record *m)
{
    m->kind = (Zkf__RecordKind__Value)enum_value(&zkf__record_kind__value__descriptor,
                                                 mig_record_name(record->kind));
    m->phase = (Zkf__Phase)enum_value(&zkf__phase__descriptor, mig_phase_name(record->phase));
    m->gate = unconst(mig_gate_name(record->gate));
    m->step = unconst(record->step);
    m->joining = unconst(record->joining);
    m->leaving = unconst(record->leaving);
    m->text = unconst(record->text);
    m->has_wall_ms = m->has_phase = m->has_is_done = m->has_from_version = true;
    m->has_via = m->has_version = m->has_server = true;
    m->wall_ms = record->wall_ms;
    m->is_done = record->is_done;
    m->from_version = (uint64_t)record->from_version;
    m->via = record->via;
    m->version = (uint64_t)record->version;
    m->server = record->server;
    m->has_started_at = m->has_hold_ms = true;
    m->started_at = record->started_wall_ms;
    m->hold_ms = record->hold_ms;
}

/* What is packed beside the record itself. */
static void drop_parts(Zkf__Record *m)
{
    free(m->plan);
    free(m->tally);    /* one block with the counts */
    free(m->findings); /* the same */
}

static enum rc pack_parts(const struct mig_record *record, Zkf__Record *m, struct err *err)
{
    enum rc rc = mig_tally_pack(&record->tally, &m->n_tally, &m->tally, err);
    if (rc == RC_OK && record->plan != NULL)
        rc = mig_plan_pack(record->plan, &m->plan, err);
    if (rc == RC_OK && record->findings != NULL)
        rc = mig_findings_pack(record->findings, &m->n_findings, &m->findings, err);
    if (rc != RC_OK)
        drop_parts(m);
    return rc;
}

/* Parts of fixed size: the message points to them. */
struct packed_figures {
    Zkf__RecordedMeasures usual;
    Zkf__RecordedWitness witness;
};

static void pack_figures(const struct mig_record *record, struct packed_figures *room, Zkf__Record *m)
{
    if (record->kind == MIG_RECORD_CANARY_BEGUN) {
        mig_measures_pack(&record->usual, &room->usual);
        m->usual = &room->usual;
    }
    if (record->witness.started_wall_ms != 0) {
        mig_witness_pack(&record->witness, &room->witness);
        m->witness = &room->witness;
    }
}

enum rc mig_record_encode(const struct mig_record *record, struct zkp_slice *ret_bytes, struct err *err)
{
    Zkf__Record message = ZKF__RECORD__INIT;
    struct packed_figures figures;
    fill_message(record, &message);
    pack_figures(record, &figures, &message);
    enum rc rc = pack_parts(record, &message, err);
    if (rc != RC_OK)
        return rc;
    size_t length = zkf__record__get_packed_size(&message);
    uint8_t *bytes = length <= MIG_JOURNAL_PAYLOAD_MAX ? malloc(length) : NULL;
    if (bytes != NULL)
        *ret_bytes = zkp_slice_of(bytes, (uint32_t)zkf__record__pack(&message, bytes));
    else
        rc = length > MIG_JOURNAL_PAYLOAD_MAX
                 ? err_set(err, RC_TOO_BIG, "journal record of %zu bytes", length)
                 : err_set(err, RC_NOMEM, "journal record: out of memory");
    drop_parts(&message);
    return rc;
}

/* The C value whose name the schema's value has; -1 = none. */
static int value_named(const ProtobufCEnumDescriptor *descriptor, int stored, int count,
                       const char *(*name_of)(int value))
{
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(descriptor, stored);
    for (int i = 0; value != NULL && i < count; i++)
        if (strcmp(name_of(i), value->name) == 0)
            return i;
    return -1;
}

static const char *kind_name(int kind)
{
    return mig_record_name((enum mig_record_kind)kind);
}

static const char *phase_name(int phase)
{
    return mig_phase_name((enum mig_phase)phase);
}

static enum rc read_enums(const Zkf__Record *m, struct mig_record *record, struct err *err)
{
    int kind = value_named(&zkf__record_kind__value__descriptor, (int)m->kind, MIG_RECORD_COUNT, kind_name);
    int phase = value_named(&zkf__phase__descriptor, (int)m->phase, MIG_PHASE_COUNT, phase_name);
    if (kind < 0 || phase < 0)
        return err_set(err, RC_CORRUPT, "unknown %s", kind < 0 ? "kind of record" : "phase");
    record->kind = (enum mig_record_kind)kind;
    record->phase = (enum mig_phase)phase;
    bool has_gate = m->gate != NULL && m->gate[0] != '\0';
    record->gate = has_gate ? mig_gate_named(m->gate) : MIG_GATE_NONE;
    if (has_gate && record->gate == MIG_GATE_NONE)
        return err_set(err, RC_CORRUPT, "unknown gate");
    return RC_OK;
}

static enum rc read_texts(const Zkf__Record *m, struct mig_record *record, struct err *err)
{
    enum rc rc = mig_text_unpack(m->step, "step", record->step, sizeof record->step, err);
    if (rc == RC_OK)
        rc = mig_text_unpack(m->joining, "joining", record->joining, sizeof record->joining, err);
    if (rc == RC_OK)
        rc = mig_text_unpack(m->leaving, "leaving", record->leaving, sizeof record->leaving, err);
    if (rc == RC_OK)
        rc = mig_text_unpack(m->text, "text", record->text, sizeof record->text, err);
    return rc;
}

static enum rc read_plan(const Zkf__Record *m, struct mig_record *record, struct err *err)
{
    if ((record->kind == MIG_RECORD_PLAN) != (m->plan != NULL))
        return err_set(err, RC_CORRUPT, "a record of kind %s %s a plan", mig_record_name(record->kind),
                       m->plan != NULL ? "with" : "without");
    if (m->plan == NULL)
        return RC_OK;
    struct mig_plan *plan = malloc(sizeof *plan);
    if (plan == NULL)
        return err_set(err, RC_NOMEM, "out of memory");
    enum rc rc = mig_plan_unpack(m->plan, plan, err);
    if (rc == RC_OK)
        record->plan = plan;
    else
        free(plan);
    return rc;
}

static enum rc read_findings(const Zkf__Record *m, struct mig_record *record, struct err *err)
{
    struct mig_findings *findings = malloc(sizeof *findings);
    if (findings == NULL)
        return err_set(err, RC_NOMEM, "out of memory");
    enum rc rc = mig_findings_unpack(m->n_findings, m->findings, findings, err);
    if (rc == RC_OK)
        record->findings = findings;
    else
        free(findings);
    return rc;
}

static enum rc read_message(const Zkf__Record *m, struct mig_record *record, struct err *err)
{
    memset(record, 0, sizeof *record);
    record->wall_ms = m->wall_ms;
    record->is_done = m->is_done;
    record->from_version = (int64_t)m->from_version;
    record->via = m->via;
    record->version = (int64_t)m->version;
    record->server = m->server;
    record->started_wall_ms = m->started_at;
    record->hold_ms = m->hold_ms;
    record->usual = mig_measures_unpack(m->usual);
    record->witness = mig_witness_unpack(m->witness);
    enum rc rc = read_enums(m, record, err);
    if (rc == RC_OK)
        rc = read_texts(m, record, err);
    if (rc == RC_OK)
        rc = mig_tally_unpack(m->n_tally, m->tally, &record->tally, err);
    if (rc == RC_OK)
        rc = read_plan(m, record, err);
    if (rc == RC_OK && m->n_findings > 0)
        rc = read_findings(m, record, err);
    if (rc != RC_OK)
        mig_record_done(record);
    return rc;
}

enum rc mig_record_decode(struct zkp_slice bytes, struct mig_record *ret_record, struct err *err)
{
    if (bytes.len > MIG_JOURNAL_PAYLOAD_MAX) /* the unpacker has no limits of its own */
        return err_set(err, RC_CORRUPT, "a record of %u bytes", bytes.len);
    Zkf__Record *message = zkf__record__unpack(NULL, bytes.len, bytes.ptr);
    if (message == NULL)
        return err_set(err, RC_CORRUPT, "not a record");
    enum rc rc = read_message(message, ret_record, err);
    zkf__record__free_unpacked(message, NULL);
    return rc;
}

void mig_record_done(struct mig_record *decoded)
{
    free((void *)(uintptr_t)decoded->plan);
    free((void *)(uintptr_t)decoded->findings);
    decoded->plan = NULL;
    decoded->findings = NULL;
}
