/* A kick as a control message, so that it means the sessions of another process
 * too. */
#ifndef PROXY_CONTROL_KICK_H
#define PROXY_CONTROL_KICK_H

#include "backend/backend.h"
#include "config/mem.h"
#include "control_link.h"
#include "session/kick.h"

void control_kick_send(struct control_link *link, const struct kick *kick);

/* For kick_free. NULL: it means nobody. */
MUST_USE struct kick *control_kick_read(const struct control_message *message,
                                        struct backend_registry *registry);

#endif
