/* The commands that ask a running server: status and its kin. */
#ifndef PROXY_COMMAND_ADMIN_H
#define PROXY_COMMAND_ADMIN_H

#include <stdbool.h>
#include <stdio.h>

/* Whether arguments[0] is one of them. */
bool command_admin_knows(int count, char **arguments);

/* Runs the command arguments[0], whose options and names follow. Returns the
 * exit status: 0; 1 when the server refused or cannot be asked; -1 for wrong
 * usage, which was told then. */
int command_admin_run(int count, char **arguments, FILE *out, FILE *problems);

#endif
