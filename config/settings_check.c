/* What one section of gatepost.json asks of another. */
#include "config/settings_sections.h"

#include "config/json_read.h"

static bool asks_anywhere(const struct settings *settings);
static bool names_ca(struct json_members *root);
static void check_external(struct json_members *root,
                           const struct settings *settings);
static void check_listeners(struct json_members *root,
                            const struct settings *settings);
static void warn_of_unused(struct json_members *root,
                           const struct settings *settings);

void settings_check_sections(struct json_members *root,
                             const struct settings *settings)
{
    check_external(root, settings);
    check_listeners(root, settings);
    warn_of_unused(root, settings);
}

static bool asks_anywhere(const struct settings *settings)
{
    for (size_t i = 0; i < settings->listener_count; i++) {
        if (settings->listeners[i].client_certificates)
            return true;
    }
    return false;
}

/* Where it is wrong somebody told already. */
static bool names_ca(struct json_members *root)
{
    struct json_place tls;

    return json_read_get(root, "tls", &tls) &&
           json_object_get(tls.value, "client_certificates") != NULL;
}

/* A login by EXTERNAL is one by a certificate that was verified. */
static void check_external(struct json_members *root,
                           const struct settings *settings)
{
    struct json_place auth;
    struct json_place list;

    if ((settings->auth.mechanisms & AUTH_MECHANISM_EXTERNAL) == 0 ||
        !json_read_get(root, "auth", &auth))
        return;
    list = json_place_member(&auth, "mechanisms",
                             json_object_get(auth.value, "mechanisms"));
    if (!names_ca(root))
        json_place_fault(&list, "EXTERNAL without a CA of clients",
                         "$.tls.client_certificates, or no EXTERNAL");
    if (!asks_anywhere(settings))
        json_place_fault(&list,
                         "EXTERNAL without a listener that asks for "
                         "certificates",
                         "a listener with \"client_certificates\": true, or "
                         "no EXTERNAL");
}

static void check_listeners(struct json_members *root,
                            const struct settings *settings)
{
    struct json_place list;

    if (names_ca(root) || !json_read_get(root, "listeners", &list))
        return;
    for (size_t i = 0; i < settings->listener_count; i++) {
        struct json_place listener = json_place_item(&list, i);
        struct json_place flag = json_place_member(
            &listener, "client_certificates",
            json_object_get(listener.value, "client_certificates"));

        if (settings->listeners[i].client_certificates)
            json_place_fault(&flag, NULL,
                             "false, or $.tls.client_certificates with the CA "
                             "to verify them by");
    }
}

static void warn_of_unused(struct json_members *root,
                           const struct settings *settings)
{
    struct json_place tls;
    struct json_place member;

    if (settings->tls.client_ca == NULL || !json_read_get(root, "tls", &tls))
        return;
    member =
        json_place_member(&tls, "client_certificates",
                          json_object_get(tls.value, "client_certificates"));
    if (!asks_anywhere(settings))
        json_place_warning(&member, "a CA that no listener uses",
                           "a listener with \"client_certificates\": true");
    else if ((settings->auth.mechanisms & AUTH_MECHANISM_EXTERNAL) == 0)
        json_place_warning(&member, "certificates that no login uses",
                           "EXTERNAL in $.auth.mechanisms");
}
