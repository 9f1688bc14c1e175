/* The "backends" of routes.json. */
#include "config/route_load.h"

#include <stdlib.h>
#include <string.h>

#include "config/json_read.h"
#include "config/network.h"

#define HOST_MAX 255
#define WEIGHT_MAX 1000
#define WARM_MAX 64
#define SESSIONS_MAX 1000000

static void read_backend(const struct json_place *place,
                         struct backend_config *backend);
static void read_host(struct json_members *members,
                      struct backend_config *backend);
static void read_port(struct json_members *members,
                      struct backend_config *backend);
static bool read_tls(struct json_members *members,
                     struct backend_config *backend);
static void read_tls_name(struct json_members *members,
                          struct backend_config *backend);
static void read_verify(struct json_members *members,
                        struct backend_config *backend);
static void read_client_certificate(struct json_members *members,
                                    struct backend_config *backend);
static void read_proxy_protocol(struct json_members *members,
                                struct backend_config *backend);
static void read_id(struct json_members *members,
                    struct backend_config *backend);
static void read_state(struct json_members *members,
                       struct backend_config *backend);
static void check_cleartext(struct json_members *members,
                            const struct backend_config *backend);
static void check_master(struct json_members *members,
                         const struct backend_config *backend);
static void check_tls(struct json_members *members,
                      const struct backend_config *backend);
static char *read_host_name(const struct json_place *place);
static bool is_host(const char *text);

void route_load_backends(struct route_loader *loader,
                         const struct json_place *place)
{
    struct route_table *table = loader->table;
    const char *name;
    json_t *value;

    table->backends =
        mem_zalloc(json_object_size(place->value) * sizeof(*table->backends));
    json_object_foreach(place->value, name, value)
    {
        struct json_place member = json_place_member(place, name, value);
        struct backend_config *backend =
            &table->backends[table->backend_count++];

        backend->name = mem_strdup(name);
        backend->verify = true;
        backend->weight = 1;
        read_backend(&member, backend);
    }
}

static void read_backend(const struct json_place *place,
                         struct backend_config *backend)
{
    struct json_members members;

    if (!json_read_open(&members, place))
        return;
    read_host(&members, backend);
    read_port(&members, backend);

    bool knows_tls = read_tls(&members, backend);

    read_tls_name(&members, backend);
    json_read_optional_path(&members, "ca", &backend->ca);
    read_verify(&members, backend);
    read_client_certificate(&members, backend);
    json_read_optional_flag(&members, "allow_cleartext",
                            &backend->allow_cleartext);
    json_read_optional_unsigned(&members, "weight", 0, WEIGHT_MAX,
                                &backend->weight);
    json_read_optional_unsigned(&members, "warm", 0, WARM_MAX, &backend->warm);
    json_read_optional_unsigned(&members, "max_sessions", 0, SESSIONS_MAX,
                                &backend->max_sessions);
    json_read_optional_flag(&members, "backup", &backend->is_backup);
    read_proxy_protocol(&members, backend);
    read_id(&members, backend);
    read_state(&members, backend);
    route_load_master(&members, &backend->master);
    route_load_probe(&members, &backend->probe);
    if (knows_tls && backend->tls == BACKEND_TLS_NONE)
        check_cleartext(&members, backend);
    else if (knows_tls)
        check_tls(&members, backend);
    if (knows_tls)
        check_master(&members, backend);
    json_read_close(&members);
}

static void read_host(struct json_members *members,
                      struct backend_config *backend)
{
    struct json_place place;

    if (json_read_require(members, "host", "a host name or an IP address",
                          &place))
        backend->host = read_host_name(&place);
}

static void read_port(struct json_members *members,
                      struct backend_config *backend)
{
    struct json_place place;
    unsigned port;

    if (json_read_require(members, "port", "a port", &place) &&
        json_read_unsigned(&place, 1, UINT16_MAX, &port))
        backend->port = (uint16_t)port;
}

static bool read_tls(struct json_members *members,
                     struct backend_config *backend)
{
    static const struct json_choice choices[] = {
        {"implicit", BACKEND_TLS_IMPLICIT},
        {"starttls", BACKEND_TLS_STARTTLS},
        {"none", BACKEND_TLS_NONE},
    };
    struct json_place place;
    unsigned tls;

    if (!json_read_require(members, "tls",
                           "\"implicit\", \"starttls\" or \"none\"", &place) ||
        !json_read_choice(&place, choices, 3, &tls))
        return false;
    backend->tls = (enum backend_tls)tls;
    return true;
}

/* A name from DNS may end in a dot; one in a certificate never does. */
static void read_tls_name(struct json_members *members,
                          struct backend_config *backend)
{
    struct json_place place;

    if (json_read_get(members, "tls_name", &place))
        backend->tls_name = read_host_name(&place);
    else if (backend->tls != BACKEND_TLS_NONE)
        backend->tls_name = mem_strdup(backend->host);
    if (backend->tls_name == NULL)
        return;

    size_t len = strlen(backend->tls_name);

    if (len > 1 && backend->tls_name[len - 1] == '.')
        backend->tls_name[len - 1] = '\0';
}

static void read_verify(struct json_members *members,
                        struct backend_config *backend)
{
    static const struct json_choice choices[] = {{"full", 1}, {"none", 0}};
    unsigned verify = 1;

    json_read_optional_choice(members, "verify", choices, 2, &verify);
    backend->verify = verify != 0;
}

static void read_client_certificate(struct json_members *members,
                                    struct backend_config *backend)
{
    struct json_place certificate;
    struct json_place key;
    bool has_certificate = json_read_get(members, "certificate", &certificate);
    bool has_key = json_read_get(members, "key", &key);

    if (has_certificate && !has_key)
        json_place_fault(&key, NULL, "the private key of the certificate");
    if (has_key && !has_certificate)
        json_place_fault(&certificate, NULL, "the certificate of the key");
    json_read_optional_path(members, "certificate", &backend->certificate);
    json_read_optional_path(members, "key", &backend->key);
}

/* The header says who the client is, and stands before all else: a connection
 * that was made before its client came could only say that it has none. */
static void read_proxy_protocol(struct json_members *members,
                                struct backend_config *backend)
{
    static const struct json_choice choices[] = {
        {"v1", BACKEND_PROXY_V1},
        {"v2", BACKEND_PROXY_V2},
    };
    struct json_place warm;
    unsigned proxy = BACKEND_PROXY_NONE;

    json_read_optional_choice(members, "proxy_protocol", choices, 2, &proxy);
    backend->proxy_protocol = (enum backend_proxy)proxy;
    if (proxy != BACKEND_PROXY_NONE && backend->warm > 0 &&
        json_read_get(members, "warm", &warm))
        json_place_fault(&warm, NULL,
                         "0 beside proxy_protocol: a connection made ahead "
                         "cannot name its client");
}

static void read_id(struct json_members *members,
                    struct backend_config *backend)
{
    struct json_place forward;

    json_read_optional_flag(members, "id", &backend->send_id);
    json_read_optional_flag(members, "forward_id", &backend->forward_id);
    if (backend->forward_id && !backend->send_id &&
        json_read_get(members, "forward_id", &forward))
        json_place_fault(&forward, NULL, "\"id\": true beside it, or false");
}

static void read_state(struct json_members *members,
                       struct backend_config *backend)
{
    static const struct json_choice choices[] = {
        {"ready", BACKEND_READY},
        {"draining", BACKEND_DRAINING},
        {"maintenance", BACKEND_MAINTENANCE},
    };
    unsigned mode = BACKEND_READY;

    json_read_optional_choice(members, "state", choices, 3, &mode);
    backend->mode = (enum backend_mode)mode;
}

static void check_master(struct json_members *members,
                         const struct backend_config *backend)
{
    const char *danger = route_load_master_danger(backend);
    struct json_place place;

    if (danger != NULL && json_read_get(members, "master", &place))
        json_place_fault(&place, danger,
                         "one with TLS that proves who it is: a master user's "
                         "secret opens every mailbox");
}

/* Without TLS, whatever asks for some is a sign that TLS was meant. */
static void check_cleartext(struct json_members *members,
                            const struct backend_config *backend)
{
    static const char *const keys[] = {"tls_name", "ca", "verify",
                                       "certificate", "key"};
    struct json_place place;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (json_read_get(members, keys[i], &place))
            json_place_fault(&place, NULL, "nothing, since tls is \"none\"");
    }
    if (backend->host == NULL || network_host_is_loopback(backend->host) ||
        !json_read_get(members, "tls", &place))
        return;
    if (backend->allow_cleartext)
        json_place_warning(&place, "passwords in clear on the network",
                           "\"implicit\" or \"starttls\"");
    else
        json_place_fault(&place, NULL,
                         "\"implicit\" or \"starttls\" towards a host that is "
                         "not loopback, or \"allow_cleartext\": true");
}

static void check_tls(struct json_members *members,
                      const struct backend_config *backend)
{
    struct json_place place;

    if (backend->allow_cleartext &&
        json_read_get(members, "allow_cleartext", &place))
        json_place_warning(&place, NULL, "nothing, since tls is not \"none\"");
    if (backend->verify || !json_read_get(members, "verify", &place))
        return;
    json_place_warning(&place, "a backend that anybody can pretend to be",
                       "\"full\"");
    if (json_read_get(members, "ca", &place))
        json_place_fault(&place, NULL, "nothing, since verify is \"none\"");
}

/* Returns NULL after a fault. */
static char *read_host_name(const struct json_place *place)
{
    const char *text;

    if (!json_read_text(place, HOST_MAX, &text))
        return NULL;
    if (is_host(text))
        return mem_strdup(text);
    json_place_fault(place, NULL, "a host name or an IP address");
    return NULL;
}

/* What looks like an address must be one: 10.0.0.256 is nobody's name. */
static bool is_host(const char *text)
{
    static const char digits[] = "0123456789.";
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    struct network address;
    size_t numeric = strspn(text, digits);

    if (strchr(text, ':') != NULL || text[numeric] == '\0')
        return network_parse_address(text, &address);
    for (; *text != '\0'; text++) {
        if (strchr(digits, *text) == NULL && strchr(letters, *text) == NULL)
            return false;
    }
    return true;
}
