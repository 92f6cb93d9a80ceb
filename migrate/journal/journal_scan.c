/* Reading the journal's bytes: which records are good, and whether what follows them is a torn write or
 * damage. Pure. */
#include "migrate/journal/journal_file.h"

static uint32_t load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The payload's length when a whole good record starts at offset, else 0. */
static uint32_t record_at(struct zkp_slice file, size_t offset)
{
    size_t left = file.len - offset;
    if (left <= MIG_JOURNAL_HEADER)
        return 0;
    const uint8_t *p = file.ptr + offset;
    uint32_t length = load_u32(p);
    if (length == 0 || length > MIG_JOURNAL_PAYLOAD_MAX || length > left - MIG_JOURNAL_HEADER)
        return 0;
    uint32_t crc = mig_crc32c(mig_crc32c(0, p, 4), p + MIG_JOURNAL_HEADER, length);
    return crc == load_u32(p + 4) ? length : 0;
}

/* A torn write leaves a piece of one record at the end of the file, and nothing good can follow it. When a
 * good record does follow, what looks torn is a damaged record in the middle. */
static bool is_torn(struct zkp_slice file, size_t offset)
{
    if (offset == 0 || file.len - offset > MIG_JOURNAL_HEADER + MIG_JOURNAL_PAYLOAD_MAX)
        return false;
    for (size_t later = offset + 1; later < file.len; later++)
        if (record_at(file, later) != 0)
            return false;
    return true;
}

enum rc mig_journal_scan(struct zkp_slice file, mig_payload_fn *fn, void *context, size_t *ret_good_length,
                         struct err *err)
{
    size_t offset = 0;
    uint32_t number = 1;
    while (offset < file.len) {
        uint32_t length = record_at(file, offset);
        if (length == 0 && is_torn(file, offset))
            break;
        if (length == 0)
            return err_set(err, RC_CORRUPT, "journal record %u at offset %zu: bad length or checksum", number,
                           offset);
        const uint8_t *payload = file.ptr + offset + MIG_JOURNAL_HEADER;
        enum rc rc = fn(context, number, zkp_slice_of(payload, length), err);
        if (rc != RC_OK) {
            err_wrap(err, "journal record %u at offset %zu", number, offset);
            return rc;
        }
        offset += MIG_JOURNAL_HEADER + length;
        number++;
    }
    *ret_good_length = offset;
    return RC_OK;
}
