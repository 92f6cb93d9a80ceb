/* See pb_json.h. */
#include "proxy/admin/pb_json.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin/utf8.h"

#define JSON_EXACT_MAX (UINT64_C(1) << 53) /* doubles hold every whole number up to here */

json_t *px_pb_json_text(const char *text)
{
    size_t left = strlen(text);
    json_t *json = json_stringn(text, left); /* NULL also for invalid UTF-8 */
    char *clean;
    size_t len = 0;

    if (json != NULL)
        return json;
    clean = malloc(left * strlen(PX_UTF8_REPLACEMENT) + 1);
    if (clean == NULL)
        return NULL;
    while (left > 0) {
        size_t good = px_utf8_sequence(text, left);
        size_t used = good > 0 ? good : 1;
        const char *from = good > 0 ? text : PX_UTF8_REPLACEMENT;
        size_t count = good > 0 ? good : strlen(PX_UTF8_REPLACEMENT);

        memcpy(clean + len, from, count);
        len += count;
        text += used;
        left -= used;
    }
    json = json_stringn(clean, len);
    free(clean);
    return json;
}

static json_t *json_double(double value)
{
    if (isnan(value))
        return json_string("NaN");
    if (isinf(value))
        return json_string(value > 0 ? "Infinity" : "-Infinity");
    return json_real(value);
}

static json_t *json_uint64(uint64_t value)
{
    if (value > JSON_EXACT_MAX)
        return json_sprintf("%" PRIu64, value);
    return json_integer((json_int_t)value);
}

static json_t *json_enum(const ProtobufCEnumDescriptor *descriptor, int value)
{
    const ProtobufCEnumValue *named = protobuf_c_enum_descriptor_get_value(descriptor, value);
    char name[64];
    size_t i;

    if (named == NULL) /* written by a later release */
        return json_integer(value);
    for (i = 0; i < sizeof name - 1 && named->name[i] != '\0'; i++)
        name[i] = (char)tolower((unsigned char)named->name[i]);
    return json_stringn(name, i);
}

static json_t *json_bytes(const ProtobufCBinaryData *bytes)
{
    char *hex = malloc(bytes->len * 2 + 1);
    json_t *json;

    if (hex == NULL)
        return NULL;
    hex[0] = '\0';
    for (size_t i = 0; i < bytes->len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", bytes->data[i]);
    json = json_string(hex);
    free(hex);
    return json;
}

/* member points at one value of the field's C type. */
static json_t *json_value(const ProtobufCFieldDescriptor *field, const void *member)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return json_integer(*(const int32_t *)member);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return json_integer(*(const int64_t *)member);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return json_integer(*(const uint32_t *)member);
    case PROTOBUF_C_TYPE_UINT64:
        return json_uint64(*(const uint64_t *)member);
    case PROTOBUF_C_TYPE_FIXED64:
        return json_sprintf("0x%" PRIx64, *(const uint64_t *)member);
    case PROTOBUF_C_TYPE_FLOAT:
        return json_double((double)*(const float *)member);
    case PROTOBUF_C_TYPE_DOUBLE:
        return json_double(*(const double *)member);
    case PROTOBUF_C_TYPE_BOOL:
        return json_boolean(*(const protobuf_c_boolean *)member);
    case PROTOBUF_C_TYPE_ENUM:
        return json_enum(field->descriptor, *(const int *)member);
    case PROTOBUF_C_TYPE_STRING: {
        const char *text = *(const char *const *)member;

        return px_pb_json_text(text != NULL ? text : "");
    }
    case PROTOBUF_C_TYPE_BYTES:
        return json_bytes(member);
    case PROTOBUF_C_TYPE_MESSAGE: {
        const ProtobufCMessage *const *message = member;

        return *message != NULL ? px_pb_json(*message) : json_null();
    }
    }
    return json_null(); /* a type protobuf-c does not have today */
}

/* Distance between two elements of a repeated field. */
static size_t element_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return 8;
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    case PROTOBUF_C_TYPE_ENUM:
        return sizeof(int);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        break;
    }
    return 4;
}

static json_t *json_list(const ProtobufCFieldDescriptor *field, const char *elements, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(list, json_value(field, elements + i * element_size(field))) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* protobuf-c keeps defaults in the member (generated init functions put them there), except for strings and
 * messages, which are NULL when absent. A scalar without has_x is therefore printed as it stands. */
static json_t *json_field(const ProtobufCFieldDescriptor *field, const char *base)
{
    const char *member = base + field->offset;

    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        const size_t *count = (const void *)(base + field->quantifier_offset);

        return json_list(field, *(const char *const *)(const void *)member, *count);
    }
    if (field->type == PROTOBUF_C_TYPE_STRING && *(const char *const *)(const void *)member == NULL &&
        field->default_value != NULL)
        return px_pb_json_text(field->default_value);
    return json_value(field, member);
}

static bool is_other_case(const ProtobufCFieldDescriptor *field, const char *base)
{
    const int *set = (const void *)(base + field->quantifier_offset);

    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 && (uint32_t)*set != field->id;
}

json_t *px_pb_json(const ProtobufCMessage *message)
{
    const char *base = (const char *)message;
    json_t *object = json_object();

    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];

        if (is_other_case(field, base))
            continue;
        if (json_object_set_new(object, field->name, json_field(field, base)) != 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}
