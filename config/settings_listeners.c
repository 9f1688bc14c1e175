/* Where clients come in, and with which certificates. */
#include "config/settings_sections.h"

#include <stdio.h>
#include <string.h>

#include "config/json_read.h"

#define LISTENERS_MAX 256
#define CERTIFICATES_MAX 10000
#define PROXY_FROM_MAX 1000

static void read_listener(const struct json_place *place,
                          struct listener_config *listener);
static void read_proxy_from(const struct json_place *list,
                            struct listener_config *listener);
static char *read_address(const struct json_place *place);
static void check_overlap(const struct json_place *place,
                          const struct settings *settings, size_t index);
static bool overlap(const struct listener_config *left,
                    const struct listener_config *right);
static bool covers(const char *any, const char *address);
static void read_certificates(const struct json_place *list,
                              struct tls_settings *tls);
static void read_client_certificates(const struct json_place *place,
                                     struct tls_settings *tls);
static void read_ticket_keys(const struct json_place *list,
                             struct tls_settings *tls);
static void read_certificate(const struct json_place *place,
                             struct certificate_config *certificate);

void settings_read_listeners(const struct json_place *list,
                             struct settings *settings)
{
    size_t count;

    if (!json_read_list(list, 1, LISTENERS_MAX, &count))
        return;
    settings->listeners =
        mem_realloc_array(NULL, count, sizeof(*settings->listeners));
    for (size_t i = 0; i < count; i++) {
        struct json_place place = json_place_item(list, i);

        settings->listeners[i] = (struct listener_config){.address = NULL};
        settings->listener_count = i + 1;
        read_listener(&place, &settings->listeners[i]);
        check_overlap(&place, settings, i);
    }
}

static void read_place(struct json_members *members,
                       struct listener_config *listener)
{
    struct json_place member;
    unsigned number;

    if (json_read_require(members, "address", "an IP address, or \"*\" for all",
                          &member))
        listener->address = read_address(&member);
    if (json_read_require(members, "port", "a port", &member) &&
        json_read_unsigned(&member, 1, UINT16_MAX, &number))
        listener->port = (uint16_t)number;
}

struct listener_config *
settings_read_plain_listener(const struct json_place *place)
{
    struct listener_config *listener = mem_zalloc(sizeof(*listener));
    struct json_members members;

    listener->tls = LISTENER_TLS_STARTTLS;
    if (!json_read_open(&members, place))
        return listener;
    read_place(&members, listener);
    json_read_close(&members);
    return listener;
}

static void read_listener(const struct json_place *place,
                          struct listener_config *listener)
{
    static const struct json_choice choices[] = {
        {"implicit", LISTENER_TLS_IMPLICIT},
        {"starttls", LISTENER_TLS_STARTTLS},
    };
    struct json_members members;
    struct json_place member;
    unsigned number;

    if (!json_read_open(&members, place))
        return;
    read_place(&members, listener);
    if (json_read_require(&members, "tls", "\"implicit\" or \"starttls\"",
                          &member) &&
        json_read_choice(&member, choices, 2, &number))
        listener->tls = (enum listener_tls)number;
    json_read_optional_flag(&members, "client_certificates",
                            &listener->client_certificates);
    if (json_read_get(&members, "proxy_from", &member))
        read_proxy_from(&member, listener);
    json_read_close(&members);
}

/* Whoever may send the header may say that it comes from any address. */
static void read_proxy_from(const struct json_place *list,
                            struct listener_config *listener)
{
    settings_read_networks(list, 1, PROXY_FROM_MAX, &listener->proxy_from,
                           &listener->proxy_from_count);
    for (size_t i = 0; i < listener->proxy_from_count; i++) {
        if (listener->proxy_from[i].prefix > 0)
            continue;
        json_place_warning(list, "a network of everybody",
                           "the addresses of balancers: who may connect here "
                           "may pretend to come from any address");
        return;
    }
}

/* Returns NULL after a fault. */
static char *read_address(const struct json_place *place)
{
    const char *text = json_string_value(place->value);
    char shortest[NETWORK_TEXT_MAX];
    struct network address;

    if (text != NULL && strcmp(text, "*") == 0)
        return mem_strdup(text);
    if (text == NULL || !network_parse_address(text, &address)) {
        json_place_fault(place, NULL, "an IP address, or \"*\" for all");
        return NULL;
    }
    network_format_address(&address, shortest);
    return mem_strdup(shortest);
}

/* Two listeners on one socket address would share its connections by chance,
 * also where one of them does TLS otherwise. */
static void check_overlap(const struct json_place *place,
                          const struct settings *settings, size_t index)
{
    const struct listener_config *listener = &settings->listeners[index];
    char found[80];

    for (size_t i = 0; i < index; i++) {
        if (!overlap(&settings->listeners[i], listener))
            continue;
        (void)snprintf(found, sizeof(found),
                       "the address and port of $.listeners[%zu]", i);
        json_place_fault(place, found, "an address and port of its own");
        return;
    }
}

static bool overlap(const struct listener_config *left,
                    const struct listener_config *right)
{
    if (left->address == NULL || right->address == NULL || left->port == 0 ||
        left->port != right->port)
        return false;
    return strcmp(left->address, right->address) == 0 ||
           covers(left->address, right->address) ||
           covers(right->address, left->address);
}

/* "*" opens both of these; to any other address the kernel prefers the
 * listener that names it. */
static bool covers(const char *any, const char *address)
{
    return strcmp(any, "*") == 0 &&
           (strcmp(address, "0.0.0.0") == 0 || strcmp(address, "::") == 0);
}

void settings_read_tls(const struct json_place *place, struct tls_settings *tls)
{
    static const struct json_choice policies[] = {
        {"modern", TLS_POLICY_MODERN},
        {"compatible", TLS_POLICY_COMPATIBLE},
    };
    struct json_members members;
    struct json_place member;
    unsigned policy = tls->policy;

    if (!json_read_open(&members, place))
        return;
    if (json_read_require(&members, "certificates", "a list of certificates",
                          &member))
        read_certificates(&member, tls);
    json_read_optional_choice(&members, "policy", policies, 2, &policy);
    tls->policy = (enum tls_policy)policy;
    if (json_read_get(&members, "client_certificates", &member))
        read_client_certificates(&member, tls);
    if (json_read_get(&members, "ticket_keys", &member))
        read_ticket_keys(&member, tls);
    json_read_close(&members);
}

static void read_client_certificates(const struct json_place *place,
                                     struct tls_settings *tls)
{
    static const struct json_choice users[] = {
        {"rfc822Name", CERTIFICATE_USER_EMAIL},
        {"commonName", CERTIFICATE_USER_COMMON_NAME},
    };
    struct json_members members;
    unsigned user = tls->client_user;

    if (!json_read_open(&members, place))
        return;
    json_read_required_path(&members, "ca",
                            "the path of a file of the authorities that sign "
                            "clients' certificates",
                            &tls->client_ca);
    json_read_optional_choice(&members, "user", users, 2, &user);
    tls->client_user = (enum certificate_user)user;
    json_read_close(&members);
}

static void read_ticket_keys(const struct json_place *list,
                             struct tls_settings *tls)
{
    size_t count;

    if (!json_read_list(list, 1, SETTINGS_TICKET_KEYS_MAX, &count))
        return;
    tls->ticket_keys =
        mem_realloc_array(NULL, count, sizeof(*tls->ticket_keys));
    for (size_t i = 0; i < count; i++) {
        struct json_place place = json_place_item(list, i);

        if (!json_read_path(&place, &tls->ticket_keys[i]))
            tls->ticket_keys[i] = NULL;
        tls->ticket_key_count = i + 1;
    }
}

static void read_certificates(const struct json_place *list,
                              struct tls_settings *tls)
{
    size_t count;

    if (!json_read_list(list, 1, CERTIFICATES_MAX, &count))
        return;
    tls->certificates =
        mem_realloc_array(NULL, count, sizeof(*tls->certificates));
    for (size_t i = 0; i < count; i++) {
        struct json_place place = json_place_item(list, i);

        tls->certificates[i] = (struct certificate_config){.chain = NULL};
        tls->certificate_count = i + 1;
        read_certificate(&place, &tls->certificates[i]);
    }
}

static void read_certificate(const struct json_place *place,
                             struct certificate_config *certificate)
{
    struct json_members members;
    struct json_place chain;
    struct json_place key;
    struct json_place directory;

    if (!json_read_open(&members, place))
        return;

    bool has_chain = json_read_get(&members, "chain", &chain);
    bool has_key = json_read_get(&members, "key", &key);
    bool has_directory = json_read_get(&members, "directory", &directory);

    if (has_directory && (has_chain || has_key))
        json_place_fault(&directory, "a directory beside a chain or key",
                         "either chain and key, or directory");
    else if (!has_directory && !has_chain)
        json_place_fault(&chain, NULL, "the path of a certificate chain");
    else if (!has_directory && !has_key)
        json_place_fault(&key, NULL, "the path of the chain's private key");
    json_read_optional_path(&members, "chain", &certificate->chain);
    json_read_optional_path(&members, "key", &certificate->key);
    json_read_optional_path(&members, "directory", &certificate->directory);
    json_read_close(&members);
}
