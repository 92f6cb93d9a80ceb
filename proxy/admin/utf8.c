/* See utf8.h. Pure, any thread. */
#include "proxy/admin/utf8.h"

#include <stdbool.h>
#include <stdint.h>

/* The Unicode standard's table of well-formed byte sequences: first byte's range, length, range of the
 * second byte. All further bytes are 80..BF. */
static const struct {
    uint8_t first_min, first_max, length, second_min, second_max;
} forms[] = {
    {0x00, 0x7f, 1, 0, 0},       {0xc2, 0xdf, 2, 0x80, 0xbf}, {0xe0, 0xe0, 3, 0xa0, 0xbf},
    {0xe1, 0xec, 3, 0x80, 0xbf}, {0xed, 0xed, 3, 0x80, 0x9f}, {0xee, 0xef, 3, 0x80, 0xbf},
    {0xf0, 0xf0, 4, 0x90, 0xbf}, {0xf1, 0xf3, 4, 0x80, 0xbf}, {0xf4, 0xf4, 4, 0x80, 0x8f},
};

static bool in_range(uint8_t byte, uint8_t min, uint8_t max)
{
    return byte >= min && byte <= max;
}

size_t px_utf8_sequence(const char *p, size_t left)
{
    const uint8_t *b = (const uint8_t *)p;

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (!in_range(b[0], forms[i].first_min, forms[i].first_max))
            continue;
        if (left < forms[i].length)
            return 0;
        if (forms[i].length > 1 && !in_range(b[1], forms[i].second_min, forms[i].second_max))
            return 0;
        for (size_t n = 2; n < forms[i].length; n++) {
            if (!in_range(b[n], 0x80, 0xbf))
                return 0;
        }
        return forms[i].length;
    }
    return 0;
}
