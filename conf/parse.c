/* The second pass, over the document tree, key by key; the first one is conf/parse_scan.c. Thread: the one
 * that loads. Knows no key by name except what listeners need. */
#include <stdio.h>

#include "conf/parse_int.h"

struct walk {
    struct conf_reader *r;
    yaml_document_t *document;
};

static int line_of_node(const yaml_node_t *node)
{
    return conf_yaml_line(node->start_mark);
}

static struct conf_scalar scalar_of(const yaml_node_t *node)
{
    yaml_scalar_style_t style = node->data.scalar.style;
    struct conf_scalar scalar = {.text = (const char *)node->data.scalar.value,
                                 .len = node->data.scalar.length,
                                 .line = line_of_node(node),
                                 .is_block = style == YAML_LITERAL_SCALAR_STYLE};

    if (style == YAML_PLAIN_SCALAR_STYLE &&
        (strcmp(scalar.text, "~") == 0 || strcmp(scalar.text, "null") == 0))
        scalar.len = 0; /* YAML's two ways to write nothing */
    return scalar;
}

/* NUL bytes ("\0" in quotes) would cut the text that everybody after us sees. */
static bool is_clean(struct walk *w, const yaml_node_t *node, const char *name)
{
    if (memchr(node->data.scalar.value, '\0', node->data.scalar.length) == NULL)
        return true;
    conf_problem(w->r, line_of_node(node), name, "has a NUL byte, allowed is text");
    return false;
}

static void report_type(struct walk *w, const yaml_node_t *node, const char *name, const char *is_not,
                        const struct conf_key *key)
{
    char allowed[CONF_ALLOWED_MAX];

    conf_key_allowed(key, allowed, sizeof(allowed));
    conf_problem(w->r, line_of_node(node), name, "is not %s, allowed is %s", is_not, allowed);
}

static void set_guarded_listener(struct walk *w, const struct conf_key *key, const yaml_node_t *map)
{
    struct conf_scalar address = {0};
    struct conf_scalar guard = {0};

    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        yaml_node_t *name = yaml_document_get_node(w->document, p->key);
        yaml_node_t *value = yaml_document_get_node(w->document, p->value);
        bool is_text = name->type == YAML_SCALAR_NODE && value->type == YAML_SCALAR_NODE;
        const char *text = is_text ? (const char *)name->data.scalar.value : "";
        struct conf_scalar *field = strcmp(text, "address") == 0 ? &address
                                    : strcmp(text, "guard") == 0 ? &guard
                                                                 : NULL;
        if (field == NULL || field->text != NULL) {
            report_type(w, name, key->name, "address or guard, given once", key);
            return;
        }
        if (!is_clean(w, value, key->name))
            return;
        *field = scalar_of(value);
    }
    if (address.text == NULL)
        report_type(w, map, key->name, "an entry with an address", key);
    else
        conf_listener_add(w->r, key, &address, guard.text != NULL ? &guard : NULL);
}

static void set_list(struct walk *w, const struct conf_key *key, const yaml_node_t *list)
{
    const yaml_node_item_t *top = list->data.sequence.items.top;

    if (key->type == CONF_TYPE_LISTENERS && list->data.sequence.items.start == top)
        report_type(w, list, key->name, "a list with an entry", key);
    for (const yaml_node_item_t *i = list->data.sequence.items.start; i < top; i++) {
        yaml_node_t *item = yaml_document_get_node(w->document, *i);
        if (item->type == YAML_MAPPING_NODE && key->type == CONF_TYPE_LISTENERS) {
            set_guarded_listener(w, key, item);
        } else if (item->type != YAML_SCALAR_NODE) {
            report_type(w, item, key->name, "a plain entry", key);
        } else if (is_clean(w, item, key->name)) {
            struct conf_scalar scalar = scalar_of(item);
            conf_list_add(w->r, key, &scalar);
        }
    }
}

/* Arguments of one hook. */
static void set_command(struct walk *w, const struct conf_key *key, enum conf_hook hook,
                        const yaml_node_t *list)
{
    const yaml_node_item_t *top = list->data.sequence.items.top;

    if (list->data.sequence.items.start == top)
        report_type(w, list, key->name, "a list with a program", key);
    for (const yaml_node_item_t *i = list->data.sequence.items.start; i < top; i++) {
        yaml_node_t *item = yaml_document_get_node(w->document, *i);
        if (item->type != YAML_SCALAR_NODE) {
            report_type(w, item, key->name, "a plain argument", key);
            return;
        }
        if (!is_clean(w, item, key->name))
            return;
        struct conf_scalar scalar = scalar_of(item);
        conf_hook_add(w->r, key, hook, &scalar);
    }
}

static void set_hooks(struct walk *w, const struct conf_key *key, const yaml_node_t *map)
{
    bool is_given[CONF_HOOK_COUNT] = {false};

    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < map->data.mapping.pairs.top; p++) {
        yaml_node_t *name = yaml_document_get_node(w->document, p->key);
        yaml_node_t *value = yaml_document_get_node(w->document, p->value);
        bool is_text = name->type == YAML_SCALAR_NODE;
        enum conf_hook hook =
            is_text ? conf_hook_named((const char *)name->data.scalar.value) : CONF_HOOK_COUNT;
        if (hook == CONF_HOOK_COUNT || is_given[hook]) {
            report_type(w, name, key->name, "start, stop, restart or backup, given once", key);
            return;
        }
        if (value->type != YAML_SEQUENCE_NODE) {
            report_type(w, value, key->name, "a list of arguments", key);
            return;
        }
        is_given[hook] = true;
        set_command(w, key, hook, value);
    }
}

static void set_key(struct walk *w, const struct conf_key *key, const yaml_node_t *value)
{
    if (value->type == YAML_SEQUENCE_NODE && conf_key_is_list(key)) {
        set_list(w, key, value);
    } else if (value->type == YAML_MAPPING_NODE && key->type == CONF_TYPE_HOOKS) {
        set_hooks(w, key, value);
    } else if (value->type != YAML_SCALAR_NODE) {
        report_type(w, value, key->name, conf_key_is_list(key) ? "a list" : "a single value", key);
    } else if (is_clean(w, value, key->name)) {
        struct conf_scalar scalar = scalar_of(value);
        conf_value_set(w->r, key, &scalar);
    }
}

static void report_unknown(struct walk *w, const char *section, const char *name, int line)
{
    char full[CONF_NAME_MAX];
    char shown[CONF_NAME_MAX];
    char meant[CONF_NAME_MAX];
    char allowed[CONF_ALLOWED_MAX];

    conf_show(shown, sizeof(shown), name, strlen(name));
    (void)snprintf(full, sizeof(full), "%.40s%s%.80s", section, section[0] != '\0' ? "." : "", shown);
    conf_section_names(section, allowed, sizeof(allowed));
    if (conf_suggest(section, name, meant, sizeof(meant)))
        conf_problem(w->r, line, full, "unknown key, did you mean %s?", meant);
    else
        conf_problem(w->r, line, full, "unknown key, allowed here is %s", allowed);
}

/* Line of an earlier pair with the same key, 0 = none. libyaml keeps both. */
static int line_of_first(struct walk *w, const yaml_node_t *map, const yaml_node_pair_t *pair,
                         const char *name)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start; p < pair; p++) {
        yaml_node_t *key = yaml_document_get_node(w->document, p->key);
        if (key->type == YAML_SCALAR_NODE && strcmp((const char *)key->data.scalar.value, name) == 0)
            return line_of_node(key);
    }
    return 0;
}

static void read_mapping(struct walk *w, const char *section, const yaml_node_t *map);

static void read_section(struct walk *w, const char *name, int line, const yaml_node_t *value)
{
    char allowed[CONF_ALLOWED_MAX];

    if (strcmp(name, "migration") == 0)
        w->r->migration_line = line;
    else if (strcmp(name, "migration.canary") == 0)
        w->r->canary_line = line;
    if (value->type == YAML_MAPPING_NODE) {
        read_mapping(w, name, value);
        return;
    }
    conf_section_names(name, allowed, sizeof(allowed));
    conf_problem(w->r, line, name, "is not a section, allowed is a mapping with %s", allowed);
}

static void read_pair(struct walk *w, const char *section, const yaml_node_t *map,
                      const yaml_node_pair_t *pair)
{
    yaml_node_t *key_node = yaml_document_get_node(w->document, pair->key);
    yaml_node_t *value = yaml_document_get_node(w->document, pair->value);
    int line = line_of_node(key_node);

    if (key_node->type != YAML_SCALAR_NODE) {
        conf_problem(w->r, line, section, "a key is not a word, allowed is KEY: VALUE");
        return;
    }
    const char *name = (const char *)key_node->data.scalar.value;
    char full[CONF_NAME_MAX];
    (void)snprintf(full, sizeof(full), "%s%s%s", section, section[0] != '\0' ? "." : "", name);
    const struct conf_key *key = strlen(name) < CONF_NAME_MAX / 2 ? conf_key_named(full) : NULL;
    bool is_dotted = strchr(name, '.') != NULL; /* "listen.admin: x" at top level is not YAML's nesting */
    bool is_section =
        !is_dotted && name[0] != '\0' && strlen(name) < CONF_NAME_MAX / 2 && conf_section_exists(full);

    if (is_dotted || (key == NULL && !is_section)) {
        report_unknown(w, section, name, line);
        return;
    }
    int first = line_of_first(w, map, pair, name);
    if (first != 0) {
        conf_problem(w->r, line, full, "is given twice (first on line %d), allowed is once", first);
        return;
    }
    if (is_section) {
        read_section(w, full, line, value);
        return;
    }
    w->r->lines[conf_key_index(key)] = line;
    set_key(w, key, value);
}

/* Keys that are required in this section and were not there. */
static void check_required(struct walk *w, const char *section, int line)
{
    size_t len = strlen(section);

    for (uint32_t i = 0; conf_key_at(i) != NULL; i++) {
        const struct conf_key *key = conf_key_at(i);
        const char *dot = strrchr(key->name, '.');
        size_t key_len = dot == NULL ? 0 : (size_t)(dot - key->name);
        bool is_here = key_len == len && strncmp(key->name, section, len) == 0;
        if (!is_here || !key->is_required || w->r->lines[i] != 0)
            continue;
        char allowed[CONF_ALLOWED_MAX];
        conf_key_allowed(key, allowed, sizeof(allowed));
        conf_problem(w->r, line, key->name, "is missing, allowed is %s", allowed);
    }
}

static void read_mapping(struct walk *w, const char *section, const yaml_node_t *map)
{
    for (yaml_node_pair_t *p = map->data.mapping.pairs.start;
         p < map->data.mapping.pairs.top && !conf_problems_full(w->r); p++)
        read_pair(w, section, map, p);
    check_required(w, section, line_of_node(map));
}

static void read_document(struct walk *w)
{
    yaml_node_t *root = yaml_document_get_root_node(w->document);

    if (root == NULL)
        check_required(w, "", 1);
    else if (root->type != YAML_MAPPING_NODE)
        conf_problem(w->r, line_of_node(root), "", "the file is not a mapping, allowed is KEY: VALUE lines");
    else
        read_mapping(w, "", root);
}

static void load_document(struct conf_reader *r, struct zkp_slice text)
{
    yaml_parser_t parser;
    yaml_document_t document;

    if (!yaml_parser_initialize(&parser)) {
        r->is_nomem = true;
        return;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text.ptr, text.len);
    if (yaml_parser_load(&parser, &document)) {
        struct walk walk = {.r = r, .document = &document};
        read_document(&walk);
        yaml_document_delete(&document);
    } else {
        conf_yaml_report(r, &parser, text);
    }
    yaml_parser_delete(&parser);
}

void conf_parse_yaml(struct conf_reader *r, struct zkp_slice text)
{
    conf_yaml_scan(r, text);
    if (r->problem_count == 0 && !r->is_nomem)
        load_document(r, text);
}
