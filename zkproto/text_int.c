/* Text scanning shared by server.c and word.c. Pure, any thread. It knows no ZooKeeper word. */
#include "zkproto/text_int.h"

#include <strings.h>

uint32_t zkp_text_index(struct zkp_slice text, char c)
{
    const uint8_t *found = text.len > 0 ? memchr(text.ptr, c, text.len) : NULL;
    return found ? (uint32_t)(found - text.ptr) : text.len;
}

struct zkp_slice zkp_text_from(struct zkp_slice text, uint32_t from)
{
    if (from >= text.len)
        return zkp_slice_of("", 0);
    return zkp_slice_of(text.ptr + from, text.len - from);
}

bool zkp_text_next(struct zkp_slice *rest, char separator, struct zkp_slice *ret_piece)
{
    if (rest->len == 0)
        return false;
    uint32_t length = zkp_text_index(*rest, separator);
    *ret_piece = zkp_slice_of(rest->ptr, length);
    *rest = length < rest->len ? zkp_text_from(*rest, length + 1) : zkp_slice_of("", 0);
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct zkp_slice zkp_text_trim(struct zkp_slice text)
{
    while (text.len > 0 && is_blank(text.ptr[0]))
        text = zkp_text_from(text, 1);
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

bool zkp_text_is(struct zkp_slice text, const char *literal)
{
    return zkp_slice_eq(text, zkp_slice_str(literal));
}

bool zkp_text_is_nocase(struct zkp_slice text, const char *literal)
{
    return text.len == strlen(literal) && strncasecmp((const char *)text.ptr, literal, text.len) == 0;
}

bool zkp_text_after(struct zkp_slice text, const char *prefix, struct zkp_slice *ret_rest)
{
    uint32_t length = (uint32_t)strlen(prefix);
    if (text.len < length || memcmp(text.ptr, prefix, length) != 0)
        return false;
    *ret_rest = zkp_text_from(text, length);
    return true;
}

/* 0–15, or 16 when c is no hexadecimal digit. */
static uint32_t digit_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0');
    if (c >= 'a' && c <= 'f')
        return (uint32_t)(c - 'a' + 10);
    if (c >= 'A' && c <= 'F')
        return (uint32_t)(c - 'A' + 10);
    return 16;
}

bool zkp_text_u64(struct zkp_slice text, uint32_t base, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < text.len; i++) {
        uint32_t digit = digit_value(text.ptr[i]);
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    if (text.len == 0)
        return false;
    *ret_value = value;
    return true;
}

bool zkp_text_i64(struct zkp_slice text, int64_t min, int64_t max, int64_t *ret_value)
{
    struct zkp_slice digits = text;
    bool is_negative = zkp_text_after(text, "-", &digits);
    uint64_t magnitude;
    if (!zkp_text_u64(digits, 10, &magnitude) || magnitude > INT64_MAX)
        return false;
    int64_t value = is_negative ? -(int64_t)magnitude : (int64_t)magnitude;
    if (value < min || value > max)
        return false;
    *ret_value = value;
    return true;
}

bool zkp_text_copy(struct zkp_slice text, char *buf, uint32_t capacity)
{
    if (text.len >= capacity)
        return false;
    if (text.len > 0)
        memcpy(buf, text.ptr, text.len);
    buf[text.len] = '\0';
    return true;
}
