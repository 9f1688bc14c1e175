#include "reload.h"

#include "capacity.h"
#include "config/pace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reload {
    uv_async_t done;
    uv_thread_t thread;
    const char *config_file;
    const struct snapshot_parts *parts;
    struct resolver *resolver;
    unsigned worker_count;
    reload_handler *handler;
    void *owner;
    bool is_running;
    bool is_wanted_again;
    bool is_forced;
    bool is_forced_again;

    struct snapshot *in_force; /* while running: to carry over from */
    struct snapshot *loaded;   /* what the thread found */
    struct openings openings;  /* and opened */
    struct reasons *reasons;
    struct file_trail *trail; /* and where it looked for it */
};

/* Either may be NULL. */
static bool same_text(const char *one, const char *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    return strcmp(one, other) == 0;
}

/* Likewise. */
static bool same_place(const struct listener_config *one,
                       const struct listener_config *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    return one->port == other->port && same_text(one->address, other->address);
}

/* What a running process cannot change is refused, not passed over. */
static bool can_follow(const struct settings *in_force,
                       const struct settings *loaded, struct reasons *reasons)
{
    if (in_force->workers != loaded->workers) {
        reasons_add(reasons, REASON_ERROR, loaded->file, "$.workers",
                    "another number than at start",
                    "the same one: an upgrade or a restart changes it");
        return false;
    }
    if (!same_text(in_force->admin_socket, loaded->admin_socket)) {
        reasons_add(reasons, REASON_ERROR, loaded->file, "$.admin.socket",
                    "another path than at start",
                    "the same one: an upgrade or a restart changes it");
        return false;
    }
    if (!same_place(in_force->admin_listen, loaded->admin_listen)) {
        reasons_add(reasons, REASON_ERROR, loaded->file, "$.admin.listen",
                    "another one than at start",
                    "the same one: an upgrade or a restart changes it");
        return false;
    }
    if (!same_text(in_force->admin_state, loaded->admin_state)) {
        reasons_add(reasons, REASON_ERROR, loaded->file, "$.admin.state",
                    "another path than at start",
                    "the same one: an upgrade or a restart changes it");
        return false;
    }
    return true;
}

static bool open_listeners(struct reload *reload)
{
    const struct settings *settings = reload->loaded->settings;
    char path[64], why[PROVIDER_WHY_MAX];
    size_t failed;

    if (openings_make(&reload->openings, reload->in_force->settings, settings,
                      NULL, &reload->loaded->keepalive, reload->worker_count,
                      OPENINGS_PATIENCE_MS, &failed, why))
        return true;
    snprintf(path, sizeof(path), "$.listeners[%zu]", failed);
    reasons_add(reload->reasons, REASON_ERROR, settings->file, path, why,
                "an address and port that are free");
    return false;
}

static bool can_take_effect(struct reload *reload)
{
    return can_follow(reload->in_force->settings, reload->loaded->settings,
                      reload->reasons) &&
           capacity_suffices(reload->loaded, reload->worker_count,
                             reload->reasons) &&
           open_listeners(reload);
}

static void load(void *argument)
{
    struct reload *reload = argument;
    struct snapshot_parts parts = *reload->parts;

    pace_begin(); /* workers want the processor, too */
    reload->trail = file_trail_new(parts.files);
    parts.files = &reload->trail->source;
    parts.former = reload->in_force;
    parts.may_shrink = reload->is_forced;
    reload->loaded =
        snapshot_load(reload->config_file, &parts, reload->reasons);
    file_trail_finish(reload->trail);
    if (reload->loaded != NULL && !can_take_effect(reload))
        snapshot_unref(&reload->loaded);
    if (reload->loaded != NULL) {
        resolver_update(reload->resolver, reload->loaded->backends,
                        reload->loaded->settings->resolve_interval_ms);
        (void)resolver_wait(reload->resolver, RELOAD_RESOLVE_MS);
    }
    uv_async_send(&reload->done);
}

static void take_result(struct reload *reload)
{
    uv_thread_join(&reload->thread);
    reload->is_running = false;
    snapshot_unref(&reload->in_force);
}

static void drop_result(struct reload *reload)
{
    snapshot_unref(&reload->loaded);
    openings_deinit(&reload->openings);
    reasons_free(&reload->reasons);
    file_trail_free(&reload->trail);
}

static void on_done(uv_async_t *done)
{
    struct reload *reload = done->data;
    struct snapshot *loaded, *in_force;

    if (!reload->is_running)
        return;
    take_result(reload);
    loaded = reload->loaded;
    reload->loaded = NULL;
    in_force = reload->handler(loaded, &reload->openings, reload->reasons,
                               reload->owner);
    drop_result(reload);
    if (!reload->is_wanted_again || in_force == NULL)
        return;
    reload->is_wanted_again = false;
    reload_request(reload, in_force, reload->is_forced_again);
}

struct reload *reload_new(uv_loop_t *loop, const char *config_file,
                          const struct snapshot_parts *parts,
                          struct resolver *resolver, unsigned worker_count,
                          reload_handler *handler, void *owner)
{
    struct reload *reload = mem_zalloc(sizeof(*reload));

    reload->config_file = config_file;
    reload->parts = parts;
    reload->resolver = resolver;
    reload->worker_count = worker_count;
    reload->handler = handler;
    reload->owner = owner;
    reload->done.data = reload;
    uv_async_init(loop, &reload->done, on_done);
    return reload;
}

struct file_trail *reload_take_trail(struct reload *reload)
{
    struct file_trail *trail = reload->trail;

    reload->trail = NULL;
    return trail;
}

bool reload_is_running(const struct reload *reload)
{
    return reload->is_running;
}

bool reload_follows(const struct reload *reload)
{
    return reload->is_wanted_again;
}

void reload_request(struct reload *reload, struct snapshot *in_force,
                    bool is_forced)
{
    if (reload->is_running) {
        reload->is_forced_again =
            is_forced || (reload->is_wanted_again && reload->is_forced_again);
        reload->is_wanted_again = true;
        return;
    }
    reload->is_forced = is_forced;
    reload->in_force = snapshot_ref(in_force);
    reload->reasons = reasons_new();
    reload->is_running = true;
    if (uv_thread_create(&reload->thread, load, reload) == 0)
        return;
    reload->is_running = false;
    snapshot_unref(&reload->in_force);
    reasons_add(reload->reasons, REASON_ERROR, reload->config_file, NULL,
                "no thread to load it", "one more thread");
    (void)reload->handler(NULL, &reload->openings, reload->reasons,
                          reload->owner);
    drop_result(reload);
}

void reload_stop(struct reload *reload)
{
    uv_close((uv_handle_t *)&reload->done, NULL);
}

void reload_free(struct reload **reload)
{
    struct reload *mine = *reload;

    *reload = NULL;
    if (mine == NULL)
        return;
    if (mine->is_running)
        take_result(mine);
    drop_result(mine);
    free(mine);
}
