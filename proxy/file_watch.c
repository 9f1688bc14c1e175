#include "file_watch.h"

#include "base/log.h"
#include "watch_index.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LINES_MAX = 10 /* of folders that cannot be watched, at a time */
};

struct file_watch {
    uv_poll_t poll;
    uv_timer_t timer;
    uint64_t latest_ms; /* on the loop's scale, while the timer runs */
    int fd;             /* negative: an errno, nothing can be watched */
    file_watch_handler *handler;
    void *owner;
    struct file_trail *trail; /* NULL: nothing is watched */
    struct watch_index index; /* of the trail */
    size_t failures;
};

static void on_readable(uv_poll_t *poll, int status, int events);

struct file_watch *file_watch_new(uv_loop_t *loop, file_watch_handler *handler,
                                  void *owner)
{
    struct file_watch *watch = mem_zalloc(sizeof(*watch));

    watch->handler = handler;
    watch->owner = owner;
    watch->timer.data = watch;
    watch->poll.data = watch;
    uv_timer_init(loop, &watch->timer);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->fd < 0) {
        watch->fd = -errno;
        return watch;
    }
    uv_poll_init(loop, &watch->poll, watch->fd);
    uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    return watch;
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
    file_trail_free(&mine->trail);
    watch_index_clear(&mine->index);
    free(mine);
}

/* What is heard. */

static void on_timer(uv_timer_t *timer)
{
    struct file_watch *watch = timer->data;

    watch->handler(watch->owner);
}

static void stir(struct file_watch *watch)
{
    uint64_t now_ms = uv_now(watch->timer.loop);
    uint64_t calm_ms = FILE_WATCH_CALM_MS;

    if (!uv_is_active((uv_handle_t *)&watch->timer))
        watch->latest_ms = now_ms + FILE_WATCH_LATEST_MS;
    if (now_ms >= watch->latest_ms)
        calm_ms = 0;
    else if (watch->latest_ms - now_ms < calm_ms)
        calm_ms = watch->latest_ms - now_ms;
    uv_timer_start(&watch->timer, on_timer, calm_ms, 0);
}

static bool is_link(const char *folder, const char *name)
{
    char path[PATH_MAX];
    struct stat found;

    return snprintf(path, sizeof(path), "%s/%s", folder, name) < PATH_MAX &&
           lstat(path, &found) == 0 && S_ISLNK(found.st_mode);
}

/* Hidden names of a folder that is listed are not read. */
static bool is_of(const struct file_step *step, const char *name)
{
    return step->kind == FILE_STEP_NAMES ? name[0] != '.'
                                         : strcmp(step->name, name) == 0;
}

/* A link is whole as soon as it is there, and nobody's content waits for a
 * folder. One that was watched and is gone may have a successor; one that is
 * still open, or has another name, has lost a name only. */
static bool turns(const struct file_step *step,
                  const struct inotify_event *event)
{
    if ((event->mask & (IN_IGNORED | IN_MOVE_SELF)) != 0)
        return true;
    if ((event->mask & IN_ATTRIB) != 0)
        return file_step_has_turned(step);
    if (event->len == 0 || !is_of(step, event->name))
        return false;
    return (event->mask & (IN_MOVED_TO | IN_ISDIR)) != 0 ||
           is_link(step->folder, event->name);
}

static bool turns_any(const struct file_step *steps, size_t count,
                      const struct inotify_event *event)
{
    for (size_t i = 0; i < count; i++) {
        if (turns(&steps[i], event))
            return true;
    }
    return false;
}

static bool concerns(const struct file_watch *watch,
                     const struct inotify_event *event)
{
    const struct watch_run *runs;
    size_t count;

    if (watch->trail == NULL)
        return false;
    if ((event->mask & IN_Q_OVERFLOW) != 0)
        return true; /* it may have been among what was lost */
    runs = watch_index_find(&watch->index, event->wd, &count);
    for (size_t i = 0; i < count; i++) {
        if (turns_any(&watch->trail->steps[runs[i].first], runs[i].count,
                      event))
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

static void on_readable(uv_poll_t *poll, int status, int events)
{
    _Alignas(struct inotify_event) char bytes[4096];
    struct file_watch *watch = poll->data;
    ssize_t len;

    (void)status;
    (void)events;
    while ((len = read(watch->fd, bytes, sizeof(bytes))) > 0) {
        if (any_concerns(watch, bytes, (size_t)len))
            stir(watch);
    }
}

/* What is watched. */

static const char *reason_of(int error)
{
    if (error == ENOSPC)
        return "fs.inotify.max_user_watches are in use";
    if (error == EMFILE)
        return "fs.inotify.max_user_instances or all descriptors are in use";
    return strerror(error);
}

static void log_failure(struct file_watch *watch, const struct file_step *step,
                        int error)
{
    struct log_entry entry;

    if (++watch->failures > LINES_MAX)
        return;
    log_begin(&entry, LOG_WARN, "watch-failed");
    log_text(&entry, "file", step->file);
    log_text(&entry, "folder", step->folder);
    log_text(&entry, "reason", reason_of(error));
    log_end(&entry);
}

static void log_more_failures(const struct file_watch *watch)
{
    struct log_entry entry;

    if (watch->failures <= LINES_MAX)
        return;
    log_begin(&entry, LOG_WARN, "watch-failed");
    log_u64(&entry, "more", watch->failures - LINES_MAX);
    log_end(&entry);
}

static bool is_only_passed(const struct file_step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (steps[i].kind != FILE_STEP_PASSAGE)
            return false;
    }
    return true;
}

/* What appears in a folder that is only passed need not wake us: it may be one
 * as busy as /tmp. The kernel's number of the watch, or -errno. */
static int watch_folder(const struct file_watch *watch,
                        const struct file_step *steps, size_t count)
{
    uint32_t mask = IN_MOVED_TO | IN_MOVE_SELF | IN_ONLYDIR | IN_MASK_ADD;
    int number;

    if (!is_only_passed(steps, count))
        mask |= IN_CREATE;
    number = inotify_add_watch(watch->fd, steps->folder, mask);
    return number < 0 ? -errno : number;
}

/* Likewise. It is heard of when it goes, as what is renamed over does, and when
 * it has fewer names. */
static int watch_alone(const struct file_watch *watch,
                       const struct file_step *step)
{
    char path[PATH_MAX];
    int number;

    if (snprintf(path, sizeof(path), "%s/%s", step->folder, step->name) >=
        PATH_MAX)
        return -ENAMETOOLONG;
    number = inotify_add_watch(watch->fd, path,
                               IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB |
                                   IN_DONT_FOLLOW | IN_MASK_ADD);
    return number < 0 ? -errno : number;
}

/* In a folder that may be passed but not read, as those of keys often are. */
static void watch_unlisted(struct file_watch *watch, struct file_step *step)
{
    switch (step->kind) {
    case FILE_STEP_PASSAGE: /* usual above a home, and never renamed */
        step->watch = -EACCES;
        return;
    case FILE_STEP_MISSING:
    case FILE_STEP_NAMES:
        step->watch = -EACCES;
        break;
    case FILE_STEP_LINK:
    case FILE_STEP_END:
        step->watch = watch_alone(watch, step);
        break;
    }
    if (step->watch < 0)
        log_failure(watch, step, -step->watch);
}

/* Who was watched before the load is heard of by events alone. */
static bool was_missed(const struct file_trail *former,
                       const struct file_step *step)
{
    const struct file_step *known =
        former == NULL ? NULL : file_trail_find(former, step);

    return (known == NULL || known->watch != step->watch) &&
           file_step_has_turned(step);
}

static void add_folder(struct file_watch *watch,
                       const struct file_trail *former, struct file_step *steps,
                       size_t count)
{
    int number = watch_folder(watch, steps, count);

    if (number < 0 && number != -EACCES)
        log_failure(watch, steps, -number);
    for (size_t i = 0; i < count; i++) {
        steps[i].watch = number;
        if (number == -EACCES)
            watch_unlisted(watch, &steps[i]);
        if (was_missed(former, &steps[i]))
            stir(watch);
    }
}

/* Steps that have a folder in common stand side by side. */
static void add_folders(struct file_watch *watch,
                        const struct file_trail *former)
{
    struct file_trail *trail = watch->trail;
    size_t next;

    watch->failures = 0;
    for (size_t i = 0; i < trail->count; i = next) {
        next = i + 1;
        while (next < trail->count &&
               strcmp(trail->steps[i].folder, trail->steps[next].folder) == 0)
            next++;
        add_folder(watch, former, &trail->steps[i], next - i);
    }
    log_more_failures(watch);
}

static bool is_watched(const struct file_watch *watch, int number)
{
    size_t count;

    return watch_index_find(&watch->index, number, &count) != NULL;
}

/* Folders that stay are watched throughout, so that no rename is missed. */
static void leave(struct file_watch *watch, const struct file_trail *former)
{
    int last = -1;

    if (former == NULL)
        return;
    for (size_t i = 0; i < former->count; i++) {
        int number = former->steps[i].watch;

        if (number >= 0 && number != last && !is_watched(watch, number))
            (void)inotify_rm_watch(watch->fd, number);
        last = number;
    }
}

void file_watch_follow(struct file_watch *watch, bool is_wanted,
                       struct file_trail *trail)
{
    struct file_trail *former = watch->trail;

    if (trail == NULL)
        return;
    assert(trail->is_finished);
    watch->trail = trail;
    watch_index_clear(&watch->index);
    if (!is_wanted) {
        file_trail_free(&watch->trail);
    } else if (watch->fd < 0) {
        if (trail->count > 0)
            log_failure(watch, trail->steps, -watch->fd);
        file_trail_free(&watch->trail);
    } else {
        add_folders(watch, former);
        watch_index_fill(&watch->index, trail);
    }
    leave(watch, former);
    file_trail_free(&former);
}
