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

/* The digits of MANTISSA, point left out, and where the point stands behind the exponent is applied. */
static bool scientific(struct zkp_slice text, struct zkp_slice *ret_whole, struct zkp_slice *ret_fraction,
                       int64_t *ret_exponent)
{
    uint32_t mark = zkp_text_index(text, 'E');
    if (mark == text.len)
        mark = zkp_text_index(text, 'e');
    *ret_exponent = 0;
    if (mark < text.len && !zkp_text_i64(zkp_text_from(text, mark + 1), -400, 400, ret_exponent))
        return false;
    struct zkp_slice mantissa = zkp_slice_of(text.ptr, mark);
    uint32_t point = zkp_text_index(mantissa, '.');
    *ret_whole = zkp_slice_of(mantissa.ptr, point);
    *ret_fraction = zkp_text_from(mantissa, point + 1);
    return ret_whole->len > 0;
}

bool zkp_text_whole(struct zkp_slice text, int64_t *ret_value)
{
    struct zkp_slice digits = text, whole, fraction;
    int64_t exponent;
    uint64_t value = 0;
    if (zkp_text_i64(text, INT64_MIN, INT64_MAX, ret_value))
        return true;
    bool is_negative = zkp_text_after(text, "-", &digits);
    if (!scientific(digits, &whole, &fraction, &exponent))
        return false;
    /* One digit after the other, as far as the point reaches; what is behind it must be zeros. */
    int64_t before_point = (int64_t)whole.len + exponent;
    int64_t given = (int64_t)whole.len + (int64_t)fraction.len;
    for (int64_t i = 0; i < given || i < before_point; i++) {
        uint8_t c = '0';
        if (i < (int64_t)whole.len)
            c = whole.ptr[i];
        else if (i < given)
            c = fraction.ptr[i - (int64_t)whole.len];
        if (c < '0' || c > '9' || (i >= before_point && c != '0'))
            return false;
        if (i >= before_point)
            continue;
        if (value > (uint64_t)INT64_MAX / 10 || value * 10 > (uint64_t)INT64_MAX - (uint64_t)(c - '0'))
            return false;
        value = value * 10 + (uint64_t)(c - '0');
    }
    *ret_value = is_negative ? -(int64_t)value : (int64_t)value;
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
