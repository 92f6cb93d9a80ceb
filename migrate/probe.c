/* See probe.h. Questions are due at a time each; one is on the way at most, the earliest due goes first. */
#include "migrate/probe.h"

#include <event2/event.h>
#include <stdlib.h>

#include "migrate/monotonic.h"
#include "migrate/probe_ask.h"
#include "migrate/probe_parse.h"

#define DEFAULT_FALL 2u
#define DEFAULT_RISE 1u
#define RECHECK_MS   250 /* a first bad answer is looked at again soon, whatever the interval */
#define NEVER        INT64_MAX

/* In the order of urgency. */
static const struct word_row {
    uint32_t bit;
    enum zkp_word word;
} word_rows[] = {
    {MIG_PROBE_SRVR, ZKP_WORD_SRVR},
    {MIG_PROBE_CONF, ZKP_WORD_CONF},
    {MIG_PROBE_MNTR, ZKP_WORD_MNTR},
    {MIG_PROBE_CONS, ZKP_WORD_CONS},
};
#define WORDS (sizeof word_rows / sizeof word_rows[0])

struct schedule {
    int32_t interval_ms; /* 0 = only when kicked */
    int64_t due_ms;      /* NEVER = not asked */
    bool is_kicked;      /* while its question is on the way: ask again afterwards */
};

struct mig_prober {
    struct event_base *base;
    struct mig_address address;
    struct mig_prober_options options;
    struct mig_prober_callbacks callbacks;
    struct schedule words[WORDS];
    struct event *timer;
    struct mig_ask *ask; /* NULL = nothing on the way */
    size_t asked;        /* which word */
    int64_t asked_at_ms;
    enum mig_health health;
    uint32_t good_count;
    uint32_t bad_count;
    bool is_calling; /* inside a callback: freeing is put off to its end */
    bool is_freed;
    struct mig_probe_room room; /* what an answer is parsed into */
};

static const char *const kind_texts[MIG_PROBE_KIND_COUNT] = {
#define KIND_TEXT(name, text) [MIG_PROBE_KIND_##name] = text,
    MIG_PROBE_KINDS(KIND_TEXT)
#undef KIND_TEXT
};

const char *mig_probe_kind_text(enum mig_probe_kind kind)
{
    return kind < MIG_PROBE_KIND_COUNT ? kind_texts[kind] : "unknown";
}

static void prober_destroy(struct mig_prober *prober)
{
    mig_ask_free(prober->ask);
    event_free(prober->timer);
    free(prober);
}

void mig_prober_free(struct mig_prober *prober)
{
    if (!prober)
        return;
    prober->is_freed = true;
    if (!prober->is_calling)
        prober_destroy(prober);
}

/* --- health --- */

static enum mig_health bad_health(const struct mig_prober *prober, enum mig_probe_kind kind)
{
    bool (*has_live)(void *) = prober->callbacks.has_live_sessions;
    bool is_turned_away = kind == MIG_PROBE_KIND_EMPTY || kind == MIG_PROBE_KIND_CONN_REFUSED;
    if (is_turned_away && has_live && has_live(prober->callbacks.context))
        return MIG_HEALTH_FULL;
    return MIG_HEALTH_DOWN;
}

static void set_health(struct mig_prober *prober, enum mig_health health, const char *reason)
{
    if (health == prober->health)
        return;
    prober->health = health;
    if (prober->callbacks.health)
        prober->callbacks.health(prober->callbacks.context, health, reason);
}

/* What a server says of itself counts at once; silence and refusals must repeat. */
static void judge(struct mig_prober *prober, const struct mig_probe_answer *answer)
{
    bool is_read_only = answer->srvr && answer->srvr->mode == ZKP_MODE_READ_ONLY;
    if (answer->kind == MIG_PROBE_KIND_NOT_SERVING || is_read_only) {
        prober->good_count = prober->bad_count = 0;
        set_health(prober, MIG_HEALTH_NOT_SERVING,
                   is_read_only ? "read-only: it has no quorum" : mig_probe_kind_text(answer->kind));
        return;
    }
    bool is_good = answer->kind == MIG_PROBE_KIND_DATA;
    prober->good_count = is_good ? prober->good_count + 1 : 0;
    prober->bad_count = is_good ? 0 : prober->bad_count + 1;
    if (is_good && prober->good_count >= prober->options.rise)
        set_health(prober, MIG_HEALTH_SERVING, "");
    if (!is_good && (prober->bad_count >= prober->options.fall || prober->health == MIG_HEALTH_UNKNOWN))
        set_health(prober, bad_health(prober, answer->kind), answer->reason);
}

/* --- asking --- */

static void plan_next(struct mig_prober *prober);

static void reschedule(struct mig_prober *prober, bool is_suspicious)
{
    struct schedule *word = &prober->words[prober->asked];
    int64_t now_ms = mig_now_ms();
    word->due_ms = word->interval_ms > 0 ? prober->asked_at_ms + word->interval_ms : NEVER;
    if (is_suspicious && word->due_ms > now_ms + RECHECK_MS)
        word->due_ms = now_ms + RECHECK_MS;
    if (word->is_kicked)
        word->due_ms = now_ms;
    word->is_kicked = false;
}

/* Ends the question with its answer; the prober may be gone afterwards. */
static void deliver(struct mig_prober *prober, struct mig_probe_answer *answer)
{
    answer->word = word_rows[prober->asked].word;
    answer->asked_at_ms = prober->asked_at_ms;
    answer->observed_at_ms = mig_now_ms();
    answer->reason = answer->kind == MIG_PROBE_KIND_DATA ? "" : mig_probe_kind_text(answer->kind);
    prober->is_calling = true;
    prober->callbacks.answer(prober->callbacks.context, answer);
    if (answer->word == ZKP_WORD_SRVR && !prober->is_freed)
        judge(prober, answer);
    prober->is_calling = false;
    if (prober->is_freed) {
        prober_destroy(prober);
        return;
    }
    bool is_suspicious = answer->word == ZKP_WORD_SRVR && prober->health == MIG_HEALTH_SERVING &&
                         answer->kind != MIG_PROBE_KIND_DATA;
    reschedule(prober, is_suspicious);
    plan_next(prober);
}

static void on_asked(void *context, enum mig_probe_kind kind, struct zkp_slice bytes)
{
    struct mig_prober *prober = context;
    struct mig_probe_answer answer = {.kind = kind};
    if (kind == MIG_PROBE_KIND_DATA)
        mig_probe_parse(word_rows[prober->asked].word, bytes, &prober->room, &answer);
    struct mig_ask *ask = prober->ask; /* its bytes live until after the callback */
    prober->ask = NULL;
    deliver(prober, &answer);
    mig_ask_free(ask);
}

static void ask(struct mig_prober *prober, size_t index)
{
    prober->asked = index;
    prober->asked_at_ms = mig_now_ms();
    enum rc rc = mig_ask_new(prober->base, &prober->address, word_rows[index].word,
                             prober->options.timeout_ms, on_asked, prober, &prober->ask);
    if (rc != RC_OK) { /* no descriptor, no memory: our trouble, not the server's */
        prober->words[index].due_ms = prober->asked_at_ms + RECHECK_MS;
        plan_next(prober);
    }
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct mig_prober *prober = arg;
    int64_t now_ms = mig_now_ms();
    for (size_t i = 0; i < WORDS; i++)
        if (prober->words[i].due_ms <= now_ms) {
            ask(prober, i);
            return;
        }
    plan_next(prober);
}

static void plan_next(struct mig_prober *prober)
{
    int64_t due_ms = NEVER;
    for (size_t i = 0; i < WORDS; i++)
        if (prober->words[i].due_ms < due_ms)
            due_ms = prober->words[i].due_ms;
    if (prober->ask || due_ms == NEVER) {
        event_del(prober->timer);
        return;
    }
    int64_t wait_ms = due_ms - mig_now_ms();
    if (wait_ms < 0)
        wait_ms = 0;
    const struct timeval delay = {.tv_sec = wait_ms / 1000, .tv_usec = wait_ms % 1000 * 1000};
    event_add(prober->timer, &delay);
}

/* --- the public calls --- */

enum rc mig_prober_new(struct event_base *base, const struct mig_address *address,
                       const struct mig_prober_options *options, const struct mig_prober_callbacks *callbacks,
                       struct mig_prober **ret_prober)
{
    struct mig_prober *prober = calloc(1, sizeof *prober);
    if (!prober)
        return RC_NOMEM;
    *prober =
        (struct mig_prober){.base = base, .address = *address, .options = *options, .callbacks = *callbacks};
    if (prober->options.fall == 0)
        prober->options.fall = DEFAULT_FALL;
    if (prober->options.rise == 0)
        prober->options.rise = DEFAULT_RISE;
    for (size_t i = 0; i < WORDS; i++)
        prober->words[i].due_ms = NEVER;
    prober->timer = event_new(base, -1, 0, on_timer, prober);
    if (!prober->timer) {
        free(prober);
        return RC_NOMEM;
    }
    *ret_prober = prober;
    return RC_OK;
}

void mig_prober_set_interval(struct mig_prober *prober, uint32_t words, int32_t interval_ms)
{
    for (size_t i = 0; i < WORDS; i++) {
        struct schedule *word = &prober->words[i];
        if (!(words & word_rows[i].bit) || word->interval_ms == interval_ms)
            continue;
        word->interval_ms = interval_ms;
        word->due_ms = interval_ms > 0 ? mig_now_ms() : NEVER;
    }
    plan_next(prober);
}

void mig_prober_kick(struct mig_prober *prober, uint32_t words)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (!(words & word_rows[i].bit))
            continue;
        if (prober->ask && prober->asked == i)
            prober->words[i].is_kicked = true;
        else
            prober->words[i].due_ms = mig_now_ms();
    }
    plan_next(prober);
}

void mig_prober_set_address(struct mig_prober *prober, const struct mig_address *address)
{
    prober->address = *address;
}

enum mig_health mig_prober_health(const struct mig_prober *prober)
{
    return prober->health;
}
