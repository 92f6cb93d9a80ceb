/* Shared by verify.c (asking and being answered), verify_job.c (what becomes of one node), verify_walk.c (in
 * which order, and how far) and verify_compare.c (what is equal) only. */
#ifndef MIGRATE_VERIFY_INT_H
#define MIGRATE_VERIFY_INT_H

#include "migrate/verify/verify.h"

#define VERIFY_JOBS 64u /* more than are in flight, because some only wait for a change to settle */

/* --- verify_compare.c: pure --- */

/* Nothing there that both show and that differs. is_local: data that every server keeps for itself. */
bool verify_same(const struct mig_node *a, const struct mig_node *b, bool is_local);
/* Two readings of the same server: nothing has happened in between. */
bool verify_unchanged(const struct mig_node *a, const struct mig_node *b);
/* The server's answer is of a moment between two readings of the reference: each field that only grows is
 * between theirs, and what is of the same moment as one of them is the same. newest_czxid: the highest that
 * the reference has shown before, a bound where it showed no node. */
bool verify_within(const struct mig_node *before, const struct mig_node *server, const struct mig_node *after,
                   int64_t newest_czxid, bool is_local);
/* What differs, for people. */
void verify_describe(const struct mig_node *server, const struct mig_node *reference, bool is_local,
                     char *buf, uint32_t capacity);

/* --- the walk --- */

/* The children of one node that are still to be visited. Owned by verify->top, a stack. */
struct verify_dir {
    struct verify_dir *below;
    char *path;       /* "" for the root: a child's path is path/name */
    uint32_t servers; /* bits: those that have the node */
    char *bytes;      /* names, NUL-terminated */
    uint64_t byte_count;
    char **names; /* into bytes; sorted, each once */
    uint32_t count;
    uint32_t next; /* <= count */
};

enum verify_slot_state { SLOT_IDLE, SLOT_WANTED, SLOT_ASKED, SLOT_DONE };

/* One server's part in a job. */
struct verify_slot {
    enum verify_slot_state state;
    enum mig_verify_op op;
    uint64_t ticket;
    uint32_t failures;
    bool is_open;     /* not equal so far, and no verdict either */
    uint32_t strikes; /* rounds in a row that showed the same difference */
    uint32_t within;  /* rounds in a row that verify_within was true of */
    uint32_t outside; /* ... false */
    struct mig_node node;
    struct mig_node previous; /* with strikes > 0 */
};

enum verify_stage {
    JOB_FREE,
    JOB_FIRST,     /* everybody is asked at once */
    JOB_PAUSED,    /* until due_ms: changes under way arrive */
    JOB_SERVERS,   /* those that differ, behind a sync */
    JOB_REFERENCE, /* again, afterwards */
    JOB_CHILDREN,
};

/* One node on its way through the comparison. Owned by verify->jobs. */
struct verify_job {
    enum verify_stage stage;
    char *path;
    bool is_local;
    uint32_t servers; /* bits: who is to have the node */
    uint32_t waiting; /* slots WANTED or ASKED */
    uint32_t rounds;
    int64_t due_ms;
    bool is_moving;
    int64_t newest_czxid;   /* the reference has shown */
    struct mig_node before; /* the reference, before the servers were asked */
    struct verify_slot slots[MIG_SERVERS_MAX];
    char *bytes; /* names of children so far */
    uint64_t byte_count;
    uint64_t byte_capacity;
    uint32_t name_count;
};

struct mig_verify {
    uint32_t server_count;
    char skips[MIG_VERIFY_SKIPS_MAX][MIG_VERIFY_PATH_MAX];
    uint32_t skip_count;
    char from[MIG_VERIFY_PATH_MAX];
    uint32_t active; /* bits: servers not given up */
    bool is_up[MIG_SERVERS_MAX];
    uint32_t in_flight[MIG_SERVERS_MAX];
    uint64_t serial;
    bool has_root; /* the walk has begun */
    struct verify_dir *top;
    uint64_t listed_bytes; /* of all dirs and jobs */
    uint32_t job_count;    /* not free */
    uint32_t turn;         /* the job asked next */
    struct verify_job jobs[VERIFY_JOBS];
    char why[MIG_TEXT_MAX]; /* not "": stopped */
    struct mig_verify_report report;
    struct mig_verify_server servers[MIG_SERVERS_MAX];
    struct mig_verify_finding findings[MIG_VERIFY_KIND_COUNT][MIG_VERIFY_LISTED_MAX];
};

static inline uint32_t verify_bit(uint32_t server)
{
    return UINT32_C(1) << server;
}

/* The server's part in this job counts. */
static inline bool verify_takes_part(const struct mig_verify *v, const struct verify_job *job,
                                     uint32_t server)
{
    return (job->servers & v->active & verify_bit(server)) != 0;
}

void verify_stop(struct mig_verify *v, const char *why); /* the first reason stays */

/* verify_walk.c. The next node in order: *take_path is the caller's; false = none at the moment. */
bool verify_walk_next(struct mig_verify *v, char **ret_path, uint32_t *ret_servers);
/* Names of one answer are added to the job; when all are there they become a dir. */
void verify_walk_add(struct mig_verify *v, struct verify_job *job, const struct mig_names *names);
void verify_walk_open(struct mig_verify *v, struct verify_job *job, uint32_t servers);
void verify_walk_forget(struct mig_verify *v, struct verify_job *job); /* its names */
void verify_walk_free(struct mig_verify *v);
/* <0, 0, >0: a is visited before b; a node before its children. */
int verify_path_order(const char *a, const char *b);

/* verify_job.c */
void verify_job_start(struct mig_verify *v, char *take_path, uint32_t servers);
void verify_job_wake(struct mig_verify *v, struct verify_job *job, int64_t now_ms);
/* Nothing is waited for any more: the next stage. */
void verify_job_advance(struct mig_verify *v, struct verify_job *job, int64_t now_ms);
void verify_job_drop(struct mig_verify *v, struct verify_job *job);
void verify_finding(struct mig_verify *v, enum mig_verify_kind kind, uint32_t server, const char *path,
                    const char *what);

#endif
