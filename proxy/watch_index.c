#include "watch_index.h"

#include <stdlib.h>

static int compare_runs(const void *left, const void *right)
{
    const struct watch_run *a = left;
    const struct watch_run *b = right;

    return (a->number > b->number) - (a->number < b->number);
}

static void add_step(struct watch_index *index, size_t step, int number)
{
    struct watch_run *last =
        index->count == 0 ? NULL : &index->runs[index->count - 1];

    if (last != NULL && last->number == number &&
        last->first + last->count == step)
        last->count++;
    else
        index->runs[index->count++] =
            (struct watch_run){.number = number, .first = step, .count = 1};
}

void watch_index_fill(struct watch_index *index, const struct file_trail *trail)
{
    watch_index_clear(index);
    if (trail->count == 0)
        return;
    index->runs = mem_realloc_array(NULL, trail->count, sizeof(*index->runs));
    for (size_t i = 0; i < trail->count; i++) {
        if (trail->steps[i].watch >= 0)
            add_step(index, i, trail->steps[i].watch);
    }
    qsort(index->runs, index->count, sizeof(*index->runs), compare_runs);
}

/* Of the first run that is not before this number. */
static size_t place_of(const struct watch_index *index, int number)
{
    size_t low = 0, high = index->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (index->runs[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct watch_run *watch_index_find(const struct watch_index *index,
                                         int number, size_t *count_out)
{
    size_t first = place_of(index, number);
    size_t end = first;

    while (end < index->count && index->runs[end].number == number)
        end++;
    *count_out = end - first;
    return end == first ? NULL : &index->runs[first];
}

void watch_index_clear(struct watch_index *index)
{
    free(index->runs);
    *index = (struct watch_index){.runs = NULL};
}
