/* How clients say who they are. */
#include "config/settings_sections.h"

#include <stdlib.h>
#include <string.h>

#include "config/json_read.h"

#define SEPARATORS_MAX 16
#define DOMAIN_MAX 255

static void read_mechanisms(const struct json_place *list,
                            struct auth_settings *auth);
static void read_username(const struct json_place *place,
                          struct identity_rules *rules);
static void read_separators(const struct json_place *place,
                            struct identity_rules *rules);
static void read_master_separator(const struct json_place *place,
                                  struct identity_rules *rules);
static void read_default_domain(const struct json_place *place,
                                struct identity_rules *rules);

void settings_read_auth(const struct json_place *place,
                        struct auth_settings *auth)
{
    static const struct json_choice answers[] = {{"generic", 0}, {"pass", 1}};
    struct json_members members;
    struct json_place member;
    unsigned passes = auth->passes_uncoded_no;

    if (!json_read_open(&members, place))
        return;
    if (json_read_get(&members, "mechanisms", &member))
        read_mechanisms(&member, auth);
    if (json_read_get(&members, "username", &member))
        read_username(&member, &auth->identity);
    json_read_optional_choice(&members, "uncoded_no", answers, 2, &passes);
    auth->passes_uncoded_no = passes != 0;
    json_read_optional_seconds(&members, "delay_max", 0, SETTINGS_DELAY_MAX_MS,
                               &auth->delay_max_ms);
    json_read_close(&members);
}

static void read_mechanisms(const struct json_place *list,
                            struct auth_settings *auth)
{
    static const struct json_choice choices[] = {
        {"PLAIN", AUTH_MECHANISM_PLAIN},
        {"LOGIN", AUTH_MECHANISM_LOGIN},
        {"XOAUTH2", AUTH_MECHANISM_XOAUTH2},
        {"OAUTHBEARER", AUTH_MECHANISM_OAUTHBEARER},
        {"EXTERNAL", AUTH_MECHANISM_EXTERNAL},
        {"SCRAM-SHA-1", AUTH_MECHANISM_SCRAM_SHA_1},
        {"SCRAM-SHA-256", AUTH_MECHANISM_SCRAM_SHA_256},
    };
    const size_t known = sizeof(choices) / sizeof(choices[0]);
    unsigned mechanisms = 0;
    size_t count;

    if (!json_read_list(list, 1, known, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        struct json_place place = json_place_item(list, i);
        unsigned mechanism;

        if (!json_read_choice(&place, choices, known, &mechanism))
            continue;
        if ((mechanisms & mechanism) != 0)
            json_place_fault(&place, NULL, "each mechanism once");
        mechanisms |= mechanism;
    }
    auth->mechanisms = mechanisms;
}

static void read_username(const struct json_place *place,
                          struct identity_rules *rules)
{
    static const struct json_choice cases[] = {
        {"lower", IDENTITY_CASE_LOWER},
        {"keep", IDENTITY_CASE_KEEP},
    };
    struct json_members members;
    struct json_place member;
    unsigned name_case = rules->name_case;

    if (!json_read_open(&members, place))
        return;
    json_read_optional_choice(&members, "case", cases, 2, &name_case);
    rules->name_case = (enum identity_case)name_case;
    if (json_read_get(&members, "separators", &member))
        read_separators(&member, rules);
    if (json_read_get(&members, "master_separator", &member))
        read_master_separator(&member, rules);
    if (json_read_get(&members, "default_domain", &member))
        read_default_domain(&member, rules);
    json_read_close(&members);
}

static void read_separators(const struct json_place *place,
                            struct identity_rules *rules)
{
    const char *text;

    if (!json_read_text(place, SEPARATORS_MAX, &text))
        return;
    if (strspn(text, IDENTITY_SEPARATORS) != strlen(text)) {
        json_place_fault(place, NULL, "only signs of " IDENTITY_SEPARATORS);
        return;
    }
    if (strchr(text, '@') == NULL) {
        json_place_fault(place, NULL, "separators with @ among them");
        return;
    }
    free(rules->separators);
    rules->separators = mem_strdup(text);
}

static void read_master_separator(const struct json_place *place,
                                  struct identity_rules *rules)
{
    const char *text;

    if (!json_read_text(place, 1, &text))
        return;
    if (strchr(IDENTITY_SEPARATORS, text[0]) == NULL) {
        json_place_fault(place, NULL, "one sign of " IDENTITY_SEPARATORS);
        return;
    }
    if (strchr(rules->separators, text[0]) != NULL) {
        json_place_fault(place, NULL, "a sign that is not in separators");
        return;
    }
    rules->master_separator = text[0];
}

static void read_default_domain(const struct json_place *place,
                                struct identity_rules *rules)
{
    const char *text;

    if (!json_read_text(place, DOMAIN_MAX, &text))
        return;
    if (strcspn(text, " " IDENTITY_SEPARATORS) != strlen(text)) {
        json_place_fault(place, NULL, "a domain");
        return;
    }
    rules->default_domain = mem_strdup(text);
}
