/* The larger sections of gatepost.json, each read by a file of its own. Faults
 * are added to the place's reasons; what is missing keeps its default. */
#ifndef CONFIG_SETTINGS_SECTIONS_H
#define CONFIG_SETTINGS_SECTIONS_H

#include "config/json_place.h"
#include "config/settings.h"

#define SETTINGS_DAY_MS (UINT64_C(24) * 3600 * 1000)

void settings_read_listeners(const struct json_place *list,
                             struct settings *settings);
void settings_read_tls(const struct json_place *place,
                       struct tls_settings *tls);
void settings_read_auth(const struct json_place *place,
                        struct auth_settings *auth);
void settings_read_limits(const struct json_place *place,
                          struct limits_settings *limits);
void settings_read_timeouts(const struct json_place *place,
                            struct timeouts_settings *timeouts);
void settings_read_upstream(const struct json_place *place,
                            struct settings *settings);

#endif
