/* gatepost route CONFIG USER: where a user goes, and why. */
#ifndef PROXY_COMMAND_ROUTE_H
#define PROXY_COMMAND_ROUTE_H

#include <stdio.h>

/* Explains to out what the table makes of a login name, by the table alone:
 * no certificate is read, nothing asked of a running server. Problems of the
 * two JSON files go to problems. Returns the exit status: 0, or 1 when the
 * login would be refused or a file is. */
int command_route_run(const char *config_file, const char *user, FILE *out,
                      FILE *problems);

#endif
