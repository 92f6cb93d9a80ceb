/* See words.h. The answer is written by a bufferevent that closes when it has drained: these connections are
 * short, few and not our subject. */
#include "proxy/control/port/words.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "migrate/monotonic.h"
#include "proxy/log.h"
#include "proxy/net/address.h"

#define ANSWER_TIMEOUT_S 10 /* a reader that takes nothing for so long is gone */
#define ADDRESS_TEXT_MAX 80u

struct px_words {
    struct event_base *base;
    struct px_crew *crew;
    px_words_facts_fn *facts;
    void *context;
};

/* A word whose answer lists the sessions, while the workers are asked. Owned by the list's callback. */
struct pending {
    struct px_words *words;
    int fd;
    enum zkp_word word;
};

struct px_words *px_words_new(struct event_base *base, struct px_crew *crew, px_words_facts_fn *facts,
                              void *context)
{
    struct px_words *words = calloc(1, sizeof *words);
    if (words)
        *words = (struct px_words){.base = base, .crew = crew, .facts = facts, .context = context};
    return words;
}

void px_words_free(struct px_words *words)
{
    free(words);
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
    (void)what;
    (void)arg;
    bufferevent_free(bev);
}

static void on_drained(struct bufferevent *bev, void *arg)
{
    (void)arg;
    bufferevent_free(bev);
}

/* Takes fd. */
static void send_and_close(struct px_words *words, int fd, struct evbuffer *text)
{
    const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
    struct bufferevent *bev = bufferevent_socket_new(words->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!bev) {
        close(fd);
        return;
    }
    bufferevent_setcb(bev, NULL, on_drained, on_event, NULL);
    bufferevent_set_timeouts(bev, NULL, &timeout);
    if (evbuffer_get_length(text) == 0 || bufferevent_write_buffer(bev, text) != 0)
        bufferevent_free(bev);
}

static uint64_t requests_received(const struct px_crew *crew, bool replies)
{
    uint64_t sum = 0;
    for (uint32_t w = 0; w < px_crew_count(crew); w++) {
        const struct px_metrics *metrics = px_crew_metrics(crew, w);
        for (uint32_t slot = 0; slot < PX_SLOTS_MAX; slot++)
            for (uint32_t op = 0; op < ZKP_OPX_COUNT; op++)
                sum += atomic_load_explicit(replies ? &metrics->ops[slot][op].responses
                                                    : &metrics->ops[slot][op].requests,
                                            memory_order_relaxed);
    }
    return sum;
}

static void add_version(struct evbuffer *out)
{
    evbuffer_add_printf(out, "Zookeeper version: zkferry-%s, built on -\n", ZKFERRY_VERSION);
}

static void add_srvr(const struct px_words *words, struct evbuffer *out)
{
    struct px_words_facts facts = words->facts(words->context);
    uint64_t received = requests_received(words->crew, false);
    uint64_t sent = requests_received(words->crew, true);
    evbuffer_add_printf(out, "Latency min/avg/max: 0/0.0/0\n");
    evbuffer_add_printf(out, "Received: %" PRIu64 "\nSent: %" PRIu64 "\n", received, sent);
    evbuffer_add_printf(out, "Connections: %u\n", px_crew_totals(words->crew).clients);
    evbuffer_add_printf(out, "Outstanding: %" PRIu64 "\n", received > sent ? received - sent : 0);
    evbuffer_add_printf(out, "Zxid: 0x%" PRIx64 "\nMode: proxy\nNode count: 0\n", (uint64_t)facts.offer.zxid);
}

static void add_mntr(const struct px_words *words, struct evbuffer *out)
{
    uint64_t received = requests_received(words->crew, false);
    uint64_t sent = requests_received(words->crew, true);
    struct px_crew_totals totals = px_crew_totals(words->crew);
    evbuffer_add_printf(out, "zk_version\tzkferry-%s\nzk_server_state\tproxy\n", ZKFERRY_VERSION);
    evbuffer_add_printf(out, "zk_packets_received\t%" PRIu64 "\nzk_packets_sent\t%" PRIu64 "\n", received,
                        sent);
    evbuffer_add_printf(out, "zk_num_alive_connections\t%u\n", totals.clients);
    evbuffer_add_printf(out, "zk_outstanding_requests\t%" PRIu64 "\n", received > sent ? received - sent : 0);
    evbuffer_add_printf(out, "zk_global_sessions\t%u\nzk_waiting_connects\t%u\n", totals.sessions,
                        totals.waiting);
}

static void add_conf(const struct px_words *words, const struct conf *conf, uint16_t port,
                     struct evbuffer *out)
{
    struct px_words_facts facts = words->facts(words->context);
    evbuffer_add_printf(out, "clientPort=%u\n", (unsigned)port);
    evbuffer_add_printf(out, "clientPortAddress=%s\n", facts.clients_text);
    evbuffer_add_printf(out, "dataDir=%s\nmaxClientCnxns=0\nmaxCnxns=%d\n", conf->state_dir,
                        conf->session_max);
    evbuffer_add_printf(out, "workers=%d\nserverId=0\n", conf->workers);
}

/* One line as the server's NIOServerCnxn prints it; "queued" is what the client waits for. */
static void add_session(struct evbuffer *out, const struct px_session_row *row, bool with_details)
{
    char address[ADDRESS_TEXT_MAX];
    px_address_text((const struct sockaddr *)&row->client.storage, address, sizeof address);
    evbuffer_add_printf(out, " /%s[1](queued=%u,recved=%" PRIu64 ",sent=%" PRIu64, address,
                        row->outstanding_count, row->received_count, row->sent_count);
    if (with_details && row->session_id != 0) {
        int64_t established = row->established_ms ? mig_wall_ms() - (mig_now_ms() - row->established_ms) : 0;
        evbuffer_add_printf(out,
                            ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%d,lcxid=0x%x,lzxid=0x%" PRIx64,
                            (uint64_t)row->session_id, zkp_op_row(row->last_op)->name, established,
                            row->timeout_ms, (unsigned)row->last_xid, (uint64_t)row->last_zxid);
    }
    evbuffer_add_printf(out, ")\n");
}

static void on_sessions(void *context, const struct px_session_row *rows, uint32_t count, bool is_complete)
{
    struct pending *pending = context;
    struct evbuffer *out = evbuffer_new();
    if (!out) {
        close(pending->fd);
        free(pending);
        return;
    }
    bool is_stat = pending->word == ZKP_WORD_STAT;
    if (is_stat) {
        add_version(out);
        evbuffer_add_printf(out, "Clients:\n");
    }
    for (uint32_t i = 0; i < count; i++)
        add_session(out, &rows[i], !is_stat);
    if (!is_complete)
        evbuffer_add_printf(out, " (incomplete: a worker did not answer in time)\n");
    evbuffer_add_printf(out, "\n");
    if (is_stat)
        add_srvr(pending->words, out);
    send_and_close(pending->words, pending->fd, out);
    evbuffer_free(out);
    free(pending);
}

/* Takes fd. */
static void ask_sessions(struct px_words *words, int fd, enum zkp_word word)
{
    struct pending *pending = calloc(1, sizeof *pending);
    if (!pending) {
        close(fd);
        return;
    }
    *pending = (struct pending){.words = words, .fd = fd, .word = word};
    if (px_crew_list(words->crew, mig_now_ms(), on_sessions, pending) != RC_OK) {
        close(fd);
        free(pending);
    }
}

/* As a server answers. */
static const char *offer_text(enum px_offer_kind offer)
{
    if (offer == PX_OFFER_NOTHING)
        return "null";
    return offer == PX_OFFER_READ_ONLY ? "ro" : "rw";
}

static void add_answer(struct px_words *words, const struct conf *conf, uint16_t port, enum zkp_word word,
                       struct evbuffer *out)
{
    enum px_offer_kind offer = words->facts(words->context).offer.kind;
    if (!conf->words[word])
        evbuffer_add_printf(out, "%s is not executed because it is not in the whitelist.\n",
                            zkp_word_text(word));
    else if (word == ZKP_WORD_RUOK)
        evbuffer_add_printf(out, "imok");
    else if (word == ZKP_WORD_ISRO)
        evbuffer_add_printf(out, "%s", offer_text(offer));
    else if (offer == PX_OFFER_NOTHING)
        evbuffer_add_printf(out, "This ZooKeeper instance is not currently serving requests\n");
    else if (word == ZKP_WORD_MNTR)
        add_mntr(words, out);
    else if (word == ZKP_WORD_CONF)
        add_conf(words, conf, port, out);
    else if (word == ZKP_WORD_SRVR) {
        add_version(out);
        add_srvr(words, out);
    } else
        evbuffer_add_printf(out, "%s is not known to zkferry\n", zkp_word_text(word));
}

void px_words_answer(struct px_words *words, const struct conf *conf, uint16_t port, struct px_msg *msg)
{
    int fd = msg->word.fd;
    enum zkp_word word = msg->word.word;
    msg->word.fd = -1;
    bool lists_sessions = word == ZKP_WORD_CONS || word == ZKP_WORD_STAT;
    if (lists_sessions && conf->words[word] && words->facts(words->context).offer.kind != PX_OFFER_NOTHING) {
        ask_sessions(words, fd, word);
        return;
    }
    struct evbuffer *out = evbuffer_new();
    if (!out) {
        close(fd);
        return;
    }
    add_answer(words, conf, port, word, out);
    send_and_close(words, fd, out);
    evbuffer_free(out);
}
