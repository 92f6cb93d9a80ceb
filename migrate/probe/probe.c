/* Schedule and health of one server's probes. Everything happens in on_timer: a question that has ended is
 * reported, then the next due one is asked. */
#include "migrate/probe/probe.h"

#include <stdio.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "migrate/probe/probe_int.h"

#define FALL_DEFAULT 2u
#define RISE_DEFAULT 1u

/* The order is the priority: srvr decides the health. */
static const struct {
    uint32_t bit;
    enum zkp_word word;
} slots[PROBE_SLOT_COUNT] = {
    [PROBE_SLOT_SRVR] = {MIG_PROBE_SRVR, ZKP_WORD_SRVR},
    [PROBE_SLOT_CONF] = {MIG_PROBE_CONF, ZKP_WORD_CONF},
    [PROBE_SLOT_MNTR] = {MIG_PROBE_MNTR, ZKP_WORD_MNTR},
    [PROBE_SLOT_CONS] = {MIG_PROBE_CONS, ZKP_WORD_CONS},
    [PROBE_SLOT_HASH] = {MIG_PROBE_HASH, ZKP_WORD_HASH},
    [PROBE_SLOT_PROPERTIES] = {MIG_PROBE_PROPERTIES, ZKP_WORD_ENVI},
};

static const char *const kind_texts[MIG_PROBE_KIND_COUNT] = {
#define KIND_TEXT(name, text) [MIG_PROBE_KIND_##name] = (text),
    MIG_PROBE_KINDS(KIND_TEXT)
#undef KIND_TEXT
};

const char *mig_probe_kind_text(enum mig_probe_kind kind)
{
    return (unsigned)kind < MIG_PROBE_KIND_COUNT ? kind_texts[kind] : "?";
}

/* --- health ----------------------------------------------------------------------------------------------
 */

/* What the answer to srvr says by itself, without hysteresis. */
static enum mig_health health_seen(const struct mig_prober *prober, enum mig_probe_kind kind,
                                   enum zkp_mode mode)
{
    const struct mig_prober_callbacks *callbacks = &prober->callbacks;
    switch (kind) {
    case MIG_PROBE_KIND_DATA:
        return mode == ZKP_MODE_PROXY ? MIG_HEALTH_PROXY : MIG_HEALTH_SERVING;
    case MIG_PROBE_KIND_NOT_SERVING:
        return MIG_HEALTH_NOT_SERVING;
    case MIG_PROBE_KIND_NOT_ALLOWED: /* it lives, but nobody can say more */
        return MIG_HEALTH_UNKNOWN;
    case MIG_PROBE_KIND_EMPTY:
    case MIG_PROBE_KIND_CONN_REFUSED:
        if (callbacks->has_live_sessions != NULL && callbacks->has_live_sessions(callbacks->context))
            return MIG_HEALTH_FULL;
        return MIG_HEALTH_DOWN;
    case MIG_PROBE_KIND_UNREACHABLE:
    case MIG_PROBE_KIND_TIMED_OUT:
    case MIG_PROBE_KIND_MALFORMED:
    case MIG_PROBE_KIND_NOT_ASKED: /* see not_asked */
    case MIG_PROBE_KIND_COUNT:
        return MIG_HEALTH_DOWN;
    }
    return MIG_HEALTH_DOWN;
}

/* Serving is left after `fall` bad answers in a row and entered after `rise` good ones; between the other
 * states, and from unknown, the last answer counts. */
static bool is_settled(struct mig_prober *prober, enum mig_health seen)
{
    bool is_good = seen == MIG_HEALTH_SERVING;
    prober->good_count = is_good ? prober->good_count + 1 : 0;
    prober->bad_count = is_good ? 0 : prober->bad_count + 1;
    if (prober->health == MIG_HEALTH_UNKNOWN)
        return true;
    if (is_good)
        return prober->good_count >= prober->options.rise;
    if (seen == MIG_HEALTH_PROXY) /* nothing that could pass */
        return true;
    return prober->health != MIG_HEALTH_SERVING || prober->bad_count >= prober->options.fall;
}

static void set_health(struct mig_prober *prober, enum mig_health health, const char *reason)
{
    prober->health = health;
    snprintf(prober->health_reason, sizeof prober->health_reason, "%s", reason);
    if (prober->callbacks.health != NULL)
        prober->callbacks.health(prober->callbacks.context, health, prober->health_reason);
}

/* What was wrong with it may be over: that is not known any more. A server that served is not accused:
 * whoever has a session there will notice, and gates look at how old its last answer is. */
static void not_asked(struct mig_prober *prober, const struct mig_probe_answer *answer)
{
    if (prober->health == MIG_HEALTH_DOWN || prober->health == MIG_HEALTH_NOT_SERVING ||
        prober->health == MIG_HEALTH_FULL)
        set_health(prober, MIG_HEALTH_UNKNOWN, answer->reason);
}

static void update_health(struct mig_prober *prober, const struct mig_probe_answer *answer)
{
    enum zkp_mode mode = answer->srvr != NULL ? answer->srvr->mode : ZKP_MODE_UNKNOWN;
    enum mig_health seen = health_seen(prober, answer->kind, mode);
    if (answer->kind == MIG_PROBE_KIND_NOT_ASKED)
        not_asked(prober, answer);
    else if (is_settled(prober, seen) && seen != prober->health)
        set_health(prober, seen, seen == MIG_HEALTH_PROXY ? "Mode: proxy" : answer->reason);
}

/* --- schedule --------------------------------------------------------------------------------------------
 */

static void arm(struct mig_prober *prober)
{
    const struct probe_question *q = &prober->question;
    int64_t now_ms = mig_now_ms();
    int64_t at_ms = INT64_MAX;
    if (q->word != ZKP_WORD_NONE) {
        at_ms = q->is_over ? now_ms : q->deadline_ms;
    } else {
        for (int i = 0; i < PROBE_SLOT_COUNT; i++)
            if (prober->due_ms[i] < at_ms)
                at_ms = prober->due_ms[i];
    }
    event_del(prober->timer);
    if (at_ms == INT64_MAX)
        return;
    int64_t wait_ms = at_ms > now_ms ? at_ms - now_ms : 0;
    struct timeval wait = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    event_add(prober->timer, &wait);
}

void probe_over(struct mig_prober *prober, enum mig_probe_kind kind, const char *detail)
{
    struct probe_question *q = &prober->question;
    if (q->is_over)
        return;
    q->is_over = true;
    q->kind = kind;
    if (q->io != NULL)
        event_del(q->io);
    if (kind != MIG_PROBE_KIND_DATA)
        snprintf(q->reason, sizeof q->reason, "%s%s%s", mig_probe_kind_text(kind),
                 detail[0] != '\0' ? ": " : "", detail);
    arm(prober);
}

static struct mig_probe_answer make_answer(const struct mig_prober *prober, const struct probe_question *q)
{
    struct mig_probe_answer answer = {.word = q->word,
                                      .kind = q->kind,
                                      .asked_at_ms = q->asked_at_ms,
                                      .observed_at_ms = mig_now_ms(),
                                      .from_admin_server = q->from_admin_server,
                                      .reason = q->reason};
    if (q->kind != MIG_PROBE_KIND_DATA)
        return answer;
    if (q->word == ZKP_WORD_SRVR)
        answer.srvr = &prober->parsed->srvr;
    else if (q->word == ZKP_WORD_CONF)
        answer.conf = &prober->parsed->conf;
    else if (q->word == ZKP_WORD_MNTR)
        answer.mntr = &prober->parsed->mntr;
    else if (q->word == ZKP_WORD_CONS)
        answer.cons = zkp_slice_of(q->text, q->length);
    else if (q->word == ZKP_WORD_ENVI)
        answer.jute_max_bytes = prober->parsed->jute_max_bytes;
    else
        answer.hash = zkp_slice_of(q->text, q->length);
    return answer;
}

static void prober_destroy(struct mig_prober *prober)
{
    probe_question_done(prober);
    if (prober->timer != NULL)
        event_free(prober->timer);
    free(prober->parsed);
    free(prober);
}

/* True: the owner has freed the prober in one of its callbacks. */
static bool report(struct mig_prober *prober)
{
    const struct probe_question *q = &prober->question;
    struct mig_probe_answer answer = make_answer(prober, q);
    prober->is_reporting = true;
    prober->callbacks.answer(prober->callbacks.context, &answer);
    if (!prober->is_freed && q->word == ZKP_WORD_SRVR)
        update_health(prober, &answer);
    prober->is_reporting = false;
    bool is_freed = prober->is_freed;
    if (is_freed)
        prober_destroy(prober);
    else
        probe_question_done(prober);
    return is_freed;
}

static void ask_next(struct mig_prober *prober, int64_t now_ms)
{
    for (int i = 0; i < PROBE_SLOT_COUNT; i++)
        if (prober->due_ms[i] <= now_ms) {
            prober->due_ms[i] = prober->interval_ms[i] > 0 ? now_ms + prober->interval_ms[i] : INT64_MAX;
            if (prober->callbacks.asking != NULL)
                prober->callbacks.asking(prober->callbacks.context, slots[i].word);
            probe_ask(prober, slots[i].word, mig_now_ms());
            return;
        }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct mig_prober *prober = arg;
    const struct probe_question *q = &prober->question;
    int64_t now_ms = mig_now_ms();
    if (q->word != ZKP_WORD_NONE && !q->is_over && now_ms >= q->deadline_ms)
        probe_over(prober, MIG_PROBE_KIND_TIMED_OUT, "");
    if (q->is_over && report(prober))
        return;
    if (q->word == ZKP_WORD_NONE)
        ask_next(prober, now_ms);
    arm(prober);
}

/* --- the owner's side ------------------------------------------------------------------------------------
 */

enum rc mig_prober_new(struct event_base *base, const struct mig_address *address,
                       const struct mig_prober_options *options, const struct mig_prober_callbacks *callbacks,
                       struct mig_prober **ret_prober)
{
    struct mig_prober *prober = calloc(1, sizeof *prober);
    if (prober == NULL)
        return RC_NOMEM;
    prober->base = base;
    prober->address = *address;
    prober->options = *options;
    prober->callbacks = *callbacks;
    prober->question = (struct probe_question){.word = ZKP_WORD_NONE, .fd = -1};
    if (prober->options.fall == 0)
        prober->options.fall = FALL_DEFAULT;
    if (prober->options.rise == 0)
        prober->options.rise = RISE_DEFAULT;
    for (int i = 0; i < PROBE_SLOT_COUNT; i++)
        prober->due_ms[i] = INT64_MAX;
    prober->parsed = calloc(1, sizeof *prober->parsed);
    prober->timer = event_new(base, -1, 0, on_timer, prober);
    if (prober->parsed == NULL || prober->timer == NULL) {
        prober_destroy(prober);
        return RC_NOMEM;
    }
    *ret_prober = prober;
    return RC_OK;
}

void mig_prober_free(struct mig_prober *prober)
{
    if (prober == NULL)
        return;
    prober->is_freed = true;
    if (!prober->is_reporting)
        prober_destroy(prober);
}

void mig_prober_set_interval(struct mig_prober *prober, uint32_t words, int32_t interval_ms)
{
    for (int i = 0; i < PROBE_SLOT_COUNT; i++) {
        if ((words & slots[i].bit) == 0 || prober->interval_ms[i] == interval_ms)
            continue;
        prober->interval_ms[i] = interval_ms;
        prober->due_ms[i] = interval_ms > 0 ? mig_now_ms() : INT64_MAX;
    }
    arm(prober);
}

void mig_prober_kick(struct mig_prober *prober, uint32_t words)
{
    for (int i = 0; i < PROBE_SLOT_COUNT; i++)
        if ((words & slots[i].bit) != 0)
            prober->due_ms[i] = mig_now_ms();
    arm(prober);
}

void mig_prober_set_address(struct mig_prober *prober, const struct mig_address *address)
{
    prober->address = *address;
}

enum mig_health mig_prober_health(const struct mig_prober *prober)
{
    return prober->health;
}

bool mig_prober_is_asking(const struct mig_prober *prober)
{
    return prober->question.word != ZKP_WORD_NONE;
}
