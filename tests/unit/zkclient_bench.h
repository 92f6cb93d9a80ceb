/* A fake ZooKeeper server in the same loop as the admin connection (migrate/zkclient/zkclient.h), and the
 * connection's owner: what was asked, what came back. Header only; setup and teardown of one test each. */
#ifndef TESTS_UNIT_ZKCLIENT_BENCH_H
#define TESTS_UNIT_ZKCLIENT_BENCH_H

#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "migrate/monotonic.h"
#include "migrate/zkclient/zkclient.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/zkerr.h"

#define SESSION       0x1000000a5
#define TIMEOUT_MS    3000
#define SOON_MS       60000 /* an answer comes: only bounds a hang */
#define SENT_MS       1000  /* none will come, and the request must be on its way by then */
#define NEVER_MS      50    /* none will come, nor can it be sent */
#define OPS_MAX       64u
#define CLOSE_SESSION (-11)
#define CONNECT_TYPE  0

enum connect_mode {
    CONNECT_OK,
    CONNECT_OLD,
    CONNECT_READ_ONLY,
    CONNECT_EXPIRED,
    CONNECT_SILENT,
    CONNECT_END
};
enum op_mode { OP_ANSWER, OP_SILENT, OP_CLOSE }; /* what is done with frames behind the handshake */

struct world {
    struct event_base *base;
    struct evconnlistener *listener;
    struct event *io; /* the newest connection's */
    int fd;           /* -1 = none */
    uint8_t in[8192];
    uint32_t length;
    bool is_shaken;
    uint32_t accepted;
    enum connect_mode connect_mode;
    enum op_mode op_mode;
    int32_t errs[128]; /* the answer per opcode */
    uint32_t close_at; /* OP_CLOSE from the close_at-th of these frames on */
    /* Sends something else instead of an answer; type CONNECT_TYPE: to a ConnectRequest. NULL = nobody does.
     */
    void (*forge)(struct world *w, struct zkp_request_header header, struct zkp_slice genuine);
    bool ignores_close;    /* a closeSession is not heard */
    const char *config;    /* what getData and reconfig give */
    int64_t asked_session; /* of the last ConnectRequest */
    uint32_t op_count;     /* without auth and ping */
    int32_t ops[OPS_MAX];
    struct mig_address address;
    struct mig_zk *zk;
    uint32_t results;
    struct mig_zk_result last;
    char text[MIG_ZK_TEXT_MAX];
    uint32_t servers; /* in the last config, 0 = none came */
    bool has_node;
    struct mig_node node;   /* the last one */
    char names[64];         /* the last ones, with blanks between them */
    const char *acl_scheme; /* of getACL's one entry; NULL = world:anyone */
    int32_t acl_perms;      /* 0 = all */
    uint32_t torn;          /* so many getACL more come with another Stat than the data */
    bool free_in_done;
    bool ask_in_done;
    bool has_stat;
    char data[64]; /* the last one, "-" = none */
    uint32_t expired;
    uint32_t changes;
    uint32_t changes_at_done; /* told when the last result came */
    enum mig_zk_state state;
    uint32_t name_count; /* the last ones */
    uint32_t logs;
    char log[MIG_ZK_TEXT_MAX]; /* the last one */
    char why[MIG_ZK_TEXT_MAX]; /* of the last state */
};

/* --- the fake server -------------------------------------------------------------------------------------
 */

static void hang_up(struct world *w)
{
    if (w->fd < 0)
        return;
    event_free(w->io);
    close(w->fd);
    w->fd = -1;
}

static void send_all(struct world *w, const void *bytes, uint32_t length)
{
    assert_int_equal(write(w->fd, bytes, length), length);
}

static void send_answer(struct world *w, struct zkp_request_header header, const void *bytes, uint32_t length)
{
    if (w->forge != NULL)
        w->forge(w, header, zkp_slice_of(bytes, length));
    else
        send_all(w, bytes, length);
}

static void shake_hands(struct world *w, struct zkp_slice body)
{
    struct zkp_connect_request request;
    uint8_t frame[ZKP_CONNECT_FRAME_MAX];
    uint8_t password[ZKP_PASSWORD_LEN] = {1, 2, 3};
    assert_int_equal(zkp_connect_request_decode(body, &request), RC_OK);
    w->asked_session = request.session_id;
    w->is_shaken = true;
    if (w->connect_mode == CONNECT_SILENT)
        return;
    struct zkp_connect_response response = {.timeout_ms = TIMEOUT_MS,
                                            .session_id = SESSION,
                                            .password = zkp_slice_of(password, sizeof password),
                                            .has_read_only = w->connect_mode != CONNECT_OLD,
                                            .read_only = w->connect_mode == CONNECT_READ_ONLY};
    uint32_t length = w->connect_mode == CONNECT_EXPIRED
                          ? zkp_connect_expired_frame(request.has_read_only, frame, sizeof frame)
                          : zkp_connect_response_frame(&response, frame, sizeof frame);
    send_answer(w, (struct zkp_request_header){.type = CONNECT_TYPE}, frame, length);
}

/* What getACL, getChildren, sync and create give in front of their Stat, if they have one. */
static void answer_read(struct world *w, int32_t type, struct zkp_wr *wr)
{
    uint8_t stat[68] = {0};
    if (type == 6) {
        zkp_wr_i32(wr, 1);
        zkp_wr_i32(wr, w->acl_perms != 0 ? w->acl_perms : 31);
        zkp_wr_buf(wr, zkp_slice_str(w->acl_scheme != NULL ? w->acl_scheme : "world"));
        zkp_wr_buf(wr, zkp_slice_str("anyone"));
    }
    if (type == 6 && w->torn > 0)
        stat[43] = (uint8_t)w->torn--; /* aversion */
    if (type == 3 || type == 6)
        zkp_wr_raw(wr, zkp_slice_of(stat, sizeof stat));
    if (type == 8) {
        zkp_wr_i32(wr, 2);
        zkp_wr_buf(wr, zkp_slice_str("b"));
        zkp_wr_buf(wr, zkp_slice_str("a"));
    }
    if (type == 9 || type == 1)
        zkp_wr_buf(wr, zkp_slice_str("/n"));
}

static void answer(struct world *w, struct zkp_request_header header)
{
    uint8_t frame[1024];
    static const uint8_t stat[68];
    struct zkp_wr wr = zkp_wr_over(frame, sizeof frame);
    uint8_t *mark = zkp_wr_frame_begin(&wr);
    bool is_known = header.type >= 0 && header.type < 128;
    int32_t err = is_known ? w->errs[header.type] : 0;
    zkp_wr_i32(&wr, header.xid);
    zkp_wr_i64(&wr, 0x100000001);
    zkp_wr_i32(&wr, err);
    if (err == 0 && (header.type == 4 || header.type == 16))
        zkp_wr_buf(&wr, zkp_slice_str(w->config));
    if (err == 0 && (header.type == 4 || header.type == 16 || header.type == 5))
        zkp_wr_raw(&wr, zkp_slice_of(stat, sizeof stat));
    if (err == 0)
        answer_read(w, header.type, &wr);
    zkp_wr_frame_end(&wr, mark);
    assert_int_equal(zkp_wr_done(&wr), RC_OK);
    send_answer(w, header, frame, zkp_wr_len(&wr));
}

static void on_frame(struct world *w, struct zkp_slice body)
{
    struct zkp_request_header header;
    if (!w->is_shaken) {
        shake_hands(w, body);
        return;
    }
    assert_int_equal(zkp_request_header_decode(body, &header), RC_OK);
    if (header.type == 100 || header.type == 11) {
        answer(w, header);
        return;
    }
    assert_in_range(w->op_count, 0, OPS_MAX - 1);
    w->ops[w->op_count++] = header.type;
    if (header.type == CLOSE_SESSION && w->ignores_close)
        return;
    if ((w->op_mode == OP_CLOSE && w->op_count >= w->close_at) || header.type == CLOSE_SESSION)
        hang_up(w);
    else if (w->op_mode != OP_SILENT)
        answer(w, header);
}

static void on_bytes(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct world *w = arg;
    ssize_t n = read(fd, w->in + w->length, sizeof w->in - w->length);
    if (n <= 0) {
        hang_up(w);
        return;
    }
    w->length += (uint32_t)n;
    struct zkp_frame frame;
    while (w->fd >= 0 && zkp_frame_peek(zkp_slice_of(w->in, w->length), 4096, &frame) == RC_OK &&
           frame.body.len == frame.length) {
        on_frame(w, frame.body);
        w->length -= 4 + frame.length;
        memmove(w->in, w->in + 4 + frame.length, w->length);
    }
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int length, void *arg)
{
    (void)listener;
    (void)address;
    (void)length;
    struct world *w = arg;
    hang_up(w);
    w->accepted++;
    if (w->connect_mode == CONNECT_END) {
        close(fd);
        return;
    }
    w->fd = fd;
    w->length = 0;
    w->is_shaken = false;
    w->io = event_new(w->base, fd, EV_READ | EV_PERSIST, on_bytes, w);
    event_add(w->io, NULL);
}

/* --- the owner -------------------------------------------------------------------------------------------
 */

static void keep_read(struct world *w, const struct mig_zk_result *result)
{
    w->has_node = result->node != NULL;
    if (w->has_node)
        w->node = *result->node;
    w->has_stat = result->stat != NULL;
    snprintf(w->data, sizeof w->data, "%s", result->data != NULL ? result->data : "-");
    w->names[0] = '\0';
    w->name_count = result->names != NULL ? result->names->count : 0;
    const char *name = result->names != NULL ? result->names->bytes : "";
    for (uint32_t i = 0; result->names != NULL && i < result->names->count && i < 16;
         i++, name += strlen(name) + 1)
        snprintf(w->names + strlen(w->names), sizeof w->names - strlen(w->names), "%s ", name);
}

static void on_done(void *context, const struct mig_zk_result *result)
{
    struct world *w = context;
    w->results++;
    w->last = *result;
    w->changes_at_done = w->changes;
    keep_read(w, result);
    w->servers = result->config != NULL ? result->config->server_count : 0;
    snprintf(w->text, sizeof w->text, "%s", result->text);
    if (w->ask_in_done) {
        w->ask_in_done = false;
        assert_int_equal(mig_zk_request(w->zk, MIG_ZK_SYNC, 99, mig_now_ms() + SOON_MS), RC_OK);
    }
    if (w->free_in_done) {
        mig_zk_free(w->zk);
        w->zk = NULL;
    }
}

static void on_state(void *context, enum mig_zk_state state, const char *why)
{
    struct world *w = context;
    assert_true(state == MIG_ZK_CONNECTED ? why[0] == '\0' : why[0] != '\0');
    snprintf(w->why, sizeof w->why, "%s", why);
    w->state = state;
}

static void on_expired(void *context)
{
    struct world *w = context;
    w->expired++;
}

static void on_changed(void *context)
{
    struct world *w = context;
    w->changes++;
}

static void on_log(void *context, enum mig_zk_level level, const char *text)
{
    (void)level;
    struct world *w = context;
    assert_null(strstr(text, "ZOO_"));
    assert_null(strchr(text, '\n'));
    snprintf(w->log, sizeof w->log, "%s", text);
    w->logs++;
}

static void open_zk(struct world *w, const struct mig_zk_session *session)
{
    struct mig_zk_options options = {.address = w->address,
                                     .super = "super:secret",
                                     .timeout_ms = TIMEOUT_MS,
                                     .state_root = "/zookeeper/x"};
    const struct mig_zk_callbacks callbacks = {.context = w,
                                               .done = on_done,
                                               .state = on_state,
                                               .expired = on_expired,
                                               .changed = on_changed,
                                               .log = on_log};
    struct err err;
    if (session != NULL)
        options.session = *session;
    assert_int_equal(mig_zk_new(w->base, &options, &callbacks, &w->zk, &err), RC_OK);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    if (w == NULL)
        return -1;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof any;
    signal(SIGPIPE, SIG_IGN); /* as the daemon has it */
    w->fd = -1;
    w->config = "server.1=a:1:2:participant;a:3\nserver.2=b:1:2:participant;b:3\nversion=100000000";
    w->errs[5] = ZKP_ERR_NO_NODE;
    w->base = event_base_new();
    w->listener = evconnlistener_new_bind(w->base, on_accept, w, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 8,
                                          (struct sockaddr *)&any, sizeof any);
    *state = w;
    if (w->listener == NULL ||
        getsockname(evconnlistener_get_fd(w->listener), (struct sockaddr *)&any, &length) < 0 ||
        mig_address_numeric("127.0.0.1", ntohs(any.sin_port), &w->address) != RC_OK)
        return -1;
    open_zk(w, NULL);
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    if (w->zk != NULL) {
        struct mig_zk_session session;
        mig_zk_detach(w->zk, &session);
    }
    hang_up(w);
    evconnlistener_free(w->listener);
    mig_zk_finish(w->base);
    event_base_loop(w->base, EVLOOP_NONBLOCK); /* bufferevents are given back by the loop */
    event_base_free(w->base);
    free(w);
    return 0;
}

static void turn(struct world *w)
{
    assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
}

static void wait_results(struct world *w, uint32_t count)
{
    while (w->results < count)
        turn(w);
}

static void wait_connected(struct world *w)
{
    while (w->state != MIG_ZK_CONNECTED)
        turn(w);
}

#endif
