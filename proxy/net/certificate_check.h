/* Whether a certificate chain leads to who is trusted, and proves a server's
 * name: RFC 5280's path by BoringSSL's X509, the name by RFC 9525 here. Subject
 * alternative names only; the common name is never read. Everything fails
 * closed. */
#ifndef NET_CERTIFICATE_CHECK_H
#define NET_CERTIFICATE_CHECK_H

#include "config/mem.h"
#include "net/pem.h"

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A name that a certificate must prove: a host name in lower case without a
 * trailing dot, or an IP address. */
enum {
    SERVER_NAME_MAX = 253
};

enum server_name_kind {
    SERVER_NAME_HOST,
    SERVER_NAME_IP
};

struct server_name {
    enum server_name_kind kind;
    char text[SERVER_NAME_MAX + 1]; /* what is sent as SNI, if HOST */
    uint8_t address[16];            /* if IP: 4 or 16 bytes */
    size_t address_len;
};

/* Host names are letters, digits, hyphens and underscores in labels of 1 to
 * 63; the last label is no number. A trailing dot is dropped. false if text is
 * neither a host name nor an IP literal. */
MUST_USE bool server_name_parse(const char *text, size_t len,
                                struct server_name *out);

/* Whether the dNSName of a certificate covers the host, which is in lower
 * case: equal but for case, or "*." in place of the host's first label, with
 * two labels at least behind it (RFC 9525, 6.3). */
MUST_USE bool certificate_pattern_covers(const uint8_t *pattern, size_t len,
                                         const char *host);

/* Whether any subject alternative name of the certificate covers the name. */
MUST_USE bool certificate_covers(const X509 *certificate,
                                 const struct server_name *name);

/* Calls back with each dNSName of the certificate that could cover a host, in
 * lower case; malformed ones are left out. Returns how many. */
typedef void certificate_name_handler(const char *name, void *owner);
size_t certificate_each_name(const X509 *certificate,
                             certificate_name_handler *handler, void *owner);

/* The certificates that a chain may end in; immutable, counted, shared by all
 * who trust the same file and by all threads. */
struct trust_anchors;

/* Reads every certificate of a PEM file: authorities, of whatever rank, and
 * self-signed ones. Any other, and one that BoringSSL cannot read, is left out
 * with a warning, since bundles hold old ones; NULL and an error if none is
 * left. */
MUST_USE struct trust_anchors *trust_anchors_new(const struct pem_file *file,
                                                 struct reasons *reasons);
struct trust_anchors *trust_anchors_ref(struct trust_anchors *anchors);
void trust_anchors_unref(struct trust_anchors **anchors);
/* Whether they were made of equal bytes. */
MUST_USE bool trust_anchors_match(const struct trust_anchors *anchors,
                                  const struct pem_file *file);

/* Calls back with the subject of each, in DER. */
typedef void trust_subject_handler(const uint8_t *der, size_t len, void *owner);
void trust_anchors_each_subject(const struct trust_anchors *anchors,
                                trust_subject_handler *handler, void *owner);

enum {
    CERTIFICATE_WHY_MAX = 128
};

/* The time in which every certificate of a path is valid, in seconds since the
 * epoch: begins <= now < ends. */
struct certificate_span {
    int64_t begins;
    int64_t ends;
};

/* Whether the chain, leaf first as the peer sent it, leads to an anchor, is
 * valid now, is meant for TLS servers and proves the name. If not, why gets
 * the reason in words, without a byte of the peer's. now is seconds since the
 * epoch; 0 means the system's time. span_out, which may be NULL, is set where
 * the chain is good: nothing but time can make it bad, so that it stays good
 * within the span. */
MUST_USE bool certificate_check(const struct trust_anchors *anchors,
                                const STACK_OF(CRYPTO_BUFFER) * chain,
                                const struct server_name *name, int64_t now,
                                struct certificate_span *span_out,
                                char why[CERTIFICATE_WHY_MAX]);

/* The same for a chain that a client sent, which must be good for TLS clients
 * (where it has an extended key usage) and proves no name here. error_out gets
 * the reason as an X509_V_ERR, by which SSL_alert_from_verify_result finds the
 * alert. */
MUST_USE bool certificate_check_client(const struct trust_anchors *anchors,
                                       const STACK_OF(CRYPTO_BUFFER) * chain,
                                       int64_t now, int *error_out,
                                       char why[CERTIFICATE_WHY_MAX]);

#endif
