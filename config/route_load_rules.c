/* Who goes where: "users", "domains" and "default" of routes.json. */
#include "config/route_load.h"

#include <stdio.h>
#include <string.h>

#include "config/json_read.h"
#include "config/login_as.h"
#include "config/pace.h"

#define DOMAIN_KEY_MAX 255

/* A key brought into the form of the table. */
struct domain_key {
    char text[DOMAIN_KEY_MAX + 1]; /* lower case, with its "*." */
    size_t len;
    size_t mark_len; /* of "*.", or 0 */
};

/* Tells whether a key of the file becomes this text in the table. */
typedef bool key_becomes(const struct route_loader *loader, const char *key,
                         const char *text);

static void load_user(struct route_loader *loader,
                      const struct json_place *place);
static void load_domain(struct route_loader *loader,
                        const struct json_place *place);
static bool user_becomes(const struct route_loader *loader, const char *key,
                         const char *text);
static bool normalise_domain(const struct identity_rules *rules,
                             const char *key, struct domain_key *out);
static bool domain_becomes(const struct route_loader *loader, const char *key,
                           const char *text);
static bool is_domain(const struct identity_rules *rules, const char *text);
static bool is_label_byte(const struct identity_rules *rules, char byte);
static void fault_same_key(struct route_loader *loader,
                           const struct json_place *place, key_becomes *becomes,
                           const char *text);
static uint32_t add_text(struct route_loader *loader,
                         const struct json_place *place, const char *text);
static void fault_size(const struct json_place *place);
static uint32_t read_rule(struct route_loader *loader,
                          const struct json_place *place);
static uint32_t read_rule_object(struct route_loader *loader,
                                 const struct json_place *place);
static const char *read_login_as(struct route_loader *loader,
                                 struct json_members *members);
static bool is_last_rule(const struct route_table *table,
                         const struct rule *rule);
static uint32_t template_at(struct route_loader *loader,
                            const struct json_place *place,
                            const char *login_as);

void route_load_user_rules(struct route_loader *loader,
                           const struct json_place *place)
{
    const char *key;
    json_t *value;

    if (!json_is_object(place->value)) {
        json_place_fault(place, NULL, "an object of users");
        return;
    }
    key_table_init(&loader->table->users, json_object_size(place->value),
                   &loader->seed);
    json_object_foreach(place->value, key, value)
    {
        struct json_place member = json_place_member(place, key, value);

        load_user(loader, &member);
    }
}

void route_load_domains(struct route_loader *loader,
                        const struct json_place *place)
{
    struct route_table *table = loader->table;
    size_t wildcards = 0;
    const char *key;
    json_t *value;

    if (!json_is_object(place->value)) {
        json_place_fault(place, NULL, "an object of domains");
        return;
    }
    json_object_foreach(place->value, key, value)
    {
        if (key[0] == '*')
            wildcards++;
    }
    key_table_init(&table->wildcards, wildcards, &loader->seed);
    key_table_init(&table->domains, json_object_size(place->value) - wildcards,
                   &loader->seed);
    json_object_foreach(place->value, key, value)
    {
        struct json_place member = json_place_member(place, key, value);

        load_domain(loader, &member);
    }
}

void route_load_default(struct route_loader *loader,
                        const struct json_place *place)
{
    loader->table->has_default = true;
    loader->table->default_rule = read_rule(loader, place);
}

static void load_user(struct route_loader *loader,
                      const struct json_place *place)
{
    struct identity identity;
    uint32_t rule = read_rule(loader, place);

    pace();
    if (!route_load_normalise(loader, place->key, strlen(place->key),
                              &identity)) {
        json_place_fault(place, "this key",
                         "a user name of 1 to 512 bytes, without control "
                         "characters and without a master user");
        return;
    }
    switch (route_load_add_user(loader, &identity, rule)) {
    case ROUTE_USER_ADDED:
        break;
    case ROUTE_USER_KNOWN:
        fault_same_key(loader, place, user_becomes, identity.user);
        break;
    case ROUTE_USER_TOO_MANY:
        fault_size(place);
        break;
    }
}

enum route_user route_load_add_user(struct route_loader *loader,
                                    const struct identity *identity,
                                    uint32_t rule)
{
    struct key_table *users = &loader->table->users;
    struct text_blob *texts = &loader->table->texts;
    uint32_t at;

    if (key_table_find(users, texts, identity->user, identity->user_len) !=
        NULL)
        return ROUTE_USER_KNOWN;
    at = text_blob_add(texts, identity->user, identity->user_len);
    if (at == 0)
        return ROUTE_USER_TOO_MANY;
    key_table_add(users, texts, at, identity->user_len, rule);
    return ROUTE_USER_ADDED;
}

static void load_domain(struct route_loader *loader,
                        const struct json_place *place)
{
    struct route_table *table = loader->table;
    struct domain_key key;
    uint32_t rule = read_rule(loader, place);

    if (!normalise_domain(loader->identity_rules, place->key, &key)) {
        json_place_fault(place, "this key",
                         "a domain such as example.org, or *.example.org for "
                         "all that end so");
        return;
    }

    struct key_table *domains =
        key.mark_len > 0 ? &table->wildcards : &table->domains;
    const char *suffix = key.text + key.mark_len;
    size_t suffix_len = key.len - key.mark_len;

    if (key_table_find(domains, &table->texts, suffix, suffix_len) != NULL) {
        fault_same_key(loader, place, domain_becomes, key.text);
        return;
    }

    uint32_t at = add_text(loader, place, key.text);

    if (at == 0)
        return;
    key_table_add(domains, &table->texts, at + (uint32_t)key.mark_len,
                  suffix_len, rule);
    if (key.mark_len > 0 && suffix_len > table->wildcard_len_max)
        table->wildcard_len_max = suffix_len;
}

/* A master user's name before a user's would be cut off, and the key would
 * mean somebody else than it says. */
bool route_load_normalise(const struct route_loader *loader, const char *name,
                          size_t len, struct identity *identity_out)
{
    const struct identity_rules *rules = loader->identity_rules;

    if (rules->master_separator != '\0' &&
        memchr(name, rules->master_separator, len) != NULL)
        return false;
    return identity_normalise(rules, (const uint8_t *)name, len,
                              identity_out) == IDENTITY_OK;
}

static bool user_becomes(const struct route_loader *loader, const char *key,
                         const char *text)
{
    struct identity identity;

    return route_load_normalise(loader, key, strlen(key), &identity) &&
           strcmp(identity.user, text) == 0;
}

static bool normalise_domain(const struct identity_rules *rules,
                             const char *key, struct domain_key *out)
{
    size_t len = strlen(key);

    if (len > DOMAIN_KEY_MAX)
        return false;
    out->len = len;
    out->mark_len =
        strncmp(key, ROUTE_WILDCARD_MARK, ROUTE_WILDCARD_MARK_LEN) == 0
            ? ROUTE_WILDCARD_MARK_LEN
            : 0;
    memcpy(out->text, key, len + 1);
    identity_lower(out->text, len);
    return is_domain(rules, out->text + out->mark_len);
}

static bool domain_becomes(const struct route_loader *loader, const char *key,
                           const char *text)
{
    struct domain_key domain;

    return normalise_domain(loader->identity_rules, key, &domain) &&
           strcmp(domain.text, text) == 0;
}

/* Labels with one dot between them, of any bytes that a normalised name may
 * hold behind its last separator. */
static bool is_domain(const struct identity_rules *rules, const char *text)
{
    bool in_label = false;

    for (; *text != '\0'; text++) {
        if (*text == '.' ? !in_label : !is_label_byte(rules, *text))
            return false;
        in_label = *text != '.';
    }
    return in_label;
}

static bool is_label_byte(const struct identity_rules *rules, char byte)
{
    unsigned char code = (unsigned char)byte;

    return code > ' ' && code != 0x7f && byte != '*' &&
           byte != rules->master_separator &&
           strchr(rules->separators, byte) == NULL;
}

/* Names the key that was there first. */
static void fault_same_key(struct route_loader *loader,
                           const struct json_place *place, key_becomes *becomes,
                           const char *text)
{
    char found[IDENTITY_MAX + 64] = "a key that became the same";
    const char *key;
    json_t *value;

    if (route_load_may_search(loader, place->reader->reasons)) {
        json_object_foreach(place->parent->value, key, value)
        {
            if (!becomes(loader, key, text))
                continue;
            (void)snprintf(found, sizeof(found), "the same name as \"%s\"",
                           key);
            break;
        }
    }
    json_place_fault(place, found, "each name once");
}

/* Returns 0 after a fault. */
static uint32_t add_text(struct route_loader *loader,
                         const struct json_place *place, const char *text)
{
    uint32_t at = text_blob_add(&loader->table->texts, text, strlen(text));

    if (at == 0)
        fault_size(place);
    return at;
}

static void fault_size(const struct json_place *place)
{
    json_place_fault(place, "more than 4 GiB of names", "a smaller table");
}

/* A pool's name, or an object. After a fault the table is never used, and any
 * rule will do. */
static uint32_t read_rule(struct route_loader *loader,
                          const struct json_place *place)
{
    uint32_t pool = 0;

    if (json_is_object(place->value))
        return read_rule_object(loader, place);
    if (!json_is_string(place->value))
        json_place_fault(place, NULL,
                         "the name of a pool, or an object with one");
    else if (!route_names_find(loader, &loader->pools, "pool", place, &pool))
        return 0;
    return pool;
}

static uint32_t read_rule_object(struct route_loader *loader,
                                 const struct json_place *place)
{
    struct rule rule = {.hold = false};
    struct json_members members;
    struct json_place pool;

    if (!json_read_open(&members, place))
        return 0;

    bool has_pool =
        json_read_require(&members, "pool", "the name of a pool", &pool) &&
        route_names_find(loader, &loader->pools, "pool", &pool, &rule.pool);
    const char *login_as = read_login_as(loader, &members);

    json_read_optional_flag(&members, "hold", &rule.hold);
    json_read_close(&members);
    if (!has_pool)
        return 0;
    rule.login_as_at = template_at(loader, place, login_as);
    return route_load_rule(loader, rule);
}

/* Returns NULL when there is none, also after a fault. */
static const char *read_login_as(struct route_loader *loader,
                                 struct json_members *members)
{
    struct json_place place;
    const char *text;

    if (!json_read_get(members, "login_as", &place) ||
        !json_read_text(&place, IDENTITY_MAX, &text))
        return NULL;
    if (!login_as_is_valid(text)) {
        json_place_fault(&place, NULL,
                         "no braces but {user}, {local} and {domain}");
        return NULL;
    }
    if (loader->table->login_as_path == NULL) {
        loader->table->login_as_path = json_place_path(&place);
        loader->table->login_as_file = mem_strdup(place.reader->file);
    }
    return text;
}

/* Neighbours in a file are often alike. */
static uint32_t template_at(struct route_loader *loader,
                            const struct json_place *place,
                            const char *login_as)
{
    const struct route_table *table = loader->table;
    uint32_t last = table->rules[table->rule_count - 1].login_as_at;

    if (login_as == NULL)
        return 0;
    if (last != 0 && strcmp(table->texts.bytes + last, login_as) == 0)
        return last;
    return add_text(loader, place, login_as);
}

uint32_t route_load_rule(struct route_loader *loader, struct rule rule)
{
    struct route_table *table = loader->table;

    if (rule.login_as_at == 0 && !rule.hold)
        return rule.pool;
    if (is_last_rule(table, &rule))
        return (uint32_t)(table->rule_count - 1);
    if (table->rule_count == table->rule_capacity) {
        table->rule_capacity += table->rule_capacity / 2 + 16;
        table->rules = mem_realloc_array(table->rules, table->rule_capacity,
                                         sizeof(*table->rules));
    }
    table->rules[table->rule_count] = rule;
    return (uint32_t)table->rule_count++;
}

static bool is_last_rule(const struct route_table *table,
                         const struct rule *rule)
{
    const struct rule *last = &table->rules[table->rule_count - 1];

    return table->rule_count > table->pool_count && last->pool == rule->pool &&
           last->hold == rule->hold && last->login_as_at == rule->login_as_at;
}
