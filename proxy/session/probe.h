/* One probe of a backend: a link, which asks for the capabilities too, the
 * login of the backend's probe user if it has one, and LOGOUT. Backends that
 * expect the PROXY protocol are told that nobody is behind it (LOCAL).
 *
 * Nothing of it is a session or a login of anybody's: no limit, penalty or
 * counter of logins knows of it. */
#ifndef SESSION_PROBE_H
#define SESSION_PROBE_H

#include "backend/health.h"

/* What health_new takes; their owner is the worker's env, whose snapshot is
 * the one that the targets are of. */
const struct health_verbs *probe_verbs(void);

#endif
