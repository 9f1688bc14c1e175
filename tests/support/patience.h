/* How long a test waits for what has to come. */
#ifndef SUPPORT_PATIENCE_H
#define SUPPORT_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* Whether somebody who has waited since then, by uv_hrtime, need wait no
 * longer: after more than any time limit of a stream, in real time. */
bool patience_is_over(uint64_t since_ns);

/* Lets the test's own turn(bench) work until the condition holds, and asserts
 * that it does. */
#define TURN_UNTIL(bench, condition)                                           \
    do {                                                                       \
        uint64_t since_ns = uv_hrtime();                                       \
        while (!(condition) && !patience_is_over(since_ns))                    \
            turn(bench);                                                       \
        assert_true(condition);                                                \
    } while (0)

#endif
