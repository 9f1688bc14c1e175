/* Mode idle: opens sessions in steps and leaves them in IDLE, spliced, after
 * some traffic where the options want it. After
 * each step it says "step N open N failed N lost N" and waits for a line. */
#include "client.h"
#include "control.h"
#include "mode.h"
#include "tls_setup.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FAILED_MAX = 100,
    STALL_MS = 60000,
    FIRST_SOURCE = 2
};

struct idle {
    const struct load_options *options;
    uv_loop_t loop;
    struct wire_net *net;
    struct control control;
    SSL_CTX *tls;
    unsigned step;
    unsigned started; /* clients made, ever */
    unsigned opening; /* of them, those that are not idle yet */
    unsigned open;    /* of them, those that idle now */
    unsigned failed;  /* ended before they were idle */
    unsigned lost;    /* ended while idle */
    bool is_waiting;  /* for the script to ask for the next step */
    uv_timer_t stall; /* runs out when nobody makes progress */
};

/* What a client waits for. One whose IDLE was answered is known to be spliced:
 * the "+" came from the backend. */
enum visitor_state {
    VISITOR_LOGIN,
    VISITOR_APPEND,
    VISITOR_FETCH,
    VISITOR_IDLE
};

struct visitor {
    struct idle *idle;
    enum visitor_state state;
};

static void start_clients(struct idle *idle);
static bool wants_another(const struct idle *idle);
static void start_client(struct idle *idle);
static struct wire_target choose_target(const struct idle *idle);
static void on_client(struct client *client, enum client_event event,
                      void *owner);
static void go_on(struct visitor *visitor, struct client *client);
static void note_end(struct idle *idle, const struct client *client,
                     bool was_idle);
static void report_step(struct idle *idle);
static void on_stall(uv_timer_t *stall);
static void on_control(const char *line, void *owner);

int mode_idle_run(const struct load_options *options)
{
    struct idle idle = {.options = options};

    if (uv_loop_init(&idle.loop) != 0 ||
        uv_timer_init(&idle.loop, &idle.stall) != 0)
        return EXIT_FAILURE;
    idle.stall.data = &idle;
    idle.net = wire_net_new(&idle.loop);
    if (!options->is_plain)
        idle.tls = tls_client_context(options->tls_max);
    control_start(&idle.control, &idle.loop, on_control, &idle);
    start_clients(&idle);
    uv_run(&idle.loop, UV_RUN_DEFAULT);
    return EXIT_SUCCESS;
}

static void start_clients(struct idle *idle)
{
    if (idle->is_waiting)
        return;
    while (wants_another(idle))
        start_client(idle);
    if (idle->opening == 0)
        report_step(idle);
    else
        uv_timer_start(&idle->stall, on_stall, STALL_MS, 0);
}

static bool wants_another(const struct idle *idle)
{
    return idle->open + idle->opening < idle->options->steps[idle->step] &&
           idle->opening < idle->options->parallel && idle->failed < FAILED_MAX;
}

static void start_client(struct idle *idle)
{
    struct wire_target target = choose_target(idle);
    struct visitor *visitor = calloc(1, sizeof(*visitor));
    char user[32];

    if (visitor == NULL)
        abort();
    visitor->idle = idle;
    snprintf(user, sizeof(user), "user%u@example.org", idle->started);
    idle->started++;
    idle->opening++;
    client_new(idle->net, &target, user, on_client, visitor);
}

/* Several source addresses, as real clients have, and so that the ports of
 * one do not run out. */
static struct wire_target choose_target(const struct idle *idle)
{
    struct wire_target target = {.remote = idle->options->remote,
                                 .tls = idle->tls};
    struct sockaddr_in *source = (struct sockaddr_in *)&target.source;

    source->sin_family = AF_INET;
    source->sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + FIRST_SOURCE +
                                    idle->started % idle->options->sources);
    return target;
}

static void on_client(struct client *client, enum client_event event,
                      void *owner)
{
    struct visitor *visitor = owner;
    struct idle *idle = visitor->idle;

    switch (event) {
    case CLIENT_READY:
    case CLIENT_DONE:
        go_on(visitor, client);
        break;
    case CLIENT_CONTINUE:
        visitor->state = VISITOR_IDLE;
        idle->opening--;
        idle->open++;
        start_clients(idle);
        break;
    case CLIENT_CLOSED:
        note_end(idle, client, visitor->state == VISITOR_IDLE);
        free(visitor);
        start_clients(idle);
        break;
    }
}

static void go_on(struct visitor *visitor, struct client *client)
{
    size_t traffic = visitor->idle->options->traffic;

    if (!visitor->idle->is_waiting)
        uv_timer_start(&visitor->idle->stall, on_stall, STALL_MS, 0);
    if (visitor->state == VISITOR_LOGIN && traffic > 0) {
        visitor->state = VISITOR_APPEND;
        client_append(client, traffic);
    } else if (visitor->state == VISITOR_APPEND) {
        visitor->state = VISITOR_FETCH;
        client_command(client, "FETCH 1 BODY[]");
    } else {
        client_command(client, "IDLE");
    }
}

static void note_end(struct idle *idle, const struct client *client,
                     bool was_idle)
{
    if (was_idle) {
        idle->open--;
        idle->lost++;
    } else {
        idle->opening--;
        idle->failed++;
    }
    if (idle->failed + idle->lost <= 10)
        fprintf(stderr, "bench_load: a session %s: %s\n",
                was_idle ? "was lost" : "failed", client_error(client));
}

static void report_step(struct idle *idle)
{
    idle->is_waiting = true;
    uv_timer_stop(&idle->stall);
    control_say("step %u open %u failed %u lost %u",
                idle->options->steps[idle->step], idle->open, idle->failed,
                idle->lost);
}

/* The step is told as it stands, short of what was asked for. */
static void on_stall(uv_timer_t *stall)
{
    struct idle *idle = stall->data;

    fprintf(stderr, "bench_load: %u logins hang\n", idle->opening);
    report_step(idle);
}

/* "next" opens up to the next step; "counts" tells how many are open still;
 * the end of the input ends everything. */
static void on_control(const char *line, void *owner)
{
    struct idle *idle = owner;

    if (line == NULL)
        exit(EXIT_SUCCESS);
    if (strcmp(line, "counts") == 0) {
        control_say("open %u failed %u lost %u", idle->open, idle->failed,
                    idle->lost);
    } else if (strcmp(line, "next") == 0 && idle->is_waiting &&
               idle->step + 1 < idle->options->step_count) {
        idle->step++;
        idle->is_waiting = false;
        start_clients(idle);
    } else {
        control_say("refused");
    }
}
