/* An object file of its own: an executable that brings its own px_session_alloc gets that one. Pure. */
#include "proxy/session/alloc_int.h"

#include <stdlib.h>

void *px_session_alloc(size_t bytes)
{
    return calloc(1, bytes);
}
