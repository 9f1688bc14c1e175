/* Process configs for tests. */
#ifndef SUPPORT_SETTINGS_CASE_H
#define SUPPORT_SETTINGS_CASE_H

#include "config/settings.h"

#define SETTINGS_CASE_FILE "/etc/gatepost/gatepost.json"

/* The smallest config, with room for one more section. */
#define SETTINGS_CASE(more)                                                    \
    "{\"listeners\": [{\"address\": \"*\", \"port\": 993, \"tls\": "           \
    "\"implicit\"}], \"tls\": {\"certificates\": [{\"chain\": \"c.pem\", "     \
    "\"key\": \"k.pem\"}]}, \"routes\": \"routes.json\"" more "}"

/* One with these listeners. */
#define SETTINGS_CASE_LISTENERS(list)                                          \
    "{\"listeners\": " list ", \"tls\": {\"certificates\": [{\"chain\": "      \
    "\"c.pem\", \"key\": \"k.pem\"}]}, \"routes\": \"routes.json\"}"

/* One with this section "tls". */
#define SETTINGS_CASE_TLS(object)                                              \
    "{\"listeners\": [{\"address\": \"*\", \"port\": 993, \"tls\": "           \
    "\"implicit\"}], \"tls\": " object ", \"routes\": \"routes.json\"}"

/* Parses the text as SETTINGS_CASE_FILE and asserts that it is taken, without
 * a warning. The caller frees the settings. */
struct settings *settings_case_parse(const char *text);

/* Parses the text as the file "f" and asserts that it is taken (or refused)
 * for exactly these reasons, one a line. */
void settings_case_assert_warned(const char *text, const char *expected);
void settings_case_assert_refused(const char *text, const char *expected);

struct settings_refusal {
    const char *text;
    const char *reason;
};

void settings_case_assert_all_refused(const struct settings_refusal *refusals,
                                      size_t count);

#endif
