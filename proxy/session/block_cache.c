/* A stack of spare blocks, linked through their first bytes. Pure. */
#include "proxy/session/block_cache.h"

void px_block_cache_done(struct px_block_cache *cache)
{
    while (cache->first != NULL)
        free(px_block_take(cache));
}
