/* The other end of the admin socket: one question, one answer. */
#ifndef PROXY_ADMIN_CLIENT_H
#define PROXY_ADMIN_CLIENT_H

#include "config/mem.h"
#include "ops/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Where a server is asked if nothing else was said. */
#define ADMIN_CLIENT_SOCKET "/run/gatepost/admin.sock"

/* Adds a parameter to a target, encoded (RFC 3986, 2.1). */
void admin_client_add(struct text *target, const char *name, const char *value);

/* Asks the server at the socket and gives the JSON that it answered, which the
 * caller owns, also where its status says that it refused; *was_good_out says
 * which. NULL, after a line to problems, when nothing can be had. Waits for
 * wait_s seconds at most. */
MUST_USE json_t *admin_client_ask(const char *socket, const char *method,
                                  const char *target, unsigned wait_s,
                                  FILE *problems, bool *was_good_out);

#endif
