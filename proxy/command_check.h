/* gatepost check CONFIG: what would hinder `serve`. */
#ifndef PROXY_COMMAND_CHECK_H
#define PROXY_COMMAND_CHECK_H

#include <stdio.h>

/* Reads all that `serve` would read; writes one line for each problem to
 * problems and one line of summary to out. Returns the exit status: 0, or 1
 * when there is any error. */
int command_check_run(const char *config_file, FILE *out, FILE *problems);

#endif
