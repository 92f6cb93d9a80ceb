/* The process's file descriptors: how many there may be, how many `limits.sessions` needs, and who gets the
 * last ones. Clients come by thousands; probes, admin port, journal and hooks come rarely, and whatever they
 * lack is taken for a fact about somebody else. So a reserve is kept: clients stay in the listen queue and
 * sessions on their servers while only that is left. Control thread. */
#ifndef PROXY_CONTROL_DESCRIPTORS_H
#define PROXY_CONTROL_DESCRIPTORS_H

#include "conf/conf.h"
#include "proxy/control/crew/crew.h"

struct px_descriptors {
    struct px_shared *shared; /* borrowed; NULL before px_descriptors_begin */
    int64_t fixed;            /* open when the daemon was ready: threads, ports, files */
    int64_t limit;            /* RLIMIT_NOFILE as it is now */
    int64_t reserve;
    int64_t needed; /* for limits.sessions */
    uint64_t pauses;
    int64_t told_ms;
    uint32_t server_count;
};

/* Raises the soft limit as far as the hard one lets us. Once, before there are threads. */
void px_descriptors_raise(void);
/* Counts what is open, compares the limit with what the configuration needs, and says it in the log. Call it
 * when everything is open that stays open. */
void px_descriptors_begin(struct px_descriptors *descriptors, struct px_shared *shared,
                          const struct conf *conf);
/* The same for another configuration. */
void px_descriptors_judge(struct px_descriptors *descriptors, const struct conf *conf);
/* The limit may have been changed from outside (prlimit); the workers are told. */
void px_descriptors_look(struct px_descriptors *descriptors);
/* Only the reserve is left for another client: it will need two, and those that are here without a server
 * need one each. */
bool px_descriptors_is_short(const struct px_descriptors *descriptors, const struct px_crew_totals *totals);
/* The same, asked before a client is accepted: counted and, now and then, said. */
bool px_descriptors_may_accept(struct px_descriptors *descriptors, const struct px_crew_totals *totals,
                               int64_t now_ms);

/* Pure, for tests. What is kept for all but clients, of a limit; and what is needed in all. */
int64_t px_descriptors_reserve(int64_t limit, uint32_t server_count);
int64_t px_descriptors_needed(int64_t session_max, int64_t fixed, uint32_t server_count);

#endif
