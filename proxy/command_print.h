/* What the server answered, for the eyes of an operator. Whatever member is
 * missing is left out: the server may be another version. Control bytes were
 * escaped by nobody yet. */
#ifndef PROXY_COMMAND_PRINT_H
#define PROXY_COMMAND_PRINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

void print_status(const json_t *status, FILE *out);

/* The reasons of a reload, a line each, and whether it was taken. */
void print_reload(const json_t *reload, FILE *out);

/* Where a user would go now. */
void print_route(const json_t *route, FILE *out);

/* A line for each session of a page; as JSON, an object each. */
void print_sessions(const json_t *page, bool as_json, FILE *out);

#endif
