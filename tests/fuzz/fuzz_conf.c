/* Any bytes as a configuration file: no crash, and either a snapshot or problems, never both or none. */
#include <stdlib.h>

#include "conf/conf_int.h"
#include "zkproto/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_snapshot(const struct conf *conf)
{
    char refusals[64];

    ASSERT(conf->workers >= 1);
    ASSERT(conf->source.count >= 1);
    ASSERT(conf->listener_count >= 1);
    ASSERT(conf->super[0] == '\0'); /* no file may be touched here */
    conf_reload_refusals(conf, conf, true, refusals, sizeof(refusals));
    ASSERT(refusals[0] == '\0');
}

static void check_problems(const struct conf_problems *problems)
{
    uint32_t lines = 1;

    for (const char *c = problems->text; *c != '\0'; c++)
        lines += *c == '\n' ? 1u : 0u;
    ASSERT(lines == problems->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf *conf = NULL;
    struct conf_problems problems = {0};

    if (size > CONF_FILE_BYTES_MAX)
        return -1;
    if (conf_parse_text("f.yaml", zkp_slice_of(data, (uint32_t)size), CONF_SECRETS_SKIP, &conf, &problems) ==
        RC_OK)
        check_snapshot(conf);
    else
        check_problems(&problems);
    conf_free(conf);
    conf_problems_done(&problems);
    return 0;
}
