/* The larger sections of gatepost.json, each read by a file of its own. Faults
 * are added to the place's reasons; what is missing keeps its default. */
#ifndef CONFIG_SETTINGS_SECTIONS_H
#define CONFIG_SETTINGS_SECTIONS_H

#include "config/json_place.h"
#include "config/json_read.h"
#include "config/settings.h"

#define SETTINGS_DAY_MS (UINT64_C(24) * 3600 * 1000)

/* Of auth.delay_max, and its default: longer would outlast the patience of
 * clients, which then take the server for dead. */
#define SETTINGS_DELAY_MAX_MS UINT64_C(15000)

void settings_read_listeners(const struct json_place *list,
                             struct settings *settings);
/* An address and a port, nothing else; the caller's to free. */
struct listener_config *
settings_read_plain_listener(const struct json_place *place);
void settings_read_tls(const struct json_place *place,
                       struct tls_settings *tls);
void settings_read_auth(const struct json_place *place,
                        struct auth_settings *auth);
void settings_read_limits(const struct json_place *place,
                          struct limits_settings *limits);
void settings_read_timeouts(const struct json_place *place,
                            struct timeouts_settings *timeouts);
void settings_read_admin(const struct json_place *place,
                         struct settings *settings);
void settings_read_upstream(const struct json_place *place,
                            struct settings *settings);

/* A list of addresses and networks. *networks_out is the caller's to free; it
 * holds those that are good. */
void settings_read_networks(const struct json_place *list, size_t min,
                            size_t max, struct network **networks_out,
                            size_t *count_out);

/* What one section asks of another; the root's members were read. */
void settings_check_sections(struct json_members *root,
                             const struct settings *settings);

#endif
