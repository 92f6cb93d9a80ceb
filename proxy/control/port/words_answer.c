/* The answers to words on their way (words_int.h): how many there are, how long each may take, and the lists
 * of sessions that cons and stat are printed from. A list costs the workers and this thread time, and its
 * text is large, so: lists are made one at a time and a few a second, whoever asks meanwhile shares the next
 * one, and each is printed in parts, the next when the reader has taken the one before. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "migrate/monotonic.h"
#include "proxy/control/port/words_int.h"

#define STALLED_S     10    /* a reader that takes nothing for so long is gone */
#define ANSWER_MS     15000 /* one that takes a little now and then, too */
#define ROWS_AT_ONCE  64u   /* some 10 KB of text, 0.1 ms */
#define LIST_PAUSE_MS 200   /* from the beginning of one list to that of the next */
#define LISTS_KEPT    4u    /* being read; 15,000 sessions are 3 MB */
#define LIST_KEPT_MS  2000  /* then its readers give way to those who wait for another one */
#define SWEEP_MS      50

/* The sessions at one moment. Owned by the answers that are printed from it. */
struct px_words_list {
    uint32_t readers;
    bool is_complete;
    int64_t made_ms;
    uint32_t count;
    struct px_session_row rows[];
};

static void list_drop(struct px_words *words, struct px_words_list *list)
{
    if (list == NULL || --list->readers > 0)
        return;
    words->list_count--;
    free(list);
}

static void answer_free(struct px_words_answer *answer)
{
    struct px_words *words = answer->words;

    DL_DELETE(words->answers, answer);
    words->answer_count--;
    list_drop(words, answer->list);
    bufferevent_free(answer->bev);
    px_origin_leave(answer->origin);
    free(answer);
}

static void answer_cut(struct px_words_answer *answer)
{
    answer->words->cut_count++;
    answer_free(answer);
}

/* --- writing --- */

static void print_part(struct px_words_answer *answer, struct evbuffer *out)
{
    const struct px_words_list *list = answer->list;
    uint32_t end = answer->printed + ROWS_AT_ONCE;

    for (; answer->printed < end && answer->printed < list->count; answer->printed++)
        px_words_add_row(out, &list->rows[answer->printed], answer->word);
    if (answer->printed < list->count)
        return;
    px_words_add_end(answer->words, out, answer->word, list->is_complete);
    list_drop(answer->words, answer->list);
    answer->list = NULL;
}

/* The reader has all there is: on with the next part, or it was the last one. */
static void on_drained(struct bufferevent *bev, void *argument)
{
    struct px_words_answer *answer = argument;

    if (answer->is_waiting)
        return;
    if (answer->list != NULL)
        print_part(answer, bufferevent_get_output(bev));
    else
        answer_free(answer);
}

static void on_event(struct bufferevent *bev, short what, void *argument)
{
    struct px_words_answer *answer = argument;

    (void)bev;
    if (what & BEV_EVENT_TIMEOUT)
        answer->words->cut_count++;
    answer_free(answer);
}

/* --- lists --- */

static void begin_answer(struct px_words_answer *answer, struct px_words_list *list)
{
    struct evbuffer *out = bufferevent_get_output(answer->bev);

    answer->is_waiting = false;
    answer->list = list;
    list->readers++;
    px_words_add_begin(out, answer->word);
    print_part(answer, out);
}

/* Who was there when the list was asked for is answered from it. Too little memory: all of them are cut. */
static void on_sessions(void *context, const struct px_session_row *rows, uint32_t count, bool is_complete)
{
    struct px_words *words = context;
    struct px_words_list *list = malloc(sizeof *list + count * sizeof *rows);
    struct px_words_answer *answer, *next;

    words->is_listing = false;
    if (list != NULL) {
        *list = (struct px_words_list){
            .readers = 1, .is_complete = is_complete, .made_ms = mig_now_ms(), .count = count};
        if (count > 0)
            memcpy(list->rows, rows, count * sizeof *rows);
        words->list_count++;
    }
    DL_FOREACH_SAFE(words->answers, answer, next)
    {
        if (!answer->is_waiting || answer->round != words->round)
            continue;
        if (list != NULL)
            begin_answer(answer, list);
        else
            answer_cut(answer);
    }
    list_drop(words, list);
}

static void free_oldest_list(struct px_words *words, int64_t now_ms)
{
    const struct px_words_list *oldest = NULL;
    struct px_words_answer *answer, *next;

    DL_FOREACH(words->answers, answer)
    {
        if (answer->list != NULL && (oldest == NULL || answer->list->made_ms < oldest->made_ms))
            oldest = answer->list;
    }
    if (oldest == NULL || now_ms - oldest->made_ms < LIST_KEPT_MS)
        return;
    DL_FOREACH_SAFE(words->answers, answer, next)
    {
        if (answer->list == oldest)
            answer_cut(answer); /* the last one frees the list; no other answer has it then */
    }
}

static void ask_list(struct px_words *words, int64_t now_ms)
{
    const struct px_words_answer *answer;
    bool is_wanted = false;

    DL_FOREACH(words->answers, answer)
    is_wanted = is_wanted || answer->is_waiting;
    if (!is_wanted || words->is_listing || (words->asked_ms != 0 && now_ms - words->asked_ms < LIST_PAUSE_MS))
        return;
    if (words->list_count >= LISTS_KEPT)
        free_oldest_list(words, now_ms);
    if (words->list_count >= LISTS_KEPT)
        return;
    words->is_listing = words->list(words->crew, now_ms, on_sessions, words) == RC_OK;
    if (!words->is_listing)
        return; /* others are making theirs; the sweep comes back to it */
    words->asked_ms = now_ms;
    words->round++;
    for (struct px_words_answer *waiting = words->answers; waiting != NULL; waiting = waiting->next)
        if (waiting->is_waiting)
            waiting->round = words->round;
}

/* --- limits --- */

static bool is_same_host(const struct px_address *a, const struct px_address *b)
{
    const struct sockaddr_in *a4 = (const void *)&a->storage, *b4 = (const void *)&b->storage;
    const struct sockaddr_in6 *a6 = (const void *)&a->storage, *b6 = (const void *)&b->storage;

    if (a->storage.ss_family != b->storage.ss_family)
        return false;
    if (a->storage.ss_family == AF_INET6)
        return memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof a6->sin6_addr) == 0;
    return a->storage.ss_family != AF_INET || a4->sin_addr.s_addr == b4->sin_addr.s_addr;
}

static uint32_t count_of_host(const struct px_words *words, const struct px_address *peer)
{
    const struct px_words_answer *answer;
    uint32_t count = 0;

    DL_FOREACH(words->answers, answer)
    count += is_same_host(&answer->peer, peer);
    return count;
}

/* The oldest of the host that has most: who asks once a second is never that one. */
static void make_room(struct px_words *words)
{
    struct px_words_answer *answer, *victim = NULL;
    uint32_t most = 0;

    DL_FOREACH(words->answers, answer)
    {
        uint32_t count = count_of_host(words, &answer->peer);
        if (count > most) {
            most = count;
            victim = answer; /* in order of age */
        }
    }
    if (victim != NULL)
        answer_cut(victim);
}

static void on_sweep(evutil_socket_t fd, short what, void *argument)
{
    const struct timeval delay = {.tv_usec = SWEEP_MS * 1000};
    struct px_words *words = argument;
    int64_t now_ms = mig_now_ms();
    struct px_words_answer *answer, *next;

    (void)fd;
    (void)what;
    DL_FOREACH_SAFE(words->answers, answer, next)
    {
        if (now_ms - answer->begun_ms >= ANSWER_MS)
            answer_cut(answer);
    }
    ask_list(words, now_ms);
    if (words->answers != NULL)
        (void)evtimer_add(words->sweep, &delay);
}

/* --- the answers --- */

struct px_words_answer *px_words_answer_new(struct px_words *words, struct px_msg *msg)
{
    const struct timeval stalled = {.tv_sec = STALLED_S};
    struct px_words_answer *answer = calloc(1, sizeof *answer);
    struct bufferevent *bev =
        answer != NULL ? bufferevent_socket_new(words->base, msg->word.fd, BEV_OPT_CLOSE_ON_FREE) : NULL;

    if (bev == NULL) {
        free(answer); /* the message still owns them */
        return NULL;
    }
    if (words->answer_count >= PX_WORDS_MAX)
        make_room(words);
    *answer = (struct px_words_answer){.words = words,
                                       .bev = bev,
                                       .origin = msg->word.origin,
                                       .peer = msg->word.peer,
                                       .word = msg->word.word,
                                       .begun_ms = mig_now_ms()};
    msg->word.fd = -1;
    msg->word.origin = NULL;
    bufferevent_setcb(bev, NULL, on_drained, on_event, answer);
    bufferevent_set_timeouts(bev, NULL, &stalled);
    DL_APPEND(words->answers, answer);
    words->answer_count++;
    return answer;
}

void px_words_answer_text(struct px_words_answer *answer, struct evbuffer *text)
{
    if (evbuffer_get_length(text) == 0 || bufferevent_write_buffer(answer->bev, text) != 0)
        answer_free(answer);
}

void px_words_answer_list(struct px_words_answer *answer)
{
    answer->is_waiting = true;
    on_sweep(-1, 0, answer->words);
}

bool px_words_answers_init(struct px_words *words)
{
    words->sweep = evtimer_new(words->base, on_sweep, words);
    return words->sweep != NULL;
}

void px_words_answers_done(struct px_words *words)
{
    while (words->answers != NULL)
        answer_free(words->answers);
    if (words->sweep != NULL)
        event_free(words->sweep);
}
