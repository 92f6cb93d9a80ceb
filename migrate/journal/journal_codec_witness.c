/* struct mig_witness_account <-> zkf.RecordedWitness. */
#include "migrate/journal/journal_codec_int.h"

void mig_witness_pack(const struct mig_witness_account *account, Zkf__RecordedWitness *ret_packed)
{
    zkf__recorded_witness__init(ret_packed);
    ret_packed->has_started_at = ret_packed->has_stall_ms = true;
    ret_packed->started_at = account->started_wall_ms;
    ret_packed->stall_ms = account->figures.stall_ms;
#define PACK(name, help)                                                                                     \
    ret_packed->has_##name = true;                                                                           \
    ret_packed->name = account->figures.name;
    MIG_WITNESS_COUNTS(PACK)
#undef PACK
}

struct mig_witness_account mig_witness_unpack(const Zkf__RecordedWitness *packed)
{
    struct mig_witness_account account = {.started_wall_ms = 0};
    if (packed == NULL)
        return account;
    account.started_wall_ms = packed->started_at;
    account.figures.stall_ms = packed->stall_ms;
#define UNPACK(name, help) account.figures.name = packed->name;
    MIG_WITNESS_COUNTS(UNPACK)
#undef UNPACK
    return account;
}
