/* Reading a znode for a comparison (migrate/zkclient/zkclient_read.c) against the fake server: data and ACL
 * of one moment, or an honest answer that there was none. */
#include "tests/unit/zkclient_bench.h"

static const struct mig_hash_key key = {.words = {1, 2}};

static void read_node(struct world *w, bool sync_first)
{
    w->op_count = 0;
    assert_int_equal(mig_zk_read_node(w->zk, 8, "/n", sync_first, &key, mig_now_ms() + SOON_MS), RC_OK);
    wait_results(w, w->results + 1);
    assert_int_equal(w->last.op, MIG_ZK_READ_NODE);
    assert_int_equal(w->last.seq, 8);
    assert_int_equal(w->has_node, w->last.rc == RC_OK);
}

static void assert_asked(const struct world *w, const char *ops)
{
    char asked[128] = "";
    for (uint32_t i = 0; i < w->op_count; i++)
        snprintf(asked + strlen(asked), sizeof asked - strlen(asked), "%d ", (int)w->ops[i]);
    assert_string_equal(asked, ops);
}

static void data_and_acl_are_one_reading(void **state)
{
    struct world *w = *state;
    read_node(w, false);
    assert_asked(w, "4 6 ");
    assert_int_equal(w->node.kind, MIG_NODE_PRESENT);
    assert_true(w->node.data_hash == mig_hash(&key, w->config, strlen(w->config)));
    struct mig_node first = w->node;
    read_node(w, true);
    assert_asked(w, "9 4 6 ");
    assert_memory_equal(&first, &w->node, sizeof first);
    w->config = "other data";
    read_node(w, false);
    assert_true(w->node.data_hash != first.data_hash && w->node.acl_hash == first.acl_hash);
}

static void a_change_in_between_is_read_again(void **state)
{
    struct world *w = *state;
    w->torn = 1;
    read_node(w, false);
    assert_asked(w, "4 6 4 6 ");
    assert_int_equal(w->node.kind, MIG_NODE_PRESENT);
    w->torn = 100;
    read_node(w, false);
    assert_asked(w, "4 6 4 6 4 6 4 6 ");
    assert_int_equal(w->last.rc, RC_AGAIN);
}

/* What a preflight wants to know of an ACL. */
static void acls_that_matter(void **state)
{
    struct world *w = *state;
    const struct {
        const char *scheme;
        int32_t perms;
        bool has_ip;
        bool anyone_writes;
    } rows[] = {{"world", 31, false, true}, {"world", 2, false, true},    {"world", 29, false, false},
                {"ip", 31, true, false},    {"digest", 31, false, false}, {"ipv", 31, false, false},
                {"world", 1, false, false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        w->acl_scheme = rows[i].scheme;
        w->acl_perms = rows[i].perms;
        read_node(w, false);
        assert_int_equal(w->node.has_ip_acl, rows[i].has_ip);
        assert_int_equal(w->node.anyone_writes, rows[i].anyone_writes);
    }
}

static void absent_and_closed_to_us(void **state)
{
    struct world *w = *state;
    w->errs[4] = ZKP_ERR_NO_NODE;
    read_node(w, false);
    assert_asked(w, "4 ");
    assert_int_equal(w->node.kind, MIG_NODE_ABSENT);
    w->errs[4] = 0;
    w->errs[6] = ZKP_ERR_NO_NODE; /* deleted in between */
    read_node(w, false);
    assert_int_equal(w->node.kind, MIG_NODE_ABSENT);
    w->errs[6] = 0;
    w->errs[4] = ZKP_ERR_NO_AUTH;
    read_node(w, false);
    assert_asked(w, "4 3 ");
    assert_int_equal(w->node.kind, MIG_NODE_STAT_ONLY);
    w->errs[3] = ZKP_ERR_NO_NODE;
    read_node(w, false);
    assert_int_equal(w->node.kind, MIG_NODE_ABSENT);
    w->errs[4] = ZKP_ERR_THROTTLED_OP;
    read_node(w, false);
    assert_int_equal(w->last.rc, RC_REFUSED);
    assert_int_equal(w->last.zk_err, ZKP_ERR_THROTTLED_OP);
}

static void read_children(struct world *w)
{
    assert_int_equal(mig_zk_read_children(w->zk, 8, "/n", mig_now_ms() + SOON_MS), RC_OK);
    wait_results(w, w->results + 1);
    assert_int_equal(w->last.op, MIG_ZK_READ_CHILDREN);
}

static void names_of_children(void **state)
{
    struct world *w = *state;
    read_children(w);
    assert_int_equal(w->last.rc, RC_OK);
    assert_string_equal(w->names, "b a ");
    w->errs[8] = ZKP_ERR_NO_NODE; /* gone: it has none */
    read_children(w);
    assert_int_equal(w->last.rc, RC_OK);
    assert_string_equal(w->names, "");
    w->errs[8] = ZKP_ERR_NO_AUTH;
    read_children(w);
    assert_int_equal(w->last.rc, RC_REFUSED);
}

static void a_lost_connection_is_told_as_that(void **state)
{
    struct world *w = *state;
    wait_connected(w);
    w->op_mode = OP_CLOSE;
    w->close_at = 2;
    read_node(w, false);
    assert_int_equal(w->last.rc, RC_IO);
}

int main(void)
{
#define WITH_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        WITH_WORLD(data_and_acl_are_one_reading),      WITH_WORLD(a_change_in_between_is_read_again),
        WITH_WORLD(absent_and_closed_to_us),           WITH_WORLD(names_of_children),
        WITH_WORLD(a_lost_connection_is_told_as_that), WITH_WORLD(acls_that_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
