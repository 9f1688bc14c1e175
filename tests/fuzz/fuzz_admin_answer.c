/* Any bytes as what another process of this Gatepost answers: told once, never
 * what is longer than it may be, and the same wherever they are cut on their
 * way. The first byte says where. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ask.h"

#include <sys/socket.h>
#include <unistd.h>

enum {
    WAIT_MS = 60000,
    ANSWER_MAX = 1024
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct told {
    unsigned count;
    json_t *answer;
};

static void on_answer(const json_t *answer, void *owner)
{
    struct told *told = owner;

    told->count++;
    told->answer = json_deep_copy(answer);
}

static uv_loop_t *the_loop(void)
{
    static uv_loop_t loop;
    static bool is_open;

    if (!is_open && uv_loop_init(&loop) != 0)
        abort();
    is_open = true;
    return &loop;
}

/* An end that leaves the question unread would be a reset. */
static void take_question(int fd)
{
    char question[256];

    uv_run(the_loop(), UV_RUN_NOWAIT);
    if (recv(fd, question, sizeof(question), MSG_DONTWAIT) <= 0)
        abort();
}

/* Says a part, which is read before the next one comes. */
static void say(int fd, const uint8_t *bytes, size_t len)
{
    (void)send(fd, bytes, len, MSG_NOSIGNAL);
    uv_run(the_loop(), UV_RUN_NOWAIT);
}

/* The answer is the caller's; NULL: none. */
static json_t *answer_of(const uint8_t *bytes, size_t len, size_t cut)
{
    const struct ask_question question = {.method = "GET",
                                          .target = "/status",
                                          .wait_ms = WAIT_MS,
                                          .answer_max = ANSWER_MAX};
    struct told told = {.answer = NULL};
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 ||
        ask_start(the_loop(), ends[0], &question, on_answer, &told) == NULL)
        abort();
    take_question(ends[1]);
    say(ends[1], bytes, cut);
    say(ends[1], bytes + cut, len - cut);
    close(ends[1]);
    uv_run(the_loop(), UV_RUN_DEFAULT);
    assert(told.count == 1);
    return told.answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    json_t *whole, *parted;
    size_t cut;

    if (len < 2)
        return 0;
    cut = bytes[0] % len;
    bytes++;
    len--;
    whole = answer_of(bytes, len, 0);
    parted = answer_of(bytes, len, cut);
    assert(whole == NULL ? parted == NULL : json_equal(whole, parted));
    assert(whole == NULL ||
           (len <= ANSWER_MAX && memcmp(bytes, "HTTP/1.1 2", 10) == 0));
    json_decref(whole);
    json_decref(parted);
    return 0;
}
