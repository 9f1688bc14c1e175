/* How a client hands over its credentials, by LOGIN or AUTHENTICATE. */
#ifndef SESSION_LOGIN_ATTEMPT_H
#define SESSION_LOGIN_ATTEMPT_H

#include "session/login_state.h"

/* Runs the command under TLS. LOGIN_MORE with an attempt under way means that
 * the client's next line belongs to it: see login_attempt_line. */
enum login_decision login_attempt_by_login(struct login *login, const char *tag,
                                           struct imap_span arguments);
enum login_decision login_attempt_by_sasl(struct login *login, const char *tag,
                                          struct imap_span arguments);

/* Takes the line that the reader holds. */
enum login_decision login_attempt_line(struct login *login);

/* Passes a challenge of the backend on, as login_challenge says. */
bool login_attempt_challenge(struct login *login, struct imap_span base64);

/* Takes note that the line could not be read. */
enum login_decision login_attempt_bad_line(struct login *login);

/* Wipes and frees the attempt, if there is one. */
void login_attempt_end(struct login *login);

#endif
