/* SipHash-2-4 (Aumasson, Bernstein: "SipHash: a fast short-input PRF"); its vectors are in the unit test. */
#include "migrate/verify/node.h"

#include <string.h>

struct sip {
    uint64_t v0;
    uint64_t v1;
    uint64_t v2;
    uint64_t v3;
};

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static void rounds(struct sip *s, int count)
{
    for (int i = 0; i < count; i++) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32) + s->v3;
        s->v2 += s->v1;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static void take_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

uint64_t mig_hash(const struct mig_hash_key *key, const void *bytes, uint64_t length)
{
    struct sip s = {.v0 = key->words[0] ^ 0x736f6d6570736575,
                    .v1 = key->words[1] ^ 0x646f72616e646f6d,
                    .v2 = key->words[0] ^ 0x6c7967656e657261,
                    .v3 = key->words[1] ^ 0x7465646279746573};
    const uint8_t *at = bytes;
    uint64_t last = length << 56;
    uint64_t left = length;
    for (; left >= 8; left -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8); /* the same machine reads both sides: its byte order will do */
        take_word(&s, word);
    }
    for (uint64_t i = 0; i < left; i++)
        last |= (uint64_t)at[i] << 8 * i;
    take_word(&s, last);
    s.v2 ^= 0xff;
    rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
