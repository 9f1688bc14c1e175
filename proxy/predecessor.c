#include "predecessor.h"

#include "base/clock.h"
#include "control_kick.h"
#include "control_link.h"
#include "inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* It has only to copy descriptors; then it waits for us far longer. */
enum {
    SOCKETS_WAIT_MS = 60 * 1000
};

enum {
    SIGNALLED = 128 /* and the signal, as shells say it */
};

struct predecessor {
    struct control_link link;
    int state_link; /* -1 once it was given */
    int release;    /* tells who started us that we go alone */
    struct inherited listeners;
    struct inherited admin;
    pid_t pid;
    uint64_t last_kind; /* of message that it knows; 0: as of CONTROL_ADMIN */
    struct backend_registry *registry;
    const struct predecessor_verbs *verbs;
    void *owner;
    bool is_joined;
    bool is_gone;
};

/* Becoming a successor. */

static bool is_packet_socket(int fd)
{
    struct sockaddr_storage name;
    socklen_t name_len = sizeof(name), type_len = sizeof(int);
    int type;

    return getsockname(fd, (struct sockaddr *)&name, &name_len) == 0 &&
           name.ss_family == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 &&
           type == SOCK_SEQPACKET && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool read_descriptor(const char **at, char end, int *fd_out)
{
    char *rest;
    long number;

    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    number = strtol(*at, &rest, 10);
    if (errno != 0 || number > INT32_MAX || *rest != end)
        return false;
    *fd_out = (int)number;
    *at = rest + 1;
    return true;
}

/* Of the process that stays behind as the predecessor's child: ends when the
 * successor goes alone, or as that ended. */
_Noreturn static void wait_for(pid_t successor, int released)
{
    char word;
    ssize_t len;
    int status = 0;

    while ((len = read(released, &word, 1)) < 0 && errno == EINTR)
        continue;
    if (len == 1)
        _exit(0);
    while (waitpid(successor, &status, 0) < 0 && errno == EINTR)
        continue;
    _exit(WIFSIGNALED(status) ? SIGNALLED + WTERMSIG(status)
                              : WEXITSTATUS(status));
}

/* Until it serves, it ends with the process that stays behind. */
static bool go_apart(struct predecessor *predecessor)
{
    pid_t parent = getpid(), child;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return false;
    child = fork();
    if (child > 0) {
        close(predecessor->link.fd); /* or nobody would hear of our end */
        close(predecessor->state_link);
        close(ends[1]);
        wait_for(child, ends[0]);
    }
    close(ends[0]);
    predecessor->release = ends[1];
    return child == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
           getppid() == parent;
}

struct predecessor *predecessor_open(char why[PREDECESSOR_WHY_MAX])
{
    const char *at = getenv("GATEPOST_PREDECESSOR");
    struct predecessor *predecessor;
    int control, state;
    bool is_good;

    why[0] = '\0';
    if (at == NULL)
        return NULL;
    is_good = read_descriptor(&at, ',', &control) &&
              read_descriptor(&at, '\0', &state) && is_packet_socket(control) &&
              is_packet_socket(state) && control != state;
    unsetenv("GATEPOST_PREDECESSOR");
    if (!is_good) {
        snprintf(why, PREDECESSOR_WHY_MAX,
                 "GATEPOST_PREDECESSOR names no predecessor: only one sets it");
        return NULL;
    }
    predecessor = mem_zalloc(sizeof(*predecessor));
    control_link_init(&predecessor->link, control);
    predecessor->state_link = state;
    predecessor->release = -1;
    if (go_apart(predecessor))
        return predecessor;
    snprintf(why, PREDECESSOR_WHY_MAX, "no process of its own: %s",
             strerror(errno));
    predecessor_free(&predecessor);
    return NULL;
}

/* What it hands over. */

static bool keep_sockets(struct predecessor *predecessor,
                         const struct control_message *message, int *fds,
                         size_t fd_count)
{
    struct inherited *kept = message->number == CONTROL_FOR_CLIENTS
                                 ? &predecessor->listeners
                                 : &predecessor->admin;

    kept->are_kept = message->flags != 0;
    for (size_t i = 0; i < fd_count; i++)
        inherited_add(kept, fds[i]);
    return message->number <= CONTROL_FOR_ADMIN;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
}

/* False: nothing more is to come, and *why says so where it should have. */
static bool take_message(struct predecessor *predecessor,
                         const struct control_message *message, int *fds,
                         size_t fd_count, const char **why)
{
    if (message->kind == CONTROL_SOCKETS) {
        if (keep_sockets(predecessor, message, fds, fd_count))
            return true;
        *why = "sockets for something unknown";
        return false;
    }
    close_all(fds, fd_count);
    if (message->kind == CONTROL_HELLO && message->number == CONTROL_VERSION) {
        predecessor->pid = (pid_t)message->flags;
        return true;
    }
    if (message->kind == CONTROL_HELLO)
        *why = "another version of what is said between both";
    else if (message->kind == CONTROL_END)
        predecessor->last_kind = message->number;
    else
        *why = "something else than sockets";
    return false;
}

bool predecessor_receive(struct predecessor *predecessor,
                         char why[PREDECESSOR_WHY_MAX])
{
    uint64_t until_ms = clock_now_ms() + SOCKETS_WAIT_MS;
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    struct control_message message;
    int fds[CONTROL_FDS_MAX];
    size_t fd_count;
    const char *fault = NULL;

    if (predecessor == NULL)
        return true;
    control_link_send_number(&predecessor->link, CONTROL_HELLO,
                             CONTROL_VERSION);
    while (control_link_wait(&predecessor->link, until_ms, bytes, &message, fds,
                             &fd_count, &fault) &&
           take_message(predecessor, &message, fds, fd_count, &fault))
        continue;
    if (fault == NULL)
        return true;
    snprintf(why, PREDECESSOR_WHY_MAX,
             "%s of the running server instead of its sockets", fault);
    return false;
}

struct inherited *predecessor_listeners(struct predecessor *predecessor)
{
    return predecessor == NULL ? NULL : &predecessor->listeners;
}

struct inherited *predecessor_admin(struct predecessor *predecessor)
{
    return predecessor == NULL ? NULL : &predecessor->admin;
}

static void send_reason(struct predecessor *predecessor,
                        const struct reason *reason)
{
    struct control_message message = {.kind = CONTROL_REASON,
                                      .flags = reason->kind == REASON_WARNING,
                                      .number = (uint64_t)reason->line << 32 |
                                                reason->column};

    message.texts[CONTROL_REASON_FILE] = reason->file;
    message.texts[CONTROL_REASON_PATH] = reason->path;
    message.texts[CONTROL_REASON_FOUND] = reason->found;
    message.texts[CONTROL_REASON_EXPECTED] = reason->expected;
    control_link_send(&predecessor->link, &message, NULL, 0);
}

void predecessor_refuse(struct predecessor *predecessor,
                        const struct reasons *reasons)
{
    if (predecessor == NULL)
        return;
    for (size_t i = 0; i < reasons->count; i++)
        send_reason(predecessor, &reasons->items[i]);
    control_link_send_number(&predecessor->link, CONTROL_FAILED, 0);
}

void predecessor_refuse_plainly(struct predecessor *predecessor,
                                const char *file, const char *why)
{
    struct reasons *reasons = reasons_new();

    reasons_add(reasons, REASON_ERROR, file, NULL, why, "what a start needs");
    predecessor_refuse(predecessor, reasons);
    reasons_free(&reasons);
}

int predecessor_prepared(struct predecessor *predecessor)
{
    int state_link = predecessor->state_link;

    predecessor->state_link = -1;
    control_link_send_number(&predecessor->link, CONTROL_PREPARED,
                             (uint64_t)getpid());
    return state_link;
}

/* While it lives. */

static void on_message(const struct control_message *message, int *fds,
                       size_t fd_count, void *owner)
{
    struct predecessor *predecessor = owner;
    struct kick *kick;

    (void)fds;
    (void)fd_count;
    if (message->kind != CONTROL_KICK)
        return; /* it belongs to a start */
    kick = control_kick_read(message, predecessor->registry);
    if (kick != NULL)
        predecessor->verbs->kick(kick, predecessor->owner);
    kick_free(&kick);
}

static void on_ended(void *owner)
{
    struct predecessor *predecessor = owner;

    predecessor->is_gone = true;
    predecessor->verbs->gone(predecessor->owner);
}

int predecessor_join(struct predecessor *predecessor, uv_loop_t *loop,
                     struct backend_registry *registry,
                     const struct predecessor_verbs *verbs, void *owner)
{
    int result;

    if (predecessor == NULL)
        return 0;
    predecessor->registry = registry;
    predecessor->verbs = verbs;
    predecessor->owner = owner;
    result = control_link_join(&predecessor->link, loop, on_message, on_ended,
                               predecessor);
    predecessor->is_joined = result == 0;
    return result;
}

static size_t count_left(const struct inherited *inherited)
{
    size_t left = 0;

    for (size_t i = 0; i < inherited->count; i++)
        left += inherited->fds[i] >= 0 ? 1 : 0;
    return left;
}

/* Before it is told, so that it is not our parent any more when it tells the
 * service manager of us. */
static void go_alone(struct predecessor *predecessor)
{
    (void)prctl(PR_SET_PDEATHSIG, 0);
    while (write(predecessor->release, "", 1) < 0 && errno == EINTR)
        continue;
    close(predecessor->release);
    predecessor->release = -1;
}

void predecessor_serving(struct predecessor *predecessor)
{
    size_t left;

    if (predecessor == NULL)
        return;
    left = count_left(&predecessor->listeners);
    inherited_deinit(&predecessor->listeners);
    inherited_deinit(&predecessor->admin);
    go_alone(predecessor);
    control_link_send_number(&predecessor->link, CONTROL_SERVING, left);
}

pid_t predecessor_pid(const struct predecessor *predecessor)
{
    return predecessor == NULL || predecessor->is_gone ? 0 : predecessor->pid;
}

int predecessor_connect(struct predecessor *predecessor)
{
    const struct control_message message = {.kind = CONTROL_ADMIN};
    int ends[2];

    if (predecessor_pid(predecessor) == 0)
        return UV_ENOTCONN;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                   ends) != 0)
        return uv_translate_sys_error(errno);
    control_link_send(&predecessor->link, &message, &ends[1], 1);
    close(ends[1]);
    return ends[0];
}

void predecessor_kick(struct predecessor *predecessor, const struct kick *kick)
{
    if (predecessor != NULL)
        control_kick_send(&predecessor->link, kick);
}

void predecessor_mode(struct predecessor *predecessor, const char *backend,
                      enum backend_mode mode, const char *why)
{
    struct control_message message = {.kind = CONTROL_MODE,
                                      .number = (uint64_t)mode};

    if (predecessor == NULL)
        return;
    message.texts[CONTROL_MODE_BACKEND] = backend;
    message.texts[CONTROL_MODE_WHY] = why;
    control_link_send(&predecessor->link, &message, NULL, 0);
}

void predecessor_no_more_logins(struct predecessor *predecessor)
{
    if (predecessor != NULL)
        control_link_send_number(&predecessor->link, CONTROL_NO_MORE_LOGINS, 0);
}

void predecessor_upgrade_drain(struct predecessor *predecessor,
                               uint64_t drain_ms)
{
    if (predecessor != NULL && predecessor->last_kind >= CONTROL_UPGRADE_DRAIN)
        control_link_send_number(&predecessor->link, CONTROL_UPGRADE_DRAIN,
                                 drain_ms);
}

void predecessor_drain(struct predecessor *predecessor, uint64_t drain_ms)
{
    if (predecessor != NULL)
        control_link_send_number(&predecessor->link, CONTROL_DRAIN, drain_ms);
}

void predecessor_forget(struct predecessor *predecessor)
{
    if (predecessor != NULL)
        predecessor->is_gone = true;
}

void predecessor_close(struct predecessor *predecessor)
{
    if (predecessor != NULL && predecessor->is_joined)
        control_link_close(&predecessor->link);
}

void predecessor_free(struct predecessor **predecessor)
{
    struct predecessor *mine = *predecessor;

    *predecessor = NULL;
    if (mine == NULL)
        return;
    control_link_deinit(&mine->link);
    inherited_deinit(&mine->listeners);
    inherited_deinit(&mine->admin);
    if (mine->state_link >= 0)
        close(mine->state_link);
    if (mine->release >= 0)
        close(mine->release);
    free(mine);
}
