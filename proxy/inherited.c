#include "inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where the service manager's begin (sd_listen_fds(3)). */
enum {
    FIRST_FD = 3
};

enum {
    FDS_MAX = 4096,
    NAME_SHOWN_MAX = 64,
    NAME_SIZE = NAME_SHOWN_MAX + 40
};

static const char *const variables[] = {"LISTEN_FDS", "LISTEN_PID",
                                        "LISTEN_PIDFDID", "LISTEN_FDNAMES"};

static bool take_descriptors(const char *count_text, struct inherited *out,
                             char why[INHERITED_WHY_MAX]);
static const char *fault_of(int fd);
static bool place_of(int fd, struct address *out);
static void name_of(const struct inherited *inherited, size_t index,
                    char out[NAME_SIZE]);

/* Of an environment that nobody vouches for. */
static bool read_number(const char *text, unsigned long max,
                        unsigned long *number_out)
{
    char *end;

    if (text == NULL || text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    *number_out = strtoul(text, &end, 10);
    return errno == 0 && *end == '\0' && *number_out <= max;
}

bool inherited_from_environment(struct inherited *inherited_out,
                                char why[INHERITED_WHY_MAX])
{
    const char *count_text = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    unsigned long pid;
    bool is_good = true;

    *inherited_out = (struct inherited){.count = 0};
    if (count_text != NULL &&
        read_number(getenv("LISTEN_PID"), INT32_MAX, &pid) &&
        pid == (unsigned long)getpid()) {
        inherited_out->are_kept = true;
        inherited_out->names = names == NULL ? NULL : mem_strdup(names);
        is_good = take_descriptors(count_text, inherited_out, why);
    }
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
        unsetenv(variables[i]);
    return is_good;
}

void inherited_add(struct inherited *inherited, int fd)
{
    inherited->fds = mem_realloc_array(inherited->fds, inherited->count + 1,
                                       sizeof(*inherited->fds));
    inherited->fds[inherited->count++] = fd;
}

int inherited_take(struct inherited *inherited, const struct address *address)
{
    for (size_t i = 0; i < inherited->count; i++) {
        int fd = inherited->fds[i];
        struct address place;

        if (fd >= 0 && fault_of(fd) == NULL && place_of(fd, &place) &&
            place.port == address->port && address_same_host(&place, address)) {
            inherited->fds[i] = -1;
            return fd;
        }
    }
    return -1;
}

static bool is_any(const struct address *address)
{
    static const uint8_t any[sizeof(address->ip)];

    return memcmp(address->ip, any, sizeof(any)) == 0;
}

bool inherited_takes_ipv4(int fd)
{
    int is_ipv6_only = 1;
    socklen_t len = sizeof(is_ipv6_only);
    struct address place;

    return place_of(fd, &place) && place.is_ipv6 && is_any(&place) &&
           getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &is_ipv6_only, &len) ==
               0 &&
           is_ipv6_only == 0;
}

bool inherited_overlaps(const struct inherited *inherited,
                        const struct address *address)
{
    struct address place;

    for (size_t i = 0; i < inherited->count; i++) {
        if (inherited->fds[i] >= 0 && place_of(inherited->fds[i], &place) &&
            place.port == address->port && place.is_ipv6 == address->is_ipv6 &&
            is_any(&place) != is_any(address))
            return true;
    }
    return false;
}

bool inherited_is_empty(const struct inherited *inherited,
                        char why[INHERITED_WHY_MAX])
{
    char name[NAME_SIZE], where[ADDRESS_TEXT_MAX];
    struct address place;

    for (size_t i = 0; i < inherited->count; i++) {
        if (inherited->fds[i] < 0)
            continue;
        (void)place_of(inherited->fds[i], &place);
        address_format(&place, where, sizeof(where));
        name_of(inherited, i, name);
        snprintf(why, INHERITED_WHY_MAX,
                 "%s listens on %s, which is no address of listeners", name,
                 where);
        return false;
    }
    return true;
}

void inherited_deinit(struct inherited *inherited)
{
    for (size_t i = 0; i < inherited->count; i++) {
        if (inherited->fds[i] >= 0)
            close(inherited->fds[i]);
    }
    free(inherited->fds);
    free(inherited->names);
    *inherited = (struct inherited){.count = 0};
}

/* What is wrong with a descriptor that should be a listening socket. */
static const char *fault_of(int fd)
{
    int family = 0, protocol = 0, is_listening = 0;
    socklen_t len = sizeof(int);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) != 0)
        return errno == EBADF ? "is not open" : "is no socket";
    if (family != AF_INET && family != AF_INET6)
        return "is a socket of neither IPv4 nor IPv6";
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len) != 0 ||
        protocol != IPPROTO_TCP)
        return "is no socket of TCP";
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &len) != 0 ||
        is_listening == 0)
        return "does not listen (Accept=no is needed)";
    return NULL;
}

static bool place_of(int fd, struct address *out)
{
    struct sockaddr_storage name;
    socklen_t len = sizeof(name);

    *out = (struct address){.port = 0};
    return getsockname(fd, (struct sockaddr *)&name, &len) == 0 &&
           address_from_sockaddr((const struct sockaddr *)&name, out);
}

/* "descriptor 4 (imaps)"; the index counts from the first, which the service
 * manager's begin with. */
static void name_of(const struct inherited *inherited, size_t index,
                    char out[NAME_SIZE])
{
    const char *name = inherited->names;
    int len;

    for (size_t i = 0; name != NULL && i < index; i++) {
        name = strchr(name, ':');
        name = name == NULL ? NULL : name + 1;
    }
    len = name == NULL ? 0 : (int)strcspn(name, ":");
    if (len > NAME_SHOWN_MAX)
        len = NAME_SHOWN_MAX;
    if (len > 0)
        snprintf(out, NAME_SIZE, "descriptor %zu (%.*s)", FIRST_FD + index, len,
                 name);
    else
        snprintf(out, NAME_SIZE, "descriptor %zu", FIRST_FD + index);
}

/* Closed on exec from now on, like all of ours. */
static bool take_descriptors(const char *count_text, struct inherited *out,
                             char why[INHERITED_WHY_MAX])
{
    unsigned long count;

    if (!read_number(count_text, FDS_MAX, &count)) {
        snprintf(why, INHERITED_WHY_MAX,
                 "LISTEN_FDS is \"%.32s\", not a number of at most %d",
                 count_text, FDS_MAX);
        return false;
    }
    for (int fd = FIRST_FD; fd < FIRST_FD + (int)count; fd++) {
        const char *fault = fault_of(fd);

        if (fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
            inherited_add(out, fd);
        if (fault != NULL) {
            char name[NAME_SIZE];

            name_of(out, (size_t)(fd - FIRST_FD), name);
            snprintf(why, INHERITED_WHY_MAX,
                     "%s of LISTEN_FDS=%lu %s; listening sockets of TCP are "
                     "expected",
                     name, count, fault);
            return false;
        }
    }
    return true;
}
