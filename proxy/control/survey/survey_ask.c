/* What a survey asks beside the tree: the config node's ACL, the plan lock, what somebody without credentials
 * may do, our sessions' timeouts, the resolver. */
#include <stdio.h>
#include <string.h>

#include "proxy/control/survey/survey_int.h"
#include "proxy/log.h"
#include "zkproto/zkerr.h"

#define CONFIG_NODE       "/zookeeper/config"
#define SURVEY_SESSION_MS 6000

/* --- answers --- */

static void take_lock(struct px_survey *survey, const struct mig_zk_result *result)
{
    char ours[MIG_SURVEY_TEXT_MAX];
    int length = snprintf(ours, sizeof ours, "instance=%s ", survey->parts.instance);
    bool is_ours = length > 0 && strncmp(result->text, ours, (size_t)length) == 0;
    survey->now.has_lock = result->rc == RC_OK && !is_ours;
    if (survey->now.has_lock)
        snprintf(survey->now.lock_holder, sizeof survey->now.lock_holder, "%s", result->text);
}

/* Unknown stays what was not answered: a refusal for other reasons, a lost connection. */
static void take_answer(struct px_survey *survey, const struct mig_zk_result *result)
{
    survey->unanswered &= ~(1u << result->seq);
    if (result->seq == ASK_LOCK)
        take_lock(survey, result);
    else if (result->seq == ASK_TTL && result->rc == RC_OK)
        survey->now.takes_ttl = result->zk_err == ZKP_ERR_NO_NODE ? MIG_MAY : MIG_MAY_NOT;
    else if (result->seq == ASK_ANYONE && result->rc == RC_OK)
        survey->now.anyone_may_write = MIG_MAY;
    else if (result->seq == ASK_ANYONE && result->rc == RC_REFUSED)
        survey->now.anyone_may_write = MIG_MAY_NOT;
    else if (result->seq == ASK_CONFIG_ACL && result->node && result->node->kind == MIG_NODE_PRESENT)
        survey->now.acl_lets_anyone = result->node->anyone_writes ? MIG_MAY : MIG_MAY_NOT;
}

static void on_done(void *context, const struct mig_zk_result *result)
{
    struct px_survey *survey = context;
    if (result->seq < WALK_SLOTS)
        survey_walk_answer(survey, result);
    else
        take_answer(survey, result);
    survey_check(survey);
}

static void on_state(void *context, enum mig_zk_state state, const char *why)
{
    struct px_survey *survey = context;
    if (state != MIG_ZK_CONNECTED)
        snprintf(survey->why, sizeof survey->why, "%s", why);
}

static void on_sessions(void *context, const struct px_session_row *rows, uint32_t count, bool is_complete)
{
    (void)is_complete; /* what some workers say is a beginning */
    struct px_survey *survey = context;
    for (uint32_t i = 0; i < count; i++)
        if (rows[i].session_id != 0)
            mig_survey_timeout(&survey->now, rows[i].timeout_ms);
    survey->is_listing = false;
    survey_check(survey);
}

/* --- names --- */

static void on_name(void *context, enum rc rc, const struct mig_address *address, const char *text)
{
    (void)address;
    struct name *name = context;
    name->is_pending = false;
    name->is_unknown = rc != RC_OK && rc != RC_FULL;
    if (rc == RC_FULL) /* nobody was asked */
        snprintf(name->owner->unasked_name, sizeof name->owner->unasked_name, "%s", text);
    survey_check(name->owner);
}

static const struct zkp_server_address *first_name(const struct zkp_server *spec)
{
    struct mig_address address;
    for (uint32_t i = 0; i < spec->address_count; i++)
        if (!zkp_host_is_wildcard(spec->addresses[i].host) &&
            mig_address_numeric(spec->addresses[i].host, spec->addresses[i].quorum_port, &address) != RC_OK)
            return &spec->addresses[i];
    return NULL;
}

static void ask_names(struct px_survey *survey, const struct mig_facts *facts)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        struct name *name = &survey->names[i];
        const struct zkp_server_address *address = first_name(facts->servers[i].spec);
        if (name->is_pending)
            continue; /* the resolver is still busy with the last one */
        *name = (struct name){.owner = survey, .server = facts->servers[i].id};
        if (!address)
            continue;
        snprintf(name->host, sizeof name->host, "%s", address->host);
        name->is_pending =
            mig_resolve(survey->parts.helper, address->host, address->quorum_port, on_name, name) == RC_OK;
    }
}

void survey_ask_names_end(const struct px_survey *survey, const struct mig_facts *facts,
                          struct mig_survey *ret_survey)
{
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct name *name = &survey->names[i];
        const struct zkp_server_address *address = first_name(facts->servers[i].spec);
        if (!address || !name->is_unknown || name->is_pending || strcmp(name->host, address->host) != 0)
            continue;
        struct mig_unresolved *unresolved = &ret_survey->unresolved[ret_survey->unresolved_count++];
        unresolved->server = facts->servers[i].id;
        snprintf(unresolved->host, sizeof unresolved->host, "%.*s", (int)sizeof unresolved->host - 1,
                 name->host);
    }
}

/* --- questions --- */

static void open_connections(struct px_survey *survey)
{
    const struct mig_zk_callbacks callbacks = {
        .context = survey, .done = on_done, .state = on_state, .log = px_links_log};
    struct mig_zk_options anybody = {.timeout_ms = SURVEY_SESSION_MS,
                                     .state_root = survey->parts.links->state_root};
    const struct mig_address *address = px_fleet_address(survey->parts.fleet, survey->server);
    struct err err;
    if (!address)
        return;
    anybody.address = *address;
    if (px_links_open(survey->parts.links, survey->server, NULL, &callbacks, &survey->super) != RC_OK)
        survey->super = NULL;
    if (mig_zk_new(survey->parts.base, &anybody, &callbacks, &survey->nobody, &err) != RC_OK)
        survey->nobody = NULL;
}

static void asked(struct px_survey *survey, enum ask which, enum rc rc)
{
    if (rc == RC_OK)
        survey->unanswered |= 1u << which;
}

void survey_ask_begin(struct px_survey *survey, const struct mig_facts *facts, int64_t now_ms)
{
    if (!survey->is_listing) /* else the answer to the one before is still to come */
        survey->is_listing = px_crew_list(survey->parts.crew, now_ms, on_sessions, survey) == RC_OK;
    ask_names(survey, facts);
    open_connections(survey);
    if (survey->nobody)
        asked(survey, ASK_ANYONE,
              mig_zk_request(survey->nobody, MIG_ZK_CHECK_SUPER, ASK_ANYONE, survey->deadline_ms));
    if (!survey->super)
        return;
    asked(survey, ASK_LOCK, mig_zk_request(survey->super, MIG_ZK_PEEK_LOCK, ASK_LOCK, survey->deadline_ms));
    asked(survey, ASK_TTL, mig_zk_request(survey->super, MIG_ZK_PROBE_TTL, ASK_TTL, survey->deadline_ms));
    asked(survey, ASK_CONFIG_ACL,
          mig_zk_read_node(survey->super, ASK_CONFIG_ACL, CONFIG_NODE, false, &survey->key,
                           survey->deadline_ms));
    survey_walk_begin(survey);
}

bool survey_ask_is_over(const struct px_survey *survey)
{
    bool is_over = survey->unanswered == 0 && !survey->is_listing;
    for (uint32_t i = 0; i < MIG_SERVERS_MAX; i++)
        is_over = is_over && !survey->names[i].is_pending;
    return is_over;
}

void survey_ask_close(struct px_survey *survey)
{
    mig_zk_free(survey->super);
    mig_zk_free(survey->nobody);
    survey->super = survey->nobody = NULL;
    survey->unanswered = 0;
}
