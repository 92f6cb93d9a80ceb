/* printf formats to logfmt pairs: each value is formatted first, then quoted and escaped as a whole, so
 * that text of a peer stays inside its value. That is why vsnprintf over the whole format can't be used:
 * afterwards a space of ours and a space of a peer look the same. Pure, no allocation, any thread. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proxy/log.h"

#define VALUE_MAX 1024u /* one value before escaping; longer ones are cut */

/* Both buffers stop growing when full and remember it. */
struct text {
    char *buf;
    uint32_t len;
    uint32_t capacity;
    bool is_cut;
};

/* A va_list that can be passed by pointer (a parameter of array type can't). */
struct arguments {
    va_list list;
};

enum length { LENGTH_INT, LENGTH_LONG, LENGTH_LONG_LONG, LENGTH_SIZE, LENGTH_MAX, LENGTH_DIFF };

struct conversion {
    bool has_zero;
    bool has_prefix; /* '#' */
    int width;
    int precision; /* -1 = none */
    enum length length;
    char kind;
};

static void add(struct text *text, const char *bytes, size_t count)
{
    size_t room = text->capacity - text->len;

    if (count > room) {
        text->is_cut = true;
        count = room;
    }
    memcpy(text->buf + text->len, bytes, count);
    text->len += (uint32_t)count;
}

static void add_char(struct text *text, char c)
{
    add(text, &c, 1);
}

static int number_at(const char **format, struct arguments *args)
{
    int number = 0;

    if (**format == '*') {
        (*format)++;
        return va_arg(args->list, int);
    }
    for (; **format >= '0' && **format <= '9' && number < (int)VALUE_MAX; (*format)++)
        number = number * 10 + (**format - '0');
    return number;
}

static enum length length_at(const char **format)
{
    static const struct {
        char text[3];
        enum length length;
    } lengths[] = {{"ll", LENGTH_LONG_LONG}, {"l", LENGTH_LONG}, {"hh", LENGTH_INT}, {"h", LENGTH_INT},
                   {"z", LENGTH_SIZE},       {"j", LENGTH_MAX},  {"t", LENGTH_DIFF}};

    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        size_t len = strlen(lengths[i].text);

        if (strncmp(*format, lengths[i].text, len) == 0) {
            *format += len;
            return lengths[i].length;
        }
    }
    return LENGTH_INT;
}

/* *format stands behind the '%'; afterwards behind the conversion. */
static struct conversion conversion_at(const char **format, struct arguments *args)
{
    struct conversion c = {.precision = -1};

    for (; **format == '0' || **format == '#'; (*format)++) {
        c.has_zero = c.has_zero || **format == '0';
        c.has_prefix = c.has_prefix || **format == '#';
    }
    c.width = number_at(format, args);
    if (**format == '.') {
        (*format)++;
        c.precision = number_at(format, args);
    }
    c.length = length_at(format);
    c.kind = **format;
    if (c.kind != '\0')
        (*format)++;
    return c;
}

static long long take_signed(struct arguments *args, enum length length)
{
    switch (length) {
    case LENGTH_LONG:
        return va_arg(args->list, long);
    case LENGTH_LONG_LONG:
        return va_arg(args->list, long long);
    case LENGTH_SIZE:
        return (long long)va_arg(args->list, size_t);
    case LENGTH_MAX:
        return va_arg(args->list, intmax_t);
    case LENGTH_DIFF:
        return va_arg(args->list, ptrdiff_t);
    case LENGTH_INT:
        break;
    }
    return va_arg(args->list, int);
}

static unsigned long long take_unsigned(struct arguments *args, enum length length)
{
    if (length == LENGTH_INT)
        return va_arg(args->list, unsigned);
    return (unsigned long long)take_signed(args, length); /* same size, same bits */
}

static void add_hex(struct text *value, const struct conversion *c, unsigned long long number)
{
    char digits[64];

    if (c->has_prefix)
        add(value, "0x", 2); /* also before 0: ids look alike in every line */
    (void)snprintf(digits, sizeof digits, c->has_zero ? "%0*llx" : "%*llx", c->width, number);
    for (char *d = digits; c->kind == 'X' && *d != '\0'; d++)
        *d = *d >= 'a' && *d <= 'f' ? (char)(*d - 'a' + 'A') : *d;
    add(value, digits, strlen(digits));
}

static void add_string(struct text *value, const struct conversion *c, const char *string)
{
    size_t limit = c->precision >= 0 ? (size_t)c->precision : VALUE_MAX + 1;

    if (string == NULL)
        string = "(null)";
    add(value, string, strnlen(string, limit));
}

/* False: a conversion we don't know, so where the next argument stands is not known either. */
static bool add_conversion(struct text *value, const char **format, struct arguments *args)
{
    struct conversion c = conversion_at(format, args);
    char number[400]; /* the longest is %f of DBL_MAX: 309 digits, a point and the decimals */

    number[0] = '\0';
    switch (c.kind) {
    case 'd':
    case 'i':
        (void)snprintf(number, sizeof number, c.has_zero ? "%0*lld" : "%*lld", c.width,
                       take_signed(args, c.length));
        break;
    case 'u':
        (void)snprintf(number, sizeof number, c.has_zero ? "%0*llu" : "%*llu", c.width,
                       take_unsigned(args, c.length));
        break;
    case 'x':
    case 'X':
        add_hex(value, &c, take_unsigned(args, c.length));
        break;
    case 'f':
        (void)snprintf(number, sizeof number, "%.*f", c.precision, va_arg(args->list, double));
        break;
    case 'g':
        (void)snprintf(number, sizeof number, "%.*g", c.precision, va_arg(args->list, double));
        break;
    case 'p':
        (void)snprintf(number, sizeof number, "%p", va_arg(args->list, void *));
        break;
    case 's':
        add_string(value, &c, va_arg(args->list, const char *));
        break;
    case 'c':
        add_char(value, (char)va_arg(args->list, int));
        break;
    case '%':
        add_char(value, '%');
        break;
    default:
        return false;
    }
    add(value, number, strlen(number));
    return true;
}

/* From behind the '=' to the next space of the format. Quotes in the format group words and are not part of
 * the value. */
static bool add_value(struct text *value, const char **format, struct arguments *args)
{
    bool is_quoted = false;

    while (**format != '\0' && (is_quoted || **format != ' ')) {
        char c = *(*format)++;

        if (c == '"')
            is_quoted = !is_quoted;
        else if (c != '%')
            add_char(value, c);
        else if (!add_conversion(value, format, args))
            return false;
    }
    return true;
}

static bool is_plain(char c)
{
    return c > ' ' && c <= '~' && c != '"' && c != '=' && c != '\\';
}

/* Everything that is not printable ASCII is escaped: no bytes of a peer reach a terminal. */
static void add_escaped(struct text *out, char c)
{
    static const char special[] = "\"\"\\\\\nn\rr\tt"; /* pairs: the byte, its letter */
    char hex[5];

    for (const char *s = special; *s != '\0'; s += 2) {
        if (c == s[0]) {
            add_char(out, '\\');
            add_char(out, s[1]);
            return;
        }
    }
    if (c >= ' ' && c <= '~') {
        add_char(out, c);
        return;
    }
    (void)snprintf(hex, sizeof hex, "\\x%02x", (unsigned)(unsigned char)c);
    add(out, hex, 4);
}

static void add_quoted(struct text *out, const struct text *value)
{
    uint32_t plain = 0;

    while (plain < value->len && is_plain(value->buf[plain]))
        plain++;
    if (plain == value->len && plain > 0) {
        add(out, value->buf, value->len);
        return;
    }
    add_char(out, '"');
    for (uint32_t i = 0; i < value->len; i++)
        add_escaped(out, value->buf[i]);
    add_char(out, '"');
}

/* One pair; false when nothing sensible can follow it. */
static bool add_pair(struct text *out, const char **format, struct arguments *args)
{
    char bytes[VALUE_MAX];
    struct text value = {.buf = bytes, .capacity = VALUE_MAX};
    size_t key_len = strcspn(*format, "= ");
    bool go_on = true;

    add(out, *format, key_len);
    *format += key_len;
    if (**format == '=') {
        add_char(out, '=');
        (*format)++;
        go_on = add_value(&value, format, args);
        add_quoted(out, &value);
        out->is_cut = out->is_cut || value.is_cut;
    }
    return go_on;
}

uint32_t px_log_format(char *buf, uint32_t capacity, bool *ret_is_cut, const char *format, va_list args)
{
    struct text out = {.buf = buf, .capacity = capacity - 1};
    struct arguments arguments;
    bool go_on = true;
    bool is_value_cut = false;

    va_copy(arguments.list, args);
    while (go_on && *format != '\0') {
        uint32_t whole = out.len; /* up to here only whole pairs */

        if (out.len > 0)
            add_char(&out, ' ');
        go_on = add_pair(&out, &format, &arguments);
        is_value_cut = is_value_cut || out.is_cut;
        if (out.len == out.capacity) { /* may have ended inside this pair */
            out.len = whole;
            out.is_cut = true;
            break;
        }
        out.is_cut = false; /* a cut value is still a whole pair */
        format += strspn(format, " ");
    }
    va_end(arguments.list);
    buf[out.len] = '\0';
    *ret_is_cut = is_value_cut || out.is_cut || !go_on;
    return out.len;
}
