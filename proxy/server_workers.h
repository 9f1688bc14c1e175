/* The server's workers: started with their listening sockets, told things one
 * after the other, and joined. */
#ifndef PROXY_SERVER_WORKERS_H
#define PROXY_SERVER_WORKERS_H

#include "config/mem.h"
#include "openings.h"
#include "worker.h"

#include <stdbool.h>

struct server;

/* Starts all, with the sockets of server->openings. False, after
 * server_succession_refuse, when one cannot start; those before it run on. */
MUST_USE bool server_workers_start(struct server *server);

/* Hands out the sockets that a reload opened. */
void server_workers_listen(struct server *server, struct openings *openings);

void server_workers_tell(struct server *server, void (*tell)(struct worker *));

/* Of server_notify_join, whose owner the server is: whether all have answered
 * since they were asked last. */
bool server_workers_answer(void *owner);

/* Waits for the end of all, who have been told to end. */
void server_workers_join(struct server *server);

#endif
