/* Four-letter words on the client port, answered for the proxy in ZooKeeper's format (design.md §4,
 * protocol.md §1.5), by a whitelist like the server's. Control thread. Not here: their detection
 * (proxy/net), which hands the socket over. */
#ifndef PROXY_CONTROL_PORT_WORDS_H
#define PROXY_CONTROL_PORT_WORDS_H

#include "conf/conf.h"
#include "proxy/control/crew/crew.h"
#include "proxy/control/offer.h"

struct event_base;
struct px_words;

#define PX_WORDS_MAX 32u /* answers under way at once; for one more, the busiest host loses its oldest */

/* What the answers say beside the sessions. */
struct px_words_facts {
    struct px_offer offer;    /* what a new client would get; not serving = nothing */
    const char *clients_text; /* our client ports, "host:port,…"; borrowed */
};
typedef struct px_words_facts px_words_facts_fn(void *context);

/* base, crew and context are borrowed. NULL: out of memory. */
struct px_words *px_words_new(struct event_base *base, struct px_crew *crew, px_words_facts_fn *facts,
                              void *context);
/* Answers that were cut: not read in time, or too many at once. */
uint64_t px_words_cut(const struct px_words *words);
/* After the crew's lists are over or the crew is freed. NULL is fine. */
void px_words_free(struct px_words *words);

/* Takes the message's socket, answers and closes it; `conf` is borrowed for the call. port: the client port
 * it was asked on. */
void px_words_answer(struct px_words *words, const struct conf *conf, uint16_t port, struct px_msg *msg);

#endif
