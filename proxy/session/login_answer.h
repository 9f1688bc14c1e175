/* How a login that did not succeed is answered to the client. */
#ifndef SESSION_LOGIN_ANSWER_H
#define SESSION_LOGIN_ANSWER_H

enum login_answer {
    /* Fixed "[AUTHENTICATIONFAILED]" text: unknown user, wrong password and
     * every uncoded refusal look the same. Counts as a try. */
    LOGIN_ANSWER_BAD_CREDENTIALS,
    /* Fixed "[UNAVAILABLE]" text: no backend, or our own fault. Not a try. */
    LOGIN_ANSWER_UNAVAILABLE,
    /* The backend's own code and text. Counts as a try, unless the code is
     * UNAVAILABLE. */
    LOGIN_ANSWER_CODED,
    /* Fixed "[LIMIT]" text: too many sessions. Not a try. */
    LOGIN_ANSWER_LIMIT,
    /* Fixed "[AUTHORIZATIONFAILED]" text: somebody, but not allowed to act as
     * the one asked for. Counts as a try. */
    LOGIN_ANSWER_AUTHORIZATION,
    /* The backend's own text, which had no code. Counts as a try. */
    LOGIN_ANSWER_UNCODED
};

#endif
