/* The inside of a dialogue: for the files of login only. */
#ifndef SESSION_LOGIN_STATE_H
#define SESSION_LOGIN_STATE_H

#include "auth/sasl_server.h"
#include "imap/reader.h"
#include "imap/reply.h"
#include "session/login.h"

/* Lives only while a client tries to log in. */
struct login_attempt {
    char tag[IMAP_TAG_MAX + 1];
    enum sasl_mechanism mechanism;
    unsigned challenges; /* of the backend, passed on */
    struct sasl_server sasl;
    struct credentials credentials;
};

struct login {
    struct login_rules rules;
    bool is_secure;
    bool has_heard; /* at least one byte of the client */
    unsigned commands;
    unsigned bad_commands;
    unsigned wrong_state_commands;
    unsigned tries;
    unsigned attempts; /* tries, and those that were none */
    struct login_tally tally;
    const char *end_reason;
    char *certificate_user; /* NULL: none */
    unsigned proxy_ttl;
    struct wiped_buffer id_text;
    struct login_id id; /* lends id_text */
    struct imap_reader reader;
    struct wiped_buffer output;
    struct login_attempt *attempt; /* NULL: none is under way */
};

/* The mechanisms that this client may use. */
unsigned login_mechanisms(const struct login *login);

struct reply_offer login_offer(const struct login *login);

/* Writes the reply and goes on with the next command. */
enum login_decision login_say(struct login *login, enum reply reply,
                              const char *tag);

/* Answers an unknown or broken command; the counter is never set back, since
 * guessing in between of NOOPs is guessing all the same (threat C13). */
enum login_decision login_refuse_bad(struct login *login, enum reply reply,
                                     const char *tag);

/* Answers what a confused client sends, with more patience. */
enum login_decision login_refuse_early(struct login *login, enum reply reply,
                                       const char *tag);

/* An attempt is over: counts it, and ends the dialogue after the last. */
enum login_decision login_count_attempt(struct login *login, bool is_try);

/* Ends the dialogue; the reason is a fixed word for the log. */
enum login_decision login_end_for(struct login *login, const char *reason);
enum login_decision login_say_bye(struct login *login, enum reply reply,
                                  const char *reason);

#endif
