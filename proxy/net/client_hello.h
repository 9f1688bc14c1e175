/* What a ClientHello lets its sender verify, asked before a certificate is
 * chosen: BoringSSL of API 17 holds one certificate per connection. */
#ifndef NET_CLIENT_HELLO_H
#define NET_CLIENT_HELLO_H

#include "config/mem.h"

#include <openssl/ssl.h>
#include <stdbool.h>

enum key_kind {
    KEY_RSA,
    KEY_ECDSA_P256,
    KEY_ECDSA_P384,
    KEY_ECDSA_P521,
    KEY_ED25519
};

/* The kind of a key that pem_read_key accepts. */
MUST_USE enum key_kind key_kind_of(const EVP_PKEY *key);

/* Whether the client can verify a signature of such a key in the version of
 * TLS that will be spoken: signature_algorithms in 1.3 (RFC 8446, 4.2.3); in
 * 1.2 also the group of an EC key and a suite that both sides know (RFC 8422,
 * 4; RFC 5246, 7.4.1.4.1). Only inside the select-certificate callback. */
MUST_USE bool client_hello_verifies(const SSL_CLIENT_HELLO *hello,
                                    enum key_kind kind);

#endif
