/* What one process of a Gatepost hears from another, whatever that does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ask.h"
#include "ops/text.h"

#include <sys/socket.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

enum {
    LONG_MS = 60000,
    SHORT_MS = 20,
    ANSWER_MAX = 64 * 1024
};

/* One who is asked, and what was heard of it. */
struct case_of_asking {
    uv_loop_t loop;
    int other; /* the other end, where the tests are the server */
    int mine;
    unsigned told;
    json_t *answer;
};

static int connect_both(struct case_of_asking *asking)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return -1;
    asking->mine = ends[0];
    asking->other = ends[1];
    return 0;
}

static int set_up(void **state)
{
    struct case_of_asking *asking = calloc(1, sizeof(*asking));

    if (asking == NULL || uv_loop_init(&asking->loop) != 0)
        return -1;
    *state = asking;
    return connect_both(asking);
}

static int tear_down(void **state)
{
    struct case_of_asking *asking = *state;

    if (asking->other >= 0)
        close(asking->other);
    json_decref(asking->answer);
    uv_run(&asking->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&asking->loop), 0);
    free(asking);
    return 0;
}

static void on_answer(const json_t *answer, void *owner)
{
    struct case_of_asking *asking = owner;

    asking->told++;
    asking->answer = json_deep_copy(answer);
}

static struct ask *ask_for(struct case_of_asking *asking, uint64_t wait_ms,
                           size_t answer_max)
{
    const struct ask_question question = {
        .method = "GET",
        .target = "/status?depth=2",
        .wait_ms = wait_ms,
        .answer_max = answer_max,
    };

    return ask_start(&asking->loop, asking->mine, &question, on_answer, asking);
}

/* The whole of what the server says. */
static void say(struct case_of_asking *asking, const char *text)
{
    assert_int_equal(write(asking->other, text, strlen(text)), strlen(text));
    close(asking->other);
    asking->other = -1;
}

static void wait_for_it(struct case_of_asking *asking)
{
    while (asking->told == 0)
        uv_run(&asking->loop, UV_RUN_ONCE);
}

static void the_question_is_one_request_of_http(void **state)
{
    struct case_of_asking *asking = *state;
    struct ask *ask = ask_for(asking, LONG_MS, ANSWER_MAX);
    char bytes[256] = "";
    ssize_t len;

    uv_run(&asking->loop, UV_RUN_NOWAIT);
    len = recv(asking->other, bytes, sizeof(bytes) - 1, 0);

    assert_true(len > 0);
    assert_string_equal(bytes, "GET /status?depth=2 HTTP/1.1\r\n"
                               "Host: localhost\r\nConnection: close\r\n"
                               "Content-Length: 0\r\n\r\n");
    ask_drop(&ask);
}

static void a_good_answer_is_told_as_json(void **state)
{
    struct case_of_asking *asking = *state;
    struct ask *ask = ask_for(asking, LONG_MS, ANSWER_MAX);

    say(asking, "HTTP/1.1 200 OK\r\nX: y\r\n\r\n{\"sessions\": 7}\n");
    wait_for_it(asking);

    assert_non_null(ask);
    assert_int_equal(
        json_integer_value(json_object_get(asking->answer, "sessions")), 7);
}

static void expect_none(struct case_of_asking *asking, const char *answer)
{
    struct ask *ask = ask_for(asking, LONG_MS, ANSWER_MAX);

    say(asking, answer);
    wait_for_it(asking);

    assert_non_null(ask);
    assert_int_equal(asking->told, 1);
    assert_null(asking->answer);
}

static void a_refusal_is_no_answer(void **state)
{
    expect_none(*state,
                "HTTP/1.1 503 No\r\n\r\n{\"error\": \"the server ends\"}\n");
}

static void an_answer_that_is_cut_short_is_none(void **state)
{
    expect_none(*state, "HTTP/1.1 200 OK\r\n\r\n{\"sessions\": 7");
}

static void what_is_no_http_is_no_answer(void **state)
{
    expect_none(*state, "{\"sessions\": 7}\r\n\r\n{}");
}

static void an_end_without_a_word_is_no_answer(void **state)
{
    expect_none(*state, "");
}

static void silence_is_no_answer_in_time(void **state)
{
    struct case_of_asking *asking = *state;
    struct ask *ask = ask_for(asking, SHORT_MS, ANSWER_MAX);

    wait_for_it(asking);

    assert_non_null(ask);
    assert_null(asking->answer);
}

static void an_answer_beyond_the_bound_is_none(void **state)
{
    struct case_of_asking *asking = *state;
    struct ask *ask = ask_for(asking, LONG_MS, 20);

    say(asking, "HTTP/1.1 200 OK\r\n\r\n{\"sessions\": 7}");
    wait_for_it(asking);

    assert_non_null(ask);
    assert_null(asking->answer);
}

static void nuls_count_towards_the_bound(void **state)
{
    struct case_of_asking *asking = *state;
    struct ask *ask = ask_for(asking, LONG_MS, 20);
    const char nuls[15] = {0};

    for (int i = 0; i < 2; i++) {
        assert_int_equal(write(asking->other, nuls, sizeof(nuls)),
                         sizeof(nuls));
        uv_run(&asking->loop, UV_RUN_NOWAIT);
    }

    assert_non_null(ask);
    assert_int_equal(asking->told, 1);
    assert_null(asking->answer);
}

/* Whoever closes with the question unread resets the connection. */
static void read_question(const struct case_of_asking *asking)
{
    char bytes[256];

    assert_true(recv(asking->other, bytes, sizeof(bytes), 0) > 0);
}

/* What is heard of an answer of two parts, the first of which is read before
 * the second is there; NULL: nothing. */
static const json_t *ask_anew(struct case_of_asking *asking, const char *bytes,
                              size_t len, size_t cut)
{
    close(asking->mine);
    close(asking->other);
    json_decref(asking->answer);
    asking->answer = NULL;
    asking->told = 0;
    assert_int_equal(connect_both(asking), 0);
    assert_non_null(ask_for(asking, LONG_MS, ANSWER_MAX));
    read_question(asking);
    assert_int_equal(write(asking->other, bytes, cut), cut);
    uv_run(&asking->loop, UV_RUN_NOWAIT);
    assert_int_equal(write(asking->other, bytes + cut, len - cut), len - cut);
    close(asking->other);
    uv_run(&asking->loop, UV_RUN_DEFAULT);
    asking->other = -1;
    asking->mine = -1;
    assert_int_equal(asking->told, 1);
    return asking->answer;
}

static void an_answer_is_the_same_wherever_it_is_cut(void **state)
{
    static const char bytes[] =
        "HTTP/1.1 200 OK\r\nX: y\r\n\r\n{\"sessions\": 7}\n";

    for (size_t cut = 0; cut < sizeof(bytes); cut++) {
        const json_t *answer = ask_anew(*state, bytes, sizeof(bytes) - 1, cut);

        assert_int_equal(
            json_integer_value(json_object_get(answer, "sessions")), 7);
    }
}

static void an_answer_with_a_nul_is_none_wherever_it_is_cut(void **state)
{
    static const char in_head[] = "HTTP/1.1 200\0OK\r\n\r\n{}";
    static const char in_body[] = "HTTP/1.1 200 OK\r\n\r\n{}\0{}";

    for (size_t cut = 0; cut < sizeof(in_head); cut++)
        assert_null(ask_anew(*state, in_head, sizeof(in_head) - 1, cut));
    for (size_t cut = 0; cut < sizeof(in_body); cut++)
        assert_null(ask_anew(*state, in_body, sizeof(in_body) - 1, cut));
}

static void who_dropped_it_hears_nothing(void **state)
{
    struct case_of_asking *asking = *state;
    struct ask *ask = ask_for(asking, SHORT_MS, ANSWER_MAX);

    say(asking, "HTTP/1.1 200 OK\r\n\r\n{}");
    ask_drop(&ask);
    uv_run(&asking->loop, UV_RUN_DEFAULT);

    assert_null(ask);
    assert_int_equal(asking->told, 0);
}

static void a_descriptor_that_is_none_is_told_at_once(void **state)
{
    struct case_of_asking *asking = *state;
    const struct ask_question question = {.method = "GET",
                                          .target = "/",
                                          .wait_ms = LONG_MS,
                                          .answer_max = ANSWER_MAX};
    int file = dup(asking->mine);

    close(file); /* known to the process by now, and open no more */

    assert_null(ask_start(&asking->loop, file, &question, on_answer, asking));
    close(asking->mine);
    assert_int_equal(asking->told, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(the_question_is_one_request_of_http),
        CLAIM(a_good_answer_is_told_as_json),
        CLAIM(a_refusal_is_no_answer),
        CLAIM(an_answer_that_is_cut_short_is_none),
        CLAIM(what_is_no_http_is_no_answer),
        CLAIM(an_end_without_a_word_is_no_answer),
        CLAIM(silence_is_no_answer_in_time),
        CLAIM(an_answer_beyond_the_bound_is_none),
        CLAIM(nuls_count_towards_the_bound),
        CLAIM(an_answer_is_the_same_wherever_it_is_cut),
        CLAIM(an_answer_with_a_nul_is_none_wherever_it_is_cut),
        CLAIM(who_dropped_it_hears_nothing),
        CLAIM(a_descriptor_that_is_none_is_told_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
