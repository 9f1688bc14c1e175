#include "session/tls_hooks.h"

#include "net/io.h"
#include "net/tls.h"

#include <stdio.h>
#include <string.h>

/* Appends one offered name, as much of it as fits. */
static size_t append_name(char *text, size_t at, size_t size,
                          const uint8_t *name, size_t len)
{
    char parting = at == 0 ? ' ' : ',';
    size_t i;

    if (at + 1 < size)
        text[at++] = parting;
    for (i = 0; i < len && at + 1 < size; i++)
        text[at++] = (char)(name[i] >= 0x20 && name[i] < 0x7f ? name[i] : '?');
    text[at] = '\0';
    return at;
}

void tls_hooks_alpn_refused(SSL *ssl, const uint8_t *offered, size_t len)
{
    struct io *io = tls_context_of(ssl);
    char names[64] = "";
    char text[TLS_FAILURE_MAX];
    size_t at = 0;

    counters_alpn_refused(io->counters, offered, len);
    while (len > 0 && (size_t)offered[0] + 1 <= len) {
        at = append_name(names, at, sizeof(names), offered + 1, offered[0]);
        len -= (size_t)offered[0] + 1;
        offered += (size_t)offered[0] + 1;
    }
    snprintf(text, sizeof(text), "ALPN without imap, offered:%s", names);
    tls_note_failure(ssl, text);
}

void tls_hooks_verify_failed(SSL *ssl, const char *why)
{
    tls_note_failure(ssl, why);
}
