/* The process config, gatepost.json: parsed, checked, with every default
 * filled in. Paths inside are relative to the config file's folder and leave
 * here joined to it: absolute when the file's own name was. */
#ifndef CONFIG_SETTINGS_H
#define CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/identity.h"
#include "config/mem.h"
#include "config/network.h"
#include "config/reason.h"

enum listener_tls {
    LISTENER_TLS_IMPLICIT,
    LISTENER_TLS_STARTTLS
};

struct listener_config {
    char *address; /* "*" (IPv4 and IPv6) or a literal in its shortest form;
                      "::" is IPv6 only */
    uint16_t port;
    enum listener_tls tls;
    bool client_certificates;   /* asks for one; needs tls_settings.client_ca */
    struct network *proxy_from; /* whose connections must begin with a header
                                   of the PROXY protocol; nobody else may
                                   connect */
    size_t proxy_from_count;    /* 0: no PROXY protocol here */
};

/* Either chain and key, or directory; the others are NULL. */
struct certificate_config {
    char *chain;
    char *key;
    char *directory;
};

enum tls_policy {
    TLS_POLICY_MODERN,
    TLS_POLICY_COMPATIBLE
};

/* Files of ticket keys. With tickets that live for twelve hours it is room for
 * a new key each hour. */
#define SETTINGS_TICKET_KEYS_MAX 16

/* Which name of a client's certificate is the user. */
enum certificate_user {
    CERTIFICATE_USER_EMAIL, /* rfc822Name, a subject alternative name */
    CERTIFICATE_USER_COMMON_NAME
};

struct tls_settings {
    struct certificate_config *certificates;
    size_t certificate_count; /* never 0 */
    enum tls_policy policy;
    char *client_ca; /* who signs clients' certificates; NULL: none are asked
                        for */
    enum certificate_user client_user;
    char **ticket_keys;      /* files; the first seals tickets, all open them */
    size_t ticket_key_count; /* 0: keys of our own, that rotate */
};

/* Bits of auth_settings.mechanisms. */
enum auth_mechanism {
    AUTH_MECHANISM_PLAIN = 1,
    AUTH_MECHANISM_LOGIN = 2,
    AUTH_MECHANISM_XOAUTH2 = 4,
    AUTH_MECHANISM_OAUTHBEARER = 8,
    AUTH_MECHANISM_EXTERNAL = 16,
    AUTH_MECHANISM_SCRAM_SHA_1 = 32,
    AUTH_MECHANISM_SCRAM_SHA_256 = 64
};

/* Those that carry the user's name inside a message which only the user can
 * make: it cannot be rewritten on the way. */
#define AUTH_MECHANISMS_WITH_MESSAGE                                           \
    ((unsigned)(AUTH_MECHANISM_XOAUTH2 | AUTH_MECHANISM_OAUTHBEARER |          \
                AUTH_MECHANISM_SCRAM_SHA_1 | AUTH_MECHANISM_SCRAM_SHA_256))

struct auth_settings {
    unsigned mechanisms; /* set of enum auth_mechanism, never empty */
    struct identity_rules identity;
    bool passes_uncoded_no; /* a backend's NO without a code goes to the client
                               with its text */
    uint64_t delay_max_ms;  /* before a login after failed ones; 0: none */
};

/* 0 is "no limit" for the counts from sessions on. */
struct limits_settings {
    unsigned line;    /* bytes of one command line before login */
    unsigned literal; /* bytes of one literal before login */
    unsigned login_tries;
    unsigned bad_commands;
    unsigned wrong_state_commands;
    unsigned sessions; /* 0: from the descriptor limit */
    unsigned per_address;
    unsigned per_user;
    unsigned per_user_and_address;
    unsigned accept_rate;     /* new connections a second, whole process */
    unsigned before_login;    /* sessions before login, whole process */
    unsigned backend_logins;  /* logins in flight at one backend */
    unsigned backend_queue;   /* how many more wait for that; 0: none */
    unsigned disconnect_rate; /* quiet clients a second that hear of a lost
                                 backend, whole process */
    struct network *exempt;   /* from every limit from per_address on, and from
                                 the delay of logins */
    size_t exempt_count;
};

struct keepalive_settings {
    unsigned idle_s; /* whole seconds, as the kernel takes them */
    unsigned interval_s;
    unsigned count;
};

struct timeouts_settings {
    uint64_t handshake_ms;
    uint64_t before_login_ms;
    uint64_t proxy_header_ms;
    uint64_t connect_ms;
    uint64_t backend_tls_ms;
    uint64_t greeting_ms;
    uint64_t login_reply_ms;
    uint64_t idle_ms; /* 0: off; otherwise at least 31 min (RFC 9051, 5.4) */
    uint64_t half_closed_ms;
    uint64_t drain_ms;
    uint64_t upgrade_drain_ms; /* how long a process that was replaced lives
                                  before it drains; 0: as its sessions do */
    uint64_t user_timeout_ms;  /* TCP_USER_TIMEOUT; 0: the system's. Below what
                                  keepalive takes it cuts keepalive short */
    struct keepalive_settings keepalive;
};

/* How backends are probed. */
struct health_settings {
    uint64_t interval_ms; /* 0: they are not */
    uint64_t timeout_ms;  /* of a whole probe */
    unsigned rise;        /* successes in a row that bring a backend up */
    unsigned fall;        /* failures in a row that take it down */
};

enum settings_log_level {
    SETTINGS_LOG_ERROR,
    SETTINGS_LOG_WARN,
    SETTINGS_LOG_INFO,
    SETTINGS_LOG_DEBUG
};

enum settings_log_format {
    SETTINGS_LOG_TEXT,
    SETTINGS_LOG_JSON
};

struct settings {
    char *file; /* the name that it was read under */
    struct listener_config *listeners;
    size_t listener_count; /* never 0 */
    struct tls_settings tls;
    char *routes;
    unsigned max_shrink; /* of the table, at a reload, in percent; 100: as much
                            as there is */
    bool watch;          /* reload when a file was renamed into place */
    unsigned workers;    /* 0: one per core */
    struct auth_settings auth;
    struct limits_settings limits;
    struct timeouts_settings timeouts;
    uint64_t resolve_interval_ms;
    struct health_settings health;
    struct network *source_addresses; /* single ones; that dials come from */
    size_t source_address_count;      /* 0: the kernel chooses */
    bool imap4rev2;                   /* all backends have it */
    char *admin_socket;               /* NULL: none */
    struct listener_config *admin_listen; /* by TCP; NULL: none. Its tls says
                                             nothing */
    char *admin_state; /* where commands are kept; NULL with the socket */
    char *admin_state_former; /* where they were by default before, beside the
                                 socket; NULL: nowhere else */
    char *admin_token;  /* file of who may come by TCP; NULL: nobody for more
                           than is public */
    char **admin_hosts; /* names that Host may say, beside localhost */
    size_t admin_host_count;
    enum settings_log_level log_level;
    enum settings_log_format log_format;
};

/* Reads the bytes of the file called by the name `file`. Returns false and
 * leaves settings_out alone when anything is wrong; every problem is added to
 * reasons, also warnings of a file that is taken. */
MUST_USE bool settings_parse(const uint8_t *bytes, size_t len, const char *file,
                             struct settings **settings_out,
                             struct reasons *reasons);

/* What can be read of a file that settings_parse refuses, for whoever looks
 * for further faults in the files that it names. Nothing else may rely on it:
 * defaults stand where values were wrong, any path may be NULL, any list
 * empty. NULL when the file is no JSON. */
MUST_USE struct settings *settings_salvage(const uint8_t *bytes, size_t len,
                                           const char *file);
void settings_free(struct settings **settings);

/* The listener on exactly this address and port, or NULL. There is at most
 * one. */
const struct listener_config *
settings_find_listener(const struct settings *settings, const char *address,
                       uint16_t port);

#endif
