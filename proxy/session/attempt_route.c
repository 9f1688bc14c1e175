/* Who a client says it is, and where the table sends it. */
#include "session/attempt_private.h"

/* Who the client wants to be decides the route; with PLAIN that may be
 * another than who proves it (RFC 4616, 2). */
bool attempt_name_user(struct attempt *attempt)
{
    const struct credentials *credentials = attempt->request.credentials;
    bool has_authzid = credentials->authzid_len > 0;

    if (identity_normalise(
            &attempt->snapshot->settings->auth.identity,
            has_authzid ? credentials->authzid : credentials->user,
            has_authzid ? credentials->authzid_len : credentials->user_len,
            &attempt->identity) == IDENTITY_OK)
        return true;
    attempt_refuse(attempt, LOGIN_ANSWER_BAD_CREDENTIALS, COUNTER_LOGINS_FAILED,
                   "bad-name");
    return false;
}

/* It is the client's name that does not fit the rule. */
static bool rename_user(struct attempt *attempt)
{
    if (attempt->route.login_as == NULL ||
        route_login_as(&attempt->route, &attempt->identity, attempt->login_as,
                       sizeof(attempt->login_as)))
        return true;
    attempt_refuse(attempt, LOGIN_ANSWER_BAD_CREDENTIALS, COUNTER_LOGINS_FAILED,
                   "login-as-does-not-fit");
    return false;
}

bool attempt_find_route(struct attempt *attempt)
{
    if (!snapshot_find_route(attempt->snapshot, &attempt->identity,
                             &attempt->route)) {
        /* A stranger must not learn which users have a route. */
        attempt_refuse(attempt, LOGIN_ANSWER_BAD_CREDENTIALS,
                       COUNTER_LOGINS_UNROUTED, "no-route");
        return false;
    }
    attempt_log_route(attempt);
    if (attempt->route.hold) {
        attempt_refuse(attempt, LOGIN_ANSWER_UNAVAILABLE,
                       COUNTER_LOGINS_UNAVAILABLE, "hold");
        return false;
    }
    return rename_user(attempt);
}
