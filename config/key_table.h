/* A hash table from byte strings to numbers: open addressing over texts that
 * lie in a blob, 18 bytes a key beside the text. It is filled once. */
#ifndef CONFIG_KEY_TABLE_H
#define CONFIG_KEY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/mem.h"
#include "config/text_blob.h"

/* Longer texts are never found. */
#define KEY_TABLE_TEXT_MAX UINT16_MAX

/* Keyed hashing keeps chains short even where strangers chose the names that
 * an operator put into the table. */
struct key_seed {
    uint64_t words[2];
};

struct key_entry {
    uint32_t text_at; /* in the blob; 0: an empty slot */
    uint16_t text_len;
    uint16_t hash_tag; /* spares most looks into the blob */
    uint32_t value;
};

struct key_table {
    struct key_entry *slots; /* a third of them stays empty */
    uint32_t capacity;
    uint32_t count;
    struct key_seed seed;
};

/* From the system's randomness; a constant where that fails, which costs
 * speed under attack and nothing else. */
struct key_seed key_seed_random(void);

/* SipHash-2-4 (Aumasson and Bernstein) of the bytes. */
uint64_t key_hash(const struct key_seed *seed, const uint8_t *bytes,
                  size_t len);

/* Room for count keys, at most 2^30. */
void key_table_init(struct key_table *table, size_t count,
                    const struct key_seed *seed);
void key_table_deinit(struct key_table *table);

/* Adds a text of the blob that is not in the table yet; there is room. */
void key_table_add(struct key_table *table, const struct text_blob *blob,
                   uint32_t text_at, size_t len, uint32_t value);

/* Returns the entry, lent by the table, or NULL. */
const struct key_entry *key_table_find(const struct key_table *table,
                                       const struct text_blob *blob,
                                       const char *text, size_t len);

#endif
