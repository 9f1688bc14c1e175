#include "log_capture.h"

#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

void log_capture_start(struct log_capture *capture)
{
    if (pipe(capture->fds) != 0)
        abort();
    capture->real_stderr = dup(STDERR_FILENO);
    dup2(capture->fds[1], STDERR_FILENO);
    close(capture->fds[1]);
}

const char *log_capture_take(struct log_capture *capture)
{
    ssize_t len;

    dup2(capture->real_stderr, STDERR_FILENO);
    close(capture->real_stderr);
    len = read(capture->fds[0], capture->text, sizeof(capture->text) - 1);
    close(capture->fds[0]);
    capture->text[len < 0 ? 0 : len] = '\0';
    return capture->text;
}
