/* Messages between two processes, here the two ends of one socketpair. */
#include "control_link.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum {
    MANY = 20 * 1000
};

/* Who listens on a loop. */
struct ear {
    uv_loop_t loop;
    struct control_link link;
    uint64_t numbers[MANY];
    size_t count;
    int fd; /* kept of what came */
    unsigned ends;
};

static void on_message(const struct control_message *message, int *fds,
                       size_t fd_count, void *owner)
{
    struct ear *ear = owner;

    assert_true(ear->count < MANY);
    ear->numbers[ear->count++] = message->number;
    if (fd_count == 0)
        return;
    ear->fd = fds[0];
    fds[0] = -1;
}

static void on_ended(void *owner)
{
    struct ear *ear = owner;

    ear->ends++;
}

static struct ear *listen_to(struct control_link *mouth)
{
    struct ear *ear = calloc(1, sizeof(*ear));
    int ends[2];

    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    control_link_init(mouth, ends[0]);
    control_link_init(&ear->link, ends[1]);
    assert_int_equal(uv_loop_init(&ear->loop), 0);
    ear->fd = -1;
    assert_int_equal(
        control_link_join(&ear->link, &ear->loop, on_message, on_ended, ear),
        0);
    return ear;
}

static void stop_listening(struct ear *ear)
{
    control_link_close(&ear->link);
    assert_int_equal(uv_run(&ear->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&ear->loop), 0);
    control_link_deinit(&ear->link);
    if (ear->fd >= 0)
        close(ear->fd);
    free(ear);
}

static void a_descriptor_arrives_with_its_message(void **state)
{
    const struct control_message message = {.kind = CONTROL_ADMIN};
    struct control_link mouth;
    struct ear *ear = listen_to(&mouth);
    struct stat sent, come;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    control_link_send(&mouth, &message, fds, 2);
    (void)uv_run(&ear->loop, UV_RUN_NOWAIT);

    assert_int_equal(ear->count, 1);
    assert_int_equal(fstat(fds[0], &sent), 0);
    assert_int_equal(fstat(ear->fd, &come), 0);
    assert_int_equal(sent.st_ino, come.st_ino);
    close(fds[0]);
    close(fds[1]);
    control_link_deinit(&mouth);
    stop_listening(ear);
}

static void what_finds_no_room_follows_in_order(void **state)
{
    struct control_link quiet;
    struct ear *ear = listen_to(&quiet);
    struct ear *mouth = calloc(1, sizeof(*mouth));

    (void)state;
    mouth->fd = -1;
    assert_int_equal(uv_loop_init(&mouth->loop), 0);
    control_link_init(&mouth->link, quiet.fd);
    assert_int_equal(control_link_join(&mouth->link, &mouth->loop, on_message,
                                       on_ended, mouth),
                     0);
    for (uint64_t i = 0; i < MANY; i++)
        control_link_send_number(&mouth->link, CONTROL_DRAIN, i);
    assert_true(mouth->link.count > 0);
    while (ear->count < MANY) {
        (void)uv_run(&mouth->loop, UV_RUN_NOWAIT);
        (void)uv_run(&ear->loop, UV_RUN_NOWAIT);
    }

    for (uint64_t i = 0; i < MANY; i++)
        assert_int_equal(ear->numbers[i], i);
    quiet.fd = -1;
    control_link_deinit(&quiet);
    stop_listening(mouth);
    stop_listening(ear);
}

static void the_end_of_the_other_side_is_told_once(void **state)
{
    struct control_link mouth;
    struct ear *ear = listen_to(&mouth);

    (void)state;
    control_link_send_number(&mouth, CONTROL_END, 7);
    control_link_deinit(&mouth);
    (void)uv_run(&ear->loop, UV_RUN_NOWAIT);
    (void)uv_run(&ear->loop, UV_RUN_NOWAIT);

    assert_int_equal(ear->count, 1);
    assert_int_equal(ear->ends, 1);
    stop_listening(ear);
}

static void what_makes_no_sense_ends_the_link(void **state)
{
    struct control_link mouth;
    struct ear *ear = listen_to(&mouth);

    (void)state;
    assert_int_equal(send(mouth.fd, "\xff nonsense", 10, 0), 10);
    control_link_send_number(&mouth, CONTROL_END, 7);
    (void)uv_run(&ear->loop, UV_RUN_NOWAIT);

    assert_int_equal(ear->count, 0);
    assert_int_equal(ear->ends, 1);
    control_link_deinit(&mouth);
    stop_listening(ear);
}

static void who_waits_waits_no_longer_than_it_said(void **state)
{
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    struct control_message message;
    int fds[CONTROL_FDS_MAX];
    struct control_link waiting;
    const char *why = NULL;
    size_t fd_count;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    control_link_init(&waiting, ends[0]);

    assert_false(control_link_wait(&waiting, clock_now_ms() + 20, bytes,
                                   &message, fds, &fd_count, &why));
    assert_string_equal(why, "silence");
    close(ends[1]);
    assert_false(control_link_wait(&waiting, clock_now_ms() + 5000, bytes,
                                   &message, fds, &fd_count, &why));
    assert_string_equal(why, "its end");
    control_link_deinit(&waiting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_descriptor_arrives_with_its_message),
        cmocka_unit_test(what_finds_no_room_follows_in_order),
        cmocka_unit_test(the_end_of_the_other_side_is_told_once),
        cmocka_unit_test(what_makes_no_sense_ends_the_link),
        cmocka_unit_test(who_waits_waits_no_longer_than_it_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
