#include "control_kick.h"

#include <string.h>

enum {
    WHILE_IN_MAINTENANCE = 1,
    SPARES_SEEKERS = 2,
    PORT_SHIFT = 16
};

/* Of the log, which outlive every session. */
static const char *const reasons[] = {"kicked", "moved", "maintenance"};

void control_kick_send(struct control_link *link, const struct kick *kick)
{
    struct control_message message = {.kind = CONTROL_KICK,
                                      .number = kick->spread_ms};

    message.texts[CONTROL_KICK_USER] = kick->user;
    message.texts[CONTROL_KICK_BACKEND] = kick->backend;
    message.texts[CONTROL_KICK_REASON] = kick->reason;
    message.flags = (kick->while_in_maintenance ? WHILE_IN_MAINTENANCE : 0u) |
                    (kick->spares_seekers ? SPARES_SEEKERS : 0u);
    if (kick->at != NULL) {
        message.texts[CONTROL_KICK_AT_NAME] = backend_name(kick->at);
        message.texts[CONTROL_KICK_AT_HOST] = backend_host(kick->at);
        message.flags |= (uint32_t)backend_port(kick->at) << PORT_SHIFT;
    }
    control_link_send(link, &message, NULL, 0);
}

static const char *lasting_reason(const char *word)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (word != NULL && strcmp(word, reasons[i]) == 0)
            return reasons[i];
    }
    return reasons[0];
}

struct kick *control_kick_read(const struct control_message *message,
                               struct backend_registry *registry)
{
    const char *user = message->texts[CONTROL_KICK_USER];
    const char *backend = message->texts[CONTROL_KICK_BACKEND];
    const char *name = message->texts[CONTROL_KICK_AT_NAME];
    const char *host = message->texts[CONTROL_KICK_AT_HOST];
    size_t user_len = user == NULL ? 0 : strlen(user);
    struct kick *kick;

    if (user_len > IDENTITY_MAX || (user_len == 0 && backend == NULL))
        return NULL;
    kick = mem_zalloc(sizeof(*kick));
    if (user_len > 0)
        memcpy(kick->user, user, user_len + 1);
    kick->backend = backend == NULL ? NULL : mem_strdup(backend);
    if (name != NULL && host != NULL)
        kick->at = backend_registry_get(
            registry, name, host, (uint16_t)(message->flags >> PORT_SHIFT));
    kick->reason = lasting_reason(message->texts[CONTROL_KICK_REASON]);
    kick->spread_ms = message->number;
    kick->while_in_maintenance = (message->flags & WHILE_IN_MAINTENANCE) != 0;
    kick->spares_seekers = (message->flags & SPARES_SEEKERS) != 0;
    return kick;
}
