#include "provider_admin.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>

enum {
    BACKLOG = 128
};

static int tell(int error, const char *path, const char *what,
                char why[PROVIDER_WHY_MAX])
{
    /* The path is the operator's; its end says more than its beginning. */
    size_t len = strlen(path);
    const char *shown = len > 100 ? path + len - 100 : path;

    snprintf(why, PROVIDER_WHY_MAX, "admin socket %s: %s", shown, what);
    return -error;
}

static bool fill_address(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(out->sun_path))
        return false;
    memcpy(out->sun_path, path, strlen(path) + 1);
    return true;
}

/* 0: nobody listens there. Otherwise an errno; EAGAIN and success both mean
 * that somebody does. */
static int ask_who_listens(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = 0;

    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        error = EADDRINUSE;
    else if (errno != ECONNREFUSED)
        error = errno == EAGAIN ? EADDRINUSE : errno;
    close(fd);
    return error;
}

static int make_way(const char *path, const struct sockaddr_un *address,
                    char why[PROVIDER_WHY_MAX])
{
    struct stat found;
    int error;

    if (lstat(path, &found) != 0)
        return errno == ENOENT ? 0 : tell(errno, path, strerror(errno), why);
    if (!S_ISSOCK(found.st_mode))
        return tell(EEXIST, path, "something else has this name", why);
    error = ask_who_listens(address);
    if (error == EADDRINUSE)
        return tell(error, path, "a server answers there already", why);
    if (error != 0)
        return tell(error, path, strerror(error), why);
    return unlink(path) == 0 || errno == ENOENT
               ? 0
               : tell(errno, path, strerror(errno), why);
}

/* The mode is set before there is a name, so that at no moment anybody else
 * may connect; the umask can only take more away. */
static int bind_there(int fd, const char *path,
                      const struct sockaddr_un *address,
                      struct provider_admin *admin)
{
    struct stat made;

    if (fchmod(fd, S_IRUSR | S_IWUSR) != 0 ||
        bind(fd, (const struct sockaddr *)address, sizeof(*address)) != 0)
        return errno;
    if (listen(fd, BACKLOG) != 0 || lstat(path, &made) != 0)
        return errno;
    admin->device = made.st_dev;
    admin->inode = made.st_ino;
    return 0;
}

int provider_open_admin(const char *path, struct provider_admin *admin_out,
                        char why[PROVIDER_WHY_MAX])
{
    struct sockaddr_un address;
    int error, fd;

    admin_out->fd = -1;
    if (!fill_address(path, &address))
        return tell(ENAMETOOLONG, path, strerror(ENAMETOOLONG), why);
    error = make_way(path, &address, why);
    if (error != 0)
        return error;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return tell(errno, path, strerror(errno), why);
    error = bind_there(fd, path, &address, admin_out);
    if (error != 0) {
        close(fd);
        return tell(error, path, strerror(error), why);
    }
    admin_out->fd = fd;
    return 0;
}

void provider_know_admin(const char *path, struct provider_admin *admin)
{
    struct stat found;

    if (lstat(path, &found) != 0 || !S_ISSOCK(found.st_mode))
        return;
    admin->device = found.st_dev;
    admin->inode = found.st_ino;
}

void provider_close_admin(const char *path, struct provider_admin *admin)
{
    struct stat found;

    if (admin->fd >= 0)
        close(admin->fd);
    admin->fd = -1;
    if (admin->inode != 0 && lstat(path, &found) == 0 &&
        found.st_dev == admin->device && found.st_ino == admin->inode)
        (void)unlink(path);
    admin->inode = 0;
}
