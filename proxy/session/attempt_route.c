/* Who a client says it is, and where the table sends it. */
#include "session/attempt_private.h"

#include <string.h>

static bool refuse_name(struct attempt *attempt, const char *reason)
{
    attempt_refuse(attempt, LOGIN_ANSWER_BAD_CREDENTIALS, COUNTER_LOGINS_FAILED,
                   reason);
    return false;
}

static const struct identity_rules *rules_of(const struct attempt *attempt)
{
    return &attempt->snapshot->settings->auth.identity;
}

static bool normalise(struct attempt *attempt, const uint8_t *name, size_t len)
{
    return identity_normalise(rules_of(attempt), name, len,
                              &attempt->identity) == IDENTITY_OK ||
           refuse_name(attempt, "bad-name");
}

/* Who a certificate names may act as himself alone. A master's name has no
 * place in it: the part that would be cut off is sent on too. */
static bool name_by_certificate(struct attempt *attempt)
{
    const struct credentials *credentials = attempt->request.credentials;
    char separator = rules_of(attempt)->master_separator;
    struct identity wanted;

    if (separator != '\0' &&
        memchr(credentials->user, separator, credentials->user_len) != NULL)
        return refuse_name(attempt, "bad-name");
    if (!normalise(attempt, credentials->user, credentials->user_len))
        return false;
    if (credentials->authzid_len == 0)
        return true;
    if (identity_normalise(rules_of(attempt), credentials->authzid,
                           credentials->authzid_len, &wanted) == IDENTITY_OK &&
        wanted.user_len == attempt->identity.user_len &&
        memcmp(wanted.user, attempt->identity.user, wanted.user_len) == 0)
        return true;
    attempt_refuse(attempt, LOGIN_ANSWER_AUTHORIZATION, COUNTER_LOGINS_FAILED,
                   "not-the-certificate's-user");
    return false;
}

/* Who the client wants to be decides the route; with PLAIN that may be
 * another than who proves it (RFC 4616, 2). A token may name nobody. */
bool attempt_name_user(struct attempt *attempt)
{
    const struct credentials *credentials = attempt->request.credentials;

    if (credentials->kind == CREDENTIALS_CERTIFICATE)
        return name_by_certificate(attempt);
    if (credentials->authzid_len > 0)
        return normalise(attempt, credentials->authzid,
                         credentials->authzid_len);
    if (credentials->kind == CREDENTIALS_MESSAGE && credentials->user_len == 0)
        return true;
    return normalise(attempt, credentials->user, credentials->user_len);
}

/* Without a name there is nothing to hash, and no rule but the default. */
static bool find_nameless_route(struct attempt *attempt)
{
    return route_table_default(attempt->snapshot->table, &attempt->route) &&
           attempt->route.pool->balance != POOL_HASH;
}

static bool look_up(struct attempt *attempt)
{
    bool is_nameless = attempt->identity.user_len == 0;

    if (is_nameless ? find_nameless_route(attempt)
                    : snapshot_find_route(attempt->snapshot, &attempt->identity,
                                          &attempt->route))
        return true;
    /* A stranger must not learn which users have a route. */
    attempt_refuse(attempt, LOGIN_ANSWER_BAD_CREDENTIALS,
                   COUNTER_LOGINS_UNROUTED,
                   is_nameless ? "token-without-user" : "no-route");
    return false;
}

/* It is the client's name that does not fit the rule. */
static bool rename_user(struct attempt *attempt)
{
    if (attempt->route.login_as == NULL ||
        route_login_as(&attempt->route, &attempt->identity, attempt->login_as,
                       sizeof(attempt->login_as)))
        return true;
    return refuse_name(attempt, "login-as-does-not-fit");
}

bool attempt_find_route(struct attempt *attempt)
{
    return look_up(attempt) && attempt_take_route(attempt);
}

bool attempt_take_route(struct attempt *attempt)
{
    attempt_log_route(attempt);
    if (attempt->route.hold)
        return attempt_refuse_unavailable(attempt, "hold");
    return rename_user(attempt);
}
