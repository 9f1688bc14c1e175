/* Any bytes as what somebody says to the administration, over a network: they
 * are answered by HTTP or not at all, nobody who does not say the token is let
 * in, and where they are cut on their way makes no difference. The first byte
 * says where. */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ops/admin.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    TURNS_MAX = 1000,
    SAID_MAX = 4096,
    HTTP_OK = 200
};

static const char token[] = "0123456789abcdef";
static char *const hosts[] = {(char *)(uintptr_t) "gate.example"};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* An administration for all inputs, and who came to its routes. */
struct house {
    uv_loop_t loop;
    struct admin *admin;
    struct sockaddr_un address;
    socklen_t address_len;
    unsigned opened; /* for those who said the token */
};

/* What one client heard. */
struct answer {
    size_t len;
    char bytes[SAID_MAX + 1];
    unsigned opened;
};

static void say(struct admin_request *request)
{
    struct text body = {.bytes = NULL};
    const char *user = admin_parameter(request, "user");

    assert(user == NULL || *user != '\0');
    text_add_json_or_null(&body, user);
    admin_answer(request, HTTP_OK, ADMIN_JSON, &body);
}

static void on_private(struct admin_request *request, void *owner)
{
    struct house *house = owner;

    house->opened++;
    say(request);
}

static void on_public(struct admin_request *request, void *owner)
{
    (void)owner;
    say(request);
}

static const struct admin_route routes[] = {
    {"/sessions", ADMIN_GET, false, on_private, "user backend"},
    {"/kick", ADMIN_POST, false, on_private, "user backend"},
    {"/healthz", ADMIN_GET, true, on_public, ""},
};

/* At a name that the kernel gives. */
static int listen_somewhere(struct house *house)
{
    const struct sockaddr_un any = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    house->address_len = sizeof(house->address);
    if (bind(fd, (const struct sockaddr *)&any, sizeof(sa_family_t)) != 0 ||
        listen(fd, 1) != 0 ||
        getsockname(fd, (struct sockaddr *)&house->address,
                    &house->address_len) != 0)
        abort();
    return fd;
}

static struct house *open_house(void)
{
    static struct house house;
    const struct admin_access access = {
        .hosts = hosts,
        .host_count = 1,
        .token = (const uint8_t *)token,
        .token_len = strlen(token),
    };

    if (house.admin != NULL)
        return &house;
    if (uv_loop_init(&house.loop) != 0)
        abort();
    house.admin = admin_new(&house.loop, routes,
                            sizeof(routes) / sizeof(routes[0]), &house);
    admin_set_access(house.admin, &access);
    if (!admin_serve(house.admin, listen_somewhere(&house), false))
        abort();
    return &house;
}

static int come(const struct house *house)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (connect(fd, (const struct sockaddr *)&house->address,
                house->address_len) != 0)
        abort();
    return fd;
}

/* Whether the connection still lives. What has no room is passed over. */
static bool hear(int fd, struct answer *answer)
{
    char more[SAID_MAX];
    ssize_t len = recv(fd, more, sizeof(more), 0);
    size_t room = SAID_MAX - answer->len;

    if (len <= 0)
        return len < 0 && (errno == EAGAIN || errno == EINTR);
    if ((size_t)len > room)
        len = (ssize_t)room;
    memcpy(answer->bytes + answer->len, more, (size_t)len);
    answer->len += (size_t)len;
    return true;
}

/* A few turns, in which all is done that can be. */
static void let_work(struct house *house)
{
    for (int i = 0; i < 3; i++)
        uv_run(&house->loop, UV_RUN_NOWAIT);
}

static struct answer *converse(struct house *house, const uint8_t *bytes,
                               size_t len, size_t cut)
{
    struct answer *answer = calloc(1, sizeof(*answer));
    int fd = come(house);

    house->opened = 0;
    (void)send(fd, bytes, cut, MSG_NOSIGNAL);
    let_work(house);
    (void)send(fd, bytes + cut, len - cut, MSG_NOSIGNAL);
    (void)shutdown(fd, SHUT_WR);
    for (int i = 0; i < TURNS_MAX && hear(fd, answer); i++)
        uv_run(&house->loop, UV_RUN_NOWAIT);
    close(fd);
    let_work(house);
    answer->opened = house->opened;
    return answer;
}

static unsigned count_of(const uint8_t *bytes, size_t len, const char *word)
{
    const uint8_t *at = bytes;
    unsigned count = 0;

    while ((at = memmem(at, (size_t)(bytes + len - at), word, strlen(word))) !=
           NULL) {
        at++;
        count++;
    }
    return count;
}

static void check(const struct answer *answer, const uint8_t *bytes, size_t len)
{
    assert(answer->len == 0 || strncmp(answer->bytes, "HTTP/1.1 ", 9) == 0);
    assert(answer->opened <= count_of(bytes, len, token));
}

/* The status of the first answer, as text. */
static void check_same(const struct answer *one, const struct answer *other)
{
    assert(one->opened == other->opened);
    assert(strncmp(one->bytes, other->bytes, strlen("HTTP/1.1 200")) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct house *house = open_house();
    struct answer *whole, *parted;
    size_t cut;

    if (len < 2)
        return 0;
    cut = bytes[0] % len;
    bytes++;
    len--;
    whole = converse(house, bytes, len, 0);
    parted = converse(house, bytes, len, cut);
    check(whole, bytes, len);
    check(parted, bytes, len);
    check_same(whole, parted);
    free(whole);
    free(parted);
    return 0;
}
