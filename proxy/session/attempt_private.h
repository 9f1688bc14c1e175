/* What the files of an attempt share: attempt.c (its stages), attempt_penalty.c
 * (whether it has to wait), attempt_route.c (who the client is and where the
 * table sends it), attempt_seek.c (the way to a stream there), attempt_home.c
 * (where the user is already), attempt_login.c (the login at the backend),
 * attempt_verdict.c (what follows from its answer), attempt_recheck.c (whether
 * the user is still sent there) and attempt_log.c. Private to session/. */
#ifndef SESSION_ATTEMPT_PRIVATE_H
#define SESSION_ATTEMPT_PRIVATE_H

#include "backend/gate.h"
#include "backend/link.h"
#include "backend/pick.h"
#include "base/log.h"
#include "imap/span.h"
#include "session/attempt.h"
#include "session/upstream_login.h"
#include "state/penalties.h"

/* What the timer is for. */
enum attempt_stage {
    ATTEMPT_WAIT, /* for leave to ask: the client keeps failing */
    ATTEMPT_ASK,  /* a backend is on its way or asked */
    ATTEMPT_MOVE, /* waits for other sessions of the user to go */
    ATTEMPT_HOLD  /* the answer is known and held back */
};

struct attempt {
    struct env *env;
    struct attempt_request request;
    attempt_handler *handler;
    void *owner;
    struct snapshot *snapshot;
    struct attempt_outcome outcome;
    enum attempt_stage stage;
    struct wheel_timer timer;
    struct penalty_claim claim;
    uint64_t asked_ms; /* when leave was given */
    uint64_t sent_ms;  /* when the client's last words went to the backend */
    bool is_cut_short; /* see attempt_cut_short */
    bool has_verdict;  /* the outcome is known */
    bool is_proven;    /* the backend has said OK, whatever came after */
    unsigned challenges;
    bool awaits_client;      /* its answer to the last of them */
    struct imap_span answer; /* which waits for a place; lent */

    struct identity identity; /* without a name for a token without one */
    struct route route;
    char login_as[IDENTITY_MAX + 1];
    struct user_lookup *lookup; /* while it is under way */
    struct pick pick;
    const struct link_target *target;
    struct home_claim home;
    bool is_at_home; /* the target is where the user was before */
    const struct backend_config
        *wanted; /* ATTEMPT_MOVE: where to, since when */
    uint64_t move_until_ms;
    bool has_kicked;
    bool proves_first; /* logs in before the others have gone: who is it? */
    bool is_astray;    /* the home has moved since this one set out */
    struct proxy_client client; /* who it is to the backend, if told */

    struct gate_pass pass; /* a place among those who log in there */
    struct link *link;     /* while it is under way */
    struct stream *upstream;
    struct imap_capabilities capabilities; /* what it announced */
    struct backend *backend;               /* counted as a session there */
    struct upstream_login *login;
};

/* attempt_penalty.c. PENALTIES_WAIT: the timer will ask again. */
MUST_USE enum penalties_answer attempt_ask_leave(struct attempt *attempt);
/* What it tells of the credentials, at its end. */
MUST_USE enum penalties_outcome
attempt_penalty_verdict(const struct attempt *attempt);
/* Whether the password is the user's own, rather than of somebody who asks to
 * act for the user. */
bool attempt_is_by_the_user(const struct attempt *attempt);

/* attempt_route.c. Each: false when the attempt is over, its answer set. */
MUST_USE bool attempt_name_user(struct attempt *attempt);
MUST_USE bool attempt_find_route(struct attempt *attempt);
/* For who was found in the database of users, whose route is set. */
MUST_USE bool attempt_take_route(struct attempt *attempt);

/* attempt_recheck.c. Whether the worker's snapshot, where a reload has brought
 * another one meanwhile, still sends the user to where the login was: else a
 * user could be let in at a place that was just left. */
MUST_USE bool attempt_route_holds(const struct attempt *attempt);

/* attempt_seek.c. Goes to the next candidate; why is the reason when none is
 * left. False: the attempt is over. */
MUST_USE bool attempt_seek(struct attempt *attempt, const char *why);
/* Likewise when the user's other sessions may have gone. */
MUST_USE bool attempt_seek_on(struct attempt *attempt);
/* Asks for a place among those who log in at the target; who waits for it goes
 * on by itself. */
MUST_USE enum gate_answer attempt_enter_gate(struct attempt *attempt);

/* attempt_home.c. Sets the target: wanted, or where the user is already. */
enum home_answer {
    HOME_THERE,
    HOME_WAIT, /* the timer will ask attempt_move_on */
    HOME_NONE  /* the user can go nowhere */
};
MUST_USE enum home_answer attempt_go_home(struct attempt *attempt,
                                          const struct backend_config *wanted);
MUST_USE enum home_answer attempt_move_on(struct attempt *attempt);
/* Before credentials go. False: the user's other logins have gone elsewhere
 * meanwhile, and attempt_go_home will follow them. */
MUST_USE bool attempt_arrive(struct attempt *attempt);

/* A backend has let in who was to prove the password first: the others are
 * closed, and the home moves there. HOME_NONE: the user is elsewhere by now. */
MUST_USE enum home_answer attempt_move_in(struct attempt *attempt);

/* attempt_login.c. From here on credentials are on their way: nobody else is
 * tried (design.md, section 2, Failover). False: the attempt is over. */
MUST_USE bool attempt_start_login(struct attempt *attempt);
void attempt_login_timeout(struct attempt *attempt);
/* A client's answer has waited for its place among those who log in, and has it
 * or not. False: the attempt is over. */
MUST_USE bool attempt_resume_login(struct attempt *attempt, bool is_in);
/* Gives up what it holds of the backend, but for the user's home. */
void attempt_leave_backend(struct attempt *attempt);
/* Ends the login, and what it holds of the backend. */
void attempt_drop_login(struct attempt *attempt);

/* attempt_verdict.c. The backend has said OK, and the rest came behind it.
 * False: it goes on by itself. */
MUST_USE bool attempt_succeed(struct attempt *attempt, const uint8_t *rest,
                              size_t len);
/* The backend, or our config, has said no. */
void attempt_take_refusal(struct attempt *attempt);
/* After that. False: the answer is to be told at once. */
MUST_USE bool attempt_hold_to_tick(struct attempt *attempt);
/* Ends the login without a verdict of the backend's; detail may be NULL. */
void attempt_break_off(struct attempt *attempt, const char *reason,
                       const char *detail);
/* After attempt_move_in, when the others have gone, or not. */
void attempt_finish_login(struct attempt *attempt, enum home_answer answer);

/* attempt.c. Holds an answer back that a wrong password gets; false for any
 * other, which is to be told at once. */
MUST_USE bool attempt_hold_back(struct attempt *attempt, uint64_t delay_ms);

/* Tells the owner, who may free the attempt. */
void attempt_finish(struct attempt *attempt);

/* Sets the answer of an attempt that no backend has refused, and logs why. */
void attempt_refuse(struct attempt *attempt, enum login_answer answer,
                    enum counter counter, const char *reason);
/* Likewise, for want of a backend. Always false: the attempt is over. */
bool attempt_refuse_unavailable(struct attempt *attempt, const char *why);

/* attempt_log.c. */
void attempt_begin_log(const struct attempt *attempt, struct log_entry *entry,
                       enum log_level level, const char *event);
void attempt_log_route(const struct attempt *attempt);
void attempt_log_dial_failed(const struct attempt *attempt,
                             const struct link *link);
/* detail is in our words, the refusal in the backend's: either may be NULL. */
void attempt_log_failure(const struct attempt *attempt, enum log_level level,
                         const char *reason, const char *detail,
                         const struct upstream_refusal *refusal);

#endif
