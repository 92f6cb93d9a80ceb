/* The list of unanswered requests: started when the connection stands, advanced when the library answers,
 * ended by their deadline, reported outside of the library. A request whose deadline has passed stays until
 * the library has given up its pointer too. */
#include <stdio.h>
#include <stdlib.h>

#include "migrate/zkclient/zkclient_int.h"
#include "zkproto/assert.h"
#include "zkproto/zkerr.h"

/* --- the library's answers: noted here, handled by zk_requests_run ------------------------------------- */

static void answer(const void *data, int err, const char *value, int length, const struct Stat *stat)
{
    struct zk_request *r = (struct zk_request *)(uintptr_t)data;
    ASSERT(r->is_called);
    r->is_called = false;
    r->has_answer = true;
    r->answer_err = err;
    free(r->data);
    r->data = NULL;
    r->data_length = 0;
    if (stat != NULL)
        r->stat = *stat;
    if (value == NULL || length <= 0 || (uint32_t)length > ZK_CONFIG_MAX)
        return;
    r->data = malloc((size_t)length + 1);
    if (r->data == NULL) {
        r->answer_err = ZSYSTEMERROR;
        return;
    }
    memcpy(r->data, value, (size_t)length);
    r->data[length] = '\0';
    r->data_length = (uint32_t)length;
}

void zk_answer(struct zk_request *r, int err, const struct Stat *stat)
{
    answer(r, err, NULL, 0, stat);
}

void zk_on_void(int err, const void *data)
{
    answer(data, err, NULL, 0, NULL);
}

void zk_on_stat(int err, const struct Stat *stat, const void *data)
{
    answer(data, err, NULL, 0, stat);
}

void zk_on_data(int err, const char *value, int length, const struct Stat *stat, const void *data)
{
    answer(data, err, value, length, stat);
}

void zk_on_string(int err, const char *value, const void *data)
{
    (void)value;
    answer(data, err, NULL, 0, NULL);
}

void zk_called(struct zk_request *r, int stage, int err)
{
    r->stage = stage;
    r->has_answer = false;
    r->is_called = true;
    if (err != ZOK)
        answer(r, err, NULL, 0, NULL);
}

/* --- results ---------------------------------------------------------------------------------------------
 */

void zk_done(struct zk_request *r, enum rc rc, int32_t zk_err, const char *text)
{
    if (r->is_done)
        return;
    r->is_done = true;
    r->rc = rc;
    r->zk_err = zk_err;
    snprintf(r->text, sizeof r->text, "%s", text);
}

bool zk_err_is_servers(int err)
{
    switch (err) {
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZCLOSING:
    case ZINVALIDSTATE:
    case ZSESSIONEXPIRED:
    case ZAUTHFAILED:
    case ZSYSTEMERROR:
    case ZRUNTIMEINCONSISTENCY:
    case ZMARSHALLINGERROR:
        return false; /* made inside the library, or not telling whether something was done */
    default:
        return true;
    }
}

const char *zk_err_text(const struct zk_request *r)
{
    bool is_refused = r->answer_err == ZCONNECTIONLOSS && r->zk->refusal[0] != '\0';
    return is_refused ? r->zk->refusal : zerror(r->answer_err);
}

void zk_done_failed(struct zk_request *r)
{
    int err = r->answer_err;
    if (zk_err_is_servers(err))
        zk_done(r, RC_REFUSED, err, zkp_err_name(err));
    else
        zk_done(r, err == ZOPERATIONTIMEOUT ? RC_TIMEOUT : RC_IO, 0, zk_err_text(r));
}

static void time_out(struct zk_request *r)
{
    bool may_be_done = r->op == MIG_ZK_RECONFIG || r->op == MIG_ZK_PROBE_RECONFIG || r->op == MIG_ZK_SET;
    if (r->stage == 0)
        zk_done(r, may_be_done ? RC_IO : RC_TIMEOUT, 0,
                "not connected before the deadline, nothing was sent");
    else
        zk_done(r, may_be_done ? RC_UNKNOWN : RC_TIMEOUT, 0, "no answer before the deadline");
}

void zk_request_free(struct mig_zk *zk, struct zk_request *r)
{
    DL_DELETE(zk->requests, r);
    zk->request_count--;
    free(r->data);
    free(r->joining);
    free(r->leaving);
    free(r->config);
    free(r->path);
    free(r->value);
    free((void *)(uintptr_t)r->names.bytes);
    free(r);
}

/* --- the list --------------------------------------------------------------------------------------------
 */

static bool is_runnable(const struct zk_request *r, int64_t now_ms)
{
    return !r->is_done &&
           (r->has_answer || (r->stage == 0 && r->zk->is_connected && now_ms < r->deadline_ms));
}

static void run_one(struct zk_request *r, int64_t now_ms)
{
    while (is_runnable(r, now_ms)) /* again when a call failed at once */
        zk_op_advance(r);
    if (!r->is_done && now_ms >= r->deadline_ms)
        time_out(r);
}

void zk_requests_run(struct mig_zk *zk, int64_t now_ms)
{
    struct zk_request *r;
    struct zk_request *next;
    DL_FOREACH_SAFE(zk->requests, r, next)
    {
        run_one(r, now_ms);
        if (r->is_reported && !r->is_called)
            zk_request_free(zk, r);
    }
}

static struct zk_request *first_done(struct mig_zk *zk)
{
    struct zk_request *r;
    DL_FOREACH(zk->requests, r)
    if (r->is_done && !r->is_reported)
        return r;
    return NULL;
}

void zk_requests_report(struct mig_zk *zk)
{
    struct zk_request *r;
    while (!zk->is_freed && (r = first_done(zk)) != NULL) {
        bool is_ok = r->rc == RC_OK;
        bool has_stat = is_ok && (r->op == MIG_ZK_SET || r->op == MIG_ZK_GET_WATCHED);
        bool has_data = is_ok && r->op == MIG_ZK_GET_WATCHED;
        struct mig_zk_result result = {.seq = r->seq,
                                       .op = r->op,
                                       .rc = r->rc,
                                       .zk_err = r->zk_err,
                                       .config = is_ok ? r->config : NULL,
                                       .node = is_ok && r->op == MIG_ZK_READ_NODE ? &r->node : NULL,
                                       .names = is_ok && r->op == MIG_ZK_READ_CHILDREN ? &r->names : NULL,
                                       .stat = has_stat ? &r->seen : NULL,
                                       .data = has_data ? (r->data != NULL ? r->data : "") : NULL,
                                       .text = r->text};
        r->is_reported = true;
        zk->callbacks.done(zk->callbacks.context, &result);
        if (!r->is_called)
            zk_request_free(zk, r);
    }
}

int64_t zk_requests_deadline(const struct mig_zk *zk)
{
    int64_t first = INT64_MAX;
    const struct zk_request *r;
    DL_FOREACH(zk->requests, r)
    if (!r->is_done && r->deadline_ms < first)
        first = r->deadline_ms;
    return first;
}

void zk_requests_free(struct mig_zk *zk)
{
    struct zk_request *r;
    struct zk_request *next;
    DL_FOREACH_SAFE(zk->requests, r, next)
    zk_request_free(zk, r);
}

/* --- the owner's side ------------------------------------------------------------------------------------
 */

enum rc zk_request_new(struct mig_zk *zk, enum mig_zk_op op, uint64_t seq, int64_t deadline_ms,
                       struct zk_request **ret_request)
{
    ASSERT(!zk->is_freed);
    if (zk->request_count >= MIG_ZK_REQUESTS_MAX)
        return RC_FULL;
    struct zk_request *r = calloc(1, sizeof *r);
    if (r == NULL)
        return RC_NOMEM;
    r->zk = zk;
    r->op = op;
    r->seq = seq;
    r->deadline_ms = deadline_ms;
    DL_APPEND(zk->requests, r);
    zk->request_count++;
    zk_schedule(zk);
    if (ret_request != NULL)
        *ret_request = r;
    return RC_OK;
}

enum rc mig_zk_request(struct mig_zk *zk, enum mig_zk_op op, uint64_t seq, int64_t deadline_ms)
{
    ASSERT(op != MIG_ZK_RECONFIG && op != MIG_ZK_LOCK && op < MIG_ZK_READ_NODE); /* these have arguments */
    return zk_request_new(zk, op, seq, deadline_ms, NULL);
}

/* Two texts the request owns; the request goes when there is no memory for them. */
static enum rc keep_texts(struct mig_zk *zk, struct zk_request *r, const char *joining, const char *leaving)
{
    r->joining = strdup(joining);
    r->leaving = strdup(leaving);
    if (r->joining != NULL && r->leaving != NULL)
        return RC_OK;
    zk_request_free(zk, r);
    return RC_NOMEM;
}

enum rc mig_zk_reconfig(struct mig_zk *zk, uint64_t seq, const char *joining, const char *leaving,
                        int64_t from_version, int64_t deadline_ms)
{
    struct zk_request *r;
    enum rc rc = zk_request_new(zk, MIG_ZK_RECONFIG, seq, deadline_ms, &r);
    if (rc != RC_OK)
        return rc;
    r->from_version = from_version;
    return keep_texts(zk, r, joining, leaving);
}

enum rc mig_zk_lock(struct mig_zk *zk, uint64_t seq, const char *instance, const char *note,
                    int64_t deadline_ms)
{
    char data[ZK_LOCK_DATA_MAX];
    char own[128];
    int length = zk_lock_data(data, sizeof data, instance, note);
    int own_length = zk_lock_prefix(own, sizeof own, instance);
    if (length < 0 || own_length < 0)
        return RC_INVALID;
    struct zk_request *r;
    enum rc rc = zk_request_new(zk, MIG_ZK_LOCK, seq, deadline_ms, &r);
    return rc == RC_OK ? keep_texts(zk, r, data, own) : rc;
}
