/* The list of the ID command by which a backend is told who the client is
 * (RFC 2971): the words that Dovecot and its kin know. */
#ifndef SESSION_CLIENT_WORDS_H
#define SESSION_CLIENT_WORDS_H

#include "config/mem.h"
#include "config/route_table.h"
#include "net/proxy_header.h"
#include "session/login.h"

#include <stddef.h>
#include <stdint.h>

/* How often a session may be passed on from one proxy to the next; who is sent
 * one is the last to take it. */
enum {
    CLIENT_WORDS_TTL = 5
};

/* Room for our six pairs and for what a client may add. */
enum {
    CLIENT_WORDS_MAX = 512 + LOGIN_ID_TEXT_MAX
};

struct client_words {
    size_t len;
    uint8_t text[CLIENT_WORDS_MAX];
};

/* What is told of one client. */
struct client_facts {
    const struct proxy_client *addresses;
    const char *session;              /* the session's id */
    const struct login_id *client_id; /* its own pairs */
    unsigned proxy_ttl;               /* as it came by ID */
};

/* Whether who came with this may be passed on once more. */
MUST_USE bool client_words_may_pass(unsigned proxy_ttl);

/* Composes "(...)", with the client's own pairs where the backend is to have
 * them; empty for a backend that is told nothing by ID. */
void client_words_compose(struct client_words *words,
                          const struct backend_config *backend,
                          const struct client_facts *facts);

#endif
