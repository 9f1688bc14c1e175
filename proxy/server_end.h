/* How the server ends: it drains, or stops at once, and is over when its
 * workers and its predecessor are. On the main loop. */
#ifndef PROXY_SERVER_END_H
#define PROXY_SERVER_END_H

#include <stdint.h>

struct server;

/* Prepares the timers, and the bell that workers ring when they end. */
void server_end_join(struct server *server);

/* Drains for the time of the settings; asked for a second time, stops. */
void server_end_asked(struct server *server);

/* Ends the sessions of all processes within this time, if they are not ending
 * already. */
void server_end_within(struct server *server, uint64_t drain_ms);

/* Ends all sessions without more ado, also where they are being drained. */
void server_end_now(struct server *server);

/* A successor serves: drains when timeouts.upgrade_drain is over, and keeps an
 * idle process for as long as it takes to read the answer. */
void server_end_retired(struct server *server);

/* Of one that has retired: drains when so much time has passed since then; 0:
 * never. */
void server_end_overdue(struct server *server, uint64_t overtime_ms);

/* Lets the loop end, if nothing is left to do. */
void server_end_if_over(struct server *server);

#endif
