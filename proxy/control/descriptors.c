/* See descriptors.h. */
#include "proxy/control/descriptors.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/resource.h>

#include "proxy/admin/admin.h"
#include "proxy/control/port/words.h"
#include "proxy/log.h"

#define PER_SESSION 2 /* its client, its server; one more while it changes servers */
/* At most so many are on their way to a new server at once, and then to the next one: as many again wait for
 * the last events of the old one. */
#define MOVES       (2 * (int64_t)PX_CONNECTS_MAX)
#define OWN_SESSION 4 /* to the server; of the client library, its two ends and where it connects to */
#define PER_SERVER  (2 + 3 * OWN_SESSION) /* two probes, an admin session, a verification, a survey */
#define OTHERS      30 /* plan lock, witness, a hook's pipes, files of journal, report and resolver, reload */
#define FIXED_GUESS 64 /* where /proc is not there */
#define TOLD_MS     10000

void px_descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit); /* what it is now is read and said below */
}

int64_t px_descriptors_reserve(int64_t limit, uint32_t server_count)
{
    int64_t wanted = PX_ADMIN_CONNECTIONS_MAX + PX_WORDS_MAX + PER_SERVER * (int64_t)server_count + OTHERS;

    return wanted < limit / 4 ? wanted : limit / 4; /* where there are few, clients get some, too */
}

int64_t px_descriptors_needed(int64_t session_max, int64_t fixed, uint32_t server_count)
{
    return session_max * PER_SESSION + MOVES + fixed + px_descriptors_reserve(INT64_MAX, server_count);
}

static int64_t limit_now(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > (rlim_t)INT32_MAX)
        return INT32_MAX; /* more than the kernel gives to any process */
    return (int64_t)limit.rlim_cur;
}

static int64_t count_open(void)
{
    DIR *directory = opendir("/proc/self/fd");
    int64_t count = 0;

    if (directory == NULL)
        return FIXED_GUESS;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count - 3; /* "." and "..", and the directory itself */
}

void px_descriptors_judge(struct px_descriptors *descriptors, const struct conf *conf)
{
    int64_t for_sessions;

    descriptors->server_count = conf->source.count + conf->target.count;
    descriptors->needed =
        px_descriptors_needed(conf->session_max, descriptors->fixed, descriptors->server_count);
    px_descriptors_look(descriptors);
    for_sessions = (descriptors->limit - descriptors->fixed - descriptors->reserve - MOVES) / PER_SESSION;
    if (for_sessions < conf->session_max)
        px_log(PX_LOG_WARN, "descriptors.few",
               "limit=%" PRId64 " needed=%" PRId64 " sessions=%d sessions_possible=%" PRId64
               " what=\"raise the hard limit (LimitNOFILE=, ulimit -Hn) to `needed` and restart, or lower "
               "limits.sessions; until then clients beyond sessions_possible wait unaccepted\"",
               descriptors->limit, descriptors->needed, (int)conf->session_max,
               for_sessions > 0 ? for_sessions : 0);
    else
        px_log(PX_LOG_INFO, "descriptors", "limit=%" PRId64 " needed=%" PRId64 " sessions=%d",
               descriptors->limit, descriptors->needed, (int)conf->session_max);
}

void px_descriptors_begin(struct px_descriptors *descriptors, struct px_shared *shared,
                          const struct conf *conf)
{
    *descriptors = (struct px_descriptors){.shared = shared, .fixed = count_open()};
    px_descriptors_judge(descriptors, conf);
}

void px_descriptors_look(struct px_descriptors *descriptors)
{
    int64_t max;

    descriptors->limit = limit_now();
    descriptors->reserve = px_descriptors_reserve(descriptors->limit, descriptors->server_count);
    max = descriptors->limit - descriptors->fixed - descriptors->reserve;
    px_shared_descriptors_limit(descriptors->shared, max > 0 ? max : 1);
}

static int64_t open_now(const struct px_descriptors *descriptors)
{
    return descriptors->fixed + px_shared_descriptors(descriptors->shared);
}

bool px_descriptors_is_short(const struct px_descriptors *descriptors, const struct px_crew_totals *totals)
{
    int64_t promised = (int64_t)totals->clients - totals->sessions + totals->detached;
    int64_t left;

    if (descriptors->shared == NULL)
        return false; /* not begun */
    left = descriptors->limit - open_now(descriptors) - descriptors->reserve - MOVES;
    return left - (promised > 0 ? promised : 0) < PER_SESSION;
}

bool px_descriptors_may_accept(struct px_descriptors *descriptors, const struct px_crew_totals *totals,
                               int64_t now_ms)
{
    px_descriptors_look(descriptors);
    if (!px_descriptors_is_short(descriptors, totals))
        return true;
    descriptors->pauses++;
    if (descriptors->told_ms == 0 || now_ms - descriptors->told_ms >= TOLD_MS) {
        descriptors->told_ms = now_ms;
        px_log(
            PX_LOG_ERROR, "accept.paused",
            "limit=%" PRId64 " open=%" PRId64 " kept=%" PRId64 " clients=%u needed=%" PRId64
            " what=\"clients wait in the listen queue until others have gone; raise the limit to `needed`\"",
            descriptors->limit, open_now(descriptors), descriptors->reserve + MOVES, totals->clients,
            descriptors->needed);
    }
    return false;
}
