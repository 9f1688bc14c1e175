/* The running server. */
#ifndef PROXY_SERVER_H
#define PROXY_SERVER_H

/* Serves by the config file until it is told to end; returns the exit status
 * of the program. */
int server_run(const char *config_file);

#endif
