/* A growable row of bytes that leaves no trace: what it held is wiped when it
 * moves, is cut or goes. */
#ifndef IMAP_WIPED_BUFFER_H
#define IMAP_WIPED_BUFFER_H

#include <stddef.h>
#include <stdint.h>

/* All zero is the empty one. Whoever appends bounds the length. */
struct wiped_buffer {
    uint8_t *bytes;
    size_t len;
    size_t capacity;
};

/* Wipes and frees; the buffer is empty and usable afterwards. */
void wiped_buffer_deinit(struct wiped_buffer *buffer);

/* Wipes the content; keeps a small room for the next, frees a large one. */
void wiped_buffer_clear(struct wiped_buffer *buffer);

void wiped_buffer_append(struct wiped_buffer *buffer, const void *bytes,
                         size_t len);
void wiped_buffer_append_text(struct wiped_buffer *buffer, const char *text);
void wiped_buffer_append_number(struct wiped_buffer *buffer, size_t number);

/* Forgets, and wipes, everything from `len` on. */
void wiped_buffer_cut(struct wiped_buffer *buffer, size_t len);

#endif
