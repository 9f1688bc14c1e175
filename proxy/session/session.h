/* One client connection, from accept to its last byte: handshake, dialogue
 * before login, attempts to log in, splice, end. Belongs to its worker. */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "config/mem.h"
#include "config/settings.h"
#include "net/address.h"
#include "session/registry.h"
#include "state/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* The BYE of a server that drains (RFC 5530, 3). */
#define SESSION_GOING_DOWN "[UNAVAILABLE] Going down, try again later."

/* The BYE of one that is closed, or whose backend is. */
#define SESSION_KICKED "[UNAVAILABLE] Try again."

/* Takes over an accepted connection. The quota must have been taken; it is
 * given back when the session is gone, or at once on failure (UV_E*). The
 * listener is lent by the snapshot, which is the worker's, or a former one
 * where the worker's has no such listener any more. */
MUST_USE int session_open(struct env *env, int fd, const struct address *peer,
                          struct snapshot *snapshot,
                          const struct listener_config *listener);

/* Ends it: before login with a BYE of this text (NULL: without), after login
 * by close_notify and FIN on both legs, never by text of ours. The reason is a
 * lasting, fixed word for the log. */
void session_end(struct session *session, const char *reason, const char *bye);

/* An idle timeout that was off is on: a spliced session starts to watch. */
void session_watch_idle(struct session *session);

/* Before session_end or session_abort: that it ends is its client's doing, so
 * that a guess under way is charged (attempt_cut_short). */
void session_cut_short(struct session *session);

/* Ends it now, without flushing. */
void session_abort(struct session *session, const char *reason);

/* The registry's nodes are sessions. */
struct session *session_of_node(struct registry_node *node);

/* Of its worker's sessions; later ones have higher numbers. */
uint64_t session_number(const struct session *session);

/* The client's TLS handshake has begun and not ended, or has not begun since a
 * balancer's header is to come first. */
bool session_is_in_handshake(const struct session *session);
/* Since its accept. */
uint64_t session_age_ms(const struct session *session);
bool session_is_before_login(const struct session *session);
/* It holds one of the places of limits.before_login. */
bool session_is_counted_before_login(const struct session *session);
/* Its client comes from a network that limits spare. */
bool session_is_exempt(const struct session *session);
bool session_is_spliced(const struct session *session);
bool session_is_ending(const struct session *session);
/* The normalised name of who has logged in or is about to; NULL: nobody. */
const char *session_user(const struct session *session);
/* It has been greeted, and nobody logs in. */
bool session_awaits_command(const struct session *session);
/* It is logging in, and the backend has seen no credentials yet. */
bool session_is_seeking(const struct session *session);
/* Of one that is ending: its backend shall hear of it now, whatever is still to
 * be flushed. */
void session_cut_backend(struct session *session);
/* Where it is spliced to or logs in; NULL: nowhere. */
const struct backend *session_backend(const struct session *session);
/* How long a spliced one has moved no byte. */
uint64_t session_quiet_ms(const struct session *session);
/* Whether it is spliced and has moved no byte for so long that its end disturbs
 * nobody at work: such sessions go first. */
bool session_is_quiet(const struct session *session);

#endif
