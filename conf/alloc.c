/* The one place where conf/ asks for memory. Any thread. Nothing else may go into this file: tests
 * replace it at link time (see conf_int.h). */
#include <stdlib.h>

#include "conf/conf_int.h"

void *conf_zalloc(size_t bytes)
{
    return calloc(1, bytes);
}
