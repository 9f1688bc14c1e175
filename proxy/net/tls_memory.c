#include "net/tls_memory.h"

#include "config/mem.h"

#include <malloc.h>
#include <openssl/mem.h>
#include <stddef.h>
#include <stdlib.h>

/* BoringSSL looks for these three by weak symbols; no header declares them. */
void *OPENSSL_memory_alloc(size_t size);
void OPENSSL_memory_free(void *block);
size_t OPENSSL_memory_get_size(void *block);

void tls_memory_link(void)
{
}

void *OPENSSL_memory_alloc(size_t size)
{
    return mem_alloc(size);
}

/* BoringSSL wipes whatever it frees, and leaves that to its hook. */
void OPENSSL_memory_free(void *block)
{
    OPENSSL_cleanse(block, malloc_usable_size(block));
    free(block);
}

size_t OPENSSL_memory_get_size(void *block)
{
    return malloc_usable_size(block);
}
