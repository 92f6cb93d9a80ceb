/* A server's stream into the real client library, through the admin connection (migrate/zkclient): the server
 * answers genuinely until the input says otherwise, record by record, one per answer:
 *
 *     0 genuine              1 AT N BYTES  bytes replaced     2 N BYTES    these bytes instead
 *     3 N  cut to N bytes    4 N BYTES     longer by these    5 X E N BYTES  another xid, error and body
 *     6 N BYTES  genuine, and an event with this body behind it
 *
 * Checked: every request is answered once at most, nothing after the end; and whatever a sanitizer finds. */
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "migrate/monotonic.h"
#include "migrate/zkclient/zkclient.h"
#include "zkproto/assert.h"
#include "zkproto/connect.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/header.h"
#include "zkproto/opcode.h"
#include "zkproto/request.h"
#include "zkproto/zkerr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SESSION     0x1000000a5
#define TIMEOUT_MS  30000
#define DEADLINE_MS 60000 /* of requests: behind the end of every input */
#define IDLE_MS     10    /* then nothing more comes; loopback takes its time on a busy machine */
#define GENUINE_MS  60000 /* … but all that is genuine */
#define REQUESTS    11u
#define FRAME_MAX   1024u
#define LOCK_DATA   "instance=me pid=1" /* our own of an earlier session: replaced in a multi */

struct script {
    const uint8_t *pos;
    const uint8_t *end;
};

struct world {
    struct event_base *base;
    struct script script;
    int listener;
    int fd; /* -1 = none */
    bool is_over;
    bool is_shaken;
    uint8_t in[16384];
    uint32_t length;
    uint32_t progress; /* of both sides */
    uint32_t done[REQUESTS];
    uint32_t answered;
    bool is_freed;
    uint32_t creates;
};

/* --- the input --- */

static uint8_t next_byte(struct script *script)
{
    return script->pos < script->end ? *script->pos++ : 0;
}

static struct zkp_slice next_bytes(struct script *script)
{
    uint32_t length = next_byte(script);
    if (length > (size_t)(script->end - script->pos))
        length = (uint32_t)(script->end - script->pos);
    struct zkp_slice bytes = zkp_slice_of(script->pos, length);
    script->pos += length;
    return bytes;
}

/* --- the server --- */

static void put_stat(struct zkp_wr *wr)
{
    static const uint8_t stat[ZKP_STAT_LEN];
    zkp_wr_raw(wr, zkp_slice_of(stat, sizeof stat));
}

static void put_body(struct zkp_wr *wr, int32_t op)
{
    bool has_path = op == ZKP_OP_CREATE || op == ZKP_OP_SYNC || op == ZKP_OP_CREATE_TTL;
    if (has_path)
        zkp_wr_buf(wr, zkp_slice_str("/n"));
    if (op == ZKP_OP_GET_DATA || op == ZKP_OP_RECONFIG)
        zkp_wr_buf(wr, zkp_slice_str(LOCK_DATA));
    if (op == ZKP_OP_GET_ACL || op == ZKP_OP_GET_CHILDREN)
        zkp_wr_i32(wr, 1);
    if (op == ZKP_OP_GET_ACL)
        zkp_wr_i32(wr, 31);
    if (op == ZKP_OP_GET_ACL || op == ZKP_OP_GET_CHILDREN)
        zkp_wr_buf(wr, zkp_slice_str("world"));
    if (op == ZKP_OP_GET_ACL)
        zkp_wr_buf(wr, zkp_slice_str("anyone"));
    if (op == ZKP_OP_GET_DATA || op == ZKP_OP_RECONFIG || op == ZKP_OP_GET_ACL || op == ZKP_OP_EXISTS ||
        op == ZKP_OP_SET_DATA || op == ZKP_OP_CREATE_TTL)
        put_stat(wr);
}

static void put_multi_results(struct zkp_wr *wr)
{
    static const int32_t types[] = {ZKP_OP_DELETE, ZKP_OP_CREATE, -1};
    for (uint32_t i = 0; i < 3; i++) {
        zkp_wr_i32(wr, types[i]);
        zkp_wr_bool(wr, i == 2);
        zkp_wr_i32(wr, i == 2 ? -1 : 0);
        if (types[i] == ZKP_OP_CREATE)
            zkp_wr_buf(wr, zkp_slice_str("/n"));
    }
}

static uint32_t frame_of(uint8_t *frame, int32_t xid, int32_t err, struct zkp_slice body)
{
    struct zkp_wr wr = zkp_wr_over(frame, FRAME_MAX);
    uint8_t *mark = zkp_wr_frame_begin(&wr);
    zkp_wr_i32(&wr, xid);
    zkp_wr_i64(&wr, 0x100000001);
    zkp_wr_i32(&wr, err);
    zkp_wr_raw(&wr, body);
    zkp_wr_frame_end(&wr, mark);
    return zkp_wr_len(&wr);
}

static uint32_t genuine(struct world *w, struct zkp_request_header header, uint8_t *frame)
{
    uint8_t body[FRAME_MAX / 2];
    struct zkp_wr wr = zkp_wr_over(body, sizeof body);
    if (header.type == ZKP_OP_MULTI)
        put_multi_results(&wr);
    else if (header.xid > 0)
        put_body(&wr, header.type);
    bool is_taken = header.type == ZKP_OP_CREATE && w->creates++ == 0; /* the lock's */
    return frame_of(frame, header.xid, is_taken ? ZKP_ERR_NODE_EXISTS : 0,
                    is_taken ? zkp_slice_of("", 0) : zkp_slice_of(body, zkp_wr_len(&wr)));
}

static void tell(struct world *w, const void *bytes, size_t length)
{
    if (length > 0 && send(w->fd, bytes, length, MSG_NOSIGNAL) < 0)
        w->is_over = true;
}

static uint32_t cut(uint8_t *frame, uint32_t length, uint32_t wanted)
{
    if (wanted + ZKP_FRAME_PREFIX >= length)
        return length;
    zkp_store_i32(frame, (int32_t)wanted);
    return wanted + ZKP_FRAME_PREFIX;
}

static uint32_t replaced(uint8_t *frame, uint32_t length, struct script *script)
{
    uint32_t at = next_byte(script);
    struct zkp_slice bytes = next_bytes(script);
    for (uint32_t i = 0; i < bytes.len && at + i < length; i++)
        frame[at + i] = bytes.ptr[i];
    return length;
}

static uint32_t extended(uint8_t *frame, uint32_t length, struct zkp_slice bytes)
{
    memcpy(frame + length, bytes.ptr, bytes.len); /* FRAME_MAX has room for the longest */
    zkp_store_i32(frame, (int32_t)(length + bytes.len - ZKP_FRAME_PREFIX));
    return length + bytes.len;
}

/* An answer as the input wants it; frame has room for FRAME_MAX. */
static void answer(struct world *w, int32_t xid, uint8_t *frame, uint32_t length)
{
    static const int32_t xids[] = {0, ZKP_XID_EVENT, ZKP_XID_PING, ZKP_XID_AUTH, ZKP_XID_SET_WATCHES};
    struct script *script = &w->script;
    uint8_t choice;
    switch (next_byte(script) % 7) {
    case 1:
        length = replaced(frame, length, script);
        break;
    case 2: {
        struct zkp_slice bytes = next_bytes(script);
        tell(w, bytes.ptr, bytes.len);
        return;
    }
    case 3:
        length = cut(frame, length, next_byte(script));
        break;
    case 4:
        length = extended(frame, length, next_bytes(script));
        break;
    case 5:
        choice = next_byte(script);
        length = frame_of(frame, choice % 8 < 5 && choice % 8 > 0 ? xids[choice % 8] : xid + choice % 8,
                          -(int32_t)next_byte(script), next_bytes(script));
        break;
    case 6:
        tell(w, frame, length);
        length = frame_of(frame, ZKP_XID_EVENT, 0, next_bytes(script));
        break;
    default:
        break;
    }
    tell(w, frame, length);
}

static void on_frame(struct world *w, struct zkp_slice body)
{
    static const uint8_t password[ZKP_PASSWORD_LEN] = {1};
    uint8_t frame[FRAME_MAX];
    struct zkp_request_header header = {0};
    if (w->is_shaken) {
        ASSERT(zkp_request_header_decode(body, &header) == RC_OK);
        answer(w, header.xid, frame, genuine(w, header, frame));
        return;
    }
    w->is_shaken = true;
    const struct zkp_connect_response response = {.timeout_ms = TIMEOUT_MS,
                                                  .session_id = SESSION,
                                                  .password = zkp_slice_of(password, sizeof password),
                                                  .has_read_only = true};
    answer(w, 0, frame, zkp_connect_response_frame(&response, frame, sizeof frame));
}

static void serve(struct world *w)
{
    if (w->fd < 0) {
        w->fd = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        return;
    }
    ssize_t n = recv(w->fd, w->in + w->length, sizeof w->in - w->length, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        w->is_over = true;
    if (n <= 0)
        return;
    w->progress++;
    w->length += (uint32_t)n;
    struct zkp_frame frame;
    while (!w->is_over && zkp_frame_peek(zkp_slice_of(w->in, w->length), sizeof w->in, &frame) == RC_OK &&
           frame.body.len == frame.length) {
        on_frame(w, frame.body);
        w->length -= ZKP_FRAME_PREFIX + frame.length;
        memmove(w->in, w->in + ZKP_FRAME_PREFIX + frame.length, w->length);
    }
}

/* --- the owner --- */

static void on_done(void *context, const struct mig_zk_result *result)
{
    struct world *w = context;
    ASSERT(!w->is_freed && result->seq < REQUESTS && w->done[result->seq]++ == 0);
    w->answered++;
    w->progress++;
}

static void ask_all(struct mig_zk *zk)
{
    const struct mig_hash_key key = {0};
    int64_t at_ms = mig_now_ms() + DEADLINE_MS;
    bool is_asked =
        mig_zk_get_watched(zk, 0, "/n", at_ms) == RC_OK && mig_zk_lock(zk, 1, "me", "", at_ms) == RC_OK &&
        mig_zk_read_node(zk, 2, "/n", true, &key, at_ms) == RC_OK &&
        mig_zk_read_children(zk, 3, "/n", at_ms) == RC_OK &&
        mig_zk_create(zk, 4, "/n", "x", at_ms) == RC_OK && mig_zk_set(zk, 5, "/n", "x", 0, at_ms) == RC_OK &&
        mig_zk_delete(zk, 6, "/n", at_ms) == RC_OK && mig_zk_reconfig(zk, 7, "", "1", 1, at_ms) == RC_OK;
    static const enum mig_zk_op ops[] = {MIG_ZK_COMMITTED_CONFIG, MIG_ZK_PROBE_TTL, MIG_ZK_LOCK_DROP};
    for (uint32_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        is_asked = is_asked && mig_zk_request(zk, ops[i], 8 + i, at_ms) == RC_OK;
    ASSERT(is_asked);
}

static int listen_anywhere(struct mig_address *ret_address)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ASSERT(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 4) == 0 &&
           getsockname(fd, (struct sockaddr *)&at, &length) == 0);
    ASSERT(mig_address_numeric("127.0.0.1", ntohs(at.sin_port), ret_address) == RC_OK);
    return fd;
}

/* Until all is answered, the connection has ended, or nothing comes any more on either side. */
static void run(struct world *w, int64_t idle_ms)
{
    int64_t until_ms = mig_now_ms() + idle_ms;
    for (bool is_last = false; !is_last && w->answered < REQUESTS && mig_now_ms() < until_ms;) {
        uint32_t before = w->progress;
        is_last = w->is_over; /* once more: the library may have something to read */
        ASSERT(event_base_loop(w->base, EVLOOP_NONBLOCK) >= 0);
        if (!w->is_over)
            serve(w);
        if (w->progress != before)
            until_ms = mig_now_ms() + idle_ms;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.script = {.pos = data, .end = data + size}, .fd = -1};
    struct mig_zk_options options = {
        .timeout_ms = TIMEOUT_MS, .super = "super:secret", .state_root = "/zookeeper/x"};
    const struct mig_zk_callbacks callbacks = {.context = &w, .done = on_done};
    const struct linger at_once = {.l_onoff = 1};
    struct mig_zk *zk;
    struct err err;
    signal(SIGPIPE, SIG_IGN);
    w.base = event_base_new();
    ASSERT(w.base != NULL);
    w.listener = listen_anywhere(&options.address);
    ASSERT(mig_zk_new(w.base, &options, &callbacks, &zk, &err) == RC_OK);
    ask_all(zk);
    run(&w, size == 0 ? GENUINE_MS : IDLE_MS);
    ASSERT(size > 0 || w.answered == REQUESTS); /* or nothing here would mean anything */
    if (w.fd >= 0)
        setsockopt(w.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once); /* no port is kept waiting */
    if (w.fd >= 0)
        close(w.fd);
    mig_zk_free(zk);
    w.is_freed = true;
    mig_zk_finish(w.base);
    event_base_loop(w.base, EVLOOP_NONBLOCK);
    event_base_free(w.base);
    close(w.listener);
    return 0;
}
