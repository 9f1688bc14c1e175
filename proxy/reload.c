#include "reload.h"

#include "capacity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reload {
    uv_async_t done;
    uv_thread_t thread;
    const char *config_file;
    const struct snapshot_parts *parts;
    struct resolver *resolver;
    reload_handler *handler;
    void *owner;
    bool is_running;
    bool is_wanted_again;

    struct snapshot *in_force; /* while running: to carry over from */
    struct snapshot *loaded;   /* what the thread found */
    struct reasons *reasons;
};

static bool same_proxies(const struct listener_config *one,
                         const struct listener_config *other)
{
    if (one->proxy_from_count != other->proxy_from_count)
        return false;
    for (size_t i = 0; i < one->proxy_from_count; i++) {
        const struct network *a = &one->proxy_from[i];
        const struct network *b = &other->proxy_from[i];

        if (a->family != b->family || a->prefix != b->prefix ||
            memcmp(a->bytes, b->bytes, sizeof(a->bytes)) != 0)
            return false;
    }
    return true;
}

/* Which member two listeners differ in, or NULL. */
static const char *difference(const struct listener_config *one,
                              const struct listener_config *other)
{
    if (strcmp(one->address, other->address) != 0)
        return "address";
    if (one->port != other->port)
        return "port";
    if (one->tls != other->tls)
        return "tls";
    if (one->client_certificates != other->client_certificates)
        return "client_certificates";
    return same_proxies(one, other) ? NULL : "proxy_from";
}

static bool same_listeners(const struct settings *in_force,
                           const struct settings *loaded,
                           struct reasons *reasons)
{
    char path[64], found[64];

    if (in_force->listener_count != loaded->listener_count) {
        reasons_add(reasons, REASON_ERROR, loaded->file, "$.listeners",
                    "other listeners than at start",
                    "the same ones: they change by a restart only");
        return false;
    }
    for (size_t i = 0; i < loaded->listener_count; i++) {
        const char *member =
            difference(&in_force->listeners[i], &loaded->listeners[i]);

        if (member == NULL)
            continue;
        snprintf(path, sizeof(path), "$.listeners[%zu].%s", i, member);
        snprintf(found, sizeof(found), "another %s than at start", member);
        reasons_add(reasons, REASON_ERROR, loaded->file, path, found,
                    "the same one: listeners change by a restart only");
        return false;
    }
    return true;
}

/* Either may be NULL. */
static bool same_text(const char *one, const char *other)
{
    if (one == NULL || other == NULL)
        return one == other;
    return strcmp(one, other) == 0;
}

/* What a running process cannot change is refused, not passed over: nobody
 * shall believe in a listener that does not exist. */
static bool can_follow(const struct settings *in_force,
                       const struct settings *loaded, struct reasons *reasons)
{
    if (!same_listeners(in_force, loaded, reasons))
        return false;
    if (in_force->workers != loaded->workers) {
        reasons_add(reasons, REASON_ERROR, loaded->file, "$.workers",
                    "another number than at start",
                    "the same one: it changes by a restart only");
        return false;
    }
    if (!same_text(in_force->admin_socket, loaded->admin_socket)) {
        reasons_add(reasons, REASON_ERROR, loaded->file, "$.admin.socket",
                    "another path than at start",
                    "the same one: it changes by a restart only");
        return false;
    }
    return true;
}

static bool can_take_effect(const struct reload *reload)
{
    const struct settings *settings = reload->loaded->settings;

    return can_follow(reload->in_force->settings, settings, reload->reasons) &&
           capacity_suffices(reload->loaded, capacity_workers(settings),
                             reload->reasons);
}

static void load(void *argument)
{
    struct reload *reload = argument;
    struct snapshot_parts parts = *reload->parts;

    parts.former = reload->in_force;
    reload->loaded =
        snapshot_load(reload->config_file, &parts, reload->reasons);
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
    reasons_free(&reload->reasons);
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
    in_force = reload->handler(loaded, reload->reasons, reload->owner);
    drop_result(reload);
    if (!reload->is_wanted_again || in_force == NULL)
        return;
    reload->is_wanted_again = false;
    reload_request(reload, in_force);
}

struct reload *reload_new(uv_loop_t *loop, const char *config_file,
                          const struct snapshot_parts *parts,
                          struct resolver *resolver, reload_handler *handler,
                          void *owner)
{
    struct reload *reload = mem_zalloc(sizeof(*reload));

    reload->config_file = config_file;
    reload->parts = parts;
    reload->resolver = resolver;
    reload->handler = handler;
    reload->owner = owner;
    reload->done.data = reload;
    uv_async_init(loop, &reload->done, on_done);
    return reload;
}

void reload_request(struct reload *reload, struct snapshot *in_force)
{
    if (reload->is_running) {
        reload->is_wanted_again = true;
        return;
    }
    reload->in_force = snapshot_ref(in_force);
    reload->reasons = reasons_new();
    reload->is_running = true;
    if (uv_thread_create(&reload->thread, load, reload) == 0)
        return;
    reload->is_running = false;
    snapshot_unref(&reload->in_force);
    reasons_add(reload->reasons, REASON_ERROR, reload->config_file, NULL,
                "no thread to load it", "one more thread");
    (void)reload->handler(NULL, reload->reasons, reload->owner);
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
