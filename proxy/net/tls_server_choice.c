#include "net/tls_server_private.h"

#include <stdlib.h>
#include <string.h>

enum {
    PATTERN_MAX = SERVER_NAME_MAX + 2
};

static int compare_entries(const void *left, const void *right)
{
    const struct name_entry *a = left;
    const struct name_entry *b = right;
    int order = strcmp(a->name, b->name);

    if (order != 0)
        return order;
    return (a->certificate > b->certificate) -
           (a->certificate < b->certificate);
}

void tls_server_index(struct tls_server_context *context)
{
    size_t count = 0;

    for (size_t i = 0; i < context->certificate_count; i++)
        count += context->certificates[i].name_count;
    context->index = mem_realloc_array(NULL, count, sizeof(*context->index));
    for (size_t i = 0; i < context->certificate_count; i++) {
        const struct certificate *certificate = &context->certificates[i];

        for (size_t n = 0; n < certificate->name_count; n++)
            context->index[context->index_count++] =
                (struct name_entry){certificate->names[n], i};
    }
    qsort(context->index, count, sizeof(*context->index), compare_entries);
}

static size_t find_first(const struct tls_server_context *context,
                         const char *name)
{
    size_t low = 0;
    size_t high = context->index_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(context->index[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The first certificate of that name which the client can verify, RSA last
 * since signing with it costs most; NULL if there is none. fallback gets the
 * first of that name, unless it has one. */
static const struct certificate *
choose_named(const struct tls_server_context *context,
             const SSL_CLIENT_HELLO *hello, const char *name,
             const struct certificate **fallback)
{
    const struct certificate *rsa = NULL;

    for (size_t i = find_first(context, name);
         i < context->index_count && strcmp(context->index[i].name, name) == 0;
         i++) {
        const struct certificate *certificate =
            &context->certificates[context->index[i].certificate];

        if (*fallback == NULL)
            *fallback = certificate;
        if (!client_hello_verifies(hello, certificate->kind))
            continue;
        if (certificate->kind != KEY_RSA)
            return certificate;
        if (rsa == NULL)
            rsa = certificate;
    }
    return rsa;
}

/* A client that can verify none of a name's certificates gets the first, and
 * its own alert; never one of another name. */
static const struct certificate *
choose_for_host(const struct tls_server_context *context,
                const SSL_CLIENT_HELLO *hello, const char *host)
{
    const struct certificate *fallback = NULL;
    const struct certificate *chosen =
        choose_named(context, hello, host, &fallback);
    const char *rest = strchr(host, '.');
    char pattern[PATTERN_MAX + 1] = "*";

    if (chosen != NULL || rest == NULL)
        return chosen != NULL ? chosen : fallback;
    memcpy(pattern + 1, rest, strlen(rest) + 1);
    chosen = choose_named(context, hello, pattern, &fallback);
    return chosen != NULL ? chosen : fallback;
}

/* The first certificate, or one of the same name that the client can verify. */
static const struct certificate *
choose_default(const struct tls_server_context *context,
               const SSL_CLIENT_HELLO *hello)
{
    const struct certificate *first = &context->certificates[0];
    const struct certificate *fallback = first;
    const struct certificate *chosen = NULL;

    if (first->name_count > 0)
        chosen = choose_named(context, hello, first->names[0], &fallback);
    return chosen != NULL ? chosen : first;
}

static const struct certificate *
choose(const struct tls_server_context *context, const SSL_CLIENT_HELLO *hello)
{
    const char *asked =
        SSL_get_servername(hello->ssl, TLSEXT_NAMETYPE_host_name);
    const struct certificate *chosen = NULL;
    struct server_name name;

    if (asked != NULL && server_name_parse(asked, strlen(asked), &name) &&
        name.kind == SERVER_NAME_HOST)
        chosen = choose_for_host(context, hello, name.text);
    return chosen != NULL ? chosen : choose_default(context, hello);
}

enum ssl_select_cert_result_t tls_server_select(const SSL_CLIENT_HELLO *hello)
{
    SSL *ssl = hello->ssl;
    const struct tls_server_context *context =
        SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    const struct certificate *chosen = choose(context, hello);

    if (SSL_get_SSL_CTX(ssl) != chosen->ctx &&
        SSL_set_SSL_CTX(ssl, chosen->ctx) == NULL)
        return ssl_select_cert_error;
    /* A ticket resumes only under the policy and the certificate that it was
     * issued under (threats.md, B5). */
    if (!SSL_set_session_id_context(ssl, chosen->session_context,
                                    sizeof(chosen->session_context)))
        return ssl_select_cert_error;
    return ssl_select_cert_success;
}
