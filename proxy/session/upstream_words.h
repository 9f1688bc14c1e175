/* What of a backend's words about a login reaches the client: its alerts, the
 * capabilities that it announces, and its OK. */
#ifndef SESSION_UPSTREAM_WORDS_H
#define SESSION_UPSTREAM_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "imap/capability.h"
#include "imap/response.h"
#include "imap/wiped_buffer.h"
#include "session/upstream_command.h"

/* All zero is the beginning. */
struct upstream_words {
    struct wiped_buffer to_client;
    size_t alerts_len; /* of all alerts so far */
    bool has_shown;    /* those that are held went with a challenge */
    struct wiped_buffer capabilities;   /* the last list heard, filtered */
    struct imap_capabilities announced; /* by it */
    bool volunteered;                   /* it came as "* CAPABILITY" */
    struct wiped_buffer success;        /* the tagged OK, without its end */
};

void upstream_words_deinit(struct upstream_words *words);

/* Keeps the list if there is one in the response. */
bool upstream_words_take_list(struct upstream_words *words,
                              const struct imap_response *response);

/* Passes the line on if it is an alert, and holds no secret of the command
 * that is not the client's. */
void upstream_words_take_alert(struct upstream_words *words,
                               const struct upstream_command *command,
                               const struct imap_response *response,
                               struct imap_span line);

/* Keeps the tagged OK, under the same condition. */
void upstream_words_take_success(struct upstream_words *words,
                                 const struct upstream_command *command,
                                 struct imap_span line);

/* Writes the end of the dialogue: one untagged list at most, and the OK under
 * the client's tag. */
void upstream_words_finish(struct upstream_words *words, const char *tag);

/* Drops what the client has been shown. */
void upstream_words_forget_shown(struct upstream_words *words);

#endif
