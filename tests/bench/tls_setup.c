#include "tls_setup.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

static const char tls12_cipher[] = "ECDHE-ECDSA-AES128-GCM-SHA256";
static const char tls13_cipher[] = "TLS_AES_128_GCM_SHA256";

static enum ssl_verify_result_t accept_any(SSL *ssl, uint8_t *alert_out);

SSL_CTX *tls_client_context(uint16_t version_max)
{
    SSL_CTX *context = SSL_CTX_new(TLS_with_buffers_method());

    if (context == NULL ||
        !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) ||
        !SSL_CTX_set_max_proto_version(context, version_max) ||
        !SSL_CTX_set_strict_cipher_list(context, tls12_cipher) ||
        !SSL_CTX_set1_curves_list(context, "X25519:P-256"))
        abort();
    SSL_CTX_set_custom_verify(context, SSL_VERIFY_PEER, accept_any);
    return context;
}

SSL_CTX *tls_server_context(const char *chain_file, const char *key_file)
{
    SSL_CTX *context = SSL_CTX_new(TLS_method());

    if (context == NULL ||
        !SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION))
        abort();
    if (!SSL_CTX_use_certificate_chain_file(context, chain_file) ||
        !SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM))
        SSL_CTX_free(context), context = NULL;
    return context;
}

const char *tls_policy_fault(const SSL *ssl, bool any_group)
{
    const char *name = tls_cipher_name(ssl);

    if (strcmp(name, tls12_cipher) != 0 && strcmp(name, tls13_cipher) != 0)
        return name;
    if (any_group || SSL_get_curve_id(ssl) == SSL_CURVE_X25519)
        return NULL;
    return "another group";
}

const char *tls_cipher_name(const SSL *ssl)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);

    return SSL_version(ssl) >= TLS1_3_VERSION ? SSL_CIPHER_standard_name(cipher)
                                              : SSL_CIPHER_get_name(cipher);
}

const char *tls_error_text(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_error());

    ERR_clear_error();
    return text != NULL ? text : "TLS failed";
}

static enum ssl_verify_result_t accept_any(SSL *ssl, uint8_t *alert_out)
{
    (void)ssl;
    (void)alert_out;
    return ssl_verify_ok;
}
