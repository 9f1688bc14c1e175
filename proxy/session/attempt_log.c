/* What the log says of attempts. */
#include "session/attempt_private.h"

void attempt_begin_log(const struct attempt *attempt, struct log_entry *entry,
                       enum log_level level, const char *event)
{
    log_begin(entry, level, event);
    log_text(entry, "id", attempt->request.session);
    log_str(entry, "user", (const uint8_t *)attempt->identity.user,
            attempt->identity.user_len);
    if (attempt->target != NULL)
        log_text(entry, "backend", attempt->target->config->name);
}

void attempt_log_failure(const struct attempt *attempt, enum log_level level,
                         const char *reason, const char *detail,
                         const struct upstream_refusal *refusal)
{
    struct log_entry entry;
    char peer[ADDRESS_TEXT_MAX];

    attempt_begin_log(attempt, &entry, level, "login-failed");
    address_format(attempt->request.peer, peer, sizeof(peer));
    log_text(&entry, "peer", peer);
    log_text(&entry, "mechanism", attempt->request.mechanism);
    log_text(&entry, "reason", reason);
    if (detail != NULL)
        log_text(&entry, "detail", detail);
    if (refusal != NULL && refusal->original_len > 0)
        log_str(&entry, "answer", refusal->original, refusal->original_len);
    log_end(&entry);
}

void attempt_log_route(const struct attempt *attempt)
{
    static const char *const kinds[] = {
        [ROUTE_USER] = "user",
        [ROUTE_DOMAIN] = "domain",
        [ROUTE_WILDCARD] = "wildcard",
        [ROUTE_DEFAULT] = "default",
    };
    struct log_entry entry;

    attempt_begin_log(attempt, &entry, LOG_DEBUG, "route");
    log_text(&entry, "rule", kinds[attempt->route.kind]);
    log_text(&entry, "key", attempt->route.key);
    log_text(&entry, "pool", attempt->route.pool->name);
    log_end(&entry);
}

void attempt_log_dial_failed(const struct attempt *attempt,
                             const struct link *link)
{
    struct log_entry entry;

    attempt_begin_log(attempt, &entry, LOG_WARN, "dial-failed");
    log_text(&entry, "reason", link_failure(link));
    log_end(&entry);
}
