#include "batch.h"

#include "tls_setup.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    USER_SIZE = 32,
    FIRST_SOURCE = 2,
    WATCH_MS = 1000,
    STALL_SECONDS = 20,
    FAULTS_TOLD_MAX = 10
};

static const double ns_per_second = 1e9;

static void on_control(const char *line, void *owner);
static void on_watch(uv_timer_t *watch);
static void choose_source(const struct batch *batch,
                          struct sockaddr_storage *source_out);

void batch_open(struct batch *batch, const struct load_options *options,
                const struct batch_verbs *verbs, void *owner)
{
    memset(batch, 0, sizeof(*batch));
    batch->options = options;
    batch->verbs = verbs;
    batch->owner = owner;
    if (uv_loop_init(&batch->loop) != 0 ||
        uv_timer_init(&batch->loop, &batch->watch) != 0)
        abort();
    batch->watch.data = batch;
    uv_timer_start(&batch->watch, on_watch, WATCH_MS, WATCH_MS);
    batch->net = wire_net_new(&batch->loop);
    if (!options->is_plain) {
        batch->tls = tls_client_context(options->tls_max);
        ticket_keep(batch->tls);
    }
}

int batch_run(struct batch *batch)
{
    control_start(&batch->control, &batch->loop, on_control, batch);
    uv_run(&batch->loop, UV_RUN_DEFAULT);
    return EXIT_SUCCESS;
}

void batch_ready(struct batch *batch)
{
    batch->is_ready = true;
    control_say("ready");
}

double batch_end(struct batch *batch)
{
    batch->is_running = false;
    return (double)(uv_hrtime() - batch->started_ns) / ns_per_second;
}

struct client *batch_connect(struct batch *batch, struct ticket *ticket,
                             client_handler *handler, void *owner)
{
    struct wire_target target = {
        .remote = batch->options->remote, .tls = batch->tls, .ticket = ticket};
    char user[USER_SIZE];

    snprintf(user, sizeof(user), "user%lu@example.org",
             batch->connections % batch->options->users);
    choose_source(batch, &target.source);
    batch->connections++;
    return client_new(batch->net, &target, user, handler, owner);
}

bool batch_admits(const struct batch *batch, struct client *client)
{
    const SSL *ssl = client_ssl(client);
    const char *fault = NULL;

    if (ssl != NULL)
        fault = tls_policy_fault(ssl, batch->options->any_group);
    if (fault == NULL)
        return true;
    client_fail(client, fault);
    return false;
}

void batch_tell_fault(struct batch *batch, const struct client *client)
{
    if (batch->faults_told++ < FAULTS_TOLD_MAX)
        fprintf(stderr, "bench_load: a session failed: %s\n",
                client_error(client));
}

const char *batch_version(const struct client *client)
{
    const SSL *ssl = client_ssl(client);

    return ssl != NULL ? SSL_get_version(ssl) : "plain";
}

const char *batch_cipher(const struct client *client)
{
    const SSL *ssl = client_ssl(client);

    return ssl != NULL ? tls_cipher_name(ssl) : "none";
}

static void on_control(const char *line, void *owner)
{
    struct batch *batch = owner;

    if (line == NULL)
        exit(EXIT_SUCCESS);
    if (strcmp(line, "next") != 0 || !batch->is_ready || batch->is_running) {
        control_say("refused");
        return;
    }
    batch->is_running = true;
    batch->idle_seconds = 0;
    batch->started_ns = uv_hrtime();
    batch->verbs->start(batch->owner);
}

static void on_watch(uv_timer_t *watch)
{
    struct batch *batch = watch->data;
    uint64_t received;
    uint64_t sent;

    wire_net_count(batch->net, &received, &sent);
    if (received + sent != batch->bytes_seen ||
        (batch->is_ready && !batch->is_running))
        batch->idle_seconds = 0;
    else
        batch->idle_seconds++;
    batch->bytes_seen = received + sent;
    if (batch->idle_seconds < STALL_SECONDS)
        return;
    fprintf(stderr, "bench_load: nothing moves\n");
    batch->idle_seconds = 0;
    batch->verbs->give_up(batch->owner);
}

/* Several source addresses, as real clients have, and so that the ports of one
 * do not run out. A server elsewhere is reached from where the kernel likes. */
static void choose_source(const struct batch *batch,
                          struct sockaddr_storage *source_out)
{
    const struct sockaddr_in *remote =
        (const struct sockaddr_in *)&batch->options->remote;
    struct sockaddr_in *source = (struct sockaddr_in *)source_out;
    unsigned long number = batch->connections % batch->options->sources;

    if (ntohl(remote->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
        return;
    source->sin_family = AF_INET;
    source->sin_addr.s_addr =
        htonl(INADDR_LOOPBACK - 1 + FIRST_SOURCE + (uint32_t)number);
}
