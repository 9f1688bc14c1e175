/* The name under which a user is logged in at a backend: a template with
 * {user}, {local} and {domain}. */
#ifndef CONFIG_LOGIN_AS_H
#define CONFIG_LOGIN_AS_H

#include <stdbool.h>
#include <stddef.h>

#include "config/identity.h"
#include "config/mem.h"

/* Braces hold nothing but the three known words. */
bool login_as_is_valid(const char *text);

/* Expands a valid template once: what a name brings along is never expanded.
 * Returns false when the result is empty or does not fit into size bytes with
 * its NUL. */
MUST_USE bool login_as_expand(const char *text, const struct identity *identity,
                              char *out, size_t size);

#endif
