/* Server lines and config texts. Checked: what parses prints, the printed form parses to the same server and
 * prints the same again; configs are sorted and equal to themselves; errors always have a text. */
#include <stddef.h>

#include "zkproto/assert.h"
#include "zkproto/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printed(const struct zkp_server *server)
{
    char text[ZKP_SERVER_TEXT_MAX], again[ZKP_SERVER_TEXT_MAX];
    struct zkp_server parsed;
    uint32_t length = zkp_server_format(server, text, sizeof text);
    ASSERT(length > 0 && text[length] == '\0' && strlen(text) == length);
    ASSERT(zkp_server_parse(zkp_slice_of(text, length), &parsed, NULL) == RC_OK);
    ASSERT(zkp_server_format(&parsed, again, sizeof again) == length);
    ASSERT(memcmp(text, again, length) == 0);
    const char *host = zkp_server_client_host(server);
    ASSERT((host == NULL) == (server->client_port == 0));
    ASSERT(!host || strlen(host) < ZKP_HOST_MAX);
}

static void check_config(const struct zkp_config *config)
{
    ASSERT(config->server_count <= ZKP_SERVERS_MAX);
    for (uint32_t i = 0; i < config->server_count; i++) {
        ASSERT(i == 0 || config->servers[i - 1].id < config->servers[i].id);
        ASSERT(zkp_config_find(config, config->servers[i].id) == &config->servers[i]);
        check_printed(&config->servers[i]);
    }
    ASSERT(zkp_config_voters(config) <= config->server_count);
    ASSERT(zkp_config_same_members(config, config));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct zkp_config config; /* 85 KiB */
    struct zkp_server server;
    struct err err = {.text = ""};
    if (size > UINT16_MAX)
        return 0;
    struct zkp_slice text = zkp_slice_of(data, (uint32_t)size);
    if (zkp_server_parse(text, &server, &err) == RC_OK)
        check_printed(&server);
    else
        ASSERT(err.code != RC_OK && err.text[0] != '\0');
    if (zkp_config_parse(text, &config, &err) == RC_OK)
        check_config(&config);
    else
        ASSERT(memcmp(err.text, "line ", 5) == 0);
    return 0;
}
