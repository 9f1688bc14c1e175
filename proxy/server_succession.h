/* Upgrades, as the running server takes part in them: what a predecessor and a
 * successor do, and want of us. predecessor.h, successor.h and server_upgrade.h
 * speak with them. On the main loop where it runs. */
#ifndef PROXY_SERVER_SUCCESSION_H
#define PROXY_SERVER_SUCCESSION_H

#include "config/mem.h"

#include <stdbool.h>

struct server;

/* Receives what a predecessor gives, where there is one; forks then, so there
 * may be no threads. False, logged, when that fails. */
MUST_USE bool server_succession_find(struct server *server);

/* Says why the server cannot start: in the log, or, if it is an upgrade, to the
 * predecessor, which logs it and tells who asked for it. Returns false. */
bool server_succession_refuse(struct server *server, const char *what,
                              const char *why);

/* Upgrades are possible from here on. */
void server_succession_join(struct server *server);

/* Takes over the state, if a predecessor gives it. False, after
 * server_succession_refuse, when that fails. */
MUST_USE bool server_succession_take_state(struct server *server);

/* We serve: tells a predecessor, and hears from it from here on. */
void server_succession_serve(struct server *server);

/* By command: starts a successor, which may be refused at once. */
void server_succession_begin(struct server *server);

#endif
