/* Any bytes as a journal file: the walk ends, what it calls good is good again, and whatever a record decodes
 * to encodes and decodes to the same bytes. */
#include <stdlib.h>

#include "migrate/journal/journal_codec.h"
#include "migrate/journal/journal_file.h"
#include "zkproto/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_codec(struct zkp_slice payload)
{
    static struct mig_record record;
    static struct mig_record again;
    struct err err;
    struct zkp_slice once = {0};
    struct zkp_slice twice = {0};
    if (mig_record_decode(payload, &record, &err) != RC_OK)
        return;
    if (mig_record_encode(&record, &once, &err) == RC_OK) {
        ASSERT(mig_record_decode(once, &again, &err) == RC_OK);
        ASSERT(mig_record_encode(&again, &twice, &err) == RC_OK);
        ASSERT(zkp_slice_eq(once, twice));
        mig_record_done(&again);
    }
    free((void *)(uintptr_t)once.ptr);
    free((void *)(uintptr_t)twice.ptr);
    mig_record_done(&record);
}

static enum rc see(void *context, uint32_t number, struct zkp_slice payload, struct err *err)
{
    (void)err;
    uint32_t *count = context;
    ASSERT(number == ++*count);
    ASSERT(payload.len > 0 && payload.len <= MIG_JOURNAL_PAYLOAD_MAX);
    check_codec(payload);
    return RC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 65536)
        return 0;
    struct err err;
    size_t good = 0;
    size_t again = 0;
    uint32_t count = 0;
    check_codec(zkp_slice_of(data, (uint32_t)size)); /* the fuzzer can't guess checksums */
    if (mig_journal_scan(zkp_slice_of(data, (uint32_t)size), see, &count, &good, &err) != RC_OK)
        return 0;
    ASSERT(good <= size);
    uint32_t recount = 0;
    ASSERT(mig_journal_scan(zkp_slice_of(data, (uint32_t)good), see, &recount, &again, &err) == RC_OK);
    ASSERT(again == good && recount == count);
    return 0;
}
