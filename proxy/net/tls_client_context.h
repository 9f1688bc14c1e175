/* What Gatepost is towards one backend in TLS: the name and the anchors that
 * its certificate must prove, the certificate of our own. Immutable, counted,
 * shared by all workers.
 *
 * It keeps a few sessions to resume, which by that are good for one backend,
 * name and policy only. Whose chain is not, or no longer, good is refused in a
 * resumed handshake as in a full one. No early data is ever sent. */
#ifndef NET_TLS_CLIENT_CONTEXT_H
#define NET_TLS_CLIENT_CONTEXT_H

#include "config/mem.h"
#include "config/reason.h"
#include "net/certificate_check.h"
#include "net/pem.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_client_context;

/* The backend's certificate was refused; the handshake fails. why is at most
 * CERTIFICATE_WHY_MAX bytes, printable, and gone after the call. */
typedef void tls_verify_failed(SSL *ssl, const char *why);

/* Borrowed for the call. */
struct tls_client_config {
    const char *name; /* host name (sent as SNI) or IP literal; never NULL */
    const char *file; /* where the name stands, for messages */
    const char *path; /* likewise, in JSON; may be NULL */
    struct trust_anchors *anchors; /* NULL only when verify is false */
    bool verify;
    struct pem_file certificate; /* with key, or both of length 0 */
    struct pem_file key;
    tls_verify_failed *verify_failed; /* may be NULL */
    int64_t now; /* seconds since the epoch, for warnings of expiry */
};

/* Takes a reference to the anchors. NULL and errors on failure: a name that
 * is neither host nor IP, a broken client certificate. One reference. */
MUST_USE struct tls_client_context *
tls_client_context_new(const struct tls_client_config *config,
                       struct reasons *reasons);
struct tls_client_context *
tls_client_context_ref(struct tls_client_context *context);
/* Accepts NULL inside. A connection must hold a reference until its handshake
 * is done; after that its SSL keeps alive what it needs by itself. */
void tls_client_context_unref(struct tls_client_context **context);

/* A connection in connect state with SNI set, which sheds its configuration
 * when the handshake is done; it offers to resume the newest session that is
 * kept. The caller owns it. */
MUST_USE SSL *tls_client_context_open(struct tls_client_context *context);

/* What was opened never met a peer: the session that it was to offer is kept
 * for the next. */
void tls_client_context_unused(struct tls_client_context *context,
                               const SSL *ssl);

/* A connection has failed: drops the sessions, lest a backend that stumbles
 * over what it is offered never see a handshake from scratch. */
void tls_client_context_forget(struct tls_client_context *context);

/* The name that the backend must prove, in lower case. */
const char *tls_client_context_name(const struct tls_client_context *context);

/* Whether the context was made from an equal config: name, bytes, anchors,
 * verify, hook. File names and time do not count. */
MUST_USE bool
tls_client_context_matches(const struct tls_client_context *context,
                           const struct tls_client_config *config);

#endif
