/* What one worker has to say to all of them: from any thread, while there are
 * workers to tell. */
#ifndef PROXY_POST_H
#define PROXY_POST_H

#include "session/kick.h"
#include "state/arrival.h"
#include "worker.h"

#include <uv.h>

struct post {
    uv_mutex_t lock;
    struct worker **workers; /* lent; each from its post_add on */
    unsigned count;
};

/* The workers are entered in the array, which must outlive the post, one after
 * the other. */
void post_init(struct post *post, struct worker **workers);
void post_add(struct post *post);

/* Before the first worker goes: nobody hears anything any more. */
void post_close(struct post *post);
void post_deinit(struct post *post);

/* Copies the kick for each. */
void post_kick(struct post *post, const struct kick *kick);

/* An arrival_giver, whose owner the post is. */
MUST_USE bool post_deal(struct post *post, const struct arrival *arrival,
                        unsigned turn, unsigned own);

#endif
