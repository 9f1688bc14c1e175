/* What a routing table is made of, for its loader and its look-ups alone. */
#ifndef CONFIG_ROUTE_TABLE_PRIVATE_H
#define CONFIG_ROUTE_TABLE_PRIVATE_H

#include "config/key_table.h"
#include "config/route_table.h"
#include "config/text_blob.h"

/* Where a rule sends its users. Users of one pool share one as long as they
 * ask for nothing else. */
struct rule {
    uint32_t pool;
    uint32_t login_as_at; /* in texts; 0: none */
    bool hold;
};

struct route_table {
    struct backend_config *backends;
    size_t backend_count;
    struct pool *pools;
    size_t pool_count;
    struct text_blob texts;     /* every key and template */
    struct key_table users;     /* each to a rule */
    struct key_table domains;   /* likewise */
    struct key_table wildcards; /* likewise, without their "*." */
    size_t wildcard_len_max;
    struct rule *rules; /* first one for each pool, in order */
    size_t rule_count;
    size_t rule_capacity;
    uint32_t default_rule;
    bool has_default;
    char *login_as_path; /* of the first rule with one; NULL: none has */
    char *login_as_file; /* where that rule stands */
    char *users_file;    /* NULL: no file of their own */
    bool has_user_database;
};

#define ROUTE_WILDCARD_MARK "*."
#define ROUTE_WILDCARD_MARK_LEN 2

#endif
