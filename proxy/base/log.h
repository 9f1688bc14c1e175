/* Log lines to standard error that never stop a worker: a line is put into a
 * bounded ring, and one thread writes the ring out. When the reader of
 * standard error stops or the disk is full, lines are dropped and counted,
 * and "log-dropped count=N" is logged once there is room again.
 *
 * Text: 2026-01-02T03:04:05.678Z info session-end user="a b" bytes=5
 * JSON: {"time":"...","level":"info","event":"session-end","user":"a b",
 *        "bytes":5}, one object a line.
 *
 * Event names and keys are our own words (lower case, dashes, no quotes);
 * values may come from a stranger and are escaped. No secret is ever given. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
    LOG_ERROR,
    LOG_WARN,
    LOG_INFO,
    LOG_DEBUG
};
enum log_format {
    LOG_TEXT,
    LOG_JSON
};

/* A value is cut at LOG_VALUE_MAX bytes as written, escapes included, and
 * then ends in "...": no stranger's value pushes the others off the line. */
enum {
    LOG_VALUE_MAX = 256,
    LOG_LINE_MAX = 2048
};

/* One line being built; lives on the stack of whoever logs. */
struct log_entry {
    size_t len;
    bool is_on;
    bool is_full; /* a field did not fit; the line says so */
    enum log_format format;
    char line[LOG_LINE_MAX];
};

/* Starts the thread that writes. Call it after the last fork. Before it (and
 * after log_stop) lines are written at once, by the caller. False when no
 * thread can be had; lines are then still written at once. */
bool log_start(enum log_level level, enum log_format format);

/* Changes level and format; from any thread, at any time. */
void log_set(enum log_level level, enum log_format format);

/* Writes out what is in the ring and ends the thread; gives up after wait_ms
 * when standard error takes nothing. Nobody may log meanwhile. */
void log_stop(uint64_t wait_ms);

bool log_is_on(enum log_level level);

/* Begins a line; from any thread. Costs next to nothing where the level is
 * off, and the log_* calls that follow then do nothing. */
void log_begin(struct log_entry *entry, enum log_level level,
               const char *event);

/* Adds a value of a stranger: any bytes. bytes may be NULL when len is 0. In
 * text it is quoted when need be and all but printable ASCII stands as \xNN;
 * in JSON valid UTF-8 passes, except controls and marks of direction. */
void log_str(struct log_entry *entry, const char *key, const uint8_t *bytes,
             size_t len);

/* The same for a string; NULL is logged as an empty value. */
void log_text(struct log_entry *entry, const char *key, const char *text);

void log_u64(struct log_entry *entry, const char *key, uint64_t value);
void log_bool(struct log_entry *entry, const char *key, bool value);

/* Ends the line and hands it over. Never blocks once log_start was called. */
void log_end(struct log_entry *entry);

#endif
