/* When the server reloads, and what it does with what was loaded: reload.h
 * does the loading. On the main loop. */
#ifndef PROXY_SERVER_RELOAD_H
#define PROXY_SERVER_RELOAD_H

#include <stdbool.h>

struct server;

/* Reloads are possible from here on, and watched files renamed are noticed. */
void server_reload_join(struct server *server);

/* By command: whatever else is under way. */
void server_reload_request(struct server *server, bool is_forced);

/* By signal, or since a file was renamed: waits for the end of an upgrade that
 * is under way; not where a drain or a successor makes it vain. */
void server_reload_by_itself(struct server *server);

#endif
