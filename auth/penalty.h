/* How long one who keeps failing to log in has to wait: what is remembered of
 * one address, or of one user. Pure: the time is passed in, in milliseconds of
 * any clock that never goes back. All zero is one who has never failed. */
#ifndef AUTH_PENALTY_H
#define AUTH_PENALTY_H

#include <stdbool.h>
#include <stdint.h>

/* 2, 4, 8, then 15 seconds; one failure is forgiven per minute. */
enum {
    PENALTY_DELAY_MAX_MS = 15000,
    PENALTY_FORGIVEN_AFTER_MS = 60000,
    PENALTY_FAILURES_MAX = 8, /* more are not remembered */
    PENALTY_SECRETS = 4
};

/* It is not this one's turn within the delay that is allowed. */
#define PENALTY_NEVER UINT64_MAX

struct penalty {
    uint64_t since_ms;                 /* failures has been as it is */
    uint64_t turn_ms;                  /* of whoever took the last turn */
    uint32_t secrets[PENALTY_SECRETS]; /* hashes of wrong ones; 0: none */
    uint8_t failures;
    uint8_t next_secret;
};

/* Failures that are not forgiven yet. */
unsigned penalty_failures(const struct penalty *penalty, uint64_t now_ms);

/* The delay after so many failures, max_ms at most. */
uint64_t penalty_delay_ms(unsigned failures, uint64_t max_ms);

/* When the next turn is, if the last one is or was at last_ms and the delay
 * after so many failures parts them; PENALTY_NEVER when that is more than
 * max_ms from now. */
uint64_t penalty_next_turn(uint64_t last_ms, unsigned failures, uint64_t max_ms,
                           uint64_t now_ms);

/* Takes the next turn, with the delay that will be due if the `ahead` attempts
 * that are not answered yet fail too. Returns its moment, or PENALTY_NEVER with
 * no turn taken. Without failures there are no turns: now_ms. */
uint64_t penalty_take_turn(struct penalty *penalty, unsigned ahead,
                           uint64_t max_ms, uint64_t now_ms);

/* Counts a failure, unless it was with one of the last wrong secrets: an
 * owner's forgotten phone guesses nothing. secret is a hash by a key that no
 * stranger knows; 0: it cannot be compared, and always counts. Returns whether
 * it counted. */
bool penalty_fail(struct penalty *penalty, uint32_t secret, uint64_t now_ms);

/* Whether there is nothing to be remembered of this one. */
bool penalty_is_blank(const struct penalty *penalty, uint64_t now_ms);

#endif
