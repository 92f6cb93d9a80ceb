/* "Did you mean": the nearest known key for a mistyped one. Pure, any thread. */
#include <stdio.h>

#include "conf/conf_int.h"

#define WORD_BYTES_MAX 32u

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t conf_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    uint32_t cost[WORD_BYTES_MAX + 1][WORD_BYTES_MAX + 1];

    if (a_len > WORD_BYTES_MAX || b_len > WORD_BYTES_MAX)
        return UINT32_MAX;
    for (uint32_t i = 0; i <= a_len; i++) {
        for (uint32_t k = 0; k <= b_len; k++) {
            if (i == 0 || k == 0) {
                cost[i][k] = i + k;
                continue;
            }
            uint32_t replaced = cost[i - 1][k - 1] + (a[i - 1] == b[k - 1] ? 0u : 1u);
            cost[i][k] = least(replaced, least(cost[i - 1][k], cost[i][k - 1]) + 1u);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
                cost[i][k] = least(cost[i][k], cost[i - 2][k - 2] + 1u);
        }
    }
    return cost[a_len][b_len];
}

/* The part of a key that stands in `section`: "kind" for migration, "migration" at top level ("").
 * Empty when the key belongs elsewhere. */
static void part_in(const char *section, const char *key, char *buf, size_t capacity)
{
    size_t section_len = strlen(section);

    buf[0] = '\0';
    if (section_len > 0) {
        if (strncmp(key, section, section_len) != 0 || key[section_len] != '.')
            return;
        key += section_len + 1;
    }
    (void)snprintf(buf, capacity, "%.*s", (int)strcspn(key, "."), key);
}

static bool suggest_near(const char *section, const char *name, char *buf, uint32_t capacity)
{
    uint32_t best = 1u + (uint32_t)(least((uint32_t)strlen(name), WORD_BYTES_MAX) / 4u) + 1u;
    bool is_found = false;

    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        char part[CONF_NAME_MAX];
        part_in(section, conf_key_at(i)->name, part, sizeof(part));
        uint32_t distance = conf_distance(name, part);
        if (part[0] == '\0' || distance >= best || distance >= strlen(part))
            continue;
        best = distance;
        is_found = true;
        (void)snprintf(buf, capacity, "%s%s%s", section, section[0] != '\0' ? "." : "", part);
    }
    return is_found;
}

/* The right word in the wrong section. */
static bool suggest_elsewhere(const char *name, char *buf, uint32_t capacity)
{
    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        const char *key = conf_key_at(i)->name;
        const char *dot = strrchr(key, '.');
        if (strcmp(dot == NULL ? key : dot + 1, name) != 0)
            continue;
        (void)snprintf(buf, capacity, "%s", key);
        return true;
    }
    return false;
}

bool conf_suggest(const char *section, const char *name, char *buf, uint32_t capacity)
{
    return suggest_elsewhere(name, buf, capacity) || suggest_near(section, name, buf, capacity);
}

void conf_section_names(const char *section, char *buf, uint32_t capacity)
{
    char before[CONF_NAME_MAX] = "";
    size_t used = 0;

    buf[0] = '\0';
    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        char part[CONF_NAME_MAX];
        part_in(section, conf_key_at(i)->name, part, sizeof(part));
        if (part[0] == '\0' || strcmp(part, before) == 0 || used >= capacity)
            continue;
        used += (size_t)snprintf(buf + used, capacity - used, "%s%s", used > 0 ? ", " : "", part);
        memcpy(before, part, sizeof(before));
    }
}
