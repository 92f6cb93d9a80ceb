/* The journal's file format and its blocking I/O; journal.h puts it on the helper thread.
 *
 *   file   = record record …                     the first one, mostly a plan's beginning, is written
 *   record = [u32 length][u32 crc32c][payload]   before the file gets its name, so it can never be torn
 *
 * Numbers are little-endian; length counts the payload, 1 … MIG_JOURNAL_PAYLOAD_MAX; the checksum covers
 * length and payload, so that a run of zero bytes is never a record. One record is written at a time and
 * synced before the next, so at most the last one can be torn. One thread at a time. */
#ifndef MIGRATE_JOURNAL_FILE_H
#define MIGRATE_JOURNAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "zkproto/err.h"
#include "zkproto/slice.h"

#define MIG_JOURNAL_PATH_MAX    1024u
#define MIG_JOURNAL_HEADER      8u
#define MIG_JOURNAL_PAYLOAD_MAX (512u * 1024u) /* a plan of 32 + 32 + 64 server lines of 2 KB, and room */
#define MIG_JOURNAL_FILE_MAX    (64u * 1024u * 1024u) /* a plan writes some dozens of records */

/* A record found while reading; anything but RC_OK stops the walk with that code. */
typedef enum rc mig_payload_fn(void *context, uint32_t number, struct zkp_slice payload, struct err *err);

uint32_t mig_crc32c(uint32_t crc, const void *bytes, size_t length); /* crc 0 to begin */

/* Walks all records; numbers count from 1. ret_good_length: bytes up to the end of the last good record;
 * what follows is a torn record and is to be cut. RC_CORRUPT: a bad record with a good one behind it, more
 * rubbish than one record can leave, or a bad first record. Pure. */
enum rc mig_journal_scan(struct zkp_slice file, mig_payload_fn *fn, void *context, size_t *ret_good_length,
                         struct err *err) RC_MUST_CHECK;

struct mig_journal_file {
    int dir;        /* the state directory */
    int lock;       /* flock held as long as this is open */
    int fd;         /* the journal; -1 = nothing was ever written */
    int64_t good;   /* length up to which everything is synced */
    bool is_broken; /* what is on disk is not known until the next open */
    uint64_t cut;   /* bytes of a torn last record that the open has cut off */
    dev_t place;    /* of the directory: it must stay where it is */
    ino_t node;
    char path[MIG_JOURNAL_PATH_MAX];
    char why[ERR_TEXT_MAX]; /* it is broken */
};

/* Creates the directory (0700, one level) when it is missing, takes the lock (RC_EXISTS: another process
 * has it), replays through fn, cuts a torn record. fn NULL: the journal is not opened. RC_REFUSED: the
 * directory is somebody else's, or others may write there. RC_CORRUPT, RC_TOO_BIG: it can't be read. */
enum rc mig_journal_file_open(struct mig_journal_file *file, const char *state_dir, mig_payload_fn *fn,
                              void *context, struct err *err) RC_MUST_CHECK;
void mig_journal_file_close(struct mig_journal_file *file);
/* Every further call fails with this. */
void mig_journal_file_bar(struct mig_journal_file *file, const char *why);
/* Behind the last record; synced when it returns RC_OK. On an error nothing was added (what was written is
 * taken back), or the file is broken and every further call says so. */
enum rc mig_journal_file_append(struct mig_journal_file *file, struct zkp_slice payload,
                                struct err *err) RC_MUST_CHECK;
/* A new file with this one record takes the place of the old: temporary file, sync, rename, sync of the
 * directory. On an error the old one stays. */
enum rc mig_journal_file_begin(struct mig_journal_file *file, struct zkp_slice payload,
                               struct err *err) RC_MUST_CHECK;
/* An id of this state directory, made at its first use and kept in the file "instance": a lock in the
 * ensemble that bears it was left by an earlier life of the same daemon. */
#define MIG_INSTANCE_MAX 33u
enum rc mig_journal_file_instance(struct mig_journal_file *file, char ret_instance[MIG_INSTANCE_MAX],
                                  struct err *err) RC_MUST_CHECK;

#endif
