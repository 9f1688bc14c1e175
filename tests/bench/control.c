#include "control.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void lend_scratch(uv_handle_t *handle, size_t suggested,
                         uv_buf_t *buf_out);
static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf);
static void hand_over_lines(struct control *control, const uint8_t *bytes,
                            size_t len);

void control_start(struct control *control, uv_loop_t *loop,
                   control_handler *handler, void *owner)
{
    memset(control, 0, sizeof(*control));
    control->handler = handler;
    control->owner = owner;
    if (uv_pipe_init(loop, &control->input, 0) != 0)
        abort();
    control->input.data = control;
    if (uv_pipe_open(&control->input, STDIN_FILENO) != 0 ||
        uv_read_start((uv_stream_t *)&control->input, lend_scratch, on_read) !=
            0)
        handler(NULL, owner);
}

void control_stop(struct control *control)
{
    if (!uv_is_closing((uv_handle_t *)&control->input))
        uv_close((uv_handle_t *)&control->input, NULL);
    lines_clear(&control->lines);
}

void control_say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void lend_scratch(uv_handle_t *handle, size_t suggested,
                         uv_buf_t *buf_out)
{
    struct control *control = handle->data;

    (void)suggested;
    *buf_out = uv_buf_init(control->scratch, sizeof(control->scratch));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct control *control = stream->data;

    if (len > 0) {
        hand_over_lines(control, (const uint8_t *)buf->base, (size_t)len);
    } else if (len < 0) {
        uv_read_stop(stream);
        control->handler(NULL, control->owner);
    }
}

static void hand_over_lines(struct control *control, const uint8_t *bytes,
                            size_t len)
{
    const uint8_t *line;
    size_t line_len;
    char text[sizeof(control->scratch)];

    while (lines_next(&control->lines, &bytes, &len, &line, &line_len) ==
           LINES_LINE) {
        snprintf(text, sizeof(text), "%.*s", (int)line_len, (const char *)line);
        control->handler(text, control->owner);
    }
}
