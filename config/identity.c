#include "config/identity.h"

#include <stdlib.h>
#include <string.h>

static enum identity_result check_bytes(const uint8_t *name, size_t len);
static size_t len_without_master(const struct identity_rules *rules,
                                 const uint8_t *name, size_t len);
static size_t local_len_of(const struct identity_rules *rules,
                           const uint8_t *name, size_t len);
static bool is_separator(const struct identity_rules *rules, uint8_t byte);
static void write_user(const struct identity_rules *rules, const uint8_t *name,
                       size_t len, struct identity *identity);
static void append_domain(const char *domain, struct identity *identity);

void identity_rules_init(struct identity_rules *rules)
{
    *rules = (struct identity_rules){
        .name_case = IDENTITY_CASE_LOWER,
        .separators = mem_strdup("@"),
    };
}

void identity_rules_deinit(struct identity_rules *rules)
{
    free(rules->default_domain);
    free(rules->separators);
    rules->default_domain = NULL;
    rules->separators = NULL;
}

enum identity_result identity_normalise(const struct identity_rules *rules,
                                        const uint8_t *name, size_t len,
                                        struct identity *identity_out)
{
    enum identity_result result = check_bytes(name, len);

    if (result != IDENTITY_OK)
        return result;
    len = len_without_master(rules, name, len);
    if (len == 0)
        return IDENTITY_EMPTY;

    size_t local_len = local_len_of(rules, name, len);
    bool is_bare = local_len == len;
    size_t added = is_bare && rules->default_domain != NULL
                       ? 1 + strlen(rules->default_domain)
                       : 0;

    if (len > IDENTITY_MAX || added > IDENTITY_MAX - len)
        return IDENTITY_TOO_LONG;
    identity_out->local_len = local_len;
    write_user(rules, name, len, identity_out);
    if (added > 0)
        append_domain(rules->default_domain, identity_out);
    return IDENTITY_OK;
}

const char *identity_domain(const struct identity *identity, size_t *len_out)
{
    if (identity->local_len == identity->user_len) {
        *len_out = 0;
        return NULL;
    }
    *len_out = identity->user_len - identity->local_len - 1;
    return identity->user + identity->local_len + 1;
}

const char *identity_result_text(enum identity_result result)
{
    switch (result) {
    case IDENTITY_OK:
        return "a user name";
    case IDENTITY_EMPTY:
        return "an empty user name";
    case IDENTITY_CONTROL:
        return "a user name with a control character";
    case IDENTITY_TOO_LONG:
        return "a user name of more than 512 bytes";
    }
    return "";
}

void identity_lower(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] - 'A' + 'a');
    }
}

static enum identity_result check_bytes(const uint8_t *name, size_t len)
{
    if (len == 0)
        return IDENTITY_EMPTY;
    for (size_t i = 0; i < len; i++) {
        if (name[i] < 0x20 || name[i] == 0x7f)
            return IDENTITY_CONTROL;
    }
    return IDENTITY_OK;
}

/* The first one is where Dovecot splits, too: everything behind it is said by
 * the master user. */
static size_t len_without_master(const struct identity_rules *rules,
                                 const uint8_t *name, size_t len)
{
    if (rules->master_separator == '\0')
        return len;

    const uint8_t *at = memchr(name, rules->master_separator, len);

    return at == NULL ? len : (size_t)(at - name);
}

static size_t local_len_of(const struct identity_rules *rules,
                           const uint8_t *name, size_t len)
{
    for (size_t i = len; i > 0; i--) {
        if (is_separator(rules, name[i - 1]))
            return i - 1;
    }
    return len;
}

static bool is_separator(const struct identity_rules *rules, uint8_t byte)
{
    return byte != '\0' && strchr(rules->separators, byte) != NULL;
}

static void write_user(const struct identity_rules *rules, const uint8_t *name,
                       size_t len, struct identity *identity)
{
    char *user = identity->user;

    memcpy(user, name, len);
    user[len] = '\0';
    for (size_t i = 0; i < len; i++) {
        if (is_separator(rules, name[i]))
            user[i] = '@';
    }
    identity->user_len = len;
    switch (rules->name_case) {
    case IDENTITY_CASE_LOWER:
        identity_lower(user, len);
        break;
    case IDENTITY_CASE_KEEP:
        identity_lower(user + identity->local_len, len - identity->local_len);
        break;
    }
}

static void append_domain(const char *domain, struct identity *identity)
{
    size_t domain_len = strlen(domain);
    char *at = identity->user + identity->user_len;

    at[0] = '@';
    memcpy(at + 1, domain, domain_len + 1);
    identity_lower(at + 1, domain_len);
    identity->user_len += 1 + domain_len;
}
