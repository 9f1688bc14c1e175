/* Cuts a byte stream into lines. Memory is held only while a line is
 * unfinished, so that idle sessions of a bench program stay small. */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lines {
    uint8_t *kept;
    size_t kept_len;
};

enum lines_result {
    LINES_MORE,    /* all input was taken */
    LINES_LINE,    /* a line without its CRLF, valid until the next call */
    LINES_TOO_LONG /* no end within 64 KiB; clear and give up */
};

/* Takes the next line from *bytes and *len, which move past it; what follows
 * the line stays the caller's, who may read it as something else. */
enum lines_result lines_next(struct lines *lines, const uint8_t **bytes,
                             size_t *len, const uint8_t **line_out,
                             size_t *line_len_out);
void lines_clear(struct lines *lines);

/* True when `line` ends in {n} or, where nobody needs to wait for a "+", in
 * {n+}: n bytes follow, then the line goes on. */
bool lines_announce(const uint8_t *line, size_t len, uint64_t *size_out,
                    bool *must_wait_out);

#endif
