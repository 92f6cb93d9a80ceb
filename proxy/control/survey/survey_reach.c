/* What a survey finds out about this host: whether a connection from each address of `bind` reaches each
 * server that serves (probes come from another address), and whether the programs of the hooks can be run.
 * Control thread; the programs are looked at on the helper's, since their disk may hang. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "migrate/sockets.h"
#include "migrate/text.h"
#include "proxy/control/survey/survey_int.h"

/* Any answer will do, also that the word is not in the whitelist. */
static const char question[4] = {'s', 'r', 'v', 'r'};

/* --- addresses --- */

static void note(struct px_survey *survey, const struct reach_try *try, const char *why)
{
    struct mig_survey *now = &survey->now;
    if (now->unreached_count == MIG_SURVEY_UNREACHED)
        return; /* enough are named */
    struct mig_unreached *unreached = &now->unreached[now->unreached_count++];
    unreached->server = try->server;
    mig_text_set(unreached->from, sizeof unreached->from, "%s", try->from);
    mig_text_set(unreached->why, sizeof unreached->why, "%s", why);
}

static void close_try(struct reach_try *try)
{
    if (try->event)
        event_free(try->event);
    if (try->fd >= 0)
        close(try->fd);
    *try = (struct reach_try){.fd = -1};
}

static void end_try(struct reach_try *try, const char *why)
{
    struct px_survey *survey = try->owner;
    if (why[0] != '\0')
        note(survey, try, why);
    close_try(try);
    survey->reach.pending--;
    survey_reach_next(survey);
    survey_check(survey);
}

/* A server that closes at once may do so while we connect, before the question or behind it. 0: its FIN. */
static const char *why_not(int error)
{
    return error == 0 || error == ECONNRESET || error == EPIPE
               ? "the server closes it: maxClientCnxns is reached for that address"
               : strerror(error);
}

/* Established is not enough: a full server accepts, and closes without a word. */
static void on_ready(evutil_socket_t fd, short what, void *context)
{
    struct reach_try *try = context;
    char byte;
    int error = 0;
    socklen_t length = sizeof error;
    if (what & EV_WRITE) {
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 && error == 0 &&
            send(fd, question, sizeof question, MSG_NOSIGNAL) == (ssize_t)sizeof question &&
            event_assign(try->event, try->owner->parts.base, fd, EV_READ, on_ready, try) == 0 &&
            event_add(try->event, NULL) == 0)
            return;
        end_try(try, why_not(error != 0 ? error : errno));
        return;
    }
    ssize_t got = recv(fd, &byte, 1, 0);
    if (got == 1)
        end_try(try, "");
    else
        end_try(try, why_not(got == 0 ? 0 : errno));
}

/* 0, or errno. */
static int open_try(struct reach_try *try, const struct mig_address *from, const struct mig_address *to)
{
    try->fd = mig_socket_new(to->storage.ss_family);
    if (try->fd < 0 || bind(try->fd, (const struct sockaddr *)&from->storage, from->length) != 0)
        return errno;
    if (connect(try->fd, (const struct sockaddr *)&to->storage, to->length) != 0 && errno != EINPROGRESS)
        return errno;
    try->event = event_new(try->owner->parts.base, try->fd, EV_WRITE, on_ready, try);
    return try->event && event_add(try->event, NULL) == 0 ? 0 : ENOMEM;
}

/* Nothing is tried between different families: sessions leave such an address out, too. */
static void begin_try(struct px_survey *survey, struct reach_try *try, const struct reach_pair *pair)
{
    struct mig_address from;
    const struct mig_address *to = px_fleet_address(survey->parts.fleet, pair->server);
    *try = (struct reach_try){.owner = survey, .fd = -1, .server = pair->server};
    snprintf(try->from, sizeof try->from, "%s", pair->from);
    if (!to || mig_address_numeric(pair->from, 0, &from) != RC_OK ||
        from.storage.ss_family != to->storage.ss_family) {
        close_try(try);
        return;
    }
    int error = open_try(try, &from, to);
    if (error == 0) {
        survey->reach.pending++;
        return;
    }
    note(survey, try, why_not(error));
    close_try(try);
}

static const struct conf_binds *binds_of(const struct px_survey *survey, enum mig_side side)
{
    return side == MIG_SIDE_TARGET ? &survey->here.targets : &survey->here.sources;
}

/* The next address and server of the list, which is walked in the order of the facts. */
static bool next_pair(struct px_survey *survey, struct reach_pair *ret_pair)
{
    struct reach *reach = &survey->reach;
    while (reach->at < reach->server_count) {
        const struct conf_binds *binds = binds_of(survey, reach->sides[reach->at]);
        if (reach->bind < binds->count) {
            *ret_pair = (struct reach_pair){reach->servers[reach->at], binds->hosts[reach->bind++]};
            return true;
        }
        reach->at++;
        reach->bind = 0;
    }
    return false;
}

void survey_reach_next(struct px_survey *survey)
{
    struct reach_pair pair;
    for (uint32_t i = 0; i < REACH_AT_ONCE; i++)
        while (!survey->reach.tries[i].event && next_pair(survey, &pair))
            begin_try(survey, &survey->reach.tries[i], &pair);
}

static void reach_begin(struct px_survey *survey, const struct mig_facts *facts)
{
    struct reach *reach = &survey->reach;
    *reach = (struct reach){.at = 0};
    for (uint32_t i = 0; i < REACH_AT_ONCE; i++)
        reach->tries[i].fd = -1;
    for (uint32_t i = 0; i < facts->server_count; i++) {
        const struct mig_server_facts *server = &facts->servers[i];
        if (server->health != MIG_HEALTH_SERVING && server->health != MIG_HEALTH_FULL)
            continue;
        reach->sides[reach->server_count] = server->side;
        reach->servers[reach->server_count++] = server->id;
    }
    survey_reach_next(survey);
}

/* --- programs --- */

static void on_helper(void *arg)
{
    struct programs *programs = arg;
    programs->trouble[0] = '\0';
    for (int hook = 0; hook < CONF_HOOK_COUNT; hook++) {
        const struct conf_command *command = &programs->commands[hook];
        if (command->count == 0 || !conf_command_is_fixed(command))
            continue;
        const char *path = conf_command_argument(command, 0);
        const char *why = conf_program_trouble(path);
        if (why[0] != '\0')
            mig_text_add(programs->trouble, sizeof programs->trouble, "%shooks.%s: %.100s: %s",
                         programs->trouble[0] != '\0' ? "; " : "", conf_hook_name((enum conf_hook)hook), path,
                         why);
    }
}

static void on_looked(void *arg)
{
    struct programs *programs = arg;
    programs->is_pending = false;
    survey_check(programs->owner);
}

static void programs_begin(struct px_survey *survey)
{
    struct programs *programs = &survey->programs;
    bool has_any = false;
    programs->is_seen = !programs->is_pending;
    if (programs->is_pending)
        return; /* the disk of the survey before has not answered yet */
    programs->owner = survey;
    programs->trouble[0] = '\0';
    memcpy(programs->commands, survey->here.hooks, sizeof programs->commands);
    for (int hook = 0; hook < CONF_HOOK_COUNT; hook++)
        has_any = has_any || programs->commands[hook].count > 0;
    if (!has_any)
        return;
    programs->is_pending = mig_helper_submit(survey->parts.helper, on_helper, on_looked, programs) == RC_OK;
    programs->is_seen = programs->is_pending;
}

/* --- both --- */

void survey_here_begin(struct px_survey *survey, const struct mig_facts *facts)
{
    reach_begin(survey, facts);
    programs_begin(survey);
}

bool survey_here_is_over(const struct px_survey *survey)
{
    return survey->reach.pending == 0 && !survey->programs.is_pending;
}

/* What has not ended at the deadline is told as what it is. */
void survey_here_end(struct px_survey *survey, struct mig_survey *ret_survey)
{
    for (uint32_t i = 0; i < REACH_AT_ONCE; i++)
        if (survey->reach.tries[i].event)
            note(survey, &survey->reach.tries[i], "no answer in time");
    struct reach_pair pair;
    while (next_pair(survey, &pair)) {
        struct reach_try untried = {.server = pair.server};
        snprintf(untried.from, sizeof untried.from, "%s", pair.from);
        note(survey, &untried, "not tried in time");
    }
    if (survey->programs.is_pending || !survey->programs.is_seen)
        mig_text_set(ret_survey->programs, sizeof ret_survey->programs, "%s",
                     "whether they can be run was not seen in time");
    else
        mig_text_set(ret_survey->programs, sizeof ret_survey->programs, "%s", survey->programs.trouble);
    survey_here_close(survey);
}

void survey_here_close(struct px_survey *survey)
{
    for (uint32_t i = 0; i < REACH_AT_ONCE; i++)
        if (survey->reach.tries[i].event)
            close_try(&survey->reach.tries[i]);
    survey->reach.pending = 0;
    survey->reach.server_count = 0;
}
