/* What somebody must say who comes by TCP and wants more than everybody. */
#ifndef STATE_ADMIN_TOKEN_H
#define STATE_ADMIN_TOKEN_H

#include "config/settings.h"
#include "state/secret_file.h"

/* Reads the token that the settings name; *out stays as it is where they name
 * none. Beside what secret_file_read refuses, this refuses what no header can
 * carry (RFC 6750, 2.1) and what can be guessed for its length; and warns where
 * it will cross a network in clear. False after adding an error. */
MUST_USE bool admin_token_read(const struct file_source *files,
                               const struct settings *settings,
                               struct secret_file *out,
                               struct reasons *reasons);

#endif
