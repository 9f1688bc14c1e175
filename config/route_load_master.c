/* The "master" of backends and pools. */
#include "config/route_load.h"

#include "config/json_read.h"
#include "config/network.h"

void route_load_master(struct json_members *members,
                       struct master_config *master)
{
    struct json_members inner;
    struct json_place place;
    const char *user;

    if (!json_read_get(members, "master", &place) ||
        !json_read_open(&inner, &place))
        return;
    json_read_required_path(&inner, "secret",
                            "the path of a file that holds the secret",
                            &master->secret_file);
    if (json_read_require(&inner, "user", "the name of the master user",
                          &place) &&
        json_read_text(&place, IDENTITY_MAX, &user))
        master->user = mem_strdup(user);
    json_read_close(&inner);
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
