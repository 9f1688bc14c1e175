#include "successor.h"

#include "base/clock.h"
#include "control_kick.h"
#include "control_link.h"
#include "successor_program.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum phase {
    PHASE_STARTING, /* reads its config */
    PHASE_TAKING,   /* our state */
    PHASE_SERVING,
    PHASE_OVER
};

/* How long one that has failed may take to end by itself; how long, in real
 * time, one that was killed. */
enum {
    LAST_WORDS_MS = 5000,
    DEATH_MS = 1000
};

enum {
    WORD_MAX = 64,
    SIGNALLED = 128 /* what a shell says, and predecessor.c */
};

struct successor {
    struct control_link link;
    int state_link; /* -1 once it was given away */
    uv_signal_t children;
    uv_timer_t patience;
    enum phase phase;
    pid_t child; /* -1 once it has ended */
    int status;  /* then */
    pid_t pid;
    char *program;
    struct reasons *reasons;
    struct backend_registry *registry;
    const struct successor_verbs *verbs;
    void *owner;
};

static int start_program(struct successor *successor,
                         const struct successor_plan *plan);
static void send_sockets(struct successor *successor,
                         const struct successor_sockets *sockets);
static void on_message(const struct control_message *message, int *fds,
                       size_t fd_count, void *owner);
static void on_ended(void *owner);
static void on_child(uv_signal_t *signal, int number);
static void wait_longer(struct successor *successor, uint64_t patience_ms);
static void end_child(struct successor *successor);
static void fail(struct successor *successor);

static struct successor *make(const struct successor_plan *plan,
                              const struct successor_verbs *verbs, void *owner)
{
    struct successor *successor = mem_zalloc(sizeof(*successor));

    successor->program = mem_strdup(plan->program);
    successor->registry = plan->registry;
    successor->verbs = verbs;
    successor->owner = owner;
    successor->reasons = reasons_new();
    successor->child = -1;
    successor->state_link = -1;
    control_link_init(&successor->link, -1);
    return successor;
}

static void listen_to(struct successor *successor, uv_loop_t *loop)
{
    successor->children.data = successor;
    successor->patience.data = successor;
    uv_signal_init(loop, &successor->children);
    uv_signal_start(&successor->children, on_child, SIGCHLD);
    uv_timer_init(loop, &successor->patience);
    wait_longer(successor, SUCCESSOR_PATIENCE_MS);
}

static void say_why(const struct successor_plan *plan, int error,
                    struct reasons *reasons)
{
    char why[WORD_MAX];

    snprintf(why, sizeof(why), "%s", strerror(error));
    reasons_add(reasons, REASON_ERROR, plan->program, NULL, why,
                "a program that can be started");
}

struct successor *successor_start(uv_loop_t *loop,
                                  const struct successor_plan *plan,
                                  const struct successor_verbs *verbs,
                                  void *owner, struct reasons *reasons)
{
    struct successor *successor = make(plan, verbs, owner);
    int error = start_program(successor, plan);

    if (error == 0) {
        error = control_link_join(&successor->link, loop, on_message, on_ended,
                                  successor);
        if (error == 0) {
            listen_to(successor, loop);
            send_sockets(successor, &plan->sockets);
            return successor;
        }
        end_child(successor);
        error = -error;
    }
    say_why(plan, error, reasons);
    successor_free(&successor);
    return NULL;
}

/* The child. */

static int start_program(struct successor *successor,
                         const struct successor_plan *plan)
{
    int control[2], state[2];
    int theirs[2];
    int error;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   control) != 0)
        return errno;
    successor->link.fd = control[0];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, state) != 0) {
        error = errno;
        close(control[1]);
        return error;
    }
    successor->state_link = state[0];
    theirs[0] = control[1];
    theirs[1] = state[1];
    error = successor_program_start(plan, theirs, &successor->child);
    close(theirs[0]);
    close(theirs[1]);
    return error;
}

static void send_some(struct successor *successor, enum control_sockets purpose,
                      bool are_kept, const int *fds, size_t count)
{
    const struct control_message message = {
        .kind = CONTROL_SOCKETS, .flags = are_kept, .number = purpose};

    for (size_t sent = 0; sent < count; sent += CONTROL_FDS_MAX) {
        size_t left = count - sent;

        control_link_send(&successor->link, &message, fds + sent,
                          left < CONTROL_FDS_MAX ? left : CONTROL_FDS_MAX);
    }
}

static void send_sockets(struct successor *successor,
                         const struct successor_sockets *sockets)
{
    const struct control_message hello = {.kind = CONTROL_HELLO,
                                          .flags = (uint32_t)getpid(),
                                          .number = CONTROL_VERSION};

    control_link_send(&successor->link, &hello, NULL, 0);
    send_some(successor, CONTROL_FOR_CLIENTS, sockets->are_kept,
              sockets->listeners, sockets->listener_count);
    send_some(successor, CONTROL_FOR_ADMIN, false, sockets->admin,
              sockets->admin_count);
    control_link_send_number(&successor->link, CONTROL_END, CONTROL_KIND_LAST);
}

static void reap(struct successor *successor, int options)
{
    pid_t ended = 0;

    if (successor->child < 0)
        return;
    do
        ended = waitpid(successor->child, &successor->status, options);
    while (ended < 0 && errno == EINTR);
    if (ended != 0)
        successor->child = -1;
}

/* What it says. */

static bool is_starting(const struct successor *successor)
{
    return successor->phase == PHASE_STARTING ||
           successor->phase == PHASE_TAKING;
}

static void complain(struct successor *successor, const char *found,
                     const char *expected)
{
    reasons_add(successor->reasons, REASON_ERROR, successor->program, NULL,
                found, expected);
}

static void take_reason(struct successor *successor,
                        const struct control_message *message)
{
    const char *const *texts = message->texts;
    const char *file = texts[CONTROL_REASON_FILE];
    const char *found = texts[CONTROL_REASON_FOUND];
    const char *expected = texts[CONTROL_REASON_EXPECTED];
    unsigned line = (unsigned)(message->number >> 32);

    if (file == NULL || found == NULL || expected == NULL)
        return;
    if (line > 0)
        reasons_add_syntax(successor->reasons, file, texts[CONTROL_REASON_PATH],
                           line, (unsigned)(message->number & UINT32_MAX),
                           found, expected);
    else
        reasons_add(successor->reasons,
                    message->flags == 0 ? REASON_ERROR : REASON_WARNING, file,
                    texts[CONTROL_REASON_PATH], found, expected);
}

static void take_hello(struct successor *successor,
                       const struct control_message *message)
{
    if (message->number == CONTROL_VERSION)
        return;
    complain(successor, "another version of what is said between both",
             "a release that takes over from this one: restart instead");
    fail(successor);
}

static void give_state(struct successor *successor, uint64_t pid)
{
    int link = successor->state_link;

    successor->phase = PHASE_TAKING;
    successor->pid = (pid_t)pid;
    successor->state_link = -1;
    wait_longer(successor, SUCCESSOR_PATIENCE_MS);
    successor->verbs->give_state(link, successor->owner);
}

/* Our child had been told to end before we heard of this, and nothing is to be
 * waited for from one that did not; when it has, the successor is the service
 * manager's child. */
static void begin_to_serve(struct successor *successor, uint64_t left_over)
{
    successor->phase = PHASE_SERVING;
    uv_timer_stop(&successor->patience);
    end_child(successor);
    successor->verbs->serves(left_over, successor->owner);
}

static void take_kick(const struct successor *successor,
                      const struct control_message *message)
{
    struct kick *kick = control_kick_read(message, successor->registry);

    if (kick != NULL)
        successor->verbs->kick(kick, successor->owner);
    kick_free(&kick);
}

static void hear_start(struct successor *successor,
                       const struct control_message *message)
{
    if (message->kind == CONTROL_HELLO)
        take_hello(successor, message);
    else if (message->kind == CONTROL_REASON)
        take_reason(successor, message);
    else if (message->kind == CONTROL_FAILED)
        wait_longer(successor, LAST_WORDS_MS); /* they are in its log */
    else if (message->kind == CONTROL_PREPARED &&
             successor->phase == PHASE_STARTING)
        give_state(successor, message->number);
    else if (message->kind == CONTROL_SERVING &&
             successor->phase == PHASE_TAKING)
        begin_to_serve(successor, message->number);
    else if (message->kind == CONTROL_KICK && successor->phase == PHASE_TAKING)
        take_kick(successor, message); /* its workers serve before it says so */
}

static void take_mode(const struct successor *successor,
                      const struct control_message *message)
{
    const char *backend = message->texts[CONTROL_MODE_BACKEND];
    const char *why = message->texts[CONTROL_MODE_WHY];

    if (backend != NULL && message->number <= BACKEND_MAINTENANCE)
        successor->verbs->mode(backend, (enum backend_mode)message->number,
                               why == NULL ? "" : why, successor->owner);
}

static void take_connection(const struct successor *successor, int *fds,
                            size_t fd_count)
{
    int fd = fd_count > 0 ? fds[0] : -1;

    if (fd < 0)
        return;
    fds[0] = -1;
    successor->verbs->admin(fd, successor->owner);
}

static void obey(struct successor *successor,
                 const struct control_message *message, int *fds,
                 size_t fd_count)
{
    switch (message->kind) {
    case CONTROL_KICK:
        take_kick(successor, message);
        break;
    case CONTROL_MODE:
        take_mode(successor, message);
        break;
    case CONTROL_NO_MORE_LOGINS:
        successor->verbs->no_more_logins(successor->owner);
        break;
    case CONTROL_DRAIN:
        successor->verbs->drain(message->number, successor->owner);
        break;
    case CONTROL_UPGRADE_DRAIN:
        successor->verbs->upgrade_drain(message->number, successor->owner);
        break;
    case CONTROL_ADMIN:
        take_connection(successor, fds, fd_count);
        break;
    case CONTROL_HELLO:
    case CONTROL_SOCKETS:
    case CONTROL_END:
    case CONTROL_PREPARED:
    case CONTROL_REASON:
    case CONTROL_FAILED:
    case CONTROL_SERVING:
        break;
    }
}

static void on_message(const struct control_message *message, int *fds,
                       size_t fd_count, void *owner)
{
    struct successor *successor = owner;

    if (is_starting(successor))
        hear_start(successor, message);
    else if (successor->phase == PHASE_SERVING)
        obey(successor, message, fds, fd_count);
}

/* How it ends. */

static void say_how_it_ended(struct successor *successor)
{
    char found[WORD_MAX];
    int status = successor->status;

    if (reasons_has_errors(successor->reasons))
        return;
    if (WIFSIGNALED(status))
        snprintf(found, sizeof(found), "its end by signal %d",
                 WTERMSIG(status));
    else if (WEXITSTATUS(status) > SIGNALLED)
        snprintf(found, sizeof(found), "its end by signal %d",
                 WEXITSTATUS(status) - SIGNALLED);
    else
        snprintf(found, sizeof(found), "its end, with status %d",
                 WEXITSTATUS(status));
    complain(successor, found, "a server; its log may say more");
}

/* One that goes alone does not end with our child any more. Its number is what
 * it said itself; it is its own as long as it holds its end of the link. */
static void end_process(const struct successor *successor)
{
    struct pollfd end = {.fd = successor->link.fd};
    pid_t pid = successor->pid;

    if (end.fd < 0 || pid <= 1 || pid == getpid() || pid == successor->child ||
        getpgid(pid) != getpgrp() || poll(&end, 1, 0) != 0)
        return;
    if (kill(pid, SIGKILL) == 0)
        (void)poll(&end, 1, DEATH_MS);
}

static void end_child(struct successor *successor)
{
    if (successor->child > 0)
        (void)kill(successor->child, SIGKILL);
    reap(successor, 0);
}

/* No other process decides about our users any more when we do. */
static void fail(struct successor *successor)
{
    successor->phase = PHASE_OVER;
    uv_timer_stop(&successor->patience);
    end_process(successor);
    end_child(successor); /* what it started ends with it */
    successor->verbs->failed(successor->reasons, successor->owner);
}

static bool has_ended(struct successor *successor)
{
    reap(successor, WNOHANG);
    return successor->child < 0;
}

/* That our child has ended well means that the successor is about to serve. */
static bool goes_alone(const struct successor *successor)
{
    return successor->phase == PHASE_TAKING && WIFEXITED(successor->status) &&
           WEXITSTATUS(successor->status) == 0 && successor->link.fd >= 0;
}

/* What it said last comes before its end. */
static void on_child(uv_signal_t *signal, int number)
{
    struct successor *successor = signal->data;

    (void)number;
    if (successor->child < 0 || !has_ended(successor))
        return;
    control_link_hear(&successor->link);
    if (!is_starting(successor) || goes_alone(successor))
        return;
    say_how_it_ended(successor);
    fail(successor);
}

/* Its end is heard here first, as a rule; its status comes with the signal. */
static void on_ended(void *owner)
{
    struct successor *successor = owner;

    if (successor->phase == PHASE_SERVING) {
        successor->phase = PHASE_OVER;
        successor->verbs->gone(successor->owner);
    } else if (is_starting(successor) && has_ended(successor)) {
        say_how_it_ended(successor);
        fail(successor);
    }
}

static void on_impatience(uv_timer_t *timer)
{
    struct successor *successor = timer->data;

    successor_doubt(successor, successor->phase == PHASE_TAKING
                                   ? "silence, with our state in its hands"
                                   : "silence");
}

static void wait_longer(struct successor *successor, uint64_t patience_ms)
{
    uv_timer_start(&successor->patience, on_impatience,
                   clock_real_delay_ms(patience_ms), 0);
}

void successor_abandon(struct successor *successor, const char *why)
{
    complain(successor, why, "a server that takes over");
    fail(successor);
}

void successor_doubt(struct successor *successor, const char *why)
{
    control_link_hear(&successor->link);
    if (is_starting(successor))
        successor_abandon(successor, why);
}

void successor_was_given(struct successor *successor)
{
    if (successor->phase == PHASE_TAKING)
        wait_longer(successor, SUCCESSOR_SERVE_MS);
}

pid_t successor_pid(const struct successor *successor)
{
    return successor->pid;
}

void successor_kick(struct successor *successor, const struct kick *kick)
{
    if (successor != NULL)
        control_kick_send(&successor->link, kick);
}

void successor_close(struct successor *successor)
{
    if (successor == NULL || uv_is_closing((uv_handle_t *)&successor->patience))
        return;
    control_link_close(&successor->link);
    uv_close((uv_handle_t *)&successor->children, NULL);
    uv_close((uv_handle_t *)&successor->patience, NULL);
}

void successor_free(struct successor **successor)
{
    struct successor *mine = *successor;

    *successor = NULL;
    if (mine == NULL)
        return;
    control_link_deinit(&mine->link);
    if (mine->state_link >= 0)
        close(mine->state_link);
    reasons_free(&mine->reasons);
    free(mine->program);
    free(mine);
}
