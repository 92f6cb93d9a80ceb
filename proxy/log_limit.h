/* How many lines of one kind one source may cause: whoever makes the daemon log, a client by connecting, a
 * server by flapping, must not crowd out what others have to say, nor fill the disk. Pure: a table and the
 * time it is given. One per thread; not here: lines (log.c). */
#ifndef PROXY_LOG_LIMIT_H
#define PROXY_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define PX_LOG_SOURCE_MAX 48u

/* Lines at once, and per second afterwards: of one event from one source, and of one event from all. */
#define PX_LOG_SOURCE_BURST 20
#define PX_LOG_SOURCE_RATE  2
#define PX_LOG_EVENT_BURST  200
#define PX_LOG_EVENT_RATE   20
#define PX_LOG_LIMIT_ROWS   256u /* power of two; the one that was quiet for longest gives way */
#define PX_LOG_LIMIT_PROBES 8u
#define PX_LOG_LIMIT_KINDS  128u /* as many as there are literals, and room */

struct px_log_limit_row {
    const char *event; /* the literal; NULL = free */
    char source[PX_LOG_SOURCE_MAX];
    int32_t tokens_milli;
    uint32_t left_out; /* since the last line that went out */
    int64_t at_ms;     /* when tokens_milli was right; also when it was last asked */
};

struct px_log_limit {
    struct px_log_limit_row rows[PX_LOG_LIMIT_ROWS];   /* by event and source */
    struct px_log_limit_row kinds[PX_LOG_LIMIT_KINDS]; /* by event; these never give way */
};

/* Whether the line may go out. source: "" = none. ret_left_out: how many of its kind were left out since the
 * last one that did, 0 unless it may. */
bool px_log_limit_take(struct px_log_limit *limit, const char *event, const char *source, int64_t now_ms,
                       uint32_t *ret_left_out);
/* The next row whose left-out lines nobody has told of for a while, and forgets them; NULL = none is left.
 * Its strings are good until the next call. */
const struct px_log_limit_row *px_log_limit_next(struct px_log_limit *limit, int64_t now_ms,
                                                 uint32_t *ret_left_out);
/* Never limited: what an operator's own doing causes, and what tells of plans. */
bool px_log_limit_exempts(const char *event);

#endif
