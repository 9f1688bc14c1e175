/* A login name brought into the one form by which routing, hashing and limits
 * know a user. What is sent to a backend is not this form but what the client
 * sent. */
#ifndef CONFIG_IDENTITY_H
#define CONFIG_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/mem.h"

/* Bytes of a normalised name. */
#define IDENTITY_MAX 512

/* Every character that may separate the user from the domain or from a master
 * user. '@' always separates. */
#define IDENTITY_SEPARATORS "@%+:#/!|^&=~?;,$*"

enum identity_case {
    IDENTITY_CASE_LOWER, /* ASCII letters of the whole name */
    IDENTITY_CASE_KEEP   /* of the domain only */
};

struct identity_rules {
    enum identity_case name_case;
    char *default_domain;  /* given to a bare name; NULL: none */
    char *separators;      /* '@' is among them */
    char master_separator; /* none of separators; '\0': none */
};

struct identity {
    char user[IDENTITY_MAX + 1]; /* the whole name, ended by NUL */
    size_t user_len;
    size_t local_len; /* user_len for a name without a domain; otherwise
                         user[local_len] is '@' and the domain follows */
};

enum identity_result {
    IDENTITY_OK,
    IDENTITY_EMPTY,
    IDENTITY_CONTROL, /* NUL, CR, LF or another control character */
    IDENTITY_TOO_LONG
};

/* Sets the defaults of design.md: lower case, '@', no default domain, no
 * master separator. */
void identity_rules_init(struct identity_rules *rules);
void identity_rules_deinit(struct identity_rules *rules);

/* Normalises len bytes, which need not be UTF-8: cuts off the first master
 * separator and what follows it, writes each separator as '@', splits at the
 * last one, gives a bare name the default domain and lowers ASCII letters.
 * Anything else is data: "*", "../", two '@', an empty domain. Normalising
 * twice gives the same. identity_out is set only with IDENTITY_OK. */
MUST_USE enum identity_result
identity_normalise(const struct identity_rules *rules, const uint8_t *name,
                   size_t len, struct identity *identity_out);

/* Lends the domain (after the last '@', may be empty), or NULL and a length of
 * 0 for a bare name. */
const char *identity_domain(const struct identity *identity, size_t *len_out);

/* Lowers ASCII letters only: what a backend makes of others is not known
 * here. */
void identity_lower(char *text, size_t len);

/* A few words for a log or a reason; never NULL. */
const char *identity_result_text(enum identity_result result);

#endif
