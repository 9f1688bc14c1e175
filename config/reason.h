/* Why a file was refused: where, what stood there, what should have. Loaders
 * collect every problem of a file here and go on where that is safe. */
#ifndef CONFIG_REASON_H
#define CONFIG_REASON_H

#include <stdbool.h>
#include <stddef.h>

#include "config/mem.h"

enum reason_kind {
    REASON_ERROR,
    REASON_WARNING
};

/* The texts are printable: control bytes were escaped and long ones cut. */
struct reason {
    enum reason_kind kind;
    char *file;
    char *path; /* such as $.listeners[0].port; NULL: the whole file */
    char *found;
    char *expected;
    unsigned line;   /* of a JSON syntax error, from 1; otherwise 0 */
    unsigned column; /* likewise */
};

/* A table of a million users may hold a million faults; what comes after so
 * many of one kind is counted only. */
#define REASONS_MAX 1000

struct reasons {
    struct reason *items; /* in the order in which they were found */
    size_t count;
    size_t capacity;
    size_t errors;   /* all that were added, also those not kept */
    size_t warnings; /* likewise */
};

MUST_USE struct reasons *reasons_new(void);
void reasons_free(struct reasons **reasons);

/* Copies all four texts; path may be NULL. found and expected complete the
 * sentence "found ..., expected ...". */
void reasons_add(struct reasons *reasons, enum reason_kind kind,
                 const char *file, const char *path, const char *found,
                 const char *expected);

/* Like reasons_add for an error at a place in the text of a JSON file. */
void reasons_add_syntax(struct reasons *reasons, const char *file,
                        const char *path, unsigned line, unsigned column,
                        const char *found, const char *expected);

/* True when any error was added; warnings refuse nothing. */
bool reasons_has_errors(const struct reasons *reasons);

/* True when one more of this kind would not be kept, so that nobody needs to
 * compose its text. */
bool reasons_is_full(const struct reasons *reasons, enum reason_kind kind);

/* Writes one line without its newline, cut to size - 1 bytes and always ended
 * by NUL (size is at least 1), for instance
 *   gatepost.json: $.listeners[0].port: found "993", expected a number ...
 *   routes.json:7:12: $.users: found ..., expected ...
 *   routes.json: warning: $.pools.b: found ..., expected ...
 * and returns its length. */
size_t reason_format(const struct reason *reason, char *out, size_t size);

#endif
