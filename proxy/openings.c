#include "openings.h"

#include "base/clock.h"

#include <stdio.h>
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

/* Likewise where it is a predecessor that is, who goes. */
static bool is_given(const struct inherited *inherited,
                     const struct provider_addresses *addresses)
{
    for (size_t i = 0; inherited != NULL && i < addresses->count; i++) {
        if (inherited_overlaps(inherited, &addresses->list[i]))
            return true;
    }
    return false;
}

static void list_new(struct openings *openings, const struct settings *in_force,
                     const struct settings *wanted,
                     const struct inherited *inherited)
{
    openings->list =
        mem_zalloc(wanted->listener_count * sizeof(*openings->list));
    openings->count = 0;
    for (size_t i = 0; i < wanted->listener_count; i++) {
        const struct listener_config *config = &wanted->listeners[i];
        struct opening *opening = &openings->list[openings->count];

        if (!is_new(in_force, config))
            continue;
        openings->count++;
        opening->listener = (unsigned)i;
        provider_list_addresses(config, &opening->missing);
        opening->is_shared =
            is_ours(in_force, config) || is_given(inherited, &opening->missing);
    }
}

/* What all steps of one call of openings_make go by. */
struct making {
    const struct settings *wanted;
    struct inherited *inherited;
    const struct io_keepalive *keepalive;
    size_t workers;
    uint64_t deadline_ms;
};

typedef bool make_step(const struct making *making, struct opening *opening,
                       char why[PROVIDER_WHY_MAX]);

/* Takes all that listen at the address. */
static size_t adopt_address(const struct making *making,
                            struct opening *opening,
                            const struct address *address, bool *takes_ipv4)
{
    size_t count = 0;
    int fd;

    while ((fd = inherited_take(making->inherited, address)) >= 0) {
        inherited_add(&opening->adopted, fd);
        *takes_ipv4 = *takes_ipv4 || inherited_takes_ipv4(fd);
        count++;
    }
    /* Parted unevenly, some workers would have more to do than others. */
    if (count % making->workers != 0)
        opening->sharing.is_dealt = true;
    return count;
}

/* A socket of [::] that takes IPv4 too does for both addresses of "*", but
 * gives "::" more than was asked for. */
static bool adopt(const struct making *making, struct opening *opening,
                  char why[PROVIDER_WHY_MAX])
{
    const struct provider_addresses wanted = opening->missing;
    struct provider_addresses *missing = &opening->missing;
    bool takes_ipv4 = false;

    if (making->inherited == NULL)
        return true;
    opening->sharing.is_kept = making->inherited->are_kept;
    missing->count = 0;
    for (size_t i = 0; i < wanted.count; i++) {
        if (adopt_address(making, opening, &wanted.list[i], &takes_ipv4) == 0)
            missing->list[missing->count++] = wanted.list[i];
    }
    if (takes_ipv4 && wanted.count > 1)
        missing->count = 0;
    if (!takes_ipv4 || wanted.count > 1)
        return true;
    snprintf(why, PROVIDER_WHY_MAX,
             "the inherited socket of [::]:%u takes IPv4, too; expected is one "
             "that does not (BindIPv6Only=ipv6-only), or the address \"*\"",
             (unsigned)wanted.list[0].port);
    return false;
}

static bool probe(const struct making *making, struct opening *opening,
                  char why[PROVIDER_WHY_MAX])
{
    const struct timespec pause = {.tv_nsec = PROBE_AGAIN_NS};
    int error;

    if (opening->is_shared)
        return true;
    while ((error = provider_probe_addresses(&opening->missing, why)) ==
               UV_EADDRINUSE &&
           clock_now_ms() < making->deadline_ms)
        (void)nanosleep(&pause, NULL);
    return error == 0;
}

/* Where one family of "*" was inherited the machine may lack the other. */
static bool bind_missing(const struct making *making, struct opening *opening,
                         char why[PROVIDER_WHY_MAX])
{
    int error;

    if (opening->missing.count == 0)
        return true;
    error = provider_bind_addresses(
        &opening->missing, &making->wanted->listeners[opening->listener],
        making->keepalive, making->workers, &opening->sockets, why);
    return error == 0 ||
           (opening->adopted.count > 0 && provider_lacks_family(error));
}

/* The inherited ones do already. */
static bool begin_to_listen(const struct making *making,
                            struct opening *opening, char why[PROVIDER_WHY_MAX])
{
    (void)making;
    return provider_listen(&opening->sockets, why) == 0;
}

bool openings_make(struct openings *openings_out,
                   const struct settings *in_force,
                   const struct settings *wanted, struct inherited *inherited,
                   const struct io_keepalive *keepalive, size_t workers,
                   uint64_t patience_ms, size_t *failed_out,
                   char why[PROVIDER_WHY_MAX])
{
    static make_step *const steps[] = {adopt, probe, bind_missing,
                                       begin_to_listen};
    const struct making making = {.wanted = wanted,
                                  .inherited = inherited,
                                  .keepalive = keepalive,
                                  .workers = workers,
                                  .deadline_ms = clock_now_ms() + patience_ms};
    struct openings openings = {.workers = workers};
    bool is_good = true;

    list_new(&openings, in_force, wanted, inherited);
    for (size_t step = 0; step < sizeof(steps) / sizeof(steps[0]); step++) {
        for (size_t i = 0; i < openings.count && is_good; i++) {
            *failed_out = openings.list[i].listener;
            is_good = steps[step](&making, &openings.list[i], why);
        }
    }
    if (is_good)
        *openings_out = openings;
    else
        openings_deinit(&openings);
    return is_good;
}

static int take(int *fd)
{
    int mine = *fd;

    *fd = -1;
    return mine;
}

static int take_opened(struct provider_sockets *sockets, size_t worker)
{
    int fd = -1;

    for (size_t i = 0; i < sockets->family_count && fd < 0; i++)
        fd = take(&sockets->fds[i * sockets->per_family + worker]);
    return fd;
}

/* The adopted of an address stand side by side, so each worker gets as many of
 * them as the others, or one more. Those of other listeners begin with other
 * workers, or all of a service manager's would be the first one's. */
static int take_adopted(struct opening *opening, size_t worker, size_t workers)
{
    struct inherited *adopted = &opening->adopted;
    int fd = -1;

    for (size_t i = 0; i < adopted->count && fd < 0; i++) {
        if ((i + opening->listener) % workers == worker)
            fd = take(&adopted->fds[i]);
    }
    return fd;
}

int openings_take(struct openings *openings, size_t worker,
                  unsigned *listener_out, struct listener_sharing *sharing_out)
{
    int fd = -1;

    for (size_t i = 0; i < openings->count && fd < 0; i++) {
        struct opening *opening = &openings->list[i];

        *listener_out = opening->listener;
        *sharing_out = (struct listener_sharing){.is_dealt = false};
        fd = take_opened(&opening->sockets, worker);
        if (fd >= 0)
            continue;
        *sharing_out = opening->sharing;
        fd = take_adopted(opening, worker, openings->workers);
    }
    return fd;
}

void openings_deinit(struct openings *openings)
{
    for (size_t i = 0; i < openings->count; i++) {
        provider_sockets_deinit(&openings->list[i].sockets);
        inherited_deinit(&openings->list[i].adopted);
    }
    free(openings->list);
    *openings = (struct openings){.list = NULL};
}
