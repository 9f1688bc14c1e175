#include "file_watch.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* The config file, the routing table, its users. */
enum {
    FILES_MAX = 3
};

/* A folder whose link of this name is renamed has changed as a whole: so do
 * volumes of a cluster whose files are links into it. */
#define SWAPPED_LINK "..data"

struct watched_file {
    int folder; /* the kernel's number of it */
    char *name; /* in that folder */
};

struct file_watch {
    uv_poll_t poll;
    uv_timer_t timer;
    int fd; /* -1: none, nothing can be watched */
    const char *config_file;
    file_watch_handler *handler;
    void *owner;
    struct watched_file files[FILES_MAX];
    size_t count;
};

static void log_failure(const char *folder, int error)
{
    struct log_entry entry;

    log_begin(&entry, LOG_WARN, "watch-failed");
    log_text(&entry, "folder", folder);
    log_text(&entry, "reason", strerror(error));
    log_end(&entry);
}

static void on_timer(uv_timer_t *timer)
{
    struct file_watch *watch = timer->data;

    watch->handler(watch->owner);
}

static bool concerns(const struct file_watch *watch,
                     const struct inotify_event *event)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return true; /* it may have been among what was lost */
    if ((event->mask & IN_MOVED_TO) == 0 || event->len == 0)
        return false;
    for (size_t i = 0; i < watch->count; i++) {
        if (event->wd == watch->files[i].folder &&
            (strcmp(event->name, watch->files[i].name) == 0 ||
             strcmp(event->name, SWAPPED_LINK) == 0))
            return true;
    }
    return false;
}

/* The kernel gives whole events only. */
static bool any_concerns(const struct file_watch *watch, const char *bytes,
                         size_t len)
{
    const struct inotify_event *event;
    bool any = false;

    for (size_t at = 0; at < len; at += sizeof(*event) + event->len) {
        event = (const void *)(bytes + at);
        any |= concerns(watch, event);
    }
    return any;
}

/* The first rename sets the time: who renames all the while is heard too. */
static void on_readable(uv_poll_t *poll, int status, int events)
{
    _Alignas(struct inotify_event) char bytes[4096];
    struct file_watch *watch = poll->data;
    ssize_t len;

    (void)status;
    (void)events;
    while ((len = read(watch->fd, bytes, sizeof(bytes))) > 0) {
        if (any_concerns(watch, bytes, (size_t)len) &&
            !uv_is_active((uv_handle_t *)&watch->timer))
            uv_timer_start(&watch->timer, on_timer, FILE_WATCH_CALM_MS, 0);
    }
}

struct file_watch *file_watch_new(uv_loop_t *loop, const char *config_file,
                                  file_watch_handler *handler, void *owner)
{
    struct file_watch *watch = mem_zalloc(sizeof(*watch));

    watch->config_file = config_file;
    watch->handler = handler;
    watch->owner = owner;
    watch->timer.data = watch;
    watch->poll.data = watch;
    uv_timer_init(loop, &watch->timer);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0)
        return watch;
    uv_poll_init(loop, &watch->poll, watch->fd);
    uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    return watch;
}

static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    char *folder;

    if (len == 0)
        return mem_strdup(slash == NULL ? "." : "/");
    folder = mem_alloc(len + 1);
    memcpy(folder, path, len);
    folder[len] = '\0';
    return folder;
}

static void add(struct file_watch *watch, const char *path)
{
    struct watched_file *file = &watch->files[watch->count];
    const char *slash = strrchr(path, '/');
    char *folder = folder_of(path);

    /* A folder that is watched already keeps its number. */
    file->folder = inotify_add_watch(watch->fd, folder, IN_MOVED_TO);
    if (file->folder < 0) {
        log_failure(folder, errno);
    } else {
        file->name = mem_strdup(slash == NULL ? path : slash + 1);
        watch->count++;
    }
    free(folder);
}

static bool is_watched(const struct file_watch *watch, int folder)
{
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->files[i].folder == folder)
            return true;
    }
    return false;
}

/* Folders that stay are watched throughout, so that no rename is missed. */
static void leave(struct file_watch *watch, struct watched_file *former,
                  size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_watched(watch, former[i].folder))
            (void)inotify_rm_watch(watch->fd, former[i].folder);
        free(former[i].name);
    }
}

void file_watch_follow(struct file_watch *watch,
                       const struct snapshot *snapshot)
{
    struct watched_file former[FILES_MAX];
    size_t former_count = watch->count;
    const char *users = route_table_users_file(snapshot->table);

    memcpy(former, watch->files, sizeof(former));
    watch->count = 0;
    if (snapshot->settings->watch && watch->fd < 0) {
        log_failure(watch->config_file, EMFILE);
    } else if (snapshot->settings->watch) {
        add(watch, watch->config_file);
        add(watch, snapshot->settings->routes);
        if (users != NULL && !route_table_has_user_database(snapshot->table))
            add(watch, users);
    }
    leave(watch, former, former_count);
}

void file_watch_stop(struct file_watch *watch)
{
    if (watch == NULL)
        return;
    uv_close((uv_handle_t *)&watch->timer, NULL);
    if (watch->fd >= 0)
        uv_close((uv_handle_t *)&watch->poll, NULL);
}

void file_watch_free(struct file_watch **watch)
{
    struct file_watch *mine = *watch;

    *watch = NULL;
    if (mine == NULL)
        return;
    if (mine->fd >= 0)
        close(mine->fd);
    for (size_t i = 0; i < mine->count; i++)
        free(mine->files[i].name);
    free(mine);
}
