/* What the files of penalties share: penalties.c and penalties_handover.c (what
 * is given to a successor). Private to state/. */
#ifndef STATE_PENALTIES_PRIVATE_H
#define STATE_PENALTIES_PRIVATE_H

#include "auth/penalty.h"
#include "state/bounded_table.h"
#include "state/penalties.h"

/* An address or a user. */
struct failing {
    struct bounded_table_key key;
    struct penalty penalty;
    uint16_t waiting; /* with a turn taken */
    uint16_t unanswered;
};

/* A user who has logged in from an address. Of the time of the last turn the
 * low bits are enough, since turns lie seconds ahead at most. */
struct known {
    struct bounded_table_key key;
    uint32_t seen_s;
    uint32_t turn_ms;
};

struct penalties {
    uint64_t hash_key[2];
    struct heir *heir; /* NULL: not even nobody */
    struct bounded_table *addresses;
    struct bounded_table *users;
    struct bounded_table *known;
};

/* Counts a failure, of an address or a user; nothing happens for a hash of
 * 0. */
void penalties_fail_in(struct bounded_table *table, uint64_t hash,
                       uint32_t secret, uint64_t now_ms);

#endif
