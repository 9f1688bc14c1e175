#include "session/session_log.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void session_facts_deinit(struct session_facts *facts)
{
    free(facts->names);
    facts->names = NULL;
}

/* One allocation for both, since every idle session keeps them. */
static void set_names(struct session_facts *facts, const char *sni,
                      const char *user, size_t user_len)
{
    size_t sni_len = strlen(sni);
    char *names = mem_alloc(sni_len + user_len + 2);

    memcpy(names, sni, sni_len + 1);
    memcpy(names + sni_len + 1, user, user_len);
    names[sni_len + 1 + user_len] = '\0';
    free(facts->names);
    facts->names = names;
    facts->user_at = (uint16_t)(sni_len + 1);
}

void session_facts_take_tls(struct session_facts *facts, const SSL *ssl)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

    facts->tls_version = (uint16_t)SSL_version(ssl);
    facts->tls_cipher =
        cipher == NULL ? 0 : (uint16_t)SSL_CIPHER_get_protocol_id(cipher);
    if (sni != NULL)
        set_names(facts, sni, "", 0);
}

void session_facts_name_user(struct session_facts *facts,
                             const struct identity *identity)
{
    set_names(facts, facts->names == NULL ? "" : facts->names, identity->user,
              identity->user_len);
}

const char *session_facts_user(const struct session_facts *facts)
{
    return facts->names == NULL ? NULL : facts->names + facts->user_at;
}

void session_facts_id(const struct session_facts *facts,
                      char out[SESSION_ID_MAX])
{
    snprintf(out, SESSION_ID_MAX, "%u-%llu", (unsigned)facts->worker,
             (unsigned long long)facts->number);
}

static const char *version_name(uint16_t version)
{
    return version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2";
}

static void log_facts(struct log_entry *entry,
                      const struct session_facts *facts)
{
    char id[SESSION_ID_MAX];
    char peer[ADDRESS_TEXT_MAX];

    session_facts_id(facts, id);
    address_format(&facts->peer, peer, sizeof(peer));
    log_text(entry, "id", id);
    log_text(entry, "peer", peer);
    if (facts->tls_version != 0) {
        const SSL_CIPHER *cipher = SSL_get_cipher_by_value(facts->tls_cipher);

        log_text(entry, "tls", version_name(facts->tls_version));
        if (cipher != NULL)
            log_text(entry, "cipher", SSL_CIPHER_standard_name(cipher));
    }
    if (facts->names == NULL)
        return;
    if (facts->names[0] != '\0')
        log_text(entry, "sni", facts->names);
    if (session_facts_user(facts)[0] != '\0')
        log_text(entry, "user", session_facts_user(facts));
}

void session_log_login(const struct session_facts *facts,
                       const struct backend *backend, const char *mechanism)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "login");
    if (!entry.is_on)
        return;
    log_facts(&entry, facts);
    log_text(&entry, "mechanism", mechanism);
    log_text(&entry, "backend", backend_name(backend));
    log_u64(&entry, "login_ms", clock_now_ms() - facts->started_ms);
    log_end(&entry);
}

void session_log_end(const struct session_facts *facts,
                     const struct session_end *end)
{
    struct log_entry entry;

    log_begin(&entry,
              facts->is_probe && end->backend == NULL ? LOG_DEBUG : LOG_INFO,
              "session-end");
    if (!entry.is_on)
        return;
    log_facts(&entry, facts);
    if (end->backend != NULL)
        log_text(&entry, "backend", backend_name(end->backend));
    log_u64(&entry, "to_client", end->to_client);
    log_u64(&entry, "to_backend", end->to_backend);
    log_u64(&entry, "duration_ms", clock_now_ms() - facts->started_ms);
    log_text(&entry, "reason", end->reason);
    if (end->detail != NULL)
        log_text(&entry, "detail", end->detail);
    log_end(&entry);
}
