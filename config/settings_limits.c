/* How much, and how long. */
#include "config/settings_sections.h"

#include "config/json_read.h"

#define EXEMPT_MAX 10000

/* More than any kernel gives to one process. */
#define COUNT_MAX 100000000

/* Of the longest command line and literal that are kept before login. */
#define BYTES_MIN 512
#define BYTES_MAX 65536

/* A session may be silent for 30 minutes (RFC 9051, 5.4). */
#define IDLE_MIN_S 1860.0

/* What Linux takes for TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT. */
#define KEEPALIVE_SECONDS_MAX 32767
#define KEEPALIVE_COUNT_MAX 127

static void read_keepalive(const struct json_place *place,
                           struct keepalive_settings *keepalive);
static void warn_of_user_timeout(const struct json_place *place,
                                 const struct timeouts_settings *timeouts);

void settings_read_limits(const struct json_place *place,
                          struct limits_settings *limits)
{
    const struct {
        const char *key;
        unsigned min;
        unsigned max;
        unsigned *number;
    } fields[] = {
        {"line", BYTES_MIN, BYTES_MAX, &limits->line},
        {"literal", BYTES_MIN, BYTES_MAX, &limits->literal},
        {"login_tries", 1, 100, &limits->login_tries},
        {"bad_commands", 1, 1000, &limits->bad_commands},
        {"wrong_state_commands", 1, 1000, &limits->wrong_state_commands},
        {"sessions", 0, COUNT_MAX, &limits->sessions},
        {"per_address", 0, COUNT_MAX, &limits->per_address},
        {"per_user", 0, COUNT_MAX, &limits->per_user},
        {"per_user_and_address", 0, COUNT_MAX, &limits->per_user_and_address},
        {"accept_rate", 0, COUNT_MAX, &limits->accept_rate},
        {"before_login", 0, COUNT_MAX, &limits->before_login},
        {"backend_logins", 0, COUNT_MAX, &limits->backend_logins},
        {"backend_queue", 0, COUNT_MAX, &limits->backend_queue},
        {"disconnect_rate", 0, COUNT_MAX, &limits->disconnect_rate},
    };
    struct json_members members;
    struct json_place list;

    if (!json_read_open(&members, place))
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        json_read_optional_unsigned(&members, fields[i].key, fields[i].min,
                                    fields[i].max, fields[i].number);
    if (json_read_get(&members, "exempt", &list))
        settings_read_networks(&list, 0, EXEMPT_MAX, &limits->exempt,
                               &limits->exempt_count);
    json_read_close(&members);
}

void settings_read_timeouts(const struct json_place *place,
                            struct timeouts_settings *timeouts)
{
    const struct {
        const char *key;
        uint64_t min_ms;
        uint64_t *ms;
    } fields[] = {
        {"handshake", 1, &timeouts->handshake_ms},
        {"before_login", 1, &timeouts->before_login_ms},
        {"proxy_header", 1, &timeouts->proxy_header_ms},
        {"connect", 1, &timeouts->connect_ms},
        {"backend_tls", 1, &timeouts->backend_tls_ms},
        {"greeting", 1, &timeouts->greeting_ms},
        {"login_reply", 1, &timeouts->login_reply_ms},
        {"half_closed", 1, &timeouts->half_closed_ms},
        {"drain", 0, &timeouts->drain_ms},
        {"user_timeout", 0, &timeouts->user_timeout_ms},
    };
    struct json_members members;
    struct json_place member;

    if (!json_read_open(&members, place))
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        json_read_optional_seconds(&members, fields[i].key, fields[i].min_ms,
                                   SETTINGS_DAY_MS, fields[i].ms);
    json_read_optional_seconds(&members, "upgrade_drain", 0,
                               30 * SETTINGS_DAY_MS,
                               &timeouts->upgrade_drain_ms);
    json_read_optional_seconds_or_off(
        &members, "idle", IDLE_MIN_S, SETTINGS_DAY_MS,
        "0 for off, or at least 1860 seconds", &timeouts->idle_ms);
    if (json_read_get(&members, "keepalive", &member))
        read_keepalive(&member, &timeouts->keepalive);
    warn_of_user_timeout(place, timeouts);
    json_read_close(&members);
}

/* With a user timeout Linux no longer counts probes: it resets an idle
 * connection at the first probe that finds the timeout passed since the last
 * answer, so one lost probe would end a session. */
static void warn_of_user_timeout(const struct json_place *place,
                                 const struct timeouts_settings *timeouts)
{
    const struct keepalive_settings *keepalive = &timeouts->keepalive;
    uint64_t needed_ms = ((uint64_t)keepalive->idle_s +
                          (uint64_t)keepalive->interval_s * keepalive->count) *
                         1000;

    if (timeouts->user_timeout_ms != 0 && timeouts->user_timeout_ms < needed_ms)
        json_place_warning(place, "a user_timeout below what keepalive takes",
                           "at least idle + interval x count: a single lost "
                           "probe ends an idle session");
}

static void read_keepalive(const struct json_place *place,
                           struct keepalive_settings *keepalive)
{
    struct json_members members;

    if (!json_read_open(&members, place))
        return;
    json_read_optional_unsigned(&members, "idle", 1, KEEPALIVE_SECONDS_MAX,
                                &keepalive->idle_s);
    json_read_optional_unsigned(&members, "interval", 1, KEEPALIVE_SECONDS_MAX,
                                &keepalive->interval_s);
    json_read_optional_unsigned(&members, "count", 1, KEEPALIVE_COUNT_MAX,
                                &keepalive->count);
    json_read_close(&members);
}
