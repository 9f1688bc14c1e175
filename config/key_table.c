#include "config/key_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct sip_state {
    uint64_t a;
    uint64_t b;
    uint64_t c;
    uint64_t d;
};

static struct key_entry *slot_of(const struct key_table *table, uint64_t hash);
static struct key_entry *slot_after(const struct key_table *table,
                                    struct key_entry *slot);
static void absorb(struct sip_state *state, uint64_t word);
static void mix(struct sip_state *state, unsigned rounds);
static uint64_t rotate(uint64_t word, unsigned bits);
static uint64_t load_word(const uint8_t *bytes, size_t len);

struct key_seed key_seed_random(void)
{
    struct key_seed seed;

    if (getentropy(&seed, sizeof(seed)) != 0)
        seed = (struct key_seed){
            {UINT64_C(0x9ae16a3b2f90404f), UINT64_C(0xc949c7defebe6f11)}};
    return seed;
}

uint64_t key_hash(const struct key_seed *seed, const uint8_t *bytes, size_t len)
{
    struct sip_state state = {
        .a = seed->words[0] ^ UINT64_C(0x736f6d6570736575),
        .b = seed->words[1] ^ UINT64_C(0x646f72616e646f6d),
        .c = seed->words[0] ^ UINT64_C(0x6c7967656e657261),
        .d = seed->words[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = len - len % 8;

    for (size_t i = 0; i < whole; i += 8)
        absorb(&state, load_word(bytes + i, 8));
    absorb(&state, load_word(bytes + whole, len - whole) | (uint64_t)len << 56);
    state.c ^= 0xff;
    mix(&state, 4);
    return state.a ^ state.b ^ state.c ^ state.d;
}

void key_table_init(struct key_table *table, size_t count,
                    const struct key_seed *seed)
{
    assert(count <= (size_t)1 << 30);
    *table = (struct key_table){.seed = *seed};
    table->capacity = (uint32_t)(count + count / 2 + 1);
    table->slots =
        mem_zalloc((size_t)table->capacity * sizeof(struct key_entry));
}

void key_table_deinit(struct key_table *table)
{
    free(table->slots);
    *table = (struct key_table){.slots = NULL};
}

void key_table_add(struct key_table *table, const struct text_blob *blob,
                   uint32_t text_at, size_t len, uint32_t value)
{
    const char *text = blob->bytes + text_at;
    uint64_t hash = key_hash(&table->seed, (const uint8_t *)text, len);
    struct key_entry *slot = slot_of(table, hash);

    /* One slot stays empty, or a search for what is not there never ends. */
    assert(table->count + 1 < table->capacity && len <= KEY_TABLE_TEXT_MAX);
    while (slot->text_at != 0)
        slot = slot_after(table, slot);
    *slot = (struct key_entry){.text_at = text_at,
                               .text_len = (uint16_t)len,
                               .hash_tag = (uint16_t)hash,
                               .value = value};
    table->count++;
}

const struct key_entry *key_table_find(const struct key_table *table,
                                       const struct text_blob *blob,
                                       const char *text, size_t len)
{
    if (table->count == 0 || len > KEY_TABLE_TEXT_MAX)
        return NULL;

    uint64_t hash = key_hash(&table->seed, (const uint8_t *)text, len);
    struct key_entry *slot = slot_of(table, hash);

    for (; slot->text_at != 0; slot = slot_after(table, slot)) {
        if (slot->hash_tag == (uint16_t)hash && slot->text_len == len &&
            memcmp(blob->bytes + slot->text_at, text, len) == 0)
            return slot;
    }
    return NULL;
}

/* The upper half of the hash, scaled to the capacity; the tag is made of the
 * lower half. */
static struct key_entry *slot_of(const struct key_table *table, uint64_t hash)
{
    return &table->slots[((hash >> 32) * table->capacity) >> 32];
}

static struct key_entry *slot_after(const struct key_table *table,
                                    struct key_entry *slot)
{
    slot++;
    return slot == table->slots + table->capacity ? table->slots : slot;
}

static void absorb(struct sip_state *state, uint64_t word)
{
    state->d ^= word;
    mix(state, 2);
    state->a ^= word;
}

static void mix(struct sip_state *state, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        state->a += state->b;
        state->b = rotate(state->b, 13) ^ state->a;
        state->a = rotate(state->a, 32);
        state->c += state->d;
        state->d = rotate(state->d, 16) ^ state->c;
        state->a += state->d;
        state->d = rotate(state->d, 21) ^ state->a;
        state->c += state->b;
        state->b = rotate(state->b, 17) ^ state->c;
        state->c = rotate(state->c, 32);
    }
}

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

/* Little-endian on any machine; missing bytes are 0. */
static uint64_t load_word(const uint8_t *bytes, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}
