/* $.admin: where and by whom the server is administered. */
#include "config/settings_sections.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/json_read.h"

enum {
    SOCKET_PATH_MAX = 107, /* sun_path of a Unix socket, without its NUL */
    HOSTS_MAX = 16,
    HOST_MAX = 253 /* a name of DNS, as text */
};

static void read_socket(struct json_members *members,
                        struct settings *settings);
static void read_state(const struct json_place *place,
                       struct json_members *members, struct settings *settings);
static void read_token(struct json_members *members, struct settings *settings);
static void read_hosts(const struct json_place *list,
                       struct settings *settings);

void settings_read_admin(const struct json_place *place,
                         struct settings *settings)
{
    struct json_members members;
    struct json_place member;

    if (!json_read_open(&members, place))
        return;
    read_socket(&members, settings);
    if (json_read_get(&members, "listen", &member))
        settings->admin_listen = settings_read_plain_listener(&member);
    if (json_read_get(&members, "hosts", &member))
        read_hosts(&member, settings);
    read_token(&members, settings);
    read_state(place, &members, settings);
    json_read_close(&members);
}

static void read_socket(struct json_members *members, struct settings *settings)
{
    struct json_place socket;

    if (json_read_require(members, "socket", "the path of a Unix socket",
                          &socket) &&
        json_read_path(&socket, &settings->admin_socket) &&
        strlen(settings->admin_socket) > SOCKET_PATH_MAX)
        json_place_fault(&socket, settings->admin_socket,
                         "a path of at most 107 bytes");
}

/* The file beside that of this path; NULL for none. */
static char *beside(const char *path, const char *suffix)
{
    size_t size;
    char *joined;

    if (path == NULL)
        return NULL;
    size = strlen(path) + strlen(suffix) + 1;
    joined = mem_alloc(size);
    snprintf(joined, size, "%s%s", path, suffix);
    return joined;
}

/* A service manager clears a service's folder there when it stops, and so does
 * a machine. */
static bool is_forgotten(const char *path)
{
    return strncmp(path, "/run/", strlen("/run/")) == 0 ||
           strncmp(path, "/var/run/", strlen("/var/run/")) == 0;
}

/* In the folder that a service manager keeps for us, the first of those that
 * systemd names (StateDirectory=); NULL where there is none. */
static char *in_state_directory(const char *name)
{
    const char *folders = getenv("STATE_DIRECTORY");
    char *first, *path;

    if (folders == NULL || folders[0] != '/')
        return NULL;
    first = mem_strndup(folders, strcspn(folders, ":"));
    path = beside(first, name);
    free(first);
    return path;
}

static void warn_of_forgetting(const struct json_place *place)
{
    struct json_place state = json_place_member(place, "state", NULL);

    json_place_warning(&state,
                       "nothing, which is beside the socket and "
                       "gone with a stop",
                       "a path that stays, such as "
                       "/var/lib/gatepost/state.json, or systemd's "
                       "StateDirectory=");
}

static void read_state(const struct json_place *place,
                       struct json_members *members, struct settings *settings)
{
    char *kept;

    json_read_optional_path(members, "state", &settings->admin_state);
    if (settings->admin_state != NULL)
        return;
    settings->admin_state = beside(settings->admin_socket, ".state");
    if (settings->admin_state == NULL || !is_forgotten(settings->admin_state))
        return;
    kept = in_state_directory("/state.json");
    if (kept == NULL) {
        warn_of_forgetting(place);
        return;
    }
    settings->admin_state_former = settings->admin_state;
    settings->admin_state = kept;
}

static void read_token(struct json_members *members, struct settings *settings)
{
    struct json_place token;

    if (!json_read_get(members, "token", &token) ||
        !json_read_path(&token, &settings->admin_token))
        return;
    if (settings->admin_listen == NULL)
        json_place_fault(&token, "a token of those who come by TCP",
                         "\"listen\" beside it, or no token");
}

static bool is_host(const char *text)
{
    return strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_.") == strlen(text);
}

static void read_hosts(const struct json_place *list, struct settings *settings)
{
    size_t count;

    if (!json_read_list(list, 0, HOSTS_MAX, &count))
        return;
    settings->admin_hosts =
        mem_realloc_array(NULL, count, sizeof(*settings->admin_hosts));
    for (size_t i = 0; i < count; i++) {
        struct json_place item = json_place_item(list, i);
        const char *host;

        if (!json_read_text(&item, HOST_MAX, &host))
            continue;
        if (is_host(host))
            settings->admin_hosts[settings->admin_host_count++] =
                mem_strdup(host);
        else
            json_place_fault(&item, NULL, "the name of a host, without a port");
    }
}
