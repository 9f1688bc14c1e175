/* Reasons for the eyes of whoever runs a command. */
#ifndef PROXY_REASON_LINES_H
#define PROXY_REASON_LINES_H

#include "config/reason.h"

#include <stdio.h>

/* One line for each, and one for those that were counted only. */
void reason_lines_print(const struct reasons *reasons, FILE *out);

/* A number and its noun: "1 error", "2 errors". */
void reason_lines_count(size_t count, const char *noun, FILE *out);

#endif
