/* The routing table, routes.json: backends, pools and which user goes where;
 * compact and immutable, so that any number of threads may read it. */
#ifndef CONFIG_ROUTE_TABLE_H
#define CONFIG_ROUTE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/identity.h"
#include "config/mem.h"
#include "config/reason.h"

enum backend_tls {
    BACKEND_TLS_NONE,
    BACKEND_TLS_STARTTLS,
    BACKEND_TLS_IMPLICIT
};

/* How a backend is told who the client is, before anything else. */
enum backend_proxy {
    BACKEND_PROXY_NONE,
    BACKEND_PROXY_V1,
    BACKEND_PROXY_V2
};

/* Whom a backend takes. Full, draining and in maintenance it counts as down
 * for who has no session there. */
enum backend_mode {
    BACKEND_READY,
    BACKEND_DRAINING,   /* nobody new; who has a session there goes on */
    BACKEND_MAINTENANCE /* nobody, and its sessions are closed */
};

/* Who may log in as anybody; used only where we verified by ourselves who the
 * user is. */
struct master_config {
    char *user; /* NULL: no master user, and no secret_file */
    char *secret_file;
};

/* Who logs in to find out whether logins work: a user like others, with as
 * little to read as can be. */
struct probe_config {
    char *user; /* NULL: none, and no secret_file */
    char *secret_file;
};

/* Paths are joined to the folder of the routes file, as in settings.h. */
struct backend_config {
    char *name;
    char *host; /* a name or an IP literal */
    uint16_t port;
    enum backend_tls tls;
    char *tls_name;       /* sent as SNI and verified; NULL only without TLS */
    char *ca;             /* NULL: the system's */
    bool verify;          /* chain and name; false only where asked for */
    bool allow_cleartext; /* BACKEND_TLS_NONE to an address that is not
                             loopback; must be asked again at every dial */
    char *certificate;    /* ours towards this backend, with key; or NULL */
    char *key;
    unsigned weight; /* 0..1000; 0 is chosen for nobody */
    unsigned warm;   /* connections that each worker keeps ready, 0..64; none
                        beside proxy_protocol */
    unsigned max_sessions;  /* 0: no limit */
    bool is_backup;         /* chosen after all that are none */
    enum backend_mode mode; /* put in force where the table before said
                               otherwise */
    enum backend_proxy proxy_protocol;
    bool send_id;    /* tells by ID who the client is */
    bool forward_id; /* ... and what else the client's own ID said */
    struct master_config master;
    struct probe_config probe;
};

enum pool_balance {
    POOL_HASH,
    POOL_LEAST_SESSIONS,
    POOL_ROUND_ROBIN
};

/* What of a user POOL_HASH goes by. */
enum pool_hash_by {
    POOL_BY_USER,
    POOL_BY_DOMAIN /* of who has none: the whole name */
};

enum pool_when_down {
    POOL_REFUSE,
    POOL_NEXT
};

/* Backends of one pool; a login looks at each of them. */
enum {
    POOL_BACKENDS_MAX = 1024
};

struct pool {
    char *name;
    const struct backend_config **backends; /* each once, in file order */
    size_t backend_count;                   /* never 0 */
    bool has_backups;
    uint32_t *weight_sums; /* the weight of each and all before it */
    /* POOL_ROUND_ROBIN: turns taken, the one thing here that changes, and how
     * far apart two turns are among as many places as there is weight. */
    atomic_uint *turns;
    uint32_t turn_step;
    enum pool_balance balance;
    enum pool_hash_by hash_by;
    uint64_t slow_start_ms; /* how long the share of one that has come back
                               grows; 0: not at all. Never with POOL_HASH */
    enum pool_when_down when_down;
    bool one_backend_per_user;   /* also where the pick would say otherwise */
    struct master_config master; /* of its backends without one */
};

enum route_kind {
    ROUTE_USER,
    ROUTE_DOMAIN,
    ROUTE_WILDCARD,
    ROUTE_DEFAULT
};

/* The word for it: "user", "domain", "wildcard domain", "default". */
const char *route_kind_name(enum route_kind kind);

/* What the table says for one user; everything is lent by the table. */
struct route {
    enum route_kind kind;
    const struct pool *pool;
    const char *login_as; /* a template for route_login_as; NULL: none */
    bool hold;            /* the user is being moved: no login now */
    const char *key; /* normalised key of the rule; "default" for that one */
};

struct route_table;

/* How other files that the table names are had: today one of its users. */
struct route_files {
    void *owner;
    /* Lends the bytes of a file until the table is made. mention is the JSON
     * path that names it. False after adding the reason. Called once at
     * most. */
    bool (*read)(void *owner, const char *path, const char *mention,
                 struct reasons *reasons, const uint8_t **bytes_out,
                 size_t *len_out);
};

/* Reads the bytes of the file called by the name `file`; keys are normalised
 * by the rules that logins go by. Returns false and leaves table_out alone
 * when anything is wrong; every problem is added to reasons, also warnings of
 * a file that is taken. */
MUST_USE bool route_table_parse(const uint8_t *bytes, size_t len,
                                const char *file,
                                const struct identity_rules *rules,
                                struct route_table **table_out,
                                struct reasons *reasons);

/* Likewise, with the files that it names; above they are checked as far as
 * routes.json tells of them, and their users are missing. */
MUST_USE bool route_table_parse_with(const uint8_t *bytes, size_t len,
                                     const char *file,
                                     const struct identity_rules *rules,
                                     const struct route_files *files,
                                     struct route_table **table_out,
                                     struct reasons *reasons);

/* Takes long for a million users: not on a loop. */
void route_table_free(struct route_table **table);

/* Exact user, exact domain, longest wildcard, default. Returns false when no
 * rule matches: the login is refused. Time does not depend on the number of
 * users; every suffix of the domain may be hashed, up to the longest wildcard
 * of the table, so it grows with the square of that (255 octets at most). */
MUST_USE bool route_table_find(const struct route_table *table,
                               const struct identity *identity,
                               struct route *route_out);

/* The default rule, for who has no name. Returns false where there is none. */
MUST_USE bool route_table_default(const struct route_table *table,
                                  struct route *route_out);

/* The JSON path of the first login_as, and the file that it stands in, lent by
 * the table; NULL when there is none. */
const char *route_table_login_as_path(const struct route_table *table);
const char *route_table_login_as_file(const struct route_table *table);

/* The path of the file of users, lent by the table; NULL: they stand in
 * routes.json. */
const char *route_table_users_file(const struct route_table *table);

/* Whether that file is a database, for whoever can look into one: no user of
 * it is found by route_table_find. */
bool route_table_has_user_database(const struct route_table *table);

/* The route of a user whom a database sends to the pool of this name; its key
 * is the user's own name, and left to the caller. False: no such pool. */
MUST_USE bool route_table_user_route(const struct route_table *table,
                                     const char *pool, bool hold,
                                     struct route *route_out);

/* Expands {user}, {local} and {domain} of route->login_as once; the values are
 * never expanded again. Returns false when login_as is NULL, when the result
 * is empty or when it does not fit into size bytes with its NUL. */
MUST_USE bool route_login_as(const struct route *route,
                             const struct identity *identity, char *out,
                             size_t size);

/* All backends and pools, in file order. */
const struct backend_config *
route_table_backends(const struct route_table *table, size_t *count_out);
const struct pool *route_table_pools(const struct route_table *table,
                                     size_t *count_out);

/* The master user at this backend for users of this pool: the backend's own,
 * else the pool's, else NULL. */
const struct master_config *
route_table_master(const struct pool *pool,
                   const struct backend_config *backend);

/* How many entries "users" and "domains" hold. */
size_t route_table_user_count(const struct route_table *table);
size_t route_table_domain_count(const struct route_table *table);

/* Bytes of memory that the table holds, but for malloc's own. */
size_t route_table_memory(const struct route_table *table);

#endif
