/* Between words.c (what an answer says) and words_answer.c (how it goes out). Control thread. */
#ifndef PROXY_CONTROL_PORT_WORDS_INT_H
#define PROXY_CONTROL_PORT_WORDS_INT_H

#include "proxy/control/port/words.h"

struct bufferevent;
struct evbuffer;
struct event;
struct px_words_list;

/* One connection that is answered. Owned by words->answers, which are in order of age. */
struct px_words_answer {
    struct px_words_answer *prev;
    struct px_words_answer *next;
    struct px_words *words;
    struct bufferevent *bev;
    struct px_origin *origin; /* its share in it, given back when the socket is closed */
    struct px_address peer;
    enum zkp_word word;
    int64_t begun_ms;
    bool is_waiting; /* for a list of the sessions */
    uint64_t round;  /* the list it will get; 0 = not asked for yet */
    struct px_words_list *list;
    uint32_t printed; /* rows of it */
};

typedef enum rc px_words_list_fn(struct px_crew *crew, int64_t now_ms, px_crew_list_fn *fn, void *context);

struct px_words {
    struct event_base *base;
    struct px_crew *crew;
    px_words_facts_fn *facts;
    void *context;
    struct px_words_answer *answers;
    uint32_t answer_count; /* <= PX_WORDS_MAX */
    uint64_t cut_count;
    struct event *sweep;    /* while there are answers */
    bool is_listing;        /* the workers are asked */
    uint64_t round;         /* counts lists */
    int64_t asked_ms;       /* the last one; 0 = never */
    uint32_t list_count;    /* being read */
    px_words_list_fn *list; /* px_crew_list but in tests */
};

/* words_answer.c. Takes the message's socket and share; NULL: no memory, they are still the message's. */
struct px_words_answer *px_words_answer_new(struct px_words *words, struct px_msg *msg);
/* The whole answer; text is emptied. */
void px_words_answer_text(struct px_words_answer *answer, struct evbuffer *text);
/* It will be printed from a list of the sessions that is not older than this call. */
void px_words_answer_list(struct px_words_answer *answer);
bool px_words_answers_init(struct px_words *words); /* false: no memory */
void px_words_answers_done(struct px_words *words);

/* words.c: what cons and stat say before, for each session, and behind them. */
void px_words_add_begin(struct evbuffer *out, enum zkp_word word);
void px_words_add_row(struct evbuffer *out, const struct px_session_row *row, enum zkp_word word);
void px_words_add_end(const struct px_words *words, struct evbuffer *out, enum zkp_word word,
                      bool is_complete);

#endif
