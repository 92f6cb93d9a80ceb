/* One survey from its beginning to its end; see survey.h. It ends when every question has its answer, or at
 * the deadline with what is known then. */
#include "proxy/control/survey/survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "migrate/monotonic.h"
#include "proxy/control/survey/survey_int.h"
#include "proxy/log.h"

#define SURVEY_LIMIT_MS 2500 /* a preflight waits for it; people wait for a preflight */

struct px_survey *px_survey_new(const struct px_survey_parts *parts)
{
    struct px_survey *survey = calloc(1, sizeof *survey);
    if (survey)
        survey->parts = *parts;
    return survey;
}

void px_survey_stop(struct px_survey *survey)
{
    survey_ask_close(survey);
    survey_here_close(survey);
    survey->is_running = false;
}

void px_survey_free(struct px_survey *survey)
{
    if (!survey)
        return;
    survey_walk_done(&survey->walk);
    free(survey);
}

void px_survey_kick(struct px_survey *survey, const struct conf *conf)
{
    survey->here.sources = conf->bind_source;
    survey->here.targets = conf->bind_target;
    memcpy(survey->here.hooks, conf->hooks, sizeof survey->here.hooks);
    if (survey->wanted_ms == 0)
        survey->wanted_ms = mig_now_ms();
}

void survey_check(struct px_survey *survey)
{
    if (!survey->is_running || !survey_walk_is_over(survey) || !survey_ask_is_over(survey) ||
        !survey_here_is_over(survey))
        return;
    survey->is_over = true;
    survey->parts.changed(survey->parts.context);
}

/* The leader where there is one: nothing it says is late. MIG_NO_SERVER = nobody. */
static int32_t choose_server(const struct mig_facts *facts)
{
    int32_t leader = mig_facts_leader(facts, INT64_MAX / 2).id;
    const struct mig_server_facts *candidate = mig_facts_server(facts, leader);
    bool has_leader = candidate && px_links_is_usable(facts, candidate);
    return has_leader ? leader : px_links_best_server(facts, MIG_NO_SERVER);
}

static void begin(struct px_survey *survey, const struct mig_facts *facts)
{
    survey->wanted_ms = 0;
    survey->is_over = false;
    survey->is_running = true;
    survey->server = choose_server(facts);
    survey->now = (struct mig_survey){.asked_at_ms = facts->now_ms};
    survey->deadline_ms = facts->now_ms + SURVEY_LIMIT_MS;
    survey->why[0] = survey->unasked_name[0] = '\0';
    survey_here_begin(survey, facts);
    survey_ask_begin(survey, facts, facts->now_ms);
    survey_check(survey);
}

/* With a server to ask; servers may not have been probed yet, so a while is waited for one. */
static bool may_begin(const struct px_survey *survey, const struct mig_facts *facts)
{
    bool is_wanted = survey->wanted_ms != 0 && !survey->is_running;
    bool has_waited = facts->now_ms - survey->wanted_ms >= SURVEY_LIMIT_MS;
    return is_wanted && (has_waited || choose_server(facts) != MIG_NO_SERVER);
}

static void explain(struct px_survey *survey)
{
    struct mig_survey *now = &survey->now;
    if (survey->server == MIG_NO_SERVER)
        snprintf(now->incomplete, sizeof now->incomplete, "no server can be asked");
    else if (now->nodes == 0)
        snprintf(now->incomplete, sizeof now->incomplete, "server %d gave no node to read: %.160s",
                 survey->server, survey->why[0] ? survey->why : "no answer");
    else if (survey->unanswered &
             ((1u << ASK_LOCK) | (1u << ASK_CONFIG_ACL) | (1u << ASK_TTL) | (1u << ASK_ANYONE)))
        snprintf(now->incomplete, sizeof now->incomplete, "server %d did not answer all questions in %d ms",
                 survey->server, SURVEY_LIMIT_MS);
    else
        snprintf(now->incomplete, sizeof now->incomplete, "%s", survey->unasked_name);
}

static void end(struct px_survey *survey, const struct mig_facts *facts)
{
    explain(survey);
    survey_ask_names_end(survey, facts, &survey->now);
    survey_here_end(survey, &survey->now);
    survey_ask_close(survey);
    survey_walk_done(&survey->walk);
    survey->is_running = survey->is_over = false;
    survey->ended = survey->now;
    px_log(PX_LOG_INFO, "survey.done", "server=%d nodes=%u ip_acls=%u took_ms=%" PRId64 " why=%s",
           survey->server, survey->ended.nodes, survey->ended.ip_acls,
           mig_now_ms() - survey->ended.asked_at_ms, survey->ended.incomplete);
    survey->parts.changed(survey->parts.context);
}

void px_survey_tick(struct px_survey *survey, const struct mig_facts *facts, bool is_quiet)
{
    if (survey->is_running && (survey->is_over || is_quiet || facts->now_ms >= survey->deadline_ms))
        end(survey, facts);
    if (!is_quiet && may_begin(survey, facts))
        begin(survey, facts);
}

static void count_connection(struct mig_server_facts *server, const struct mig_zk *zk)
{
    if (zk)
        mig_server_own_connection(server, mig_zk_session_id(zk), mig_zk_connected_since_ms(zk));
}

void px_survey_facts(const struct px_survey *survey, struct mig_facts *facts)
{
    facts->survey = survey->ended;
    for (uint32_t i = 0; i < facts->server_count; i++)
        if (facts->servers[i].id == survey->server) {
            count_connection(&facts->servers[i], survey->super);
            count_connection(&facts->servers[i], survey->nobody);
        }
}
