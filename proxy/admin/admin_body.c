/* The body of a POST -> struct px_admin_args. Strict on purpose: a misspelt key in a call that moves an
 * ensemble must not be ignored. Pure; fuzzed (tests/fuzz/fuzz_admin_body.c). */
#include <ctype.h>
#include <string.h>

#include "proxy/admin/admin_int.h"

static enum rc text_value(const char *key, const json_t *value, char *ret_text, size_t capacity,
                          struct err *err)
{
    if (!json_is_string(value))
        return err_set(err, RC_INVALID, "\"%s\" must be a string", key);
    if (json_string_length(value) >= capacity)
        return err_set(err, RC_TOO_BIG, "\"%s\" is longer than %zu bytes", key, capacity - 1);
    (void)strcpy(ret_text, json_string_value(value));
    return RC_OK;
}

static enum rc accept_value(const json_t *value, struct px_admin_args *args, struct err *err)
{
    if (!json_is_array(value))
        return err_set(err, RC_INVALID, "\"accept\" must be a list of finding ids");
    if (json_array_size(value) > PX_ADMIN_ACCEPT_MAX)
        return err_set(err, RC_TOO_BIG, "\"accept\" has more than %u entries", PX_ADMIN_ACCEPT_MAX);
    for (size_t i = 0; i < json_array_size(value); i++) {
        enum rc rc =
            text_value("accept", json_array_get(value, i), args->accept[i], sizeof args->accept[i], err);

        if (rc != RC_OK)
            return rc;
        args->accept_count++;
    }
    return RC_OK;
}

static enum rc servers_value(const json_t *value, struct px_admin_args *args, struct err *err)
{
    if (!json_is_array(value))
        return err_set(err, RC_INVALID, "\"servers\" must be a list of server ids");
    if (json_array_size(value) > PX_ADMIN_SERVERS_MAX)
        return err_set(err, RC_TOO_BIG, "\"servers\" has more than %u entries", PX_ADMIN_SERVERS_MAX);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const json_t *id = json_array_get(value, i);

        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            return err_set(err, RC_INVALID, "\"servers\" must be a list of server ids");
        args->servers[args->server_count++] = (int32_t)json_integer_value(id);
    }
    return RC_OK;
}

static enum rc one_key(const char *key, const json_t *value, struct px_admin_args *args, struct err *err)
{
    if (strcmp(key, "plan_id") == 0)
        return text_value(key, value, args->plan_id, sizeof args->plan_id, err);
    if (strcmp(key, "phase") == 0)
        return text_value(key, value, args->phase, sizeof args->phase, err);
    if (strcmp(key, "accept") == 0)
        return accept_value(value, args, err);
    if (strcmp(key, "servers") == 0)
        return servers_value(value, args, err);
    if (strcmp(key, "from") == 0)
        return text_value(key, value, args->from, sizeof args->from, err);
    return err_set(err, RC_INVALID,
                   "unknown key \"%.64s\", allowed are plan_id, phase, accept, servers and from", key);
}

static bool is_blank(const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isspace((unsigned char)bytes[i]))
            return false;
    }
    return true;
}

enum rc px_admin_body_parse(const char *bytes, size_t len, struct px_admin_args *ret_args, struct err *err)
{
    struct px_admin_args args = {0};
    enum rc rc = RC_OK;
    json_error_t where;
    const char *key;
    json_t *value;
    json_t *root;

    if (is_blank(bytes, len)) {
        *ret_args = args;
        return RC_OK;
    }
    root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(root)) {
        rc = root != NULL ? err_set(err, RC_MALFORMED, "the body must be a JSON object")
                          : err_set(err, RC_MALFORMED, "line %d: %s", where.line, where.text);
        json_decref(root);
        return rc;
    }
    json_object_foreach(root, key, value)
    {
        rc = one_key(key, value, &args, err);
        if (rc != RC_OK)
            break;
    }
    json_decref(root);
    if (rc == RC_OK)
        *ret_args = args;
    return rc;
}

enum rc px_admin_query_number(const char *text, uint64_t *ret_number)
{
    uint64_t number = 0;

    if (*text == '\0')
        return RC_INVALID;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || number > (UINT64_MAX - 9) / 10)
            return RC_INVALID;
        number = number * 10 + (uint64_t)(*text - '0');
    }
    *ret_number = number;
    return RC_OK;
}
