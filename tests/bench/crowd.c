#include "crowd.h"

#include <stdlib.h>

enum {
    OPENING_MAX = 32
};

static void open_members(struct crowd *crowd);
static void start_batch(void *owner);
static void give_up(void *owner);
static void on_client(struct client *client, enum client_event event,
                      void *owner);
static void take_ready(struct member *member);
static void go_on(struct member *member);
static void take_end(struct member *member);
static void end_if_done(struct crowd *crowd);

static const struct batch_verbs batch_verbs = {start_batch, give_up};

int crowd_run(struct crowd *crowd, const struct load_options *options,
              const struct crowd_verbs *verbs, void *owner)
{
    crowd->verbs = verbs;
    crowd->owner = owner;
    crowd->count = options->parallel;
    crowd->members = calloc(crowd->count, sizeof(*crowd->members));
    if (crowd->members == NULL)
        abort();
    batch_open(&crowd->batch, options, &batch_verbs, crowd);
    open_members(crowd);
    return batch_run(&crowd->batch);
}

static void open_members(struct crowd *crowd)
{
    while (crowd->started < crowd->count && crowd->opening < OPENING_MAX) {
        struct member *member = &crowd->members[crowd->started];

        member->crowd = crowd;
        member->number = crowd->started++;
        crowd->opening++;
        member->client = batch_connect(&crowd->batch, NULL, on_client, member);
    }
    if (crowd->opening == 0 && !crowd->batch.is_ready)
        batch_ready(&crowd->batch);
}

static void start_batch(void *owner)
{
    struct crowd *crowd = owner;

    crowd->verbs->begin(crowd->owner);
    for (unsigned i = 0; i < crowd->count; i++) {
        struct member *member = &crowd->members[i];

        if (!member->is_ready)
            continue;
        member->is_busy = true;
        crowd->busy++;
        go_on(member);
    }
    end_if_done(crowd);
}

static void give_up(void *owner)
{
    struct crowd *crowd = owner;

    for (unsigned i = 0; i < crowd->count; i++) {
        struct member *member = &crowd->members[i];

        if (member->client != NULL && (member->is_busy || !member->is_ready))
            client_fail(member->client, "nothing moves");
    }
}

static void on_client(struct client *client, enum client_event event,
                      void *owner)
{
    struct member *member = owner;
    struct crowd *crowd = member->crowd;

    switch (event) {
    case CLIENT_READY:
        if (batch_admits(&crowd->batch, client))
            take_ready(member);
        break;
    case CLIENT_CONTINUE:
        break;
    case CLIENT_DONE:
        crowd->verbs->take(crowd->owner, member);
        go_on(member);
        end_if_done(crowd);
        break;
    case CLIENT_CLOSED:
        take_end(member);
        break;
    }
}

static void take_ready(struct member *member)
{
    struct crowd *crowd = member->crowd;

    member->is_ready = true;
    crowd->opening--;
    crowd->alive++;
    open_members(crowd);
}

static void go_on(struct member *member)
{
    struct crowd *crowd = member->crowd;

    member->asked_ns = uv_hrtime();
    if (crowd->verbs->ask(crowd->owner, member))
        return;
    member->is_busy = false;
    crowd->busy--;
}

static void take_end(struct member *member)
{
    struct crowd *crowd = member->crowd;
    bool was_busy = member->is_busy;

    batch_tell_fault(&crowd->batch, member->client);
    member->client = NULL;
    member->is_busy = false;
    if (!member->is_ready) {
        crowd->opening--;
        open_members(crowd);
        return;
    }
    member->is_ready = false;
    crowd->alive--;
    if (was_busy) {
        crowd->busy--;
        end_if_done(crowd);
    }
}

static void end_if_done(struct crowd *crowd)
{
    if (crowd->busy == 0 && crowd->batch.is_running)
        crowd->verbs->report(crowd->owner, batch_end(&crowd->batch));
}
