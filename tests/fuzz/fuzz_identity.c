/* Any bytes as a login name, under rules that the first byte picks. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/identity.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct identity_rules pick_rules(uint8_t byte)
{
    static const char *const separators[] = {"@", "@%", "+@/", "#!@"};
    struct identity_rules rules;

    identity_rules_init(&rules);
    free(rules.separators);
    rules.separators = mem_strdup(separators[byte & 3]);
    rules.master_separator = (byte & 4) != 0 ? '*' : '\0';
    rules.default_domain = (byte & 8) != 0 ? mem_strdup("Example.org") : NULL;
    rules.name_case =
        (byte & 16) != 0 ? IDENTITY_CASE_KEEP : IDENTITY_CASE_LOWER;
    return rules;
}

static void check_identity(const struct identity_rules *rules,
                           const struct identity *identity)
{
    struct identity again;
    size_t domain_len;
    const char *domain = identity_domain(identity, &domain_len);

    assert(identity->user_len > 0 && identity->user_len <= IDENTITY_MAX);
    assert(strlen(identity->user) == identity->user_len);
    assert(identity->local_len <= identity->user_len);
    assert(domain == NULL || identity->user[identity->local_len] == '@');
    assert(domain == NULL || memchr(domain, '@', domain_len) == NULL);
    assert(identity_normalise(rules, (const uint8_t *)identity->user,
                              identity->user_len, &again) == IDENTITY_OK);
    assert(strcmp(again.user, identity->user) == 0);
    assert(again.local_len == identity->local_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct identity identity;

    if (len == 0)
        return 0;

    struct identity_rules rules = pick_rules(bytes[0]);

    if (identity_normalise(&rules, bytes + 1, len - 1, &identity) ==
        IDENTITY_OK)
        check_identity(&rules, &identity);
    identity_rules_deinit(&rules);
    return 0;
}
