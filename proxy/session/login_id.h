/* What a client says of itself by ID (RFC 2971), as far as it is kept. */
#ifndef SESSION_LOGIN_ID_H
#define SESSION_LOGIN_ID_H

#include "session/login_state.h"

/* Takes the arguments of an ID; its pairs replace those of an earlier one.
 * False, with nothing changed, when it is malformed. */
MUST_USE bool login_id_take(struct login *login, struct imap_span arguments);

/* Forgets it all. */
void login_id_forget(struct login *login);

#endif
