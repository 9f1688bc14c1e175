/* Letters to a worker, above all when it ends. */
#include "mailbox.h"
#include "state/quota.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct reader {
    uv_loop_t loop;
    struct mailbox mailbox;
    unsigned read;
    enum letter_kind kinds[8];
};

static void on_letter(const struct letter *letter, void *owner)
{
    struct reader *reader = owner;

    reader->kinds[reader->read++] = letter->kind;
}

static int begin(void **state)
{
    struct reader *reader = mem_zalloc(sizeof(*reader));

    assert_int_equal(uv_loop_init(&reader->loop), 0);
    assert_int_equal(
        mailbox_open(&reader->mailbox, &reader->loop, on_letter, reader), 0);
    *state = reader;
    return 0;
}

static void close_mailbox(struct reader *reader)
{
    mailbox_close(&reader->mailbox);
    uv_run(&reader->loop, UV_RUN_DEFAULT);
}

static int end(void **state)
{
    struct reader *reader = *state;

    mailbox_deinit(&reader->mailbox);
    assert_int_equal(uv_loop_close(&reader->loop), 0);
    free(reader);
    return 0;
}

/* Our end of a connection whose other end the letter has. */
static struct letter connection_letter(int *peer_out)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
                     0);
    *peer_out = fds[0];
    return (struct letter){.kind = LETTER_CONNECTION, .arrival.fd = fds[1]};
}

static bool is_closed(int peer)
{
    char byte;

    return recv(peer, &byte, 1, MSG_DONTWAIT) == 0;
}

static void letters_are_read_in_order(void **state)
{
    struct reader *reader = *state;
    int peer;
    struct letter connection = connection_letter(&peer);
    const struct letter stop = {.kind = LETTER_STOP};

    assert_true(mailbox_offer(&reader->mailbox, &connection));
    mailbox_put(&reader->mailbox, &stop);
    uv_run(&reader->loop, UV_RUN_NOWAIT);

    assert_int_equal(reader->read, 2);
    assert_int_equal(reader->kinds[0], LETTER_CONNECTION);
    assert_int_equal(reader->kinds[1], LETTER_STOP);
    close(connection.arrival.fd);
    close(peer);
    close_mailbox(reader);
}

static void
what_is_offered_to_a_closed_mailbox_stays_with_its_owner(void **state)
{
    struct reader *reader = *state;
    int peer;
    struct letter connection = connection_letter(&peer);

    close_mailbox(reader);

    assert_false(mailbox_offer(&reader->mailbox, &connection));

    assert_false(is_closed(peer));
    assert_int_equal(close(connection.arrival.fd), 0);
    close(peer);
}

static void who_was_handed_over_in_vain_is_let_go_at_once(void **state)
{
    struct reader *reader = *state;
    int peer;
    struct letter connection = connection_letter(&peer);
    struct quota quota;

    quota_init(&quota, 1);
    assert_true(quota_take(&quota));
    connection.arrival.quota = &quota;
    assert_true(mailbox_offer(&reader->mailbox, &connection));
    close_mailbox(reader);

    assert_int_equal(reader->read, 0);
    assert_true(is_closed(peer));
    assert_false(quota_is_full(&quota));
    close(peer);
}

#define OF_A_READER(claim) cmocka_unit_test_setup_teardown(claim, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        OF_A_READER(letters_are_read_in_order),
        OF_A_READER(what_is_offered_to_a_closed_mailbox_stays_with_its_owner),
        OF_A_READER(who_was_handed_over_in_vain_is_let_go_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
