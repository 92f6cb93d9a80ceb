/* Asks the servers of a verification for ZooKeeper's own digests (migrate/verify/verify_digest.h), once each,
 * with probers of its own: nobody else needs this word. */
#include <stdlib.h>

#include "migrate/probe/probe.h"
#include "proxy/control/verify/verify_int.h"

#define ANSWER_TIMEOUT_MS 6000 /* as long as the counts, which are asked at the same time */

static void conn_done(struct verify_conn *conn)
{
    mig_prober_free(conn->prober);
    conn->prober = NULL;
}

static void on_answer(void *context, const struct mig_probe_answer *answer)
{
    struct verify_conn *conn = context;
    if (answer->kind == MIG_PROBE_KIND_DATA && !conn->digests)
        conn->digests = malloc(sizeof *conn->digests);
    if (answer->kind == MIG_PROBE_KIND_DATA && conn->digests)
        mig_digests_read(conn->digests, answer->hash);
    conn_done(conn); /* not in the whitelist, too old, none yet: then there is no digest */
}

void verify_digests_ask(struct px_verify *verify)
{
    for (uint32_t i = 0; i < verify->count; i++) {
        struct verify_conn *conn = &verify->conns[i];
        const struct mig_address *address = px_fleet_address(verify->fleet, verify->ids[i]);
        const struct mig_prober_callbacks callbacks = {.context = conn, .answer = on_answer};
        const struct mig_prober_options options = {.timeout_ms = ANSWER_TIMEOUT_MS};
        if (address && mig_prober_new(verify->base, address, &options, &callbacks, &conn->prober) == RC_OK)
            mig_prober_kick(conn->prober, MIG_PROBE_HASH);
    }
}

bool verify_digests_are_complete(const struct px_verify *verify)
{
    for (uint32_t i = 0; i < verify->count; i++)
        if (verify->conns[i].prober)
            return false;
    return true;
}

void verify_digests_judge(struct px_verify *verify)
{
    const struct mig_digests *reference = verify->conns[MIG_VERIFY_REFERENCE].digests;
    for (uint32_t i = 0; i < verify->count; i++) {
        struct px_verify_digest *out = &verify->digests[i];
        *out = (struct px_verify_digest){.verdict = MIG_DIGEST_UNKNOWN};
        if (reference && verify->conns[i].digests)
            out->verdict = mig_digests_compare(reference, verify->conns[i].digests, &out->zxid);
    }
    verify_digests_forget(verify);
}

void verify_digests_forget(struct px_verify *verify)
{
    for (uint32_t i = 0; i < verify->count; i++) {
        conn_done(&verify->conns[i]);
        free(verify->conns[i].digests);
        verify->conns[i].digests = NULL;
    }
}
