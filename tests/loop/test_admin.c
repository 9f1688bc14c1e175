/* Whom the administration serves beside those who connect to its sockets, and
 * how it gives these up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ask.h"
#include "ops/admin.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    WAIT_MS = 60000,
    ANSWER_MAX = 64 * 1024,
    HTTP_OK = 200
};

/* An administration that serves on one socket, and who asks it. */
struct case_of_admin {
    uv_loop_t loop;
    struct admin *admin;
    int socket; /* a second descriptor of the listening one */
    struct sockaddr_in address;
    struct admin_request *waiting; /* at /later */
    unsigned told;
    json_t *answer;
};

static void answer(struct admin_request *request)
{
    struct text body = {.bytes = NULL};

    text_add(&body, "{\"served\": true}");
    admin_answer(request, HTTP_OK, ADMIN_JSON, &body);
}

static void on_now(struct admin_request *request, void *owner)
{
    (void)owner;
    answer(request);
}

static void on_later(struct admin_request *request, void *owner)
{
    struct case_of_admin *mine = owner;

    mine->waiting = request;
}

static const struct admin_route routes[] = {
    {"/now", ADMIN_GET, false, on_now, ""},
    {"/later", ADMIN_GET, false, on_later, ""},
};

static int listen_on_loopback(struct case_of_admin *mine)
{
    socklen_t len = sizeof(mine->address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    mine->address = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (const struct sockaddr *)&mine->address, len) != 0 ||
        listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&mine->address, &len) != 0)
        return -1;
    mine->socket = dup(fd);
    return fd;
}

static int set_up(void **state)
{
    struct case_of_admin *mine = calloc(1, sizeof(*mine));

    if (mine == NULL || uv_loop_init(&mine->loop) != 0)
        return -1;
    mine->admin = admin_new(&mine->loop, routes, 2, mine);
    *state = mine;
    return admin_serve(mine->admin, listen_on_loopback(mine), true) ? 0 : -1;
}

static int tear_down(void **state)
{
    struct case_of_admin *mine = *state;

    admin_stop(mine->admin);
    uv_run(&mine->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&mine->loop), 0);
    admin_free(&mine->admin);
    json_decref(mine->answer);
    close(mine->socket);
    free(mine);
    return 0;
}

static void on_answer(const json_t *json, void *owner)
{
    struct case_of_admin *mine = owner;

    mine->told++;
    mine->answer = json_deep_copy(json);
}

static struct ask *ask_by(struct case_of_admin *mine, int fd,
                          const char *target)
{
    const struct ask_question question = {.method = "GET",
                                          .target = target,
                                          .wait_ms = WAIT_MS,
                                          .answer_max = ANSWER_MAX};

    return ask_start(&mine->loop, fd, &question, on_answer, mine);
}

/* Asks as a successor does. */
static void hand_in(struct case_of_admin *mine, const char *target)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
    assert_true(admin_take(mine->admin, ends[0]));
    assert_non_null(ask_by(mine, ends[1], target));
}

static int connect_to(struct case_of_admin *mine)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (const struct sockaddr *)&mine->address,
                             sizeof(mine->address)),
                     0);
    return fd;
}

static void wait_for_it(struct case_of_admin *mine)
{
    while (mine->told == 0)
        uv_run(&mine->loop, UV_RUN_ONCE);
    assert_true(json_is_true(json_object_get(mine->answer, "served")));
}

static void who_is_handed_in_is_answered(void **state)
{
    struct case_of_admin *mine = *state;

    hand_in(mine, "/now");

    wait_for_it(mine);
}

static void who_is_handed_in_is_answered_later_too(void **state)
{
    struct case_of_admin *mine = *state;

    hand_in(mine, "/later");
    while (mine->waiting == NULL)
        uv_run(&mine->loop, UV_RUN_ONCE);
    answer(mine->waiting);

    wait_for_it(mine);
}

static void who_is_handed_in_after_the_retirement_is_answered(void **state)
{
    struct case_of_admin *mine = *state;

    admin_retire(mine->admin);
    hand_in(mine, "/now");

    wait_for_it(mine);
}

static void who_waits_at_the_retirement_is_left_to_others(void **state)
{
    struct case_of_admin *mine = *state;
    int client = connect_to(mine);

    admin_retire(mine->admin);
    for (int i = 0; i < 3; i++)
        uv_run(&mine->loop, UV_RUN_NOWAIT);

    int accepted = accept(mine->socket, NULL, NULL);
    assert_true(accepted >= 0);
    close(accepted);
    close(client);
}

static void who_was_accepted_before_it_is_answered(void **state)
{
    struct case_of_admin *mine = *state;

    assert_non_null(ask_by(mine, connect_to(mine), "/later"));
    while (mine->waiting == NULL)
        uv_run(&mine->loop, UV_RUN_ONCE);
    admin_retire(mine->admin);
    answer(mine->waiting);

    wait_for_it(mine);
}

static void the_sockets_are_lent_until_the_retirement(void **state)
{
    struct case_of_admin *mine = *state;
    struct sockaddr_in found;
    socklen_t len = sizeof(found);
    int fds[ADMIN_SOCKETS_MAX];

    assert_int_equal(admin_sockets(mine->admin, fds), 1);
    assert_int_equal(getsockname(fds[0], (struct sockaddr *)&found, &len), 0);
    assert_int_equal(found.sin_port, mine->address.sin_port);

    admin_retire(mine->admin);
    assert_int_equal(admin_sockets(mine->admin, fds), 0);
}

static void who_is_handed_in_at_the_end_is_closed(void **state)
{
    struct case_of_admin *mine = *state;
    int ends[2];
    char byte;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
    admin_stop(mine->admin);

    assert_false(admin_take(mine->admin, ends[0]));
    assert_int_equal(read(ends[1], &byte, 1), 0);
    close(ends[1]);
}

/* Whoever asks anew and leaves before the head is whole; the leak check sees
 * what was kept of it. */
static void who_leaves_in_the_head_leaves_nothing_behind(void **state)
{
    struct case_of_admin *mine = *state;
    static const char half[] = "GET /now HTTP/1.1\r\nHo";
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
    assert_int_equal(write(ends[1], half, sizeof(half) - 1), sizeof(half) - 1);
    close(ends[1]);
    assert_true(admin_take(mine->admin, ends[0]));
    for (int i = 0; i < 3; i++)
        uv_run(&mine->loop, UV_RUN_NOWAIT);

    hand_in(mine, "/now");
    wait_for_it(mine);
}

static void run_a_while(struct case_of_admin *mine)
{
    for (int i = 0; i < 3; i++)
        uv_run(&mine->loop, UV_RUN_NOWAIT);
}

/* The second part comes when all was done that the first one allows. */
static void say_in_parts(struct case_of_admin *mine, int client,
                         const char *head, size_t cut)
{
    size_t rest = strlen(head) - cut;

    assert_int_equal(write(client, head, cut), cut);
    run_a_while(mine);
    assert_int_equal(write(client, head + cut, rest), rest);
}

static void a_request_is_answered_wherever_it_is_cut(void **state)
{
    struct case_of_admin *mine = *state;
    static const char head[] = "GET /now HTTP/1.1\r\nHost: localhost\r\n"
                               "Connection: close\r\n\r\n";
    static const char good[] = "HTTP/1.1 200 OK\r\n";

    for (size_t cut = 1; cut < sizeof(head) - 1; cut++) {
        int client = connect_to(mine);
        char said[sizeof(good)] = "";

        say_in_parts(mine, client, head, cut);
        while (recv(client, said, sizeof(good) - 1, MSG_DONTWAIT) < 0)
            uv_run(&mine->loop, UV_RUN_NOWAIT);
        assert_string_equal(said, good);
        close(client);
        run_a_while(mine);
    }
}

/* With an older connection beside it, the library sees the end of this one
 * before it asks for the answer; the leak check sees what nobody came for. */
static void who_leaves_before_the_answer_leaves_nothing_behind(void **state)
{
    struct case_of_admin *mine = *state;
    static const char head[] = "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n";
    int older = connect_to(mine);
    int client;

    run_a_while(mine);
    client = connect_to(mine);
    assert_int_equal(write(client, head, sizeof(head) - 1), sizeof(head) - 1);
    while (mine->waiting == NULL)
        uv_run(&mine->loop, UV_RUN_ONCE);
    close(client);
    answer(mine->waiting);
    run_a_while(mine);
    close(older);

    hand_in(mine, "/now");
    wait_for_it(mine);
}

/* A reset while the answer is made. */
static void who_is_gone_when_the_answer_comes_harms_nobody(void **state)
{
    struct case_of_admin *mine = *state;
    static const char head[] = "GET /later HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const struct linger reset = {.l_onoff = 1};
    int client = connect_to(mine);

    assert_int_equal(write(client, head, sizeof(head) - 1), sizeof(head) - 1);
    while (mine->waiting == NULL)
        uv_run(&mine->loop, UV_RUN_ONCE);
    assert_int_equal(
        setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
    close(client);
    answer(mine->waiting);
    for (int i = 0; i < 3; i++)
        uv_run(&mine->loop, UV_RUN_NOWAIT);

    hand_in(mine, "/now");
    wait_for_it(mine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(who_is_handed_in_is_answered),
        CLAIM(who_is_handed_in_is_answered_later_too),
        CLAIM(who_is_handed_in_after_the_retirement_is_answered),
        CLAIM(who_waits_at_the_retirement_is_left_to_others),
        CLAIM(who_was_accepted_before_it_is_answered),
        CLAIM(the_sockets_are_lent_until_the_retirement),
        CLAIM(who_is_handed_in_at_the_end_is_closed),
        CLAIM(who_leaves_in_the_head_leaves_nothing_behind),
        CLAIM(a_request_is_answered_wherever_it_is_cut),
        CLAIM(who_leaves_before_the_answer_leaves_nothing_behind),
        CLAIM(who_is_gone_when_the_answer_comes_harms_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
