/* Appends on the helper thread. The file belongs to that thread from the first append on; between the jobs
 * nobody touches it, and jobs run one after the other. */
#include "migrate/journal/journal.h"

#include <stdlib.h>

#include "migrate/failpoint.h"
#include "migrate/journal/journal_codec.h"
#include "migrate/journal/journal_file.h"
#include "zkproto/assert.h"

struct mig_journal {
    struct mig_journal_file file;
    struct mig_helper *helper;
    struct mig_journal_callbacks callbacks;
    uint32_t in_flight;
    char instance[MIG_INSTANCE_MAX];
};

struct append_job {
    struct mig_journal *journal;
    uint64_t seq;
    enum mig_record_kind kind;
    struct zkp_slice bytes; /* owned */
    enum rc rc;
    struct err err;
};

static enum rc replay_payload(void *context, uint32_t number, struct zkp_slice payload, struct err *err)
{
    (void)number; /* mig_journal_scan names it in the error */
    struct mig_journal *journal = context;
    struct mig_record *record = malloc(sizeof *record); /* some kilobytes: not for the stack */
    if (record == NULL)
        return err_set(err, RC_NOMEM, "out of memory");
    enum rc rc = mig_record_decode(payload, record, err);
    if (rc == RC_OK) {
        rc = journal->callbacks.replay(journal->callbacks.context, record, err);
        mig_record_done(record);
    }
    free(record);
    return rc;
}

/* payload NULL: the journal's records are not for us. */
static enum rc open_with(const char *state_dir, struct mig_helper *helper,
                         const struct mig_journal_callbacks *callbacks, mig_payload_fn *payload,
                         struct mig_journal **ret_journal, struct err *err)
{
    struct mig_journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL)
        return err_set(err, RC_NOMEM, "journal: out of memory");
    journal->helper = helper;
    journal->callbacks = *callbacks;
    enum rc rc = mig_journal_file_open(&journal->file, state_dir, payload, journal, err);
    if (rc != RC_OK) {
        free(journal);
        return rc;
    }
    rc = mig_journal_file_instance(&journal->file, journal->instance, err);
    if (rc != RC_OK) {
        err_wrap(err, "state_dir %s", state_dir);
        mig_journal_free(journal);
        return rc;
    }
    *ret_journal = journal;
    return RC_OK;
}

enum rc mig_journal_open(const char *state_dir, struct mig_helper *helper,
                         const struct mig_journal_callbacks *callbacks, struct mig_journal **ret_journal,
                         struct err *err)
{
    return open_with(state_dir, helper, callbacks, replay_payload, ret_journal, err);
}

enum rc mig_journal_open_barred(const char *state_dir, struct mig_helper *helper,
                                const struct mig_journal_callbacks *callbacks, const char *why,
                                struct mig_journal **ret_journal, struct err *err)
{
    enum rc rc = open_with(state_dir, helper, callbacks, NULL, ret_journal, err);
    if (rc == RC_OK)
        mig_journal_file_bar(&(*ret_journal)->file, why);
    return rc;
}

uint64_t mig_journal_cut(const struct mig_journal *journal)
{
    return journal->file.cut;
}

void mig_journal_free(struct mig_journal *journal)
{
    if (journal == NULL)
        return;
    ASSERT(journal->in_flight == 0);
    mig_journal_file_close(&journal->file);
    free(journal);
}

static void run(void *arg)
{
    struct append_job *job = arg;
    const char *name = mig_record_name(job->kind);
    (void)name; /* failpoints are compiled out of a release */
    MIG_FAILPOINT("journal_before", name);
    if (job->kind == MIG_RECORD_PLAN)
        job->rc = mig_journal_file_begin(&job->journal->file, job->bytes, &job->err);
    else
        job->rc = mig_journal_file_append(&job->journal->file, job->bytes, &job->err);
    MIG_FAILPOINT("journal_after", name);
}

static void job_free(struct append_job *job)
{
    if (job != NULL)
        free((void *)(uintptr_t)job->bytes.ptr);
    free(job);
}

static void done(void *arg)
{
    struct append_job *job = arg;
    struct mig_journal *journal = job->journal;
    journal->in_flight--;
    journal->callbacks.journaled(journal->callbacks.context, job->seq, job->rc, &job->err);
    job_free(job);
}

enum rc mig_journal_append(struct mig_journal *journal, uint64_t seq, const struct mig_record *record,
                           struct err *err)
{
    struct append_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return err_set(err, RC_NOMEM, "journal: out of memory");
    job->journal = journal;
    job->seq = seq;
    job->kind = record->kind;
    enum rc rc = mig_record_encode(record, &job->bytes, err);
    if (rc == RC_OK) {
        rc = mig_helper_submit(journal->helper, run, done, job);
        if (rc != RC_OK)
            err_set(err, rc, "journal: the helper thread takes no more: %s", rc_text(rc));
    }
    if (rc != RC_OK) {
        job_free(job);
        return rc;
    }
    journal->in_flight++;
    return RC_OK;
}

const char *mig_journal_instance(const struct mig_journal *journal)
{
    return journal->instance;
}
