/* Confirmations: people open a gate of the plan, and may accept by name what the plan waits for there. */
#include <string.h>

#include "migrate/engine/engine_int.h"
#include "migrate/text.h"
#include "zkproto/assert.h"

enum rc accept_add(struct mig_plan *plan, const char *list)
{
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        if (length >= MIG_FINDING_ID_MAX || plan->accept_count == MIG_ACCEPT_MAX)
            return RC_FULL;
        mig_text_set(plan->accept[plan->accept_count++], MIG_FINDING_ID_MAX, "%.*s", (int)length, list);
        list += length + (list[length] == ',');
    }
    return RC_OK;
}

void engine_refuse_accept(const struct mig_command *command, struct mig_answer *answer)
{
    for (uint32_t i = 0; i < command->accept_count && i < MIG_ACCEPT_MAX; i++) {
        if (mig_accept_is_known(command->accept[i]))
            continue;
        engine_refuse(answer, 400, "bad_accept", "name the findings as preflight or status print them",
                      "there is nothing to accept by the name \"%.*s\"", (int)MIG_FINDING_ID_MAX,
                      command->accept[i]);
        return;
    }
    engine_refuse(answer, 400, "bad_accept", "name the findings as preflight or status print them",
                  "at most %u accepted findings of %u characters", MIG_ACCEPT_MAX, MIG_FINDING_ID_MAX - 1);
}

/* Names that are accepted with it and were not before, comma-separated. False: one is not known, or there are
 * too many. */
static bool list_new(const struct mig_engine *e, const struct mig_command *command, char *buf,
                     uint32_t capacity)
{
    struct mig_plan plan = e->plan;
    buf[0] = '\0';
    for (uint32_t i = 0; i < command->accept_count; i++) {
        const char *name = command->accept[i];
        if (!mig_accept_is_known(name))
            return false;
        if (mig_plan_accepts(&plan, name, name))
            continue;
        bool fits = strlen(buf) + strlen(name) + 2 <= capacity && strchr(name, ',') == NULL;
        if (!fits || accept_add(&plan, name) != RC_OK)
            return false;
        mig_text_add(buf, capacity, "%s%s", buf[0] != '\0' ? "," : "", name);
    }
    return true;
}

/* It is the gate's turn; or the gate is open already, and the plan waits behind it for something to be
 * accepted. */
static bool is_due(const struct mig_engine *e, enum mig_gate gate, const char *accepted)
{
    bool is_wanted = gate == MIG_GATE_REMOVE && e->has_stragglers && accepted[0] != '\0';
    return engine_waiting_gate(e) == gate || is_wanted;
}

static void take(struct run *r, enum mig_gate gate, const char *accepted)
{
    struct mig_engine *e = r->e;
    e->confirmed[gate] = true;
    enum rc rc = accept_add(&e->plan, accepted);
    ASSERT(rc == RC_OK); /* list_new has tried it */
    struct mig_record *record = run_journal(r, MIG_RECORD_CONFIRMED);
    record->gate = gate;
    mig_text_set(record->text, sizeof(record->text), "%s", accepted);
    run_log(r, "plan.confirmed", "%s%s%s", mig_gate_name(gate), accepted[0] != '\0' ? ", accepted: " : "",
            accepted);
}

/* Idempotent: an open gate answers OK again, and never opens the next one. */
void engine_confirm(struct run *r, const struct mig_command *command, struct mig_answer *answer)
{
    struct mig_engine *e = r->e;
    enum mig_gate gate = mig_gate_named(command->gate);
    char accepted[MIG_TEXT_MAX];
    if (e->switches.no_confirm_name && engine_waiting_gate(e) != MIG_GATE_NONE)
        gate = engine_waiting_gate(e);
    if (gate == MIG_GATE_NONE)
        engine_refuse(answer, 400, "bad_phase", "switch, remove and finish can be confirmed",
                      "\"%s\" cannot be confirmed", command->gate != NULL ? command->gate : "");
    else if (!list_new(e, command, accepted, sizeof(accepted)))
        engine_refuse_accept(command, answer);
    else if (is_due(e, gate, accepted))
        take(r, gate, accepted);
    else if (!e->confirmed[gate] || accepted[0] != '\0')
        engine_refuse(answer, 409, "not_waiting", "`zkferry status` says what it waits for",
                      "plan %s does not wait for confirmation of %s", e->plan.id, mig_gate_name(gate));
}
