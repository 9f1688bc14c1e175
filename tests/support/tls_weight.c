#include "tls_weight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <pthread.h>

enum {
    CONNECTIONS = 64,
    WARM_UP = 16 /* until the allocator's own lists are as they stay */
};

struct batch {
    tls_maker *make;
    void *owner;
    SSL **made;
    size_t count;
};

static void *make_all(void *argument)
{
    const struct batch *batch = argument;

    for (size_t i = 0; i < batch->count; i++)
        batch->made[i] = batch->make(batch->owner);
    return NULL;
}

/* On a thread of its own: malloc counts what a thread has freed into its cache
 * as in use until the thread ends. */
static void make_apart(tls_maker *make, void *owner, SSL **made, size_t count)
{
    struct batch batch = {make, owner, made, count};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, make_all, &batch), 0);
    pthread_join(thread, NULL);
    for (size_t i = 0; i < count; i++)
        assert_non_null(made[i]);
}

size_t tls_weight(tls_maker *make, void *owner)
{
    SSL *made[CONNECTIONS];
    size_t before, bytes;

    make_apart(make, owner, made, WARM_UP);
    before = mallinfo2().uordblks;
    make_apart(make, owner, made + WARM_UP, CONNECTIONS - WARM_UP);
    bytes = (mallinfo2().uordblks - before) / (CONNECTIONS - WARM_UP);
    for (size_t i = 0; i < CONNECTIONS; i++)
        SSL_free(made[i]);
    return bytes;
}
