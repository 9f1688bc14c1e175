#include "net/tls_memory.h"

#include "base/slab.h"

#include <openssl/mem.h>
#include <stddef.h>

/* BoringSSL looks for these three by weak symbols; no header declares them. */
void *OPENSSL_memory_alloc(size_t size);
void OPENSSL_memory_free(void *block);
size_t OPENSSL_memory_get_size(void *block);

void tls_memory_link(void)
{
}

void *OPENSSL_memory_alloc(size_t size)
{
    return slab_alloc(size);
}

/* BoringSSL wipes whatever it frees, and leaves that to its hook. */
void OPENSSL_memory_free(void *block)
{
    OPENSSL_cleanse(block, slab_size(block));
    slab_free(block);
}

size_t OPENSSL_memory_get_size(void *block)
{
    return slab_size(block);
}
