/* A backend's certificate is read before the backend is trusted. The input is
 * a name, a NUL, and a certificate in DER. */
#include "net/certificate_check.h"

#include <assert.h>
#include <openssl/mem.h>
#include <openssl/pool.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* What is listed as a name is one, and is covered by its own certificate. */
static void check_listed(const char *name, void *owner)
{
    const X509 *certificate = owner;
    const char *host = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    struct server_name parsed;

    assert(server_name_parse(host, strlen(host), &parsed));
    assert(parsed.kind == SERVER_NAME_HOST);
    assert(strcmp(parsed.text, host) == 0);
    assert(host != name || certificate_covers(certificate, &parsed));
}

/* Whether the certificate covers the name; none covers nothing. */
static bool check_names(CRYPTO_BUFFER *der, const struct server_name *name)
{
    X509 *certificate = X509_parse_from_buffer(der);
    bool is_covered;

    if (certificate == NULL)
        return false;
    certificate_each_name(certificate, check_listed, certificate);
    is_covered = certificate_covers(certificate, name);
    X509_free(certificate);
    return is_covered;
}

/* Signed some files of the corpus, so that the way to a yes is walked too. */
static const uint8_t anchor_pem[] =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBJjCBzaADAgECAgID6DAKBggqhkjOPQQDAjARMQ8wDQYDVQQDDAZhbmNob3Iw\n"
    "IBcNMjYxMTIxMDAxMDM1WhgPMjA1NDA0MDkwMDEwMzVaMBExDzANBgNVBAMMBmFu\n"
    "Y2hvcjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGQxuuNzHjuHloek/o1D2y1Q\n"
    "SNFBkbLrzh2FXYA7DT8URhE9Hq6k1a8loAPQYDsXjjdQWYi38h6rNgaTWCa781aj\n"
    "EzARMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgc2N/exF705Dz\n"
    "bjhkE2DutpC8beWVKGkTuO3Pacow9pQCIQDQ+vg5x33RaMCHZZFAxju01YhTxiju\n"
    "BLeyB2iAOAn2Tg==\n"
    "-----END CERTIFICATE-----\n";

/* 2030: the corpus is valid then. */
enum {
    NOW_S = 1893456000
};

static struct trust_anchors *anchors;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct pem_file file = {"anchor", anchor_pem, sizeof(anchor_pem) - 1};
    struct reasons *reasons = reasons_new();

    (void)argc;
    (void)argv;
    anchors = trust_anchors_new(&file, reasons);
    assert(anchors != NULL);
    reasons_free(&reasons);
    return 0;
}

static void check_path(CRYPTO_BUFFER *der, const struct server_name *name,
                       bool is_covered)
{
    STACK_OF(CRYPTO_BUFFER) *chain = sk_CRYPTO_BUFFER_new_null();
    char why[CERTIFICATE_WHY_MAX];

    CRYPTO_BUFFER_up_ref(der);
    if (!sk_CRYPTO_BUFFER_push(chain, der))
        mem_exhausted();
    if (certificate_check(anchors, chain, name, NOW_S, NULL, why))
        assert(is_covered);
    else
        assert(why[0] != '\0' && memchr(why, '\0', sizeof(why)) != NULL);
    sk_CRYPTO_BUFFER_pop_free(chain, CRYPTO_BUFFER_free);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const uint8_t *end = memchr(bytes, '\0', len);
    struct server_name name;
    CRYPTO_BUFFER *der;
    size_t name_len;

    if (end == NULL)
        return 0;
    name_len = (size_t)(end - bytes);
    if (!server_name_parse((const char *)bytes, name_len, &name))
        return 0;
    der = CRYPTO_BUFFER_new(end + 1, len - name_len - 1, NULL);
    check_path(der, &name, check_names(der, &name));
    CRYPTO_BUFFER_free(der);
    return 0;
}
