/* What is logged while a test looks on. */
#ifndef SUPPORT_LOG_CAPTURE_H
#define SUPPORT_LOG_CAPTURE_H

/* cmocka writes to standard error too, so take what was logged before anything
 * is asserted. All of it must fit into a pipe. */
struct log_capture {
    int fds[2];
    int real_stderr;
    char text[16 * 1024];
};

void log_capture_start(struct log_capture *capture);

/* The lines since the start. */
const char *log_capture_take(struct log_capture *capture);

#endif
