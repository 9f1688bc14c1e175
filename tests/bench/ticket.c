#include "ticket.h"

#include <stdlib.h>

static int take_newest(SSL *ssl, SSL_SESSION *session);
static int place_in_ssl(void);

void ticket_keep(SSL_CTX *context)
{
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT |
                                                SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, take_newest);
}

void ticket_use(struct ticket *ticket, SSL *ssl)
{
    if (!SSL_set_ex_data(ssl, place_in_ssl(), ticket))
        abort();
    if (ticket->newest != NULL && !SSL_set_session(ssl, ticket->newest))
        abort();
}

void ticket_clear(struct ticket *ticket)
{
    SSL_SESSION_free(ticket->newest);
    ticket->newest = NULL;
}

/* Returns 1 where it took the reference. */
static int take_newest(SSL *ssl, SSL_SESSION *session)
{
    struct ticket *ticket = SSL_get_ex_data(ssl, place_in_ssl());

    if (ticket == NULL)
        return 0;
    ticket_clear(ticket);
    ticket->newest = session;
    return 1;
}

static int place_in_ssl(void)
{
    static int place = -1;

    if (place < 0)
        place = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (place < 0)
        abort();
    return place;
}
