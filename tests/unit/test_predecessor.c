/* What is said to a predecessor: this test is it, and its child the successor.
 */
#include "predecessor.h"

#include "base/clock.h"
#include "control_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    PATIENCE_MS = 10 * 1000,
    NAMED_MAX = 64
};

/* Tells how long to keep sessions, then to end them. */
_Noreturn static void succeed(int control, int state)
{
    struct predecessor *predecessor;
    char why[PREDECESSOR_WHY_MAX], named[NAMED_MAX];

    snprintf(named, sizeof(named), "%d,%d", control, state);
    setenv("GATEPOST_PREDECESSOR", named, 1);
    predecessor = predecessor_open(why);
    if (predecessor == NULL || !predecessor_receive(predecessor, why))
        _exit(1);
    predecessor_upgrade_drain(predecessor, 7000);
    predecessor_drain(predecessor, 1);
    predecessor_free(&predecessor);
    _exit(0);
}

/* The next that the successor says. */
static struct control_message hear(struct control_link *link)
{
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    struct control_message message;
    int fds[CONTROL_FDS_MAX];
    const char *why = NULL;
    size_t fd_count;

    assert_true(control_link_wait(link, clock_now_ms() + PATIENCE_MS, bytes,
                                  &message, fds, &fd_count, &why));
    assert_int_equal(fd_count, 0);
    return message; /* of kinds without texts */
}

/* What one of this last kind is told when all is said. */
static struct control_message
tell(uint64_t last_kind, struct control_link *link, pid_t *successor_out)
{
    int control[2], state[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, control), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, state), 0);
    *successor_out = fork();
    assert_true(*successor_out >= 0);
    if (*successor_out == 0) {
        close(control[0]);
        close(state[0]);
        succeed(control[1], state[1]);
    }
    close(control[1]);
    close(state[0]);
    close(state[1]);
    control_link_init(link, control[0]);
    control_link_send_number(link, CONTROL_HELLO, CONTROL_VERSION);
    control_link_send_number(link, CONTROL_END, last_kind);
    assert_int_equal(hear(link).kind, CONTROL_HELLO);
    return hear(link);
}

static void end(struct control_link *link, pid_t successor)
{
    int status;

    control_link_deinit(link);
    assert_int_equal(waitpid(successor, &status, 0), successor);
    assert_int_equal(status, 0);
}

static void it_is_told_how_long_it_keeps_its_sessions(void **state)
{
    struct control_link link;
    pid_t successor;
    struct control_message told =
        tell(CONTROL_UPGRADE_DRAIN, &link, &successor);

    (void)state;
    assert_int_equal(told.kind, CONTROL_UPGRADE_DRAIN);
    assert_int_equal(told.number, 7000);
    end(&link, successor);
}

static void one_of_an_older_release_is_told_only_what_it_knows(void **state)
{
    struct control_link link;
    pid_t successor;
    struct control_message told = tell(0, &link, &successor);

    (void)state;
    assert_int_equal(told.kind, CONTROL_DRAIN);
    end(&link, successor);
}

static void one_of_a_newer_release_is_told_all_that_we_know(void **state)
{
    struct control_link link;
    pid_t successor;
    struct control_message told =
        tell(CONTROL_KIND_LAST + 9, &link, &successor);

    (void)state;
    assert_int_equal(told.kind, CONTROL_UPGRADE_DRAIN);
    end(&link, successor);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_told_how_long_it_keeps_its_sessions),
        cmocka_unit_test(one_of_an_older_release_is_told_only_what_it_knows),
        cmocka_unit_test(one_of_a_newer_release_is_told_all_that_we_know),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
