#include "config/settings.h"

#include <stdlib.h>
#include <string.h>

#include "config/json_parse.h"
#include "config/json_read.h"
#include "config/settings_sections.h"

#define WORKERS_MAX 1024

/* Percent of the routing table that a reload may lose. */
#define MAX_SHRINK 20

static struct settings *read_settings(const uint8_t *bytes, size_t len,
                                      const char *file,
                                      struct reasons *reasons);
static void set_defaults(struct settings *settings, const char *file);
static void read_root(const struct json_place *root, struct settings *settings);
static void read_log(const struct json_place *place, struct settings *settings);

bool settings_parse(const uint8_t *bytes, size_t len, const char *file,
                    struct settings **settings_out, struct reasons *reasons)
{
    size_t errors_before = reasons->errors;
    struct settings *settings = read_settings(bytes, len, file, reasons);

    if (reasons->errors > errors_before) {
        settings_free(&settings);
        return false;
    }
    *settings_out = settings;
    return true;
}

struct settings *settings_salvage(const uint8_t *bytes, size_t len,
                                  const char *file)
{
    struct reasons *reasons = reasons_new();
    struct settings *settings = read_settings(bytes, len, file, reasons);

    reasons_free(&reasons);
    return settings;
}

const struct listener_config *
settings_find_listener(const struct settings *settings, const char *address,
                       uint16_t port)
{
    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct listener_config *listener = &settings->listeners[i];

        if (listener->port == port && strcmp(listener->address, address) == 0)
            return listener;
    }
    return NULL;
}

void settings_free(struct settings **settings)
{
    struct settings *mine = *settings;

    *settings = NULL;
    if (mine == NULL)
        return;
    for (size_t i = 0; i < mine->listener_count; i++) {
        free(mine->listeners[i].address);
        free(mine->listeners[i].proxy_from);
    }
    for (size_t i = 0; i < mine->tls.certificate_count; i++) {
        free(mine->tls.certificates[i].chain);
        free(mine->tls.certificates[i].key);
        free(mine->tls.certificates[i].directory);
    }
    free(mine->file);
    free(mine->listeners);
    free(mine->tls.certificates);
    free(mine->tls.client_ca);
    for (size_t i = 0; i < mine->tls.ticket_key_count; i++)
        free(mine->tls.ticket_keys[i]);
    free(mine->tls.ticket_keys);
    free(mine->routes);
    free(mine->limits.exempt);
    free(mine->source_addresses);
    free(mine->admin_socket);
    free(mine->admin_state);
    free(mine->admin_state_former);
    if (mine->admin_listen != NULL)
        free(mine->admin_listen->address);
    free(mine->admin_listen);
    free(mine->admin_token);
    for (size_t i = 0; i < mine->admin_host_count; i++)
        free(mine->admin_hosts[i]);
    free(mine->admin_hosts);
    identity_rules_deinit(&mine->auth.identity);
    free(mine);
}

/* Goes on after a fault. NULL, and an error, when there is nothing to go on
 * with. */
static struct settings *read_settings(const uint8_t *bytes, size_t len,
                                      const char *file, struct reasons *reasons)
{
    struct json_reader reader = {.file = file, .reasons = reasons};
    json_t *value = json_parse(&reader, bytes, len);

    if (value == NULL)
        return NULL;

    struct settings *settings = mem_zalloc(sizeof(*settings));
    struct json_place root = json_place_root(&reader, value);

    set_defaults(settings, file);
    read_root(&root, settings);
    json_decref(value);
    return settings;
}

/* Each with its reason in design.md, section 2. */
static void set_defaults(struct settings *settings, const char *file)
{
    settings->file = mem_strdup(file);
    settings->tls.policy = TLS_POLICY_MODERN;
    settings->max_shrink = MAX_SHRINK;
    settings->auth.mechanisms = AUTH_MECHANISM_PLAIN | AUTH_MECHANISM_LOGIN;
    settings->auth.delay_max_ms = SETTINGS_DELAY_MAX_MS;
    identity_rules_init(&settings->auth.identity);
    settings->limits = (struct limits_settings){
        .line = 16384,
        .literal = 8192,
        .login_tries = 3,
        .bad_commands = 5,
        .wrong_state_commands = 20,
        .backend_queue = 100,
        .disconnect_rate = 1000,
    };
    settings->timeouts = (struct timeouts_settings){
        .handshake_ms = 20000,
        .before_login_ms = 180000,
        .proxy_header_ms = 5000,
        .connect_ms = 5000,
        .backend_tls_ms = 10000,
        .greeting_ms = 30000,
        .login_reply_ms = 60000,
        .half_closed_ms = 60000,
        .drain_ms = 30000,
        .user_timeout_ms = 420000,
        .keepalive = {.idle_s = 300, .interval_s = 30, .count = 4},
    };
    settings->resolve_interval_ms = 30000;
    settings->health = (struct health_settings){
        .interval_ms = 10000, .timeout_ms = 10000, .rise = 2, .fall = 3};
    settings->log_level = SETTINGS_LOG_INFO;
    settings->log_format = SETTINGS_LOG_TEXT;
}

static void read_root(const struct json_place *root, struct settings *settings)
{
    struct json_members members;
    struct json_place place;

    if (!json_read_open(&members, root))
        return;
    json_read_schema(&members);
    if (json_read_require(&members, "listeners", "a list of listeners", &place))
        settings_read_listeners(&place, settings);
    if (json_read_require(&members, "tls", "an object with certificates",
                          &place))
        settings_read_tls(&place, &settings->tls);
    json_read_required_path(&members, "routes", "the path of the routing table",
                            &settings->routes);
    json_read_optional_unsigned(&members, "max_shrink", 0, 100,
                                &settings->max_shrink);
    json_read_optional_flag(&members, "watch", &settings->watch);
    json_read_optional_unsigned(&members, "workers", 0, WORKERS_MAX,
                                &settings->workers);
    if (json_read_get(&members, "auth", &place))
        settings_read_auth(&place, &settings->auth);
    if (json_read_get(&members, "limits", &place))
        settings_read_limits(&place, &settings->limits);
    if (json_read_get(&members, "timeouts", &place))
        settings_read_timeouts(&place, &settings->timeouts);
    if (json_read_get(&members, "upstream", &place))
        settings_read_upstream(&place, settings);
    if (json_read_get(&members, "admin", &place))
        settings_read_admin(&place, settings);
    if (json_read_get(&members, "log", &place))
        read_log(&place, settings);
    settings_check_sections(&members, settings);
    json_read_close(&members);
}

static void read_log(const struct json_place *place, struct settings *settings)
{
    static const struct json_choice levels[] = {
        {"error", SETTINGS_LOG_ERROR},
        {"warn", SETTINGS_LOG_WARN},
        {"info", SETTINGS_LOG_INFO},
        {"debug", SETTINGS_LOG_DEBUG},
    };
    static const struct json_choice formats[] = {
        {"text", SETTINGS_LOG_TEXT},
        {"json", SETTINGS_LOG_JSON},
    };
    struct json_members members;
    unsigned level = settings->log_level;
    unsigned format = settings->log_format;

    if (!json_read_open(&members, place))
        return;
    json_read_optional_choice(&members, "level", levels, 4, &level);
    json_read_optional_choice(&members, "format", formats, 2, &format);
    settings->log_level = (enum settings_log_level)level;
    settings->log_format = (enum settings_log_format)format;
    json_read_close(&members);
}
