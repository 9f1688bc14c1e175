/* Whether who keeps failing has to wait, and what an attempt tells of its
 * credentials. */
#include "base/clock.h"
#include "session/attempt_private.h"

#include <string.h>

static bool is_scram(const struct attempt *attempt)
{
    return (attempt->request.sasl & (SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_256)) !=
           0;
}

static const uint8_t *find_master(const struct attempt *attempt)
{
    const struct credentials *credentials = attempt->request.credentials;
    char separator =
        attempt->snapshot->settings->auth.identity.master_separator;

    return separator == '\0'
               ? NULL
               : memchr(credentials->user, separator, credentials->user_len);
}

bool attempt_is_by_the_user(const struct attempt *attempt)
{
    const struct credentials *credentials = attempt->request.credentials;

    return credentials->kind != CREDENTIALS_PASSWORD ||
           (credentials->authzid_len == 0 && find_master(attempt) == NULL);
}

/* Who acts for another by a name of their own, in whatever way they write it:
 * another way must not be another account to guess at. A master's name, which a
 * backend looks up elsewhere, keeps its separator. False: no user's name. */
static bool name_prover(const struct attempt *attempt, struct identity *out)
{
    const struct credentials *credentials = attempt->request.credentials;

    return find_master(attempt) == NULL &&
           identity_normalise(&attempt->snapshot->settings->auth.identity,
                              credentials->user, credentials->user_len,
                              out) == IDENTITY_OK;
}

/* No user's name is longer than is kept: that such names share their delay
 * harms nobody. */
static void copy_prover(const struct attempt *attempt, struct identity *out)
{
    const struct credentials *credentials = attempt->request.credentials;
    const uint8_t *master = find_master(attempt);
    size_t from = master == NULL ? 0 : (size_t)(master - credentials->user);

    out->user_len = credentials->user_len - from;
    if (out->user_len > IDENTITY_MAX)
        out->user_len = IDENTITY_MAX;
    memcpy(out->user, credentials->user + from, out->user_len);
    identity_lower(out->user, out->user_len);
}

/* Whose password it is that may be guessed: not always the user's whom it is
 * to open (RFC 4616, 2, and the master separator). Else guesses at one who may
 * act for all would be spread over the names of all. */
static struct imap_span prover_of(const struct attempt *attempt,
                                  struct identity *other)
{
    const struct identity *prover = other;

    if (attempt_is_by_the_user(attempt))
        prover = &attempt->identity;
    else if (!name_prover(attempt, other))
        copy_prover(attempt, other);
    return (struct imap_span){(const uint8_t *)prover->user, prover->user_len};
}

/* SCRAM's message is another one each time, whatever the password. */
static struct penalties_attempt describe_try(const struct attempt *attempt,
                                             struct imap_span prover)
{
    const struct credentials *credentials = attempt->request.credentials;

    return (struct penalties_attempt){
        .peer = attempt->request.peer,
        .user = prover.bytes,
        .user_len = prover.len,
        .secret = is_scram(attempt) ? NULL : credentials->secret,
        .secret_len = is_scram(attempt) ? 0 : credentials->secret_len,
    };
}

static void wait_for_leave(struct attempt *attempt, uint64_t wait_ms,
                           bool is_first)
{
    if (is_first)
        counters_add(attempt->env->counters, COUNTER_LOGINS_DELAYED, 1);
    attempt->stage = ATTEMPT_WAIT;
    io_arm(&attempt->env->io, &attempt->timer, wait_ms);
}

/* Who has shown a certificate guesses nothing. */
enum penalties_answer attempt_ask_leave(struct attempt *attempt)
{
    struct identity other;
    const struct penalties_attempt try =
        describe_try(attempt, prover_of(attempt, &other));
    bool is_first = attempt->claim.stage == PENALTY_NEW;
    enum penalties_answer answer;
    uint64_t wait_ms;

    if (attempt->request.credentials->kind == CREDENTIALS_CERTIFICATE)
        return PENALTIES_GO;
    answer = penalties_ask(attempt->env->penalties, attempt->snapshot->settings,
                           &try, clock_now_ms(), &attempt->claim, &wait_ms);
    if (answer == PENALTIES_WAIT)
        wait_for_leave(attempt, wait_ms, is_first);
    return answer;
}

bool attempt_is_judged(const struct attempt *attempt)
{
    return attempt->claim.stage == PENALTY_GONE &&
           (attempt->stage == ATTEMPT_HOLD ||
            (attempt->login != NULL && !attempt->awaits_client &&
             attempt->pass.place != GATE_QUEUED));
}

/* A challenge to a token says what is wrong with it, and SCRAM's second one
 * whether the proof was good: whoever leaves then has learnt it. */
static bool has_learnt_enough(const struct attempt *attempt)
{
    return attempt->challenges >= (is_scram(attempt) ? 2 : 1);
}

/* Ended by us, at its deadline or to make room, before the backend could be
 * expected to have judged: its guess is charged, or else there would be a
 * moment to guess in for free. */
static bool was_cut_short(const struct attempt *attempt)
{
    return attempt->is_cut_short && !attempt->has_verdict &&
           attempt_is_judged(attempt) &&
           clock_now_ms() - attempt->sent_ms < ATTEMPT_VERDICT_MS;
}

void attempt_cut_short(struct attempt *attempt)
{
    attempt->is_cut_short = true;
}

enum penalties_outcome attempt_penalty_verdict(const struct attempt *attempt)
{
    bool is_answered = attempt->has_verdict &&
                       attempt->outcome.answer != LOGIN_ANSWER_UNAVAILABLE;

    if (attempt->is_proven)
        return PENALTIES_OK;
    if (!is_answered)
        return has_learnt_enough(attempt) || was_cut_short(attempt)
                   ? PENALTIES_FAILED
                   : PENALTIES_OTHER;
    switch (attempt->outcome.answer) {
    case LOGIN_ANSWER_BAD_CREDENTIALS:
    case LOGIN_ANSWER_UNCODED:
        return PENALTIES_FAILED;
    case LOGIN_ANSWER_LIMIT:
    case LOGIN_ANSWER_UNAVAILABLE:
    case LOGIN_ANSWER_CODED:
    case LOGIN_ANSWER_AUTHORIZATION:
        break;
    }
    return PENALTIES_OTHER;
}
