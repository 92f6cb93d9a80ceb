/* Any bytes as the body of a POST: no crash, no read beyond them, and every text that is taken ends inside
 * its array. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proxy/admin/admin_int.h"
#include "zkproto/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct px_admin_args args;
    struct err err;

    memset(&args, 0xff, sizeof args);
    if (px_admin_body_parse((const char *)data, size, &args, &err) != RC_OK) {
        ASSERT(memchr(err.text, '\0', sizeof err.text) != NULL);
        return 0;
    }
    ASSERT(memchr(args.plan_id, '\0', sizeof args.plan_id) != NULL);
    ASSERT(memchr(args.phase, '\0', sizeof args.phase) != NULL);
    ASSERT(args.accept_count <= PX_ADMIN_ACCEPT_MAX);
    for (uint32_t i = 0; i < args.accept_count; i++)
        ASSERT(memchr(args.accept[i], '\0', sizeof args.accept[i]) != NULL);
    return 0;
}
