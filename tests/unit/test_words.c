/* Answers to cons and stat: shared lists, written in parts, as many as there is room for. The workers' lists
 * are made here; readers are the other ends of socket pairs. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "migrate/monotonic.h"
#include "proxy/control/port/words_int.h"

#define DEADLINE_MS 60000 /* only bounds a hang */
#define MANY        10000u
#define LINE_BYTES  300u

struct world {
    struct event_base *base;
    struct px_mailbox *mailbox;
    struct px_crew *crew;
    struct px_words *words;
    struct conf *conf;
    uint32_t listed;             /* lists asked for */
    px_crew_list_fn *fn;         /* of the list that is being made; NULL = none */
    struct px_session_row *rows; /* MANY */
};

static struct world *world;

static enum rc make_list(struct px_crew *crew, int64_t now_ms, px_crew_list_fn *fn, void *context)
{
    (void)crew;
    (void)now_ms;
    assert_ptr_equal(context, world->words);
    assert_null(world->fn); /* one at a time */
    world->listed++;
    world->fn = fn;
    return RC_OK;
}

static void give_list(uint32_t count)
{
    px_crew_list_fn *fn = world->fn;

    assert_non_null(fn);
    world->fn = NULL;
    fn(world->words, world->rows, count, true);
}

static struct px_words_facts facts(void *context)
{
    (void)context;
    return (struct px_words_facts){.offer = {.kind = PX_OFFER_READ_WRITE}, .clients_text = ""};
}

static struct px_address host(uint32_t number)
{
    struct px_address address = {.length = sizeof(struct sockaddr_in)};
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(7), .sin_addr.s_addr = htonl(0x0a000000u + number)};

    memcpy(&address.storage, &in, sizeof in);
    return address;
}

static int setup(void **state)
{
    struct err err;

    world = calloc(1, sizeof *world);
    *state = world;
    world->base = event_base_new();
    world->conf = calloc(1, sizeof *world->conf);
    world->rows = calloc(MANY, sizeof *world->rows);
    world->conf->workers = 1;
    world->conf->handshake_timeout_ms = 1000;
    memset(world->conf->words, 1, sizeof world->conf->words);
    for (uint32_t i = 0; i < MANY; i++)
        world->rows[i] = (struct px_session_row){.session_id = 1 + (int64_t)i, .client = host(i)};
    assert_int_equal(px_mailbox_new(&world->mailbox, &err), RC_OK);
    assert_int_equal(px_crew_start(world->conf, world->mailbox, &world->crew, &err), RC_OK);
    world->words = px_words_new(world->base, world->crew, facts, NULL);
    world->words->list = make_list;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    px_crew_free(world->crew);
    px_words_free(world->words);
    px_mailbox_free(world->mailbox);
    event_base_loop(world->base, EVLOOP_NONBLOCK);
    event_base_free(world->base);
    free(world->conf);
    free(world->rows);
    free(world);
    return 0;
}

static void turn(void)
{
    (void)poll(NULL, 0, 1);
    assert_true(event_base_loop(world->base, EVLOOP_NONBLOCK) >= 0);
}

#define TURN_UNTIL(condition)                                                                                \
    for (int64_t end_ms_ = mig_now_ms() + DEADLINE_MS; !(condition);) {                                      \
        assert_true(mig_now_ms() < end_ms_);                                                                 \
        turn();                                                                                              \
    }

static int ask(enum zkp_word word, uint32_t from)
{
    struct px_msg *msg = px_msg_new(PX_MSG_WORD);
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    msg->word.fd = ends[0];
    msg->word.word = word;
    msg->word.peer = host(from);
    px_words_answer(world->words, world->conf, 2181, msg);
    px_msg_free(msg);
    return ends[1];
}

/* Lines up to the end. */
static uint32_t read_lines(int fd)
{
    static char bytes[65536];
    uint32_t lines = 0;
    ssize_t got;

    for (int64_t end_ms = mig_now_ms() + DEADLINE_MS;;) {
        assert_true(mig_now_ms() < end_ms);
        turn();
        got = recv(fd, bytes, sizeof bytes, 0);
        if (got < 0 && errno == EAGAIN)
            continue;
        if (got <= 0)
            break;
        for (ssize_t i = 0; i < got; i++)
            lines += bytes[i] == '\n';
    }
    close(fd);
    return lines;
}

static bool is_open(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK) != 0;
}

static void who_asks_meanwhile_shares_the_next_list(void **state)
{
    (void)state;
    int first = ask(ZKP_WORD_CONS, 1);
    int others[10];

    assert_int_equal(world->listed, 1);
    for (int i = 0; i < 10; i++)
        others[i] = ask(ZKP_WORD_CONS, 2);
    give_list(5); /* older than the other questions, so not for them */
    assert_int_equal(read_lines(first), 6);
    TURN_UNTIL(world->listed == 2);
    give_list(7);
    for (int i = 0; i < 10; i++)
        assert_int_equal(read_lines(others[i]), 8);
    assert_int_equal(world->listed, 2);
    assert_int_equal(world->words->list_count, 0);
    assert_int_equal(world->words->cut_count, 0);
}

/* No more of the text is made than the reader takes. */
static void a_list_is_written_in_parts(void **state)
{
    (void)state;
    int reader = ask(ZKP_WORD_CONS, 1);
    struct px_words_answer *answer = world->words->answers;
    uint32_t printed = 0;

    give_list(MANY);
    for (int i = 0; i < 50; i++) {
        turn();
        assert_true(evbuffer_get_length(bufferevent_get_output(answer->bev)) <= 64 * LINE_BYTES);
    }
    printed = answer->printed;
    assert_true(printed > 0 && printed < MANY);
    assert_int_equal(read_lines(reader), MANY + 1);
    assert_int_equal(world->words->answer_count, 0);
    assert_int_equal(world->words->list_count, 0);
}

static void lists_are_made_a_few_a_second(void **state)
{
    (void)state;
    int64_t begun_ms = mig_now_ms();
    int64_t passed_ms;

    while (world->listed < 5) {
        int reader = ask(ZKP_WORD_STAT, 1);
        TURN_UNTIL(world->fn != NULL);
        give_list(1);
        (void)read_lines(reader);
    }
    passed_ms = mig_now_ms() - begun_ms;
    assert_true(passed_ms >= 4 * 200 - 4);
}

/* One host takes all places with answers that it does not read; who asks from another one is not touched. */
static void the_busiest_host_loses_its_oldest(void **state)
{
    (void)state;
    int crowd[2 * PX_WORDS_MAX];
    int monitor;

    for (uint32_t i = 0; i < PX_WORDS_MAX; i++)
        crowd[i] = ask(ZKP_WORD_CONS, 1);
    give_list(MANY);
    assert_true(is_open(crowd[0]));
    assert_int_equal(world->words->cut_count, 0);
    monitor = ask(ZKP_WORD_CONS, 2);
    for (uint32_t i = PX_WORDS_MAX; i < 2 * PX_WORDS_MAX; i++)
        crowd[i] = ask(ZKP_WORD_CONS, 1);
    assert_int_equal(world->words->answer_count, PX_WORDS_MAX);
    assert_int_equal(world->words->cut_count, PX_WORDS_MAX + 1);
    TURN_UNTIL(world->fn != NULL);
    give_list(3);
    assert_int_equal(read_lines(monitor), 4);
    for (uint32_t i = 0; i < 2 * PX_WORDS_MAX; i++)
        close(crowd[i]);
}

/* Lists that nobody reads to the end would fill the memory: so many are kept, then the oldest's readers go.
 */
static void few_lists_are_kept(void **state)
{
    (void)state;
    int readers[8];

    for (uint32_t i = 0; i < 4; i++) {
        readers[i] = ask(ZKP_WORD_CONS, i);
        TURN_UNTIL(world->fn != NULL);
        give_list(MANY);
    }
    assert_int_equal(world->words->list_count, 4);
    readers[4] = ask(ZKP_WORD_CONS, 4);
    assert_int_equal(world->listed, 4); /* it has to wait */
    TURN_UNTIL(world->fn != NULL);
    assert_int_equal(world->words->list_count, 3);
    assert_int_equal(world->words->cut_count, 1);
    give_list(1);
    assert_int_equal(read_lines(readers[4]), 2);
    for (uint32_t i = 0; i < 4; i++)
        close(readers[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_asks_meanwhile_shares_the_next_list),
        TEST(a_list_is_written_in_parts),
        TEST(lists_are_made_a_few_a_second),
        TEST(the_busiest_host_loses_its_oldest),
        TEST(few_lists_are_kept),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
