/* The row of processes before ours, as it is told by the nearest of them. That
 * one is played here: the test has the functions of predecessor.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server_predecessors.h"

#include <sys/socket.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    OURS = 77,
    WAIT_MS = 60000,
    ANSWER_MAX = 64 * 1024,
    HTTP_OK = 200
};

/* Its ends of connections. */
struct predecessor {
    pid_t pid;
    struct admin *admin; /* NULL: it never says a word */
    int silent;          /* the other end then */
    int error;           /* no connection can be had */
    char wait[16];       /* what it was told of our patience */
};

struct world {
    uv_loop_t loop;
    struct admin *front;
    struct admin *behind;
    struct predecessor predecessor;
    struct server_predecessors row;
    const char *says; /* at /processes; NULL: a refusal */
    unsigned told;
    char *list;
};

pid_t predecessor_pid(const struct predecessor *predecessor)
{
    return predecessor->pid;
}

int predecessor_connect(struct predecessor *predecessor)
{
    int ends[2];

    if (predecessor->error != 0)
        return predecessor->error;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
    if (predecessor->admin == NULL)
        predecessor->silent = ends[0];
    else
        assert_true(admin_take(predecessor->admin, ends[0]));
    return ends[1];
}

static void on_processes(struct admin_request *request, void *owner)
{
    struct world *world = owner;
    struct text body = {.bytes = NULL};

    snprintf(world->predecessor.wait, sizeof(world->predecessor.wait), "%s",
             admin_parameter(request, "wait"));
    if (world->says == NULL) {
        admin_refuse(request, 503, "no");
        return;
    }
    text_add(&body, "%s", world->says);
    admin_answer(request, HTTP_OK, ADMIN_JSON, &body);
}

static void on_list(struct admin_request *request, const struct text *list,
                    void *owner)
{
    struct world *world = owner;
    struct text body = {.bytes = NULL};

    world->told++;
    free(world->list);
    world->list = mem_strdup(list->bytes == NULL ? "" : list->bytes);
    text_add(&body, "{}");
    admin_answer(request, HTTP_OK, ADMIN_JSON, &body);
}

static void on_status(struct admin_request *request, void *owner)
{
    struct world *world = owner;

    server_predecessors_ask(&world->row, &world->predecessor, request, on_list,
                            world);
}

static const struct admin_route front_routes[] = {
    {"/status", ADMIN_GET, false, on_status, "wait"}};
static const struct admin_route behind_routes[] = {
    {"/processes", ADMIN_GET, false, on_processes, "wait"}};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    if (world == NULL || uv_loop_init(&world->loop) != 0)
        return -1;
    world->front = admin_new(&world->loop, front_routes, 1, world);
    world->behind = admin_new(&world->loop, behind_routes, 1, world);
    world->predecessor.pid = OURS;
    world->predecessor.admin = world->behind;
    world->predecessor.silent = -1;
    world->row.loop = &world->loop;
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    server_predecessors_stop(&world->row);
    admin_stop(world->front);
    admin_stop(world->behind);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    admin_free(&world->front);
    admin_free(&world->behind);
    if (world->predecessor.silent >= 0)
        close(world->predecessor.silent);
    free(world->list);
    free(world);
    return 0;
}

static void on_answer(const json_t *answer, void *owner)
{
    (void)answer;
    (void)owner;
}

static void ask_status(struct world *world, const char *target)
{
    const struct ask_question question = {.method = "GET",
                                          .target = target,
                                          .wait_ms = WAIT_MS,
                                          .answer_max = ANSWER_MAX};
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
    assert_true(admin_take(world->front, ends[0]));
    assert_non_null(
        ask_start(&world->loop, ends[1], &question, on_answer, world));
}

static const char *list_of(struct world *world, const char *target)
{
    ask_status(world, target);
    while (world->told == 0)
        uv_run(&world->loop, UV_RUN_ONCE);
    return world->list;
}

static void without_a_predecessor_the_list_is_empty(void **state)
{
    struct world *world = *state;

    world->predecessor.pid = 0;

    assert_string_equal(list_of(world, "/status"), "");
}

static void the_list_is_what_the_predecessor_says_of_its_row(void **state)
{
    struct world *world = *state;

    world->says = "{\"processes\": [{\"pid\": 77, \"state\": \"retired\"},"
                  " {\"pid\": 76}]}";

    assert_string_equal(list_of(world, "/status"),
                        "\n  {\"pid\":77,\"state\":\"retired\"},"
                        "\n  {\"pid\":76}");
}

static void one_that_refuses_is_told_as_silent(void **state)
{
    assert_string_equal(list_of(*state, "/status"),
                        "\n  {\"pid\":77,\"state\":\"silent\"}");
}

static void one_that_cannot_be_reached_is_told_as_silent(void **state)
{
    struct world *world = *state;

    world->predecessor.error = UV_EPIPE;

    assert_string_equal(list_of(world, "/status"),
                        "\n  {\"pid\":77,\"state\":\"silent\"}");
}

static void one_that_says_nothing_is_told_as_silent_in_time(void **state)
{
    struct world *world = *state;

    world->predecessor.admin = NULL;

    assert_string_equal(list_of(world, "/status?wait=1"),
                        "\n  {\"pid\":77,\"state\":\"silent\"}");
}

static void each_waits_less_for_the_one_behind_it(void **state)
{
    struct world *world = *state;

    world->says = "{\"processes\": [{\"pid\": 77}]}";

    (void)list_of(world, "/status?wait=3000");
    assert_string_equal(world->predecessor.wait, "2500");

    world->told = 0;
    (void)list_of(world, "/status?wait=99999999999999999999999");
    assert_string_equal(world->predecessor.wait, "8000");

    world->told = 0;
    (void)list_of(world, "/status?wait=x");
    assert_string_equal(world->predecessor.wait, "500");
}

static void after_the_stop_nobody_is_told(void **state)
{
    struct world *world = *state;

    world->predecessor.admin = NULL;
    ask_status(world, "/status");
    while (world->predecessor.silent < 0)
        uv_run(&world->loop, UV_RUN_ONCE);

    server_predecessors_stop(&world->row);
    close(world->predecessor.silent);
    world->predecessor.silent = -1;
    for (int i = 0; i < 3; i++)
        uv_run(&world->loop, UV_RUN_NOWAIT);

    assert_int_equal(world->told, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(without_a_predecessor_the_list_is_empty),
        CLAIM(the_list_is_what_the_predecessor_says_of_its_row),
        CLAIM(one_that_refuses_is_told_as_silent),
        CLAIM(one_that_cannot_be_reached_is_told_as_silent),
        CLAIM(one_that_says_nothing_is_told_as_silent_in_time),
        CLAIM(each_waits_less_for_the_one_behind_it),
        CLAIM(after_the_stop_nobody_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
