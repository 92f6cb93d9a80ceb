/* The look around that a preflight asks for (migrate/preflight/survey.h): two short sessions, one with the
 * super user's credentials that samples the tree, one without any that finds out what anybody may do; the
 * names of the server lines; the timeouts of our sessions; whether connections from the addresses of `bind`
 * get through, and hooks' programs can be run. It reads a bounded number of znodes and changes nothing, but
 * every session and the one refused write cost a transaction. Control thread. */
#ifndef PROXY_CONTROL_SURVEY_SURVEY_H
#define PROXY_CONTROL_SURVEY_SURVEY_H

#include "migrate/helper.h"
#include "proxy/control/crew/crew.h"
#include "proxy/control/fleet/links.h"

struct px_survey; /* owned by struct px_control */

/* All borrowed, for the survey's life; changed is called when one has ended. */
struct px_survey_parts {
    struct event_base *base;
    struct px_fleet *fleet;
    struct px_links *links;
    struct px_crew *crew;
    struct mig_helper *helper;
    const char *instance; /* how our own plan lock begins */
    void (*changed)(void *context);
    void *context;
};

struct px_survey *px_survey_new(const struct px_survey_parts *parts); /* NULL: out of memory */
/* Ends its sessions. Names may still be resolving and sessions be listed: free it after helper and crew. */
void px_survey_stop(struct px_survey *survey);
void px_survey_free(struct px_survey *survey); /* NULL is fine */

/* What the file says of this host. */
struct px_survey_here {
    struct conf_binds sources;
    struct conf_binds targets;
    struct conf_command hooks[CONF_HOOK_COUNT];
};

/* One is wanted that begins now or later; conf is not kept. */
void px_survey_kick(struct px_survey *survey, const struct conf *conf);
/* Begins, ends. is_quiet: nothing may be written by us now, not even a session; a survey under way ends. */
void px_survey_tick(struct px_survey *survey, const struct mig_facts *facts, bool is_quiet);
/* The last one that has ended; and its connections among our others. */
void px_survey_facts(const struct px_survey *survey, struct mig_facts *facts);

#endif
