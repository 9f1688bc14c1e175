/* Towards backends. */
#include "config/settings_sections.h"

#include <string.h>

#include "config/json_read.h"

#define SOURCE_ADDRESSES_MAX 64

/* In a row. */
#define HEALTH_COUNT_MAX 100

/* More often than each second would be an attack. */
#define HEALTH_INTERVAL_MIN_S 1.0
#define HEALTH_INTERVAL_MAX_MS ((uint64_t)3600 * 1000)

static void read_health(const struct json_place *place,
                        struct health_settings *health);
static void read_sources(const struct json_place *list,
                         struct settings *settings);
static bool read_source(const struct json_place *place,
                        struct network *address_out);
static bool can_be_source(const struct network *address);
static bool is_twice(const struct json_place *place,
                     const struct settings *settings);

void settings_read_upstream(const struct json_place *place,
                            struct settings *settings)
{
    struct json_members members;
    struct json_place list;
    struct json_place health;

    if (!json_read_open(&members, place))
        return;
    json_read_optional_seconds(&members, "resolve_interval", 1000,
                               SETTINGS_DAY_MS, &settings->resolve_interval_ms);
    if (json_read_get(&members, "source_addresses", &list))
        read_sources(&list, settings);
    if (json_read_get(&members, "health", &health))
        read_health(&health, &settings->health);
    json_read_optional_flag(&members, "imap4rev2", &settings->imap4rev2);
    json_read_close(&members);
}

static void read_health(const struct json_place *place,
                        struct health_settings *health)
{
    struct json_members members;

    if (!json_read_open(&members, place))
        return;
    json_read_optional_seconds_or_off(
        &members, "interval", HEALTH_INTERVAL_MIN_S, HEALTH_INTERVAL_MAX_MS,
        "0 for off, or at least 1 second", &health->interval_ms);
    json_read_optional_seconds(&members, "timeout", 1000,
                               HEALTH_INTERVAL_MAX_MS, &health->timeout_ms);
    json_read_optional_unsigned(&members, "rise", 1, HEALTH_COUNT_MAX,
                                &health->rise);
    json_read_optional_unsigned(&members, "fall", 1, HEALTH_COUNT_MAX,
                                &health->fall);
    json_read_close(&members);
}

static void read_sources(const struct json_place *list,
                         struct settings *settings)
{
    size_t count;

    if (!json_read_list(list, 0, SOURCE_ADDRESSES_MAX, &count))
        return;
    settings->source_addresses =
        mem_realloc_array(NULL, count, sizeof(*settings->source_addresses));
    for (size_t i = 0; i < count; i++) {
        struct json_place place = json_place_item(list, i);
        struct network *address =
            &settings->source_addresses[settings->source_address_count];

        if (read_source(&place, address) && !is_twice(&place, settings))
            settings->source_address_count++;
    }
}

static bool read_source(const struct json_place *place,
                        struct network *address_out)
{
    const char *text = json_string_value(place->value);

    if (text != NULL && network_parse_address(text, address_out) &&
        can_be_source(address_out))
        return true;
    json_place_fault(place, NULL,
                     "an IP address of this host: no wildcard, multicast, "
                     "broadcast or link-local one");
    return false;
}

/* A link-local address means nothing without the name of its link. */
static bool can_be_source(const struct network *address)
{
    static const struct network never[] = {
        {NETWORK_IPV4, {0}, 32},
        {NETWORK_IPV4, {224}, 4},
        {NETWORK_IPV4, {255, 255, 255, 255}, 32},
        {NETWORK_IPV6, {0}, 128},
        {NETWORK_IPV6, {0xff}, 8},
        {NETWORK_IPV6, {0xfe, 0x80}, 10},
    };

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (network_contains(&never[i], address->family, address->bytes))
            return false;
    }
    return true;
}

/* Whether the address behind the last one that was taken is one of those. */
static bool is_twice(const struct json_place *place,
                     const struct settings *settings)
{
    const struct network *all = settings->source_addresses;
    const struct network *address = &all[settings->source_address_count];

    for (size_t i = 0; i < settings->source_address_count; i++) {
        if (all[i].family != address->family ||
            memcmp(all[i].bytes, address->bytes, sizeof(address->bytes)) != 0)
            continue;
        json_place_fault(place, "an address that stands there already",
                         "each address once");
        return true;
    }
    return false;
}
