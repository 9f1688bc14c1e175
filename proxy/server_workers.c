#include "server_workers.h"

#include "server_private.h"
#include "server_succession.h"

#include <stdlib.h>

/* One of each address of each listener, or as many as were inherited. */
static struct worker_socket *sockets_for(struct server *server, unsigned worker,
                                         size_t *count_out)
{
    struct worker_socket *mine = NULL;
    struct worker_socket next;

    *count_out = 0;
    while ((next.fd = openings_take(&server->openings, worker, &next.listener,
                                    &next.sharing)) >= 0) {
        mine = mem_realloc_array(mine, *count_out + 1, sizeof(*mine));
        mine[(*count_out)++] = next;
    }
    return mine;
}

static void on_worker_idle(void *owner)
{
    struct server *server = owner;

    atomic_fetch_add(&server->idle, 1);
    uv_async_send(&server->idle_bell);
}

static void on_kick(const struct kick *kick, void *owner)
{
    struct server *server = owner;

    post_kick(&server->post, kick);
    predecessor_kick(server->predecessor, kick);
    successor_kick(server_upgrade_successor(&server->upgrade), kick);
}

static bool on_arrival(const struct arrival *arrival, unsigned turn,
                       unsigned own, void *owner)
{
    struct server *server = owner;

    return post_deal(&server->post, arrival, turn, own);
}

static bool start_worker(struct server *server, unsigned index)
{
    struct worker_parts parts = {.worker_count = server->worker_count,
                                 .limits = server->limits,
                                 .penalties = server->penalties,
                                 .homes = server->homes,
                                 .kick = on_kick,
                                 .deal = on_arrival,
                                 .quota = &server->quota,
                                 .on_idle = on_worker_idle,
                                 .owner = server};
    size_t count;
    struct worker_socket *sockets = sockets_for(server, index, &count);
    int error;

    server->workers[index] =
        worker_start(index, &parts, counters_set_at(server->counters, index),
                     server->snapshot, sockets, count, &error);
    free(sockets);
    if (server->workers[index] == NULL)
        return server_succession_refuse(server, "worker", uv_strerror(error));
    server->started++;
    post_add(&server->post);
    return true;
}

bool server_workers_start(struct server *server)
{
    unsigned i;

    server->workers = mem_zalloc(server->worker_count * sizeof(void *));
    post_init(&server->post, server->workers);
    for (i = 0; i < server->worker_count; i++) {
        if (!start_worker(server, i))
            return false;
    }
    return true;
}

void server_workers_listen(struct server *server, struct openings *openings)
{
    unsigned i, listener;
    struct listener_sharing sharing;
    int fd;

    for (i = 0; i < server->started; i++) {
        while ((fd = openings_take(openings, i, &listener, &sharing)) >= 0)
            worker_listen(server->workers[i], fd, listener);
    }
}

void server_workers_tell(struct server *server, void (*tell)(struct worker *))
{
    unsigned i;

    for (i = 0; i < server->started; i++)
        tell(server->workers[i]);
}

/* Each is asked anew, also behind one that does not answer. */
bool server_workers_answer(void *owner)
{
    struct server *server = owner;
    bool all_do = true;

    for (unsigned i = 0; i < server->started; i++)
        all_do = worker_answers(server->workers[i]) && all_do;
    return all_do;
}

void server_workers_join(struct server *server)
{
    unsigned i;

    post_close(&server->post);
    for (i = 0; i < server->started; i++)
        worker_join(&server->workers[i]);
    post_deinit(&server->post);
}
