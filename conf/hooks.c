/* migration.hooks: commands that a plan may run for a server, as lists of arguments. No shell reads them:
 * what is one argument here is one argument of the program. Thread: the one that loads; conf_command_* are
 * pure. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/conf_int.h"
#include "zkproto/assert.h"

static const char *const hook_names[CONF_HOOK_COUNT] = {
    [CONF_HOOK_START] = "start",
    [CONF_HOOK_STOP] = "stop",
    [CONF_HOOK_RESTART] = "restart",
    [CONF_HOOK_BACKUP] = "backup",
};

const char *conf_hook_name(enum conf_hook hook)
{
    return (uint32_t)hook < CONF_HOOK_COUNT ? hook_names[hook] : "?";
}

enum conf_hook conf_hook_named(const char *name)
{
    for (uint32_t i = 0; i < CONF_HOOK_COUNT; i++) {
        if (strcmp(hook_names[i], name) == 0)
            return (enum conf_hook)i;
    }
    return CONF_HOOK_COUNT;
}

const char *conf_command_argument(const struct conf_command *command, uint32_t index)
{
    const char *argument = command->text;

    ASSERT(index < command->count);
    while (index-- > 0)
        argument += strlen(argument) + 1;
    return argument;
}

static uint32_t used_bytes(const struct conf_command *command)
{
    if (command->count == 0)
        return 0;
    const char *last = conf_command_argument(command, command->count - 1);
    return (uint32_t)(last + strlen(last) + 1 - command->text);
}

enum rc conf_command_add(struct conf_command *command, const char *argument)
{
    uint32_t used = used_bytes(command);
    size_t size = strlen(argument) + 1;

    if (command->count == CONF_ARGUMENTS_MAX || size > sizeof(command->text) - used)
        return RC_FULL;
    memcpy(command->text + used, argument, size);
    command->count++;
    return RC_OK;
}

bool conf_command_is_same(const struct conf_command *a, const struct conf_command *b)
{
    return a->count == b->count && memcmp(a->text, b->text, used_bytes(a)) == 0;
}

/* Length of a placeholder "{word}" at text, 0 = there is none. Braces around anything else are just text. */
static size_t placeholder_length(const char *text)
{
    size_t len = text[0] == '{' ? strspn(text + 1, "abcdefghijklmnopqrstuvwxyz_") : 0;

    return len > 0 && text[len + 1] == '}' ? len + 2 : 0;
}

bool conf_command_is_fixed(const struct conf_command *command)
{
    for (const char *program = command->text; *program != '\0'; program++)
        if (placeholder_length(program) > 0)
            return false;
    return true;
}

const char *conf_program_trouble(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0)
        return errno == ENOENT ? "is not there" : "can't be looked at";
    if (!S_ISREG(info.st_mode))
        return "is no file";
    return access(path, X_OK) == 0 ? "" : "may not be executed by this user";
}

/* The first placeholder that is none of ours: most likely a typing error. */
static bool has_strange_placeholder(const char *text)
{
    for (; *text != '\0'; text++) {
        size_t len = placeholder_length(text);
        bool is_known = (len == 4 && memcmp(text, "{id}", len) == 0) ||
                        (len == 6 && memcmp(text, "{host}", len) == 0) ||
                        (len == 13 && memcmp(text, "{client_port}", len) == 0);
        if (len > 0 && !is_known)
            return true;
    }
    return false;
}

static void refuse(struct conf_reader *r, const struct conf_key *key, const struct conf_scalar *item,
                   const char *why)
{
    char allowed[CONF_ALLOWED_MAX];
    char shown[CONF_NAME_MAX];

    conf_key_allowed(key, allowed, sizeof(allowed));
    conf_show(shown, sizeof(shown), item->text, item->len);
    conf_problem(r, item->line, key->name, "\"%s\" %s, allowed is %s", shown, why, allowed);
}

void conf_hook_add(struct conf_reader *r, const struct conf_key *key, enum conf_hook hook,
                   const struct conf_scalar *item)
{
    struct conf_command *command = &r->conf->hooks[hook];

    if (command->count == 0 && item->text[0] != '/')
        refuse(r, key, item, "is not an absolute path of a program");
    else if (has_strange_placeholder(item->text))
        refuse(r, key, item, "has an unknown placeholder");
    else if (conf_command_add(command, item->text) != RC_OK)
        refuse(r, key, item, "is more than a command may have");
}
