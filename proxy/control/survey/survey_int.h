/* Between survey.c (life, questions, end), survey_walk.c (the sample of the tree), survey_ask.c (what is
 * asked beside it) and survey_reach.c (what is looked at here). Control thread. */
#ifndef PROXY_CONTROL_SURVEY_SURVEY_INT_H
#define PROXY_CONTROL_SURVEY_SURVEY_INT_H

#include "proxy/control/fleet/links_int.h"
#include "proxy/control/survey/survey.h"

#define WALK_SLOTS       16u   /* requests under way: polite, and enough for 1,000 nodes in some 100 ms */
#define WALK_NODES_MAX   1000u /* a sample; `verify` reads everything */
#define WALK_QUEUE_MAX   4096u
#define WALK_SIBLINGS    64u   /* children taken at first, so that one big folder is not all we see */
#define WALK_LISTING_MAX 20000 /* a node with more children is not listed: the answer would be megabytes */

/* Requests of the walk have the slot's number. */
enum ask { ASK_CONFIG_ACL = WALK_SLOTS, ASK_LOCK, ASK_TTL, ASK_ANYONE, ASK_COUNT };

struct walk_slot {
    char *path; /* NULL = free */
};

struct walk_queue {
    uint32_t head; /* paths[head..count) wait */
    uint32_t count;
    char *paths[WALK_QUEUE_MAX];
};

struct walk {
    uint32_t asked; /* nodes */
    uint32_t pending;
    struct walk_slot slots[WALK_SLOTS];
    struct walk_queue first;
    struct walk_queue rest; /* the other children, when nothing waits in first */
};

/* A server's quorum host on its way through the resolver; it may outlive a survey. */
struct name {
    struct px_survey *owner;
    int32_t server;
    char host[ZKP_HOST_MAX];
    bool is_pending;
    bool is_unknown; /* the last answer was: no such name */
};

#define REACH_AT_ONCE 16u /* of the listen backlog of 50 that a server has */

/* One connection from an address of `bind` to a server. */
struct reach_try {
    struct px_survey *owner;
    struct event *event; /* NULL = free */
    int fd;
    int32_t server;
    char from[ZKP_HOST_MAX];
};

struct reach_pair {
    int32_t server;
    const char *from;
};

struct reach {
    uint32_t server_count; /* those that serve, in the order of the facts */
    int32_t servers[MIG_SERVERS_MAX];
    enum mig_side sides[MIG_SERVERS_MAX];
    uint32_t at;   /* the next one … */
    uint32_t bind; /* … and the next address for it */
    uint32_t pending;
    struct reach_try tries[REACH_AT_ONCE];
};

/* The programs of the hooks, on the helper's thread while is_pending; it may outlive a survey. */
struct programs {
    struct px_survey *owner;
    struct conf_command commands[CONF_HOOK_COUNT];
    char trouble[MIG_SURVEY_TEXT_MAX];
    bool is_pending;
    bool is_seen; /* the present survey has asked */
};

struct px_survey {
    struct px_survey_parts parts;
    struct px_survey_here here; /* of the newest kick */
    struct mig_hash_key key;    /* of hashes that nobody compares */
    struct mig_survey ended;
    struct mig_survey now;
    int64_t wanted_ms; /* since when, 0 = not */
    bool is_running;
    bool is_over; /* nothing is missing; the tick ends it, outside of callbacks */
    int64_t deadline_ms;
    int32_t server; /* asked, or MIG_NO_SERVER */
    struct mig_zk *super;
    struct mig_zk *nobody;
    uint32_t unanswered; /* bits of enum ask */
    bool is_listing;
    char why[MIG_SURVEY_TEXT_MAX];          /* what the connection said last */
    char unasked_name[MIG_SURVEY_TEXT_MAX]; /* one that could not be looked up, and why; "" = there is none */
    struct walk walk;
    struct name names[MIG_SERVERS_MAX];
    struct reach reach;
    struct programs programs;
};

/* survey.c */
void survey_check(struct px_survey *survey); /* is anything still missing? */

/* survey_walk.c */
void survey_walk_begin(struct px_survey *survey);
void survey_walk_answer(struct px_survey *survey, const struct mig_zk_result *result);
bool survey_walk_is_over(const struct px_survey *survey);
void survey_walk_done(struct walk *walk); /* frees what it holds */

/* survey_ask.c */
void survey_ask_begin(struct px_survey *survey, const struct mig_facts *facts, int64_t now_ms);
bool survey_ask_is_over(const struct px_survey *survey);
void survey_ask_names_end(const struct px_survey *survey, const struct mig_facts *facts,
                          struct mig_survey *ret_survey);
void survey_ask_close(struct px_survey *survey); /* the connections */

/* survey_reach.c: what this host can do */
void survey_here_begin(struct px_survey *survey, const struct mig_facts *facts);
void survey_reach_next(struct px_survey *survey);
bool survey_here_is_over(const struct px_survey *survey);
void survey_here_end(struct px_survey *survey, struct mig_survey *ret_survey);
void survey_here_close(struct px_survey *survey);

#endif
