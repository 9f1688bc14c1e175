/* What a client may say before its login, command by command. */
#ifndef SESSION_LOGIN_COMMAND_H
#define SESSION_LOGIN_COMMAND_H

#include "session/login_state.h"

/* Whether the command that the reader holds makes sense so far and has use for
 * the literal that waits. */
bool login_command_wants_literal(const struct login *login);

/* Runs the command that the reader holds, or refuses it where a literal waits
 * that it has no use for. */
enum login_decision login_command_run(struct login *login);

/* Answers a command that the reader found broken. */
enum login_decision login_command_bad(struct login *login);

/* Answers what the reader cannot read on. */
enum login_decision login_command_close(struct login *login);

#endif
