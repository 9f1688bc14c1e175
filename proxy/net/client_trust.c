#include "net/client_trust.h"

#include <openssl/pool.h>
#include <stdlib.h>

enum {
    /* What clients' own authorities need many times over; a bundle of all the
     * world's would fill each handshake. */
    NAMES_LEN_MAX = 8192,
    NAME_HEADER = 2, /* its length, on the wire */
    LIST_HEADER = 16
};

struct client_trust {
    struct trust_anchors *anchors;
    STACK_OF(CRYPTO_BUFFER) * names; /* of the authorities, in DER */
    size_t names_len;
};

static STACK_OF(CRYPTO_BUFFER) * new_names(void)
{
    STACK_OF(CRYPTO_BUFFER) *names = sk_CRYPTO_BUFFER_new_null();

    if (names == NULL)
        mem_exhausted();
    return names;
}

static void free_names(STACK_OF(CRYPTO_BUFFER) * names)
{
    sk_CRYPTO_BUFFER_pop_free(names, CRYPTO_BUFFER_free);
}

static void add_name(const uint8_t *der, size_t len, void *owner)
{
    struct client_trust *trust = owner;
    CRYPTO_BUFFER *name = CRYPTO_BUFFER_new(der, len, NULL);

    if (name == NULL || !sk_CRYPTO_BUFFER_push(trust->names, name))
        mem_exhausted();
    trust->names_len += NAME_HEADER + len;
}

/* To name none is to name them all (RFC 5246, 7.4.4). */
static void drop_names(struct client_trust *trust, const struct pem_file *file,
                       struct reasons *reasons)
{
    free_names(trust->names);
    trust->names = new_names();
    trust->names_len = 0;
    reasons_add(reasons, REASON_WARNING, file->name, NULL,
                "so many authorities that clients are told of none",
                "the authorities of clients only");
}

struct client_trust *client_trust_new(const struct pem_file *file,
                                      struct reasons *reasons)
{
    struct client_trust *trust = mem_zalloc(sizeof(*trust));

    trust->names = new_names();
    trust->anchors = trust_anchors_new(file, reasons);
    if (trust->anchors == NULL) {
        client_trust_free(&trust);
        return NULL;
    }
    trust_anchors_each_subject(trust->anchors, add_name, trust);
    if (trust->names_len > NAMES_LEN_MAX)
        drop_names(trust, file, reasons);
    return trust;
}

void client_trust_free(struct client_trust **trust)
{
    struct client_trust *mine = *trust;

    *trust = NULL;
    if (mine == NULL)
        return;
    trust_anchors_unref(&mine->anchors);
    free_names(mine->names);
    free(mine);
}

void client_trust_announce(const struct client_trust *trust, SSL_CTX *ctx)
{
    STACK_OF(CRYPTO_BUFFER) *names = new_names();

    for (size_t i = 0; i < sk_CRYPTO_BUFFER_num(trust->names); i++) {
        CRYPTO_BUFFER *name = sk_CRYPTO_BUFFER_value(trust->names, i);

        CRYPTO_BUFFER_up_ref(name);
        if (!sk_CRYPTO_BUFFER_push(names, name))
            mem_exhausted();
    }
    SSL_CTX_set0_client_CAs(ctx, names);
}

size_t client_trust_announced_len(const struct client_trust *trust)
{
    return LIST_HEADER + trust->names_len;
}

bool client_trust_believes(const struct client_trust *trust, const SSL *ssl,
                           uint8_t *alert_out, char why[CERTIFICATE_WHY_MAX])
{
    int error;

    if (certificate_check_client(
            trust->anchors, SSL_get0_peer_certificates(ssl), 0, &error, why))
        return true;
    *alert_out = (uint8_t)SSL_alert_from_verify_result(error);
    return false;
}
