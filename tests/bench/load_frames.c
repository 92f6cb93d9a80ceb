/* Requests of bench_load, encoded once per operation and path; only the xid changes. And the nodes they need.
 * See load.h. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/load.h"
#include "zkproto/cursor.h"
#include "zkproto/frame.h"
#include "zkproto/opcode.h"
#include "zkproto/zkerr.h"

#define ROOT_PATH   "/bench"
#define FRAME_EXTRA 128u /* all of a frame but the value: headers, path, ACL, flags */
#define ACL_ALL     31
#define ANY_VERSION (-1)
#define NO_WATCH    false

void load_path(uint32_t path, char text[LOAD_PATH_MAX])
{
    snprintf(text, LOAD_PATH_MAX, ROOT_PATH "/n%06u", path);
}

static void begin(struct zkp_wr *w, int32_t xid, int32_t type, const char *path)
{
    zkp_wr_i32(w, xid);
    zkp_wr_i32(w, type);
    zkp_wr_buf(w, zkp_slice_str(path));
}

static void read_frame(struct zkp_wr *w, int32_t xid, int32_t type, const char *path, bool watch)
{
    uint8_t *mark = zkp_wr_frame_begin(w);
    begin(w, xid, type, path);
    zkp_wr_bool(w, watch);
    zkp_wr_frame_end(w, mark);
}

static void set_frame(struct zkp_wr *w, int32_t xid, const char *path, struct zkp_slice value)
{
    uint8_t *mark = zkp_wr_frame_begin(w);
    begin(w, xid, ZKP_OP_SET_DATA, path);
    zkp_wr_buf(w, value);
    zkp_wr_i32(w, ANY_VERSION);
    zkp_wr_frame_end(w, mark);
}

static void create_frame(struct zkp_wr *w, int32_t xid, const char *path, struct zkp_slice value)
{
    uint8_t *mark = zkp_wr_frame_begin(w);
    begin(w, xid, ZKP_OP_CREATE, path);
    zkp_wr_buf(w, value);
    zkp_wr_i32(w, 1); /* one ACL entry: world:anyone may everything */
    zkp_wr_i32(w, ACL_ALL);
    zkp_wr_buf(w, zkp_slice_str("world"));
    zkp_wr_buf(w, zkp_slice_str("anyone"));
    zkp_wr_i32(w, 0); /* persistent */
    zkp_wr_frame_end(w, mark);
}

struct zkp_slice load_watch_frame(int32_t xid, uint32_t path, uint8_t *buf, uint32_t capacity)
{
    char text[LOAD_PATH_MAX];
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    load_path(path, text);
    read_frame(&w, xid, ZKP_OP_EXISTS, text, true);
    return zkp_slice_of(buf, zkp_wr_len(&w));
}

static void encode(enum load_op op, uint32_t path, struct zkp_slice value, struct zkp_wr *w)
{
    char text[LOAD_PATH_MAX];
    load_path(path, text);
    switch (op) {
    case LOAD_GET:
        read_frame(w, 0, ZKP_OP_GET_DATA, text, NO_WATCH);
        return;
    case LOAD_SET:
        set_frame(w, 0, text, value);
        return;
    case LOAD_EXISTS:
        read_frame(w, 0, ZKP_OP_EXISTS, text, NO_WATCH);
        return;
    case LOAD_OP_COUNT:
        return;
    }
}

static enum rc init_frame(struct load_frame *frame, enum load_op op, uint32_t path, struct zkp_slice value)
{
    uint32_t capacity = FRAME_EXTRA + (op == LOAD_SET ? value.len : 0u);
    frame->ptr = malloc(capacity);
    if (!frame->ptr)
        return RC_NOMEM;
    struct zkp_wr w = zkp_wr_over(frame->ptr, capacity);
    encode(op, path, value, &w);
    frame->len = zkp_wr_len(&w);
    return zkp_wr_done(&w);
}

static enum rc init_frames(struct load *load, struct zkp_slice value)
{
    enum rc rc = RC_OK;
    for (uint32_t op = 0; op < LOAD_OP_COUNT && rc == RC_OK; op++) {
        load->frames[op] = calloc(load->options.paths, sizeof *load->frames[op]);
        rc = load->frames[op] ? RC_OK : RC_NOMEM;
        for (uint32_t path = 0; path < load->options.paths && rc == RC_OK; path++)
            rc = init_frame(&load->frames[op][path], (enum load_op)op, path, value);
    }
    return rc;
}

static uint8_t *new_value(const struct load *load)
{
    uint8_t *value = malloc(load->options.value_bytes + 1u);
    if (value)
        memset(value, 'x', load->options.value_bytes + 1u);
    return value;
}

static enum rc init_flights(struct load *load)
{
    for (uint32_t i = 0; i < load->options.sessions; i++) {
        load->sessions[i].flights = calloc(load->options.outstanding, sizeof(int64_t));
        if (!load->sessions[i].flights)
            return RC_NOMEM;
    }
    return RC_OK;
}

enum rc load_frames_init(struct load *load)
{
    uint8_t *value = new_value(load);
    enum rc rc = value ? init_frames(load, zkp_slice_of(value, load->options.value_bytes)) : RC_NOMEM;
    free(value);
    if (rc == RC_OK)
        rc = init_flights(load);
    return rc == RC_OK ? rc : err_set(&load->err, rc, "no memory for %u paths", load->options.paths);
}

void load_frames_done(struct load *load)
{
    for (uint32_t op = 0; op < LOAD_OP_COUNT; op++) {
        for (uint32_t path = 0; load->frames[op] && path < load->options.paths; path++)
            free(load->frames[op][path].ptr);
        free(load->frames[op]);
    }
}

/* --- nodes --- */

static enum rc nobody_attaches(struct load *load, struct load_session *session)
{
    return load_fail(load, session, RC_INVALID, "attached while nodes are made");
}

static enum rc node_made(struct load *load, struct load_session *session,
                         const struct zkp_reply_header *header)
{
    int64_t latency_ns;
    if (header->err != ZKP_ERR_OK && header->err != ZKP_ERR_NODE_EXISTS)
        return load_fail(load, session, RC_REFUSED, zkp_err_name(header->err));
    return load_land(load, session, header, &latency_ns);
}

static enum rc node_lost(struct load *load, struct load_session *session)
{
    return load_fail(load, session, RC_CLOSED, "disconnected while nodes are made");
}

/* One request after another: this is not what is measured. */
static enum rc ask(struct load *load, struct zkp_wr *w)
{
    struct load_session *session = &load->sessions[0];
    enum rc rc = zkp_wr_done(w);
    if (rc == RC_OK)
        rc = load_send(load, session, zkp_slice_of(w->begin, zkp_wr_len(w)));
    session->next_xid++;
    load_take_off(load, session, 1);
    while (rc == RC_OK && session->count > 0)
        rc = load_turn(load, BENCH_NS_PER_S);
    return rc;
}

static enum rc make_one(struct load *load, const char *path, struct zkp_slice value, uint8_t *buf,
                        uint32_t capacity)
{
    struct zkp_wr w = zkp_wr_over(buf, capacity);
    create_frame(&w, load->sessions[0].next_xid, path, value);
    enum rc rc = ask(load, &w);
    if (rc != RC_OK)
        return rc;
    w = zkp_wr_over(buf, capacity); /* it may have been there, with another value */
    set_frame(&w, load->sessions[0].next_xid, path, value);
    return ask(load, &w);
}

static enum rc make_all(struct load *load, struct zkp_slice value, uint8_t *buf, uint32_t capacity)
{
    enum rc rc = make_one(load, ROOT_PATH, zkp_slice_str(""), buf, capacity);
    for (uint32_t path = 0; path < load->options.paths && rc == RC_OK; path++) {
        char text[LOAD_PATH_MAX];
        load_path(path, text);
        rc = make_one(load, text, value, buf, capacity);
    }
    return rc;
}

enum rc load_make_paths(struct load *load)
{
    static const struct load_mode making = {nobody_attaches, node_made, node_lost, NULL};
    const struct load_mode *mode = load->mode;
    uint32_t capacity = FRAME_EXTRA + load->options.value_bytes;
    uint8_t *value = new_value(load);
    uint8_t *buf = malloc(capacity);
    load->mode = &making;
    load->heard_ns = bench_now_ns();
    enum rc rc = value && buf ? make_all(load, zkp_slice_of(value, load->options.value_bytes), buf, capacity)
                              : err_set(&load->err, RC_NOMEM, "no memory for a node");
    load->mode = mode;
    free(value);
    free(buf);
    return rc;
}
