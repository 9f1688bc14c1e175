#include "percentiles.h"

#include <assert.h>
#include <stdlib.h>

static int compare(const void *left, const void *right);

void percentiles_init(struct percentiles *percentiles, size_t room)
{
    percentiles->times_ns = calloc(room, sizeof(*percentiles->times_ns));
    if (percentiles->times_ns == NULL)
        abort();
    percentiles->count = 0;
    percentiles->room = room;
}

void percentiles_deinit(struct percentiles *percentiles)
{
    free(percentiles->times_ns);
    *percentiles = (struct percentiles){0};
}

void percentiles_add(struct percentiles *percentiles, uint64_t time_ns)
{
    if (percentiles->count < percentiles->room)
        percentiles->times_ns[percentiles->count++] = time_ns;
}

void percentiles_sort(struct percentiles *percentiles)
{
    qsort(percentiles->times_ns, percentiles->count,
          sizeof(*percentiles->times_ns), compare);
}

/* The nearest rank: the smallest time with enough others at or below it. */
uint64_t percentiles_at_us(const struct percentiles *percentiles,
                           unsigned percent)
{
    size_t rank = (percentiles->count * percent + 99) / 100;

    assert(percent >= 1 && percent <= 100);
    if (percentiles->count == 0)
        return 0;
    return percentiles->times_ns[rank - 1] / 1000;
}

void percentiles_clear(struct percentiles *percentiles)
{
    percentiles->count = 0;
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return (a > b) - (a < b);
}
