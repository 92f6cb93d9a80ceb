/* One four-letter word: connect, send 4 bytes, read until the server closes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "migrate/monotonic.h"
#include "migrate/probe/probe_int.h"
#include "migrate/sockets.h"
#include "zkproto/assert.h"

static void failed(struct mig_prober *prober, int error)
{
    if (mig_socket_is_short(error))
        probe_over(prober, MIG_PROBE_KIND_NOT_ASKED, strerror(error));
    else if (error == ECONNREFUSED)
        probe_over(prober, MIG_PROBE_KIND_CONN_REFUSED, "");
    else if (error == ECONNRESET || error == EPIPE) /* a connection limit closes like this */
        probe_over(prober, MIG_PROBE_KIND_EMPTY, "");
    else if (error == ETIMEDOUT)
        probe_over(prober, MIG_PROBE_KIND_TIMED_OUT, "");
    else
        probe_over(prober, MIG_PROBE_KIND_UNREACHABLE, strerror(error));
}

static void close_socket(struct probe_question *q)
{
    if (q->io != NULL)
        event_free(q->io);
    q->io = NULL;
    if (q->fd >= 0)
        close(q->fd);
    q->fd = -1;
}

static void not_allowed(struct mig_prober *prober)
{
    close_socket(&prober->question);
    enum rc rc = probe_ask_admin(prober);
    if (rc == RC_NOT_FOUND)
        probe_over(prober, MIG_PROBE_KIND_NOT_ALLOWED, "not in 4lw.commands.whitelist");
    else if (rc == RC_NOMEM || rc == RC_FULL)
        probe_over(prober, MIG_PROBE_KIND_NOT_ASKED, rc == RC_FULL ? strerror(errno) : rc_text(rc));
    else if (rc != RC_OK)
        probe_over(prober, MIG_PROBE_KIND_NOT_ALLOWED, "AdminServer could not be asked");
}

static void complete(struct mig_prober *prober)
{
    const struct probe_question *q = &prober->question;
    struct zkp_slice text = zkp_slice_of(q->text, q->length);
    switch (zkp_answer_kind(text)) {
    case ZKP_ANSWER_DATA:
        if (probe_parse_text(q->word, text, prober->parsed) == RC_OK)
            probe_over(prober, MIG_PROBE_KIND_DATA, "");
        else
            probe_over(prober, MIG_PROBE_KIND_MALFORMED, "");
        return;
    case ZKP_ANSWER_NOT_SERVING:
        probe_over(prober, MIG_PROBE_KIND_NOT_SERVING, "");
        return;
    case ZKP_ANSWER_NOT_ALLOWED:
        not_allowed(prober);
        return;
    case ZKP_ANSWER_EMPTY:
    case ZKP_ANSWER_COUNT:
        /* cons without connections can't be: the asker is one */
        probe_over(prober, MIG_PROBE_KIND_EMPTY, "");
        return;
    }
}

static enum rc grow(struct probe_question *q)
{
    uint32_t capacity = q->capacity == 0 ? 4096 : q->capacity * 2;
    if (q->length < q->capacity)
        return RC_OK;
    if (capacity > PROBE_ANSWER_MAX)
        return RC_TOO_BIG;
    uint8_t *text = realloc(q->text, capacity);
    if (text == NULL)
        return RC_NOMEM;
    q->text = text;
    q->capacity = capacity;
    return RC_OK;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct mig_prober *prober = arg;
    struct probe_question *q = &prober->question;
    enum rc rc = grow(q);
    if (rc == RC_TOO_BIG)
        probe_over(prober, MIG_PROBE_KIND_MALFORMED, "the answer is too long");
    else if (rc != RC_OK)
        failed(prober, ENOMEM);
    if (rc != RC_OK)
        return;
    ssize_t n = read(fd, q->text + q->length, q->capacity - q->length);
    if (n > 0)
        q->length += (uint32_t)n;
    else if (n == 0 || (errno == ECONNRESET && q->length > 0))
        complete(prober);
    else if (errno != EAGAIN && errno != EINTR)
        failed(prober, errno);
}

static void on_connected(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct mig_prober *prober = arg;
    struct probe_question *q = &prober->question;
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 || error != 0) {
        failed(prober, error != 0 ? error : errno);
        return;
    }
    if (send(fd, zkp_word_text(q->word), 4, MSG_NOSIGNAL) != 4) { /* a fresh socket has room for 4 bytes */
        failed(prober, errno);
        return;
    }
    event_free(q->io);
    q->io = event_new(prober->base, fd, EV_READ | EV_PERSIST, on_readable, prober);
    if (q->io == NULL || event_add(q->io, NULL) < 0)
        failed(prober, ENOMEM);
}

/* 0, or errno. */
static int begin(struct mig_prober *prober)
{
    struct probe_question *q = &prober->question;
    const struct sockaddr *address = (const struct sockaddr *)&q->address.storage;
    q->fd = mig_socket_new(address->sa_family);
    if (q->fd < 0)
        return errno;
    if (connect(q->fd, address, q->address.length) < 0 && errno != EINPROGRESS)
        return errno;
    q->io = event_new(prober->base, q->fd, EV_WRITE, on_connected, prober);
    return q->io != NULL && event_add(q->io, NULL) == 0 ? 0 : ENOMEM;
}

/* No word says this. */
static void ask_admin_only(struct mig_prober *prober)
{
    enum rc rc = probe_ask_admin(prober);
    if (rc == RC_NOT_FOUND)
        probe_over(prober, MIG_PROBE_KIND_NOT_ALLOWED, "AdminServer is not used");
    else if (rc != RC_OK)
        probe_over(prober, MIG_PROBE_KIND_NOT_ALLOWED, "AdminServer could not be asked");
}

void probe_ask(struct mig_prober *prober, enum zkp_word word, int64_t now_ms)
{
    ASSERT(prober->question.word == ZKP_WORD_NONE);
    prober->question = (struct probe_question){.word = word,
                                               .asked_at_ms = now_ms,
                                               .deadline_ms = now_ms + prober->options.timeout_ms,
                                               .address = prober->address,
                                               .fd = -1};
    if (word == ZKP_WORD_ENVI) {
        ask_admin_only(prober);
        return;
    }
    int error = begin(prober);
    if (error != 0)
        failed(prober, error);
}

void probe_question_done(struct mig_prober *prober)
{
    struct probe_question *q = &prober->question;
    close_socket(q);
    probe_admin_done(q);
    free(q->text);
    *q = (struct probe_question){.word = ZKP_WORD_NONE, .fd = -1};
}
