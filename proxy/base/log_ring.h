/* The way from many threads to standard error: a bounded ring and the one
 * thread that empties it. Putting a line costs a short lock and a copy; a
 * system call only when that thread sleeps. */
#ifndef BASE_LOG_RING_H
#define BASE_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the line that tells of lost lines; returns its length. */
typedef size_t log_ring_report(uint64_t lost, char *out, size_t size);

enum {
    LOG_RING_SIZE = 256 * 1024
};

/* False if there is no thread to be had, or still one from before. */
bool log_ring_start(log_ring_report *report);

/* Puts one whole line, or counts it as lost when there is no room. Without
 * the thread the caller writes it. */
void log_ring_put(const char *line, size_t len);

/* See log_stop. */
void log_ring_stop(uint64_t wait_ms);

#endif
