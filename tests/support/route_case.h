/* Routing tables for tests. */
#ifndef SUPPORT_ROUTE_CASE_H
#define SUPPORT_ROUTE_CASE_H

#include "config/route_table.h"

/* Two backends and two pools, with room for rules. */
#define ROUTE_CASE_RULES(members)                                              \
    "{\"backends\": {\"b1\": {\"host\": \"10.0.0.1\", \"port\": 993, "         \
    "\"tls\": \"implicit\"}, \"b2\": {\"host\": \"b2.example.org\", "          \
    "\"port\": 143, \"tls\": \"starttls\"}}, \"pools\": {\"p1\": "             \
    "{\"backends\": [\"b1\", \"b2\"]}, \"p2\": {\"backends\": "                \
    "[\"b2\"]}}, " members "}"

/* One backend of these members. */
#define ROUTE_CASE_BACKEND(members)                                            \
    "{\"backends\": {\"b\": {" members "}}, \"pools\": {\"p\": "               \
    "{\"backends\": [\"b\"]}}, \"default\": \"p\"}"

/* One pool of these members. */
#define ROUTE_CASE_POOL(members)                                               \
    "{\"backends\": {\"b1\": {\"host\": \"::1\", \"port\": 1, \"tls\": "       \
    "\"none\"}, \"b2\": {\"host\": \"::1\", \"port\": 2, \"tls\": "            \
    "\"none\"}}, \"pools\": {\"p\": {" members "}}, \"default\": \"p\"}"

/* How names are read: what identity_rules_init says, and what a test changes.
 * The first two are for cmocka. */
int route_case_set_up(void **state);
int route_case_tear_down(void **state);
struct identity_rules *route_case_rules(void);

/* Parses the text as this file and asserts that exactly these reasons were
 * given, one a line, also warnings. Returns NULL when the table was refused;
 * otherwise the caller frees it. */
struct route_table *route_case_parse(const char *text, const char *file,
                                     const struct identity_rules *rules,
                                     const char *expected);

#endif
