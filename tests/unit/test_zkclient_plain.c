/* Plain calls of the admin connection (migrate/zkclient/zkclient_plain.c) against the fake server: what a
 * write's missing answer is called, and that a watch's event is told before the answers behind it. */
#include "tests/unit/zkclient_bench.h"

#define SEQ 8

static int64_t soon(void)
{
    return mig_now_ms() + SOON_MS;
}

static void finish(struct world *w, enum mig_zk_op op, enum rc rc, int32_t zk_err)
{
    wait_results(w, w->results + 1);
    assert_int_equal(w->last.op, op);
    assert_int_equal(w->last.seq, SEQ);
    assert_int_equal(w->last.rc, rc);
    assert_int_equal(w->last.zk_err, zk_err);
}

static void create(struct world *w, enum rc rc, int32_t zk_err)
{
    assert_int_equal(mig_zk_create(w->zk, SEQ, "/n", "0", soon()), RC_OK);
    finish(w, MIG_ZK_CREATE, rc, zk_err);
    assert_false(w->has_stat);
}

static void set(struct world *w, int64_t deadline_ms, enum rc rc, int32_t zk_err)
{
    assert_int_equal(mig_zk_set(w->zk, SEQ, "/n", "1", 0, deadline_ms), RC_OK);
    finish(w, MIG_ZK_SET, rc, zk_err);
    assert_int_equal(w->has_stat, rc == RC_OK);
}

static void get_watched(struct world *w, enum rc rc, int32_t zk_err)
{
    assert_int_equal(mig_zk_get_watched(w->zk, SEQ, "/n", soon()), RC_OK);
    finish(w, MIG_ZK_GET_WATCHED, rc, zk_err);
    assert_int_equal(w->has_stat, rc == RC_OK);
}

static void create_and_delete(void **state)
{
    struct world *w = *state;
    create(w, RC_OK, 0);
    w->errs[1] = ZKP_ERR_NODE_EXISTS;
    create(w, RC_EXISTS, ZKP_ERR_NODE_EXISTS);
    w->errs[1] = ZKP_ERR_NO_NODE; /* no parent */
    create(w, RC_REFUSED, ZKP_ERR_NO_NODE);
    assert_int_equal(mig_zk_delete(w->zk, SEQ, "/n", soon()), RC_OK);
    finish(w, MIG_ZK_DELETE, RC_OK, 0);
    w->errs[2] = ZKP_ERR_NOT_EMPTY;
    assert_int_equal(mig_zk_delete(w->zk, SEQ, "/n", soon()), RC_OK);
    finish(w, MIG_ZK_DELETE, RC_REFUSED, ZKP_ERR_NOT_EMPTY);
}

static void a_write_that_is_answered(void **state)
{
    struct world *w = *state;
    w->errs[5] = 0;
    set(w, soon(), RC_OK, 0);
    w->errs[5] = ZKP_ERR_BAD_VERSION;
    set(w, soon(), RC_REFUSED, ZKP_ERR_BAD_VERSION);
}

static void a_write_without_an_answer_is_unknown(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->op_mode = OP_SILENT;
    set(w, mig_now_ms() + SENT_MS, RC_UNKNOWN, 0);
    w->op_mode = OP_CLOSE;
    w->close_at = 0;
    set(w, soon(), RC_UNKNOWN, 0);
}

static void a_write_that_was_never_sent_is_known(void **state)
{
    struct world *w = *state;
    w->connect_mode = CONNECT_SILENT;
    set(w, mig_now_ms() + NEVER_MS, RC_IO, 0);
    assert_int_equal(w->op_count, 0);
}

static void send_event(struct world *w, int32_t type)
{
    uint8_t frame[64];
    struct zkp_wr wr = zkp_wr_over(frame, sizeof frame);
    uint8_t *mark = zkp_wr_frame_begin(&wr);
    zkp_wr_i32(&wr, -1);
    zkp_wr_i64(&wr, -1);
    zkp_wr_i32(&wr, 0);
    zkp_wr_i32(&wr, type);
    zkp_wr_i32(&wr, 3); /* connected */
    zkp_wr_buf(&wr, zkp_slice_str("/n"));
    zkp_wr_frame_end(&wr, mark);
    assert_int_equal(zkp_wr_done(&wr), RC_OK);
    send_all(w, frame, zkp_wr_len(&wr));
}

#define DELETED 2
#define CHANGED 3

static void a_change_is_told_once_and_before_later_answers(void **state)
{
    struct world *w = *state;
    w->config = "7"; /* the node's data */
    get_watched(w, RC_OK, 0);
    assert_string_equal(w->data, "7");
    assert_int_equal(w->changes, 0);
    send_event(w, CHANGED);
    w->errs[5] = 0;
    set(w, soon(), RC_OK, 0);
    assert_int_equal(w->changes_at_done, 1);
    send_event(w, CHANGED); /* one-shot: nobody waits for this one */
    set(w, soon(), RC_OK, 0);
    assert_int_equal(w->changes, 1);
}

static void the_end_of_a_node_is_no_change(void **state)
{
    struct world *w = *state;
    w->config = "";
    get_watched(w, RC_OK, 0);
    assert_string_equal(w->data, "");
    send_event(w, DELETED);
    w->errs[4] = ZKP_ERR_NO_NODE;
    get_watched(w, RC_REFUSED, ZKP_ERR_NO_NODE);
    assert_string_equal(w->data, "-");
    assert_int_equal(w->changes, 0);
}

static void our_end_of_the_connection(void **state)
{
    struct world *w = *state;
    struct mig_address local;
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    assert_int_equal(mig_zk_local_address(w->zk, &local), RC_NOT_FOUND); /* no turn of the loop yet */
    wait_connected(w);
    assert_int_equal(mig_zk_local_address(w->zk, &local), RC_OK);
    assert_int_equal(getpeername(w->fd, (struct sockaddr *)&peer, &length), 0);
    assert_int_equal(((const struct sockaddr_in *)&local.storage)->sin_port, peer.sin_port);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(create_and_delete),
        WITH_WORLD(a_write_that_is_answered),
        WITH_WORLD(a_write_without_an_answer_is_unknown),
        WITH_WORLD(a_write_that_was_never_sent_is_known),
        WITH_WORLD(a_change_is_told_once_and_before_later_answers),
        WITH_WORLD(the_end_of_a_node_is_no_change),
        WITH_WORLD(our_end_of_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
