/* See words.h. How answers go out is in words_answer.c. */
#include "proxy/control/port/words.h"

#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "migrate/monotonic.h"
#include "proxy/control/port/words_int.h"
#include "proxy/net/address.h"

#define ADDRESS_TEXT_MAX 80u

struct px_words *px_words_new(struct event_base *base, struct px_crew *crew, px_words_facts_fn *facts,
                              void *context)
{
    struct px_words *words = calloc(1, sizeof *words);
    if (!words)
        return NULL;
    *words = (struct px_words){
        .base = base, .crew = crew, .facts = facts, .context = context, .list = px_crew_list};
    if (px_words_answers_init(words))
        return words;
    px_words_free(words);
    return NULL;
}

void px_words_free(struct px_words *words)
{
    if (words)
        px_words_answers_done(words);
    free(words);
}

uint64_t px_words_cut(const struct px_words *words)
{
    return words->cut_count;
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
void px_words_add_row(struct evbuffer *out, const struct px_session_row *row, enum zkp_word word)
{
    char address[ADDRESS_TEXT_MAX];
    px_address_text((const struct sockaddr *)&row->client.storage, address, sizeof address);
    evbuffer_add_printf(out, " /%s[1](queued=%u,recved=%" PRIu64 ",sent=%" PRIu64, address,
                        row->outstanding_count, row->received_count, row->sent_count);
    if (word == ZKP_WORD_CONS && row->session_id != 0) {
        int64_t established = row->established_ms ? mig_wall_ms() - (mig_now_ms() - row->established_ms) : 0;
        evbuffer_add_printf(out,
                            ",sid=0x%" PRIx64 ",lop=%s,est=%" PRId64 ",to=%d,lcxid=0x%x,lzxid=0x%" PRIx64,
                            (uint64_t)row->session_id, zkp_op_row(row->last_op)->name, established,
                            row->timeout_ms, (unsigned)row->last_xid, (uint64_t)row->last_zxid);
    }
    evbuffer_add_printf(out, ")\n");
}

void px_words_add_begin(struct evbuffer *out, enum zkp_word word)
{
    if (word != ZKP_WORD_STAT)
        return;
    add_version(out);
    evbuffer_add_printf(out, "Clients:\n");
}

void px_words_add_end(const struct px_words *words, struct evbuffer *out, enum zkp_word word,
                      bool is_complete)
{
    if (!is_complete)
        evbuffer_add_printf(out, " (incomplete: a worker did not answer in time)\n");
    evbuffer_add_printf(out, "\n");
    if (word == ZKP_WORD_STAT)
        add_srvr(words, out);
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
    enum zkp_word word = msg->word.word;
    struct px_words_answer *answer = px_words_answer_new(words, msg);
    bool lists_sessions = word == ZKP_WORD_CONS || word == ZKP_WORD_STAT;
    if (!answer)
        return;
    if (lists_sessions && conf->words[word] && words->facts(words->context).offer.kind != PX_OFFER_NOTHING) {
        px_words_answer_list(answer);
        return;
    }
    struct evbuffer *out = evbuffer_new();
    if (!out)
        return; /* cut when its time is over */
    add_answer(words, conf, port, word, out);
    px_words_answer_text(answer, out);
    evbuffer_free(out);
}
