/* How a connection from a balancer begins: with the header of the PROXY
 * protocol, before TLS and before our greeting. Nothing is said to whoever
 * sends something else. Private to session/. */
#ifndef SESSION_PROXY_STAGE_H
#define SESSION_PROXY_STAGE_H

#include "config/mem.h"
#include "config/settings.h"
#include "imap/wiped_buffer.h"
#include "net/address.h"
#include "net/proxy_header.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* All zero at first. */
struct proxy_stage {
    struct wiped_buffer begun;  /* of a header that came in pieces */
    struct proxy_header header; /* once it is whole */
};

void proxy_stage_free(struct proxy_stage **stage);

/* Whether this listener takes connections from there. */
bool proxy_stage_trusts(const struct listener_config *listener,
                        const struct address *peer);

/* Takes bytes until the header is whole; *used_out is how many of these were
 * the header's. The words of PROXY_HEADER_BAD are in stage->header. */
MUST_USE enum proxy_header_result proxy_stage_feed(struct proxy_stage *stage,
                                                   const uint8_t *bytes,
                                                   size_t len,
                                                   size_t *used_out);

/* Lets a session that was just accepted wait for its header, or ends it if
 * whoever connected may not send one. */
void session_begin_proxy(struct session *session);

/* Takes the lent bytes of such a session, and gives back what stands behind
 * the header. */
void session_take_proxy(struct session *session);

/* Ends a session that has no header to be believed. */
void session_refuse_proxy(struct session *session, const char *reason,
                          const char *detail);

#endif
