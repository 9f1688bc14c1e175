#include "openings.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PROBE_AGAIN_NS = 20 * 1000 * 1000
};

static bool is_wildcard(const char *address)
{
    return strcmp(address, "*") == 0 || strcmp(address, "0.0.0.0") == 0 ||
           strcmp(address, "::") == 0;
}

static bool has_port(const struct settings *settings,
                     const struct listener_config *config)
{
    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct listener_config *other = &settings->listeners[i];

        if (other->port == config->port &&
            (is_wildcard(other->address) || is_wildcard(config->address)))
            return true;
    }
    return false;
}

/* One address and all of a port overlap: where one takes the place of the
 * other, it is we who are in the way. */
static bool is_ours(const struct settings *in_force,
                    const struct listener_config *config)
{
    return in_force != NULL && has_port(in_force, config);
}

static bool is_new(const struct settings *in_force,
                   const struct listener_config *config)
{
    return in_force == NULL || settings_find_listener(in_force, config->address,
                                                      config->port) == NULL;
}

static void list_new(struct openings *openings, const struct settings *in_force,
                     const struct settings *wanted)
{
    openings->list =
        mem_zalloc(wanted->listener_count * sizeof(*openings->list));
    openings->count = 0;
    for (size_t i = 0; i < wanted->listener_count; i++) {
        if (is_new(in_force, &wanted->listeners[i]))
            openings->list[openings->count++].listener = (unsigned)i;
    }
}

static bool probe(const struct listener_config *config, uint64_t deadline_ms,
                  char why[PROVIDER_WHY_MAX])
{
    const struct timespec pause = {.tv_nsec = PROBE_AGAIN_NS};
    int error;

    while ((error = provider_probe_listener(config, why)) == UV_EADDRINUSE &&
           clock_now_ms() < deadline_ms)
        (void)nanosleep(&pause, NULL);
    return error == 0;
}

bool openings_make(struct openings *openings_out,
                   const struct settings *in_force,
                   const struct settings *wanted,
                   const struct io_keepalive *keepalive, size_t workers,
                   uint64_t patience_ms, size_t *failed_out,
                   char why[PROVIDER_WHY_MAX])
{
    uint64_t deadline_ms = clock_now_ms() + patience_ms;
    struct openings openings;
    bool is_good = true;
    size_t i;

    list_new(&openings, in_force, wanted);
    for (i = 0; i < openings.count && is_good; i++) {
        const struct listener_config *config =
            &wanted->listeners[openings.list[i].listener];

        *failed_out = openings.list[i].listener;
        is_good = is_ours(in_force, config) || probe(config, deadline_ms, why);
    }
    for (i = 0; i < openings.count && is_good; i++) {
        *failed_out = openings.list[i].listener;
        is_good = provider_bind_listener(&wanted->listeners[*failed_out],
                                         keepalive, workers,
                                         &openings.list[i].sockets, why) == 0;
    }
    for (i = 0; i < openings.count && is_good; i++) {
        *failed_out = openings.list[i].listener;
        is_good = provider_listen(&openings.list[i].sockets, why) == 0;
    }
    if (is_good)
        *openings_out = openings;
    else
        openings_deinit(&openings);
    return is_good;
}

int openings_take(struct openings *openings, size_t worker,
                  unsigned *listener_out)
{
    for (size_t i = 0; i < openings->count; i++) {
        struct provider_sockets *sockets = &openings->list[i].sockets;

        *listener_out = openings->list[i].listener;
        for (size_t family = 0; family < sockets->family_count; family++) {
            int *fd = &sockets->fds[family * sockets->per_family + worker];
            int mine = *fd;

            *fd = -1;
            if (mine >= 0)
                return mine;
        }
    }
    return -1;
}

void openings_deinit(struct openings *openings)
{
    for (size_t i = 0; i < openings->count; i++)
        provider_sockets_deinit(&openings->list[i].sockets);
    free(openings->list);
    *openings = (struct openings){.list = NULL};
}
