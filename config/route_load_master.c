/* The "master" of backends and pools, and the "probe" of backends. */
#include "config/route_load.h"

#include "config/json_read.h"
#include "config/network.h"

/* A user and the file of the user's secret. */
static void read_login(const struct json_place *place, const char *whose,
                       char **user_out, char **secret_file_out)
{
    struct json_members members;
    struct json_place name;
    const char *user;

    if (!json_read_open(&members, place))
        return;
    json_read_required_path(&members, "secret",
                            "the path of a file that holds the secret",
                            secret_file_out);
    if (json_read_require(&members, "user", whose, &name) &&
        json_read_text(&name, IDENTITY_MAX, &user))
        *user_out = mem_strdup(user);
    json_read_close(&members);
}

void route_load_master(struct json_members *members,
                       struct master_config *master)
{
    struct json_place place;

    if (json_read_get(members, "master", &place))
        read_login(&place, "the name of the master user", &master->user,
                   &master->secret_file);
}

void route_load_probe(struct json_members *members, struct probe_config *probe)
{
    struct json_place place;

    if (json_read_get(members, "probe", &place))
        read_login(&place, "the name of a user who may log in", &probe->user,
                   &probe->secret_file);
}

/* One secret opens every mailbox, so what is let pass with one user's password
 * is not let pass with it. */
const char *route_load_master_danger(const struct backend_config *backend)
{
    if (backend->host == NULL)
        return NULL; /* somebody told already */
    /* Where clear is allowed anywhere, no dial asks whether "localhost" still
     * is what it says. */
    if (backend->tls == BACKEND_TLS_NONE &&
        (backend->allow_cleartext || !network_host_is_loopback(backend->host)))
        return "a backend without TLS";
    if (backend->tls != BACKEND_TLS_NONE && !backend->verify)
        return "a backend that is not verified";
    return NULL;
}
