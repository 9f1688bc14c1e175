/* How a script talks to a bench program: a line on standard input, a line on
 * standard output. A program whose input ends, ends too, so that none is left
 * behind by a script that died. */
#ifndef BENCH_CONTROL_H
#define BENCH_CONTROL_H

#include "lines.h"

#include <uv.h>

/* `line` is one command without its end; NULL says that the input ended. */
typedef void control_handler(const char *line, void *owner);

struct control {
    uv_pipe_t input;
    struct lines lines;
    control_handler *handler;
    void *owner;
    char scratch[256];
};

/* Standard input must be a pipe, a socket or a terminal; anything else counts
 * as ended. */
void control_start(struct control *control, uv_loop_t *loop,
                   control_handler *handler, void *owner);
void control_stop(struct control *control);

/* Prints one line on standard output, at once. */
void control_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
