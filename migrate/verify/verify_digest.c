/* See verify_digest.h. */
#include "migrate/verify/verify_digest.h"

static void keep(void *context, const struct zkp_digest *digest)
{
    struct mig_digests *digests = context;
    if (digests->count == MIG_DIGESTS_MAX) {
        memmove(digests->items, digests->items + 1, (MIG_DIGESTS_MAX - 1) * sizeof digests->items[0]);
        digests->count--;
    }
    digests->items[digests->count++] = *digest;
}

void mig_digests_read(struct mig_digests *digests, struct zkp_slice text)
{
    digests->count = 0;
    zkp_hash_walk(text, keep, digests);
}

static const struct zkp_digest *digest_of(const struct mig_digests *digests, int64_t zxid)
{
    for (uint32_t i = digests->count; i > 0;
         i--) /* a restarted server may have one twice: the newest counts */
        if (digests->items[i - 1].zxid == zxid)
            return &digests->items[i - 1];
    return NULL;
}

enum mig_digest_verdict mig_digests_compare(const struct mig_digests *a, const struct mig_digests *b,
                                            int64_t *ret_zxid)
{
    const struct zkp_digest *newest_a = NULL;
    const struct zkp_digest *newest_b = NULL;
    for (uint32_t i = 0; i < a->count; i++) {
        const struct zkp_digest *other = digest_of(b, a->items[i].zxid);
        if (!other || (newest_a && a->items[i].zxid < newest_a->zxid))
            continue;
        newest_a = &a->items[i];
        newest_b = other;
    }
    *ret_zxid = newest_a ? newest_a->zxid : 0;
    if (!newest_a)
        return MIG_DIGEST_UNKNOWN;
    return newest_a->value == newest_b->value ? MIG_DIGEST_EQUAL : MIG_DIGEST_DIFFERENT;
}
