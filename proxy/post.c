#include "post.h"

#include <stdlib.h>

void post_init(struct post *post, struct worker **workers)
{
    if (uv_mutex_init(&post->lock) != 0)
        abort();
    post->workers = workers;
    post->count = 0;
}

void post_add(struct post *post)
{
    uv_mutex_lock(&post->lock);
    post->count++;
    uv_mutex_unlock(&post->lock);
}

void post_close(struct post *post)
{
    uv_mutex_lock(&post->lock);
    post->count = 0;
    uv_mutex_unlock(&post->lock);
}

void post_deinit(struct post *post)
{
    uv_mutex_destroy(&post->lock);
}

bool post_deal(struct post *post, const struct arrival *arrival, unsigned turn,
               unsigned own)
{
    bool is_given = false;

    uv_mutex_lock(&post->lock);
    if (post->count > 0 && turn % post->count != own)
        is_given = worker_give(post->workers[turn % post->count], arrival);
    uv_mutex_unlock(&post->lock);
    return is_given;
}

void post_kick(struct post *post, const struct kick *kick)
{
    uv_mutex_lock(&post->lock);
    for (unsigned i = 0; i < post->count; i++)
        worker_kick(post->workers[i], kick);
    uv_mutex_unlock(&post->lock);
}
