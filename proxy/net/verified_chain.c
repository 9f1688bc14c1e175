#include "net/verified_chain.h"

#include <openssl/pool.h>
#include <string.h>

void verified_chain_init(struct verified_chain *verified)
{
    memset(verified, 0, sizeof(*verified));
    pthread_mutex_init(&verified->lock, NULL);
}

static void free_chain(STACK_OF(CRYPTO_BUFFER) * chain)
{
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
}

void verified_chain_deinit(struct verified_chain *verified)
{
    free_chain(verified->certificates);
    pthread_mutex_destroy(&verified->lock);
    memset(verified, 0, sizeof(*verified));
}

static STACK_OF(CRYPTO_BUFFER) *
    copy_chain(const STACK_OF(CRYPTO_BUFFER) * chain)
{
    STACK_OF(CRYPTO_BUFFER) *copy = sk_CRYPTO_BUFFER_new_null();

    if (copy == NULL)
        mem_exhausted();
    for (size_t i = 0; i < sk_CRYPTO_BUFFER_num(chain); i++) {
        CRYPTO_BUFFER *certificate = sk_CRYPTO_BUFFER_value(chain, i);

        CRYPTO_BUFFER_up_ref(certificate);
        if (!sk_CRYPTO_BUFFER_push(copy, certificate))
            mem_exhausted();
    }
    return copy;
}

void verified_chain_keep(struct verified_chain *verified,
                         const STACK_OF(CRYPTO_BUFFER) * chain,
                         const struct certificate_span *span)
{
    STACK_OF(CRYPTO_BUFFER) *copy = copy_chain(chain);
    STACK_OF(CRYPTO_BUFFER) * former;

    pthread_mutex_lock(&verified->lock);
    former = verified->certificates;
    verified->certificates = copy;
    verified->span = *span;
    pthread_mutex_unlock(&verified->lock);
    free_chain(former);
}

/* Mostly one buffer, since the pool keeps a single copy of equal ones. */
static bool buffers_are_equal(const CRYPTO_BUFFER *one,
                              const CRYPTO_BUFFER *other)
{
    return one == other ||
           (CRYPTO_BUFFER_len(one) == CRYPTO_BUFFER_len(other) &&
            memcmp(CRYPTO_BUFFER_data(one), CRYPTO_BUFFER_data(other),
                   CRYPTO_BUFFER_len(one)) == 0);
}

static bool chains_are_equal(const STACK_OF(CRYPTO_BUFFER) * one,
                             const STACK_OF(CRYPTO_BUFFER) * other)
{
    size_t count = sk_CRYPTO_BUFFER_num(one);

    if (sk_CRYPTO_BUFFER_num(other) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!buffers_are_equal(sk_CRYPTO_BUFFER_value(one, i),
                               sk_CRYPTO_BUFFER_value(other, i)))
            return false;
    }
    return true;
}

bool verified_chain_has(struct verified_chain *verified,
                        const STACK_OF(CRYPTO_BUFFER) * chain, int64_t now)
{
    bool is_known;

    pthread_mutex_lock(&verified->lock);
    is_known = verified->certificates != NULL && now >= verified->span.begins &&
               now < verified->span.ends &&
               chains_are_equal(verified->certificates, chain);
    pthread_mutex_unlock(&verified->lock);
    return is_known;
}
