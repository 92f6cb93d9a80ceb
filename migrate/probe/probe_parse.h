/* The bytes of an answer to a four-letter word -> struct mig_probe_answer. Pure. */
#ifndef MIGRATE_PROBE_PARSE_H
#define MIGRATE_PROBE_PARSE_H

#include "migrate/probe/probe.h"

/* Where parsed answers live; answers point into it. */
struct mig_probe_room {
    struct zkp_srvr srvr;
    struct mig_mntr mntr;
    struct zkp_conf_answer conf;
};

/* Sets kind (DATA, NOT_SERVING, NOT_ALLOWED, EMPTY, MALFORMED) and, with DATA, the member of the word. */
void mig_probe_parse(enum zkp_word word, struct zkp_slice bytes, struct mig_probe_room *room,
                     struct mig_probe_answer *ret_answer);

#endif
