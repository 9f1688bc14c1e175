/* The files of keys that session tickets are sealed with on several machines,
 * as the settings name them. */
#ifndef STATE_TICKET_KEY_FILES_H
#define STATE_TICKET_KEY_FILES_H

#include "config/mem.h"
#include "config/reason.h"
#include "config/settings.h"
#include "net/shared_ticket_keys.h"
#include "state/file_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ticket_key_files {
    struct shared_ticket_key keys[SETTINGS_TICKET_KEYS_MAX];
    const char *names[SETTINGS_TICKET_KEYS_MAX]; /* lent by the settings */
    size_t count;                                /* 0: the settings name none */
    int64_t made; /* the first: seconds since the epoch, or 0 before it */
};

/* Reads them all, in the order of the settings. Refused is a file that
 * everybody may read, one that is not as long as a key, and a second one of the
 * same name, whose tickets the first would fail to open. Returns false after
 * any error, none of which says anything of a key. */
MUST_USE bool ticket_key_files_read(struct ticket_key_files *files,
                                    const struct file_source *source,
                                    const struct settings *settings,
                                    struct reasons *reasons);

/* Warns where the settings name keys of which the first was made, as made has
 * it, long before now. */
void ticket_key_files_warn(const struct settings *settings, int64_t made,
                           int64_t now, struct reasons *reasons);

/* Wipes. */
void ticket_key_files_deinit(struct ticket_key_files *files);

#endif
