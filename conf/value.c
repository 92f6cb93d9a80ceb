/* One scalar of the file into the field of its key: numbers, durations, sizes, words, paths,
 * addresses. Strict: what is not understood whole is refused. Thread: the one that loads. */
#include <stdio.h>

#include "conf/conf_int.h"

struct unit {
    const char *name;
    int64_t factor;
};

/* Smallest first: printing looks for the largest that divides. */
static const struct unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit size_units[] = {{"", 1}, {"k", 1024}, {"m", 1024 * 1024}, {NULL, 0}};

/* Ten digits at most: with any factor it fits int64_t, and no int32_t field needs more. */
static bool quantity_parse(const char *text, const struct unit *units, int64_t *ret_value)
{
    size_t digits = strspn(text, "0123456789");
    int64_t value = 0;

    if (digits == 0 || digits > 10)
        return false;
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (text[i] - '0');
    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (strcmp(unit->name, text + digits) == 0) {
            *ret_value = value * unit->factor;
            return true;
        }
    }
    return false;
}

static void quantity_format(int32_t value, const struct unit *units, char *buf, uint32_t capacity)
{
    const struct unit *best = units;

    for (const struct unit *unit = units; unit->name != NULL; unit++) {
        if (value != 0 && value % unit->factor == 0)
            best = unit;
    }
    (void)snprintf(buf, capacity, "%d%s", (int)(value / best->factor), best->name);
}

bool conf_duration_parse(const char *text, int64_t *ret_ms)
{
    return quantity_parse(text, duration_units, ret_ms);
}

bool conf_size_parse(const char *text, int64_t *ret_bytes)
{
    return quantity_parse(text, size_units, ret_bytes);
}

/* The decimals are filled up to two, then it is a whole number of hundredths. */
bool conf_share_parse(const char *text, int64_t *ret_share)
{
    size_t whole = strspn(text, "0123456789");
    size_t decimals = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
    const char *end = text + whole + (decimals > 0 ? decimals + 1 : 0);
    int64_t share = 0;

    if (whole == 0 || whole > 6 || decimals > 2 || strcmp(end, "%") != 0)
        return false;
    for (size_t i = 0; i < whole; i++)
        share = share * 10 + (text[i] - '0');
    for (size_t i = 0; i < 2; i++)
        share = share * 10 + (i < decimals ? text[whole + 1 + i] - '0' : 0);
    *ret_share = share;
    return true;
}

void conf_share_format(int32_t share, char *buf, uint32_t capacity)
{
    int whole = (int)(share / 100);
    int rest = (int)(share % 100);

    if (rest == 0)
        (void)snprintf(buf, capacity, "%d%%", whole);
    else if (rest % 10 == 0)
        (void)snprintf(buf, capacity, "%d.%d%%", whole, rest / 10);
    else
        (void)snprintf(buf, capacity, "%d.%02d%%", whole, rest);
}

void conf_duration_format(int32_t ms, char *buf, uint32_t capacity)
{
    quantity_format(ms, duration_units, buf, capacity);
}

void conf_size_format(int32_t bytes, char *buf, uint32_t capacity)
{
    quantity_format(bytes, size_units, buf, capacity);
}

const struct conf_choice *conf_choice_named(const struct conf_choice *choices, const char *text)
{
    for (; choices->name != NULL; choices++) {
        if (strcmp(choices->name, text) == 0)
            return choices;
    }
    return NULL;
}

static void refuse(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value,
                   const char *why)
{
    char allowed[CONF_ALLOWED_MAX];
    char shown[CONF_NAME_MAX];

    conf_key_allowed(key, allowed, sizeof(allowed));
    conf_show(shown, sizeof(shown), value->text, value->len);
    conf_problem(r, value->line, key->name, "\"%s\" %s, allowed is %s", shown, why, allowed);
}

static void set_quantity(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value,
                         int32_t *field)
{
    static const struct unit plain[] = {{"", 1}, {NULL, 0}};
    bool is_duration = key->type == CONF_TYPE_DURATION;
    bool is_size = key->type == CONF_TYPE_SIZE;
    int64_t number;

    if (!quantity_parse(value->text, is_duration ? duration_units : is_size ? size_units : plain, &number)) {
        if (is_duration && strspn(value->text, "0123456789") == value->len)
            refuse(r, key, value, "has no unit (ms, s, m, h)");
        else
            refuse(r, key, value,
                   is_duration ? "is not a duration"
                   : is_size   ? "is not a size"
                               : "is not a whole number");
        return;
    }
    if (number < key->min || number > key->max)
        refuse(r, key, value, "is out of range");
    else
        *field = (int32_t)number;
}

static void set_share(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value,
                      int32_t *field)
{
    int64_t share;

    if (!conf_share_parse(value->text, &share))
        refuse(r, key, value, "is not a percentage");
    else if (share < key->min || share > key->max)
        refuse(r, key, value, "is out of range");
    else
        *field = (int32_t)share;
}

static void set_enum(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value,
                     void *field)
{
    const struct conf_choice *choice = conf_choice_named(key->choices, value->text);

    if (choice == NULL) {
        refuse(r, key, value, "is not known");
        return;
    }
    unsigned int stored = (unsigned int)choice->value; /* gcc and clang: an enum without negatives */
    memcpy(field, &stored, sizeof(stored));
}

static void set_address(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value,
                        struct conf_address *field)
{
    const char *why;

    if (!conf_address_parse(value->text, field, &why))
        refuse(r, key, value, why);
    else if (!conf_host_is_loopback(field->host))
        refuse(r, key, value, "is not a loopback address (there is no access control yet)");
}

/* PathUtils.validatePath: absolute, no empty, "." or ".." part, no trailing slash. */
static bool znode_is_valid(const char *path)
{
    if (path[0] != '/' || path[1] == '\0')
        return false;
    for (const char *part = path; *part != '\0';) {
        const char *begin = part + 1;
        size_t len = strcspn(begin, "/");
        if (len == 0 || (len == 1 && begin[0] == '.') || (len == 2 && memcmp(begin, "..", 2) == 0))
            return false;
        part = begin + len;
    }
    return true;
}

static void set_text(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value,
                     char *field, size_t capacity)
{
    if (value->len >= capacity)
        refuse(r, key, value, "is too long");
    else if (key->type == CONF_TYPE_VERSION && strspn(value->text, "0123456789.") != value->len)
        refuse(r, key, value, "is not a version");
    else if (key->type == CONF_TYPE_ZNODE && !znode_is_valid(value->text))
        refuse(r, key, value, "is not a path of a znode");
    else
        memcpy(field, value->text, value->len + 1);
}

void conf_value_set(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *value)
{
    void *field = (char *)r->conf + key->offset;

    if (value->len == 0) {
        char allowed[CONF_ALLOWED_MAX];
        conf_key_allowed(key, allowed, sizeof(allowed));
        conf_problem(r, value->line, key->name, "has no value, allowed is %s", allowed);
        return;
    }
    switch (key->type) {
    case CONF_TYPE_NUMBER:
    case CONF_TYPE_DURATION:
    case CONF_TYPE_SIZE:
        set_quantity(r, key, value, field);
        return;
    case CONF_TYPE_SHARE:
        set_share(r, key, value, field);
        return;
    case CONF_TYPE_ENUM:
        set_enum(r, key, value, field);
        return;
    case CONF_TYPE_PATH:
        set_text(r, key, value, field, CONF_PATH_MAX);
        return;
    case CONF_TYPE_ZNODE:
        set_text(r, key, value, field, ZKP_HOST_MAX);
        return;
    case CONF_TYPE_VERSION:
        set_text(r, key, value, field, CONF_VERSION_MAX);
        return;
    case CONF_TYPE_ADDRESS:
        set_address(r, key, value, field);
        return;
    case CONF_TYPE_SERVERS:
        conf_servers_set(r, key, value);
        return;
    case CONF_TYPE_FLAGS:
    case CONF_TYPE_LISTENERS:
    case CONF_TYPE_BINDS:
    case CONF_TYPE_IDS:
    case CONF_TYPE_NETWORKS:
        refuse(r, key, value, "is not a list");
        return;
    case CONF_TYPE_HOOKS:
        refuse(r, key, value, "is not a map");
        return;
    case CONF_TYPE_COUNT:
        break;
    }
}
