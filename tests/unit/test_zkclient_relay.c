/* The way between the client library and a server (migrate/zkclient/zkclient_relay.h): whatever a server
 * sends can end its connection and nothing else, and the connection comes back; the library's session and
 * watches live on; nobody else comes in; the loop never waits. */
#include "migrate/zkclient/zkclient_int.h"
#include "tests/unit/zkclient_bench.h"
#include "zkproto/request.h"

#define STRANGERS  40 /* more than the door's queue takes */
#define BIG_NAMES  100000u
#define BIG_LENGTH (BIG_NAMES * 24u + 24u)

static void ask(struct world *w, enum mig_zk_op op)
{
    assert_int_equal(mig_zk_request(w->zk, op, 5, mig_now_ms() + SOON_MS), RC_OK);
    wait_results(w, w->results + 1);
}

static void ask_names(struct world *w)
{
    assert_int_equal(mig_zk_read_children(w->zk, 5, "/n", mig_now_ms() + SOON_MS), RC_OK);
    wait_results(w, w->results + 1);
}

static void wait_lost(struct world *w)
{
    while (w->state == MIG_ZK_CONNECTED)
        turn(w);
}

static void address_text(const struct world *w, char *buf, uint32_t capacity)
{
    assert_true(mig_address_print(&w->address, true, buf, capacity) > 0);
}

/* --- forgeries -------------------------------------------------------------------------------------------
 */

/* A frame: header and so many bytes of a body. */
static void send_frame(struct world *w, int32_t xid, int32_t err, const void *body, uint32_t length)
{
    uint8_t frame[256];
    struct zkp_wr wr = zkp_wr_over(frame, sizeof frame);
    uint8_t *mark = zkp_wr_frame_begin(&wr);
    zkp_wr_i32(&wr, xid);
    zkp_wr_i64(&wr, 0x100000001);
    zkp_wr_i32(&wr, err);
    zkp_wr_raw(&wr, zkp_slice_of(body, length));
    zkp_wr_frame_end(&wr, mark);
    send_all(w, frame, zkp_wr_len(&wr));
}

static void one_more(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    send_all(w, genuine.ptr, genuine.len);
    if (header.type != CONNECT_TYPE)
        send_frame(w, header.xid + 1000, 0, "", 0);
}

static void same_again(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    send_all(w, genuine.ptr, genuine.len);
    if (header.type != CONNECT_TYPE)
        send_all(w, genuine.ptr, genuine.len);
}

/* Genuine but for the answers to getChildren. */
static bool is_theirs(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (header.type == ZKP_OP_GET_CHILDREN)
        return true;
    send_all(w, genuine.ptr, genuine.len);
    return false;
}

static void no_body(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_frame(w, header.xid, 0, "", 0);
}

static void null_names(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_frame(w, header.xid, 0, "\377\377\377\377", 4);
}

static void countless_names(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_frame(w, header.xid, 0, "\037\377\377\377", 4);
}

static void a_body_with_an_error(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_frame(w, header.xid, ZKP_ERR_NO_NODE, "\0\0\0\0", 4);
}

static void another_xid(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_frame(w, header.xid + 1, ZKP_ERR_NO_NODE, "", 0);
}

static void a_pong(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_frame(w, ZKP_XID_PING, 0, "", 0);
}

static void failed_auth(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_frame(w, ZKP_XID_AUTH, ZKP_ERR_AUTH_FAILED, "", 0);
}

static void an_expiry(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    static const uint8_t body[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x90, 0, 0, 0, 0};
    if (is_theirs(w, header, genuine))
        send_frame(w, ZKP_XID_EVENT, 0, body, sizeof body);
}

static void an_endless_frame(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_all(w, "\177\377\377\377", 4);
    if (header.type == ZKP_OP_GET_CHILDREN)
        send_all(w, genuine.ptr + 4, genuine.len - 4);
}

static void an_empty_frame(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_all(w, "\0\0\0\0", 4);
}

static void a_negative_frame(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_all(w, "\377\377\377\377", 4);
}

static void text(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine))
        send_all(w, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
}

typedef void forge_fn(struct world *w, struct zkp_request_header header, struct zkp_slice genuine);

/* The answer that was due is missing in all but the first two, so its request fails and says why. */
static void a_forgery_ends_its_connection_only(void **state)
{
    struct world *w = *state;
    static forge_fn *const forgeries[] = {
        one_more,         same_again, no_body,     null_names, countless_names,  a_body_with_an_error,
        another_xid,      a_pong,     failed_auth, an_expiry,  an_endless_frame, an_empty_frame,
        a_negative_frame, text};
    char server[80];
    address_text(w, server, sizeof server);
    for (size_t i = 0; i < sizeof forgeries / sizeof forgeries[0]; i++) {
        wait_connected(w);
        w->log[0] = '\0';
        w->forge = forgeries[i];
        ask_names(w);
        if (i >= 2) {
            assert_int_equal(w->last.rc, RC_IO);
            assert_non_null(strstr(w->text, server));
        }
        wait_lost(w);
        assert_non_null(strstr(w->why, server));
        assert_non_null(strstr(w->log, server));
        w->forge = NULL;
        ask_names(w);
        assert_int_equal(w->last.rc, RC_OK);
        assert_string_equal(w->names, "b a ");
        assert_int_equal(w->asked_session, SESSION);
    }
    assert_int_equal(w->expired, 0);
    assert_int_equal(w->changes, 0);
}

/* What was sent may have been done. */
static void a_write_with_a_forged_answer_is_unknown(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->forge = no_body;
    w->errs[5] = ZKP_ERR_OK;
    w->op_mode = OP_SILENT;
    assert_int_equal(mig_zk_set(w->zk, 1, "/n", "x", 0, mig_now_ms() + SOON_MS), RC_OK);
    while (w->op_count == 0)
        turn(w);
    send_frame(w, 4711, 0, "", 0);
    wait_results(w, 1);
    assert_int_equal(w->last.rc, RC_UNKNOWN);
    char server[80];
    address_text(w, server, sizeof server);
    assert_non_null(strstr(w->text, server));
}

static void before_the_session(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    uint8_t frame[300] = {0};
    memcpy(frame, genuine.ptr, genuine.len);
    if (header.type != CONNECT_TYPE)
        send_all(w, genuine.ptr, genuine.len);
    else if (w->accepted % 3 == 0) { /* longer than the library's place for it */
        zkp_store_i32(frame, 200);
        send_all(w, frame, 204);
    } else if (w->accepted % 3 == 1) { /* shorter */
        zkp_store_i32(frame, 30);
        send_all(w, frame, 34);
    } else { /* somebody else's */
        frame[4 + 4 + 4 + 7]++;
        frame[4] = 1;
        send_all(w, frame, genuine.len - 4);
        send_all(w, frame, 8);
    }
}

static void a_forged_response_gives_no_session(void **state)
{
    struct world *w = *state;
    w->forge = before_the_session;
    while (w->accepted < 4)
        turn(w);
    assert_int_equal(mig_zk_session_id(w->zk), 0);
    assert_int_equal(w->state, MIG_ZK_CONNECTING);
    w->forge = NULL;
    ask(w, MIG_ZK_SYNC);
    assert_int_equal(w->last.rc, RC_OK);
}

static void half_a_frame(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (is_theirs(w, header, genuine)) {
        send_all(w, genuine.ptr, genuine.len / 2);
        hang_up(w);
    }
}

/* That is no forgery, and comes back without a pause. */
static void an_end_inside_of_a_frame(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->forge = half_a_frame;
    ask_names(w);
    assert_int_equal(w->last.rc, RC_IO);
    assert_string_equal(w->text, "connection loss");
    w->forge = NULL;
    ask_names(w);
    assert_int_equal(w->last.rc, RC_OK);
}

/* --- what must pass --------------------------------------------------------------------------------------
 */

static uint8_t s_later[BIG_LENGTH];
static uint32_t s_later_length;

static void later(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (!is_theirs(w, header, genuine))
        return;
    memcpy(s_later, genuine.ptr, genuine.len);
    s_later_length = genuine.len;
}

/* A slow server, and frames in the smallest pieces. */
static void a_frame_comes_byte_by_byte(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->forge = later;
    s_later_length = 0;
    assert_int_equal(mig_zk_read_children(w->zk, 5, "/n", mig_now_ms() + SOON_MS), RC_OK);
    while (s_later_length == 0)
        turn(w);
    for (uint32_t i = 0; i < s_later_length; i++) {
        assert_int_equal(w->results, 0);
        send_all(w, s_later + i, 1);
        for (int j = 0; j < 3; j++)
            assert_in_range(event_base_loop(w->base, EVLOOP_NONBLOCK), 0, 1);
    }
    wait_results(w, 1);
    assert_int_equal(w->last.rc, RC_OK);
    assert_string_equal(w->names, "b a ");
}

static void big_list(struct world *w, struct zkp_request_header header, struct zkp_slice genuine)
{
    if (!is_theirs(w, header, genuine))
        return;
    struct zkp_wr wr = zkp_wr_over(s_later, sizeof s_later);
    uint8_t *mark = zkp_wr_frame_begin(&wr);
    zkp_wr_raw(&wr, zkp_slice_of(genuine.ptr + 4, ZKP_REPLY_HEADER_LEN));
    zkp_wr_i32(&wr, (int32_t)BIG_NAMES);
    for (uint32_t i = 0; i < BIG_NAMES; i++)
        zkp_wr_buf(&wr, zkp_slice_str("a-name-of-20-letters"));
    zkp_wr_frame_end(&wr, mark);
    assert_int_equal(zkp_wr_done(&wr), RC_OK);
    s_later_length = zkp_wr_len(&wr);
}

/* Longer than all the queues in between. */
static void a_frame_of_megabytes(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->forge = big_list;
    s_later_length = 0;
    assert_int_equal(mig_zk_read_children(w->zk, 5, "/n", mig_now_ms() + SOON_MS), RC_OK);
    for (uint32_t sent = 0; w->results == 0;) {
        ssize_t n = sent < s_later_length ? write(w->fd, s_later + sent, s_later_length - sent) : 0;
        sent += n > 0 ? (uint32_t)n : 0;
        assert_in_range(event_base_loop(w->base, EVLOOP_NONBLOCK), 0, 1);
    }
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->name_count, BIG_NAMES);
}

static void an_old_server_leaves_a_byte_out(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_OLD;
    ask(w, MIG_ZK_SYNC);
    assert_int_equal(w->last.rc, RC_OK);
}

/* --- the connection's life -------------------------------------------------------------------------------
 */

static void watches_live_on(void **state)
{
    struct world *w = *state;
    assert_int_equal(mig_zk_get_watched(w->zk, 1, "/n", mig_now_ms() + SOON_MS), RC_OK);
    wait_results(w, 1);
    hang_up(w);
    wait_lost(w);
    wait_connected(w);
    ask(w, MIG_ZK_SYNC);
    assert_int_equal(w->asked_session, SESSION);
    const struct zkp_watcher_event event = {ZKP_EVENT_DATA_CHANGED, 3, zkp_slice_str("/n")};
    uint8_t frame[64];
    send_all(w, frame, zkp_watcher_event_frame(-1, &event, frame, sizeof frame));
    while (w->changes == 0)
        turn(w);
}

/* It is said who refuses, and the session is made as soon as somebody listens. */
static void nobody_listens(void **state)
{
    struct world *w = *state;
    struct sockaddr_in at;
    memcpy(&at, &w->address.storage, sizeof at);
    wait_connected(w);
    evconnlistener_free(w->listener);
    hang_up(w);
    wait_lost(w);
    char wanted[128];
    address_text(w, wanted, sizeof wanted - 32);
    strcat(wanted, ": Connection refused");
    while (strcmp(w->log, wanted) != 0)
        turn(w);
    struct mig_address local;
    assert_int_equal(mig_zk_local_address(w->zk, &local), RC_NOT_FOUND);
    w->listener = evconnlistener_new_bind(w->base, on_accept, w, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 8,
                                          (struct sockaddr *)&at, sizeof at);
    assert_non_null(w->listener);
    wait_connected(w);
    assert_int_equal(w->expired, 0);
}

static void a_server_that_ends_at_once(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_END;
    while (w->accepted < 5)
        turn(w);
    w->connect_mode = CONNECT_OK;
    ask(w, MIG_ZK_SYNC);
    assert_int_equal(w->last.rc, RC_OK);
}

static int64_t free_takes_ms(struct world *w)
{
    wait_connected(w);
    int64_t before_ms = mig_now_ms();
    mig_zk_free(w->zk);
    w->zk = NULL;
    return mig_now_ms() - before_ms;
}

/* The library would wait for 1.5 s; a busy machine delays us now and then. */
static void the_end_does_not_wait(void **state)
{
    struct world *w = *state;
    int64_t took_ms = free_takes_ms(w);
    for (int i = 0; i < 4 && took_ms >= 1000; i++) {
        open_zk(w, NULL);
        took_ms = free_takes_ms(w);
    }
    assert_in_range(took_ms, 0, 999);
    while (w->fd >= 0)
        turn(w);
    assert_int_equal(w->ops[w->op_count - 1], CLOSE_SESSION);
}

/* A server that does not hear it is left. */
static void the_end_is_not_waited_for_for_ever(void **state)
{
    struct world *w = *state;
    w->ignores_close = true;
    free_takes_ms(w);
    int64_t before_ms = mig_now_ms();
    while (w->fd >= 0)
        turn(w);
    assert_in_range(mig_now_ms() - before_ms, 2500, 60000);
}

/* Nor when the loop ends: what was to be sent has been sent. */
static void the_loop_ends_first(void **state)
{
    struct world *w = *state;
    w->ignores_close = true;
    free_takes_ms(w);
    int64_t before_ms = mig_now_ms();
    mig_zk_finish(w->base);
    assert_in_range(mig_now_ms() - before_ms, 1000, 60000);
    while (w->fd >= 0)
        turn(w);
    assert_int_equal(w->op_count, 1);
    assert_int_equal(w->ops[0], CLOSE_SESSION);
}

/* --- the door --------------------------------------------------------------------------------------------
 */

static int knock(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    connect(fd, (struct sockaddr *)&at, sizeof at);
    return fd;
}

static bool is_turned_away(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    assert_true(n <= 0); /* nobody tells them anything */
    return n == 0 || (errno != EAGAIN && errno != EINPROGRESS);
}

static void strangers_stay_outside(void **state)
{
    struct world *w = *state;
    int strangers[STRANGERS];
    wait_connected(w);
    for (int i = 0; i < STRANGERS; i++)
        strangers[i] = knock(w->zk->door.port);
    ask(w, MIG_ZK_SYNC); /* they disturb nobody */
    assert_int_equal(w->last.rc, RC_OK);
    hang_up(w);
    wait_lost(w);
    ask(w, MIG_ZK_SYNC); /* nor are they taken for the library */
    assert_int_equal(w->last.rc, RC_OK);
    assert_int_equal(w->asked_session, SESSION);
    assert_int_equal(w->accepted, 2);
    assert_true(is_turned_away(strangers[0])); /* who waited was sent away when the library came */
    for (int i = 0; i < STRANGERS; i++) {
        (void)is_turned_away(strangers[i]);
        close(strangers[i]);
    }
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(a_forgery_ends_its_connection_only),
        WITH_WORLD(a_write_with_a_forged_answer_is_unknown),
        WITH_WORLD(a_forged_response_gives_no_session),
        WITH_WORLD(an_end_inside_of_a_frame),
        WITH_WORLD(a_frame_comes_byte_by_byte),
        WITH_WORLD(a_frame_of_megabytes),
        WITH_WORLD(an_old_server_leaves_a_byte_out),
        WITH_WORLD(watches_live_on),
        WITH_WORLD(nobody_listens),
        WITH_WORLD(a_server_that_ends_at_once),
        WITH_WORLD(the_end_does_not_wait),
        WITH_WORLD(the_end_is_not_waited_for_for_ever),
        WITH_WORLD(the_loop_ends_first),
        WITH_WORLD(strangers_stay_outside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
