#include "net/resumption.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

struct resumption {
    pthread_mutex_t lock; /* for all below */
    bool has_ended;
    size_t count;
    SSL_SESSION *sessions[RESUMPTION_SESSIONS_MAX]; /* oldest first */
};

/* Where an SSL_CTX holds its struct resumption. */
static int ctx_index;
static pthread_once_t ctx_index_once = PTHREAD_ONCE_INIT;

static void free_with_ctx(void *parent, void *pointer, CRYPTO_EX_DATA *data,
                          int index, long number, void *argument);
static int keep_session(SSL *ssl, SSL_SESSION *session);

static void make_index(void)
{
    ctx_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_with_ctx);
    if (ctx_index < 0)
        mem_exhausted();
}

struct resumption *resumption_attach(SSL_CTX *ctx)
{
    struct resumption *resumption = mem_zalloc(sizeof(*resumption));

    pthread_once(&ctx_index_once, make_index);
    pthread_mutex_init(&resumption->lock, NULL);
    if (!SSL_CTX_set_ex_data(ctx, ctx_index, resumption))
        mem_exhausted();
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
    return resumption;
}

static void drop_all(struct resumption *resumption)
{
    while (resumption->count > 0)
        SSL_SESSION_free(resumption->sessions[--resumption->count]);
}

static void drop_oldest(struct resumption *resumption)
{
    SSL_SESSION_free(resumption->sessions[0]);
    resumption->count--;
    for (size_t i = 0; i < resumption->count; i++)
        resumption->sessions[i] = resumption->sessions[i + 1];
}

static void put(struct resumption *resumption, SSL_SESSION *session)
{
    if (!SSL_SESSION_should_be_single_use(session))
        drop_all(resumption); /* one that is good for any number of dials */
    else if (resumption->count == RESUMPTION_SESSIONS_MAX)
        drop_oldest(resumption);
    resumption->sessions[resumption->count++] = session;
}

/* BoringSSL's SSL_CTX_sess_set_new_cb: 1 takes the session. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
    struct resumption *resumption =
        SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), ctx_index);
    const uint8_t *ticket;
    size_t len;
    bool is_kept;

    SSL_SESSION_get0_ticket(session, &ticket, &len);
    if (len > RESUMPTION_TICKET_MAX)
        return 0;
    pthread_mutex_lock(&resumption->lock);
    is_kept = !resumption->has_ended;
    if (is_kept)
        put(resumption, session);
    pthread_mutex_unlock(&resumption->lock);
    return is_kept ? 1 : 0;
}

SSL_SESSION *resumption_take(struct resumption *resumption)
{
    SSL_SESSION *session = NULL;

    pthread_mutex_lock(&resumption->lock);
    if (resumption->count > 0) {
        session = resumption->sessions[resumption->count - 1];
        if (SSL_SESSION_should_be_single_use(session))
            resumption->count--;
        else
            SSL_SESSION_up_ref(session);
    }
    pthread_mutex_unlock(&resumption->lock);
    return session;
}

void resumption_give_back(struct resumption *resumption, SSL_SESSION *session)
{
    pthread_mutex_lock(&resumption->lock);
    if (!resumption->has_ended && SSL_SESSION_should_be_single_use(session)) {
        SSL_SESSION_up_ref(session);
        put(resumption, session);
    }
    pthread_mutex_unlock(&resumption->lock);
}

void resumption_forget(struct resumption *resumption)
{
    pthread_mutex_lock(&resumption->lock);
    drop_all(resumption);
    pthread_mutex_unlock(&resumption->lock);
}

void resumption_end(struct resumption *resumption)
{
    pthread_mutex_lock(&resumption->lock);
    resumption->has_ended = true;
    drop_all(resumption);
    pthread_mutex_unlock(&resumption->lock);
}

size_t resumption_count(struct resumption *resumption)
{
    size_t count;

    pthread_mutex_lock(&resumption->lock);
    count = resumption->count;
    pthread_mutex_unlock(&resumption->lock);
    return count;
}

/* A CRYPTO_EX_free: the last connection of the context is gone. */
static void free_with_ctx(void *parent, void *pointer, CRYPTO_EX_DATA *data,
                          int index, long number, void *argument)
{
    struct resumption *resumption = pointer;

    (void)parent;
    (void)data;
    (void)index;
    (void)number;
    (void)argument;
    if (resumption == NULL)
        return;
    drop_all(resumption);
    pthread_mutex_destroy(&resumption->lock);
    free(resumption);
}
