/* Processes of an upgrade in place as far as their state goes: what each has,
 * and the link between two of them. */
#ifndef SUPPORT_HANDOVER_CASE_H
#define SUPPORT_HANDOVER_CASE_H

#include "state/handover.h"

enum {
    PROCESS_BACKENDS = 3
};

struct process {
    struct handover_parts parts;
    struct backend *backends[PROCESS_BACKENDS]; /* "b0" and so on */
    struct heritage *heritage;
};

void process_init(struct process *process);
/* Asserts that nothing is held any more. */
void process_deinit(struct process *process);

/* Two ends of a state link. */
void process_link(int ends[2]);

/* Hands over all of one to the other; asserts that it works. */
void process_upgrade(struct process *from, struct process *to);

/* Enters as this user, and asserts that the claim is one. */
struct home_claim process_enter(struct process *process, const char *user,
                                size_t backend);
/* Likewise, and arrives. */
struct home_claim process_log_in(struct process *process, const char *user,
                                 size_t backend);

/* Which of its backends; PROCESS_BACKENDS: none of them. */
size_t process_index(const struct process *process, const struct backend *at);

/* What is told takes a moment to arrive: looks until there are so many users
 * somewhere, for five seconds at most, and returns how many there are. */
size_t process_await_homes(struct process *process, size_t count);

#endif
