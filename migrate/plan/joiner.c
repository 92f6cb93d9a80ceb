/* Text of a joiner's files: see joiner.h. */
#include "migrate/plan/joiner.h"

#include <string.h>

#include "migrate/text.h"

/* Values of a server that shows its conf; ZooKeeper's sample file where none does. */
static const struct zkp_conf_answer *timing_of(const struct mig_facts *facts)
{
    static const struct zkp_conf_answer usual = {.server_id = MIG_NO_SERVER,
                                                 .tick_time_ms = 2000,
                                                 .init_limit = 10,
                                                 .sync_limit = 5,
                                                 .min_session_timeout_ms = 4000,
                                                 .max_session_timeout_ms = 40000};
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (facts->servers[i].side == MIG_SIDE_SOURCE && facts->servers[i].conf != NULL)
            return facts->servers[i].conf;
    return &usual;
}

/* A source that had left and was stopped is started again for a rollback: its data is the ensemble's own. */
static const char *what_data(const struct mig_server_facts *server)
{
    return server->side == MIG_SIDE_SOURCE ? "is the one it had" : "must be empty but for myid";
}

static void write_zoo_cfg(const struct mig_facts *facts, const struct mig_server_facts *server, char *buf,
                          uint32_t capacity)
{
    const struct zkp_conf_answer *timing = timing_of(facts);
    mig_text_set(buf, capacity,
                 "# Start of server %d as a joiner. dataDir %s.\n"
                 "tickTime=%d\ninitLimit=%d\nsyncLimit=%d\nminSessionTimeout=%d\nmaxSessionTimeout=%d\n",
                 server->id, what_data(server), timing->tick_time_ms, timing->init_limit, timing->sync_limit,
                 timing->min_session_timeout_ms, timing->max_session_timeout_ms);
    mig_text_add(
        buf, capacity,
        "dataDir=/var/lib/zookeeper\n"
        "dynamicConfigFile=/etc/zookeeper/conf/zoo.cfg.dynamic\n"
        "# Without this the server never serves next to sources that have it.\n"
        "reconfigEnabled=true\n"
        "# The proxy's sessions all come from one address.\n"
        "maxClientCnxns=0\n"
        "4lw.commands.whitelist=srvr,conf,mntr,cons,ruok,isro\n"
        "# The super user must be the one of the sources, or there is no way back; zkferry proves it before "
        "this\n"
        "# server becomes a member. Copy their DigestAuthenticationProvider.superDigest (or their JVM flag\n"
        "# -Dzookeeper.DigestAuthenticationProvider.superDigest): the digest, never the password.\n"
        "#DigestAuthenticationProvider.superDigest=super:BASE64\n"
        "# Copy from the sources: authProvider.*, ssl.*, quorum TLS and SASL settings.\n");
    if (timing->server_id == MIG_NO_SERVER)
        mig_text_add(
            buf, capacity,
            "# The sources do not show `conf`: compare tickTime, the limits and timeouts by hand.\n");
}

static enum rc add_line(const struct zkp_server *server, char *buf, uint32_t capacity, struct err *err)
{
    char line[ZKP_SERVER_TEXT_MAX];
    if (zkp_server_format(server, line, sizeof(line)) == 0 || strlen(buf) + strlen(line) + 2 > capacity)
        return err_set(err, RC_TOO_BIG, "the member list does not fit %u bytes", capacity);
    mig_text_add(buf, capacity, "%s\n", line);
    return RC_OK;
}

enum rc mig_joiner_config(const struct mig_facts *facts, int32_t id, struct mig_joiner *ret_joiner,
                          struct err *err)
{
    const struct mig_server_facts *server = mig_facts_server(facts, id);
    if (server == NULL)
        return err_set(err, RC_NOT_FOUND, "server %d is not in the configuration file", id);
    if (facts->config == NULL || facts->config->server_count == 0)
        return err_set(err, RC_AGAIN, "the ensemble's config has not been read yet");
    memset(ret_joiner, 0, sizeof(*ret_joiner));
    /* Current members and itself only: joiners that know each other could elect among themselves (P3). */
    enum rc rc = RC_OK;
    for (uint32_t i = 0; rc == RC_OK && i < facts->config->server_count; i++)
        if (facts->config->servers[i].id != id)
            rc = add_line(&facts->config->servers[i], ret_joiner->dynamic, MIG_JOINER_TEXT_MAX, err);
    struct zkp_server self = *server->spec;
    self.role = ZKP_ROLE_PARTICIPANT; /* an observer's later role change would drop its clients */
    if (rc == RC_OK)
        rc = add_line(&self, ret_joiner->dynamic, MIG_JOINER_TEXT_MAX, err);
    if (rc != RC_OK)
        return rc;
    write_zoo_cfg(facts, server, ret_joiner->zoo_cfg, MIG_JOINER_TEXT_MAX);
    mig_text_set(ret_joiner->myid, sizeof(ret_joiner->myid), "%d\n", id);
    return RC_OK;
}
