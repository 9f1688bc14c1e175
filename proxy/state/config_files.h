/* The two JSON files, read and parsed. */
#ifndef STATE_CONFIG_FILES_H
#define STATE_CONFIG_FILES_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/route_table.h"
#include "config/settings.h"
#include "state/file_source.h"

#include <stdbool.h>

/* False and *settings_out untouched when the file cannot be read or is
 * refused; reasons say why. */
MUST_USE bool config_files_settings(const struct file_source *files,
                                    const char *config_file,
                                    struct settings **settings_out,
                                    struct reasons *reasons);

/* The routing table that the settings name; likewise. */
MUST_USE bool config_files_table(const struct file_source *files,
                                 const struct settings *settings,
                                 struct route_table **table_out,
                                 struct reasons *reasons);

#endif
