#include "config/nearest.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Three rows of the distance table: this letter, the last, the one before. */
struct rows {
    size_t now[NEAREST_WORD_MAX + 1];
    size_t last[NEAREST_WORD_MAX + 1];
    size_t before[NEAREST_WORD_MAX + 1];
};

static size_t distance(const char *left, size_t left_len, const char *right,
                       size_t right_len);
static void fill_row(struct rows *rows, const char *left, size_t at,
                     const char *right, size_t right_len);
static bool is_same(char left, char right);
static size_t smaller(size_t left, size_t right);

const char *nearest_of(const char *word, nearest_word *word_at,
                       const void *words, size_t count)
{
    size_t len = strlen(word);
    size_t best = (len + 2) / 3 + 1; /* a third of its letters may be wrong */
    const char *nearest = NULL;

    if (len > NEAREST_WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count && best > 0; i++) {
        const char *known = word_at(words, i);
        size_t known_len = known == NULL ? 0 : strlen(known);

        if (known_len == 0 || known_len > NEAREST_WORD_MAX)
            continue;

        size_t steps = distance(word, len, known, known_len);

        if (steps < best) {
            best = steps;
            nearest = known;
        }
    }
    return nearest;
}

/* Edits from left to right, where two neighbours that changed places are one
 * edit. */
static size_t distance(const char *left, size_t left_len, const char *right,
                       size_t right_len)
{
    struct rows rows = {.now = {0}};

    for (size_t i = 0; i <= right_len; i++)
        rows.now[i] = i;
    for (size_t i = 1; i <= left_len; i++) {
        memcpy(rows.before, rows.last, sizeof(rows.last));
        memcpy(rows.last, rows.now, sizeof(rows.now));
        fill_row(&rows, left, i, right, right_len);
    }
    return rows.now[right_len];
}

static void fill_row(struct rows *rows, const char *left, size_t at,
                     const char *right, size_t right_len)
{
    rows->now[0] = at;
    for (size_t i = 1; i <= right_len; i++) {
        size_t change = is_same(left[at - 1], right[i - 1]) ? 0 : 1;
        size_t steps = smaller(rows->last[i] + 1, rows->now[i - 1] + 1);

        steps = smaller(steps, rows->last[i - 1] + change);
        if (at > 1 && i > 1 && is_same(left[at - 1], right[i - 2]) &&
            is_same(left[at - 2], right[i - 1]))
            steps = smaller(steps, rows->before[i - 2] + 1);
        rows->now[i] = steps;
    }
}

static bool is_same(char left, char right)
{
    return strncasecmp(&left, &right, 1) == 0;
}

static size_t smaller(size_t left, size_t right)
{
    return left < right ? left : right;
}
