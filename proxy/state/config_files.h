/* The two JSON files, read and parsed. */
#ifndef STATE_CONFIG_FILES_H
#define STATE_CONFIG_FILES_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/route_table.h"
#include "config/settings.h"
#include "state/file_source.h"

#include <stdbool.h>

/* False when the file cannot be read or is refused; reasons say why, and
 * *settings_out is what can be salvaged, for a look at the files that it
 * names, or NULL. The caller frees it either way. */
MUST_USE bool config_files_settings(const struct file_source *files,
                                    const char *config_file,
                                    struct settings **settings_out,
                                    struct reasons *reasons);

/* The routing table that the settings name. False and *table_out untouched
 * when it is not named, cannot be read or is refused. */
MUST_USE bool config_files_table(const struct file_source *files,
                                 const struct settings *settings,
                                 struct route_table **table_out,
                                 struct reasons *reasons);

#endif
