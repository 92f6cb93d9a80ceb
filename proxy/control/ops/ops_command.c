/* The admin port's commands: they go to the engine, and are answered when their record is on disk, so that a
 * 200 survives a crash. */
#include <stdio.h>

#include "proxy/control/control_int.h"

static enum mig_command_kind command_of(enum px_admin_command command)
{
    switch (command) {
    case PX_ADMIN_START:
        return MIG_COMMAND_START;
    case PX_ADMIN_CONFIRM:
        return MIG_COMMAND_CONFIRM;
    case PX_ADMIN_PAUSE:
        return MIG_COMMAND_PAUSE;
    case PX_ADMIN_RESUME:
        return MIG_COMMAND_RESUME;
    case PX_ADMIN_RETRY:
        return MIG_COMMAND_RETRY;
    case PX_ADMIN_ROLLBACK:
    case PX_ADMIN_COMMAND_COUNT:
        break;
    }
    return MIG_COMMAND_ROLLBACK;
}

/* The seq of the record a command's effects end with, 0 = it changed nothing. */
static uint64_t last_record(const struct mig_effects *effects)
{
    for (uint32_t i = effects->count; i > 0; i--)
        if (effects->items[i - 1].kind == MIG_EFFECT_JOURNAL)
            return effects->items[i - 1].seq;
    return 0;
}

static struct px_command_call *command_with(struct px_control *control, uint64_t seq)
{
    for (uint32_t i = 0; i < PX_COMMAND_CALLS_MAX; i++)
        if (control->commands[i].seq == seq)
            return &control->commands[i];
    return NULL;
}

void px_control_answer_commands(struct px_control *control, uint64_t seq, enum rc rc, const char *why)
{
    for (uint32_t i = 0; i < PX_COMMAND_CALLS_MAX; i++) {
        struct px_command_call *call = &control->commands[i];
        if (call->seq == 0 || (rc == RC_OK && call->seq != seq))
            continue; /* a failed write drops everything behind it */
        if (rc == RC_OK)
            px_admin_reply_done(call->reply, call->message);
        else
            px_admin_reply_error(call->reply, 500, "journal", why, "see that state_dir can be written");
        call->seq = 0;
    }
}

/* Before the effects are carried out: the record may be on disk, or refused, at once. */
static void answer_command(struct px_control *control, struct px_admin_reply reply,
                           const struct mig_answer *answer)
{
    uint64_t seq = last_record(&control->effects);
    struct px_command_call *call = seq != 0 ? command_with(control, 0) : NULL;
    if (answer->rc != RC_OK) {
        px_admin_reply_error(reply, answer->http_status, answer->code, answer->message, answer->hint);
    } else if (call) {
        call->seq = seq;
        call->reply = reply;
        snprintf(call->message, sizeof call->message, "%s", answer->message);
    } else {
        px_admin_reply_done(reply, answer->message);
    }
}

static void carry_out(struct px_control *control, struct px_admin_reply reply,
                      const struct mig_command *command)
{
    struct mig_answer answer;
    if (px_runner_is_lost(control->runner)) {
        px_admin_reply_error(reply, 500, "journal", "the journal could not be written at this moment",
                             "see that state_dir can be written");
        return;
    }
    px_control_observe(control);
    mig_engine_command(control->engine, &control->facts, command, &answer, &control->effects);
    px_events_add(control->events, control->facts.wall_ms, "command", control->view.plan_id, -1, "%s%s%s",
                  mig_command_name(command->kind),
                  answer.rc == RC_OK ? "" : " was refused: ", answer.rc == RC_OK ? "" : answer.message);
    answer_command(control, reply, &answer);
    px_control_carry_out(control);
    event_active(control->wake, 0, 0);
}

void px_control_command(void *context, struct px_admin_reply reply, enum px_admin_command kind,
                        const struct px_admin_args *args)
{
    struct px_control *control = context;
    struct mig_command command = {.kind = command_of(kind),
                                  .plan_id = args->plan_id,
                                  .gate = args->phase,
                                  .nonce = control->next_nonce++};
    if (args->accept_count > MIG_ACCEPT_MAX) {
        px_admin_reply_error(reply, 400, "too_many", "more findings accepted than a plan keeps", "");
        return;
    }
    command.accept_count = args->accept_count;
    for (uint32_t i = 0; i < args->accept_count; i++)
        command.accept[i] = args->accept[i];
    carry_out(control, reply, &command);
}

void px_control_drain(void *context, struct px_admin_reply reply, int32_t server_id)
{
    const struct mig_command command = {.kind = MIG_COMMAND_DRAIN, .server = server_id};
    carry_out(context, reply, &command);
}

void px_control_undrain(void *context, struct px_admin_reply reply, int32_t server_id)
{
    const struct mig_command command = {.kind = MIG_COMMAND_UNDRAIN, .server = server_id};
    carry_out(context, reply, &command);
}
