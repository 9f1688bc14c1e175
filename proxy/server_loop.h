/* What the server has on its main loop: signals, chores, and all that joins the
 * loop to hear and be heard. */
#ifndef PROXY_SERVER_LOOP_H
#define PROXY_SERVER_LOOP_H

struct server;

/* The workers' facts are there already; nobody is served yet. */
void server_loop_open(struct server *server);

/* Closes all of it; the loop ends when that is done. */
void server_loop_close(struct server *server);

#endif
