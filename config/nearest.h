/* The known word that somebody most likely meant. */
#ifndef CONFIG_NEAREST_H
#define CONFIG_NEAREST_H

#include <stddef.h>

/* Longer words are never near. */
#define NEAREST_WORD_MAX 64

/* Returns a word by its index, or NULL to leave that one out. */
typedef const char *nearest_word(const void *words, size_t index);

/* Returns the one of count words that needs the fewest letters changed, added,
 * dropped or swapped, whatever their case, or NULL when none is near. */
const char *nearest_of(const char *word, nearest_word *word_at,
                       const void *words, size_t count);

#endif
