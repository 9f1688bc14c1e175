/* Any bytes as a file that stands beside the config: by their first byte a
 * secret, the token of the administration, or the orders that it keeps. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "orders.h"
#include "state/admin_token.h"

#include <sys/mman.h>
#include <unistd.h>

enum {
    PATH_SIZE = 64,
    SECRET_MAX = 1024,
    TOKEN_MIN = 16
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct file_mention mention = {"gatepost.json", "$.secret",
                                            "a file that can be read"};

/* In memory of its own, so that a byte too far is found. */
static int read_input(void *owner, const char *path, struct file_bytes *out)
{
    const struct file_bytes *input = owner;

    (void)path;
    out->bytes = malloc(input->len);
    if (input->len > 0)
        memcpy(out->bytes, input->bytes, input->len);
    out->len = input->len;
    out->is_world_readable = false;
    return 0;
}

/* Whether line ends are all that is missing of the input. */
static void check_secret(const struct secret_file *secret,
                         const struct file_bytes *input)
{
    size_t rest = input->len - secret->len;

    assert(secret->len > 0 && secret->len <= SECRET_MAX);
    assert(memcmp(secret->file.bytes, input->bytes, secret->len) == 0);
    assert(memchr(secret->file.bytes, '\0', secret->len) == NULL);
    assert(memchr(secret->file.bytes, '\n', secret->len) == NULL);
    assert(rest == 0 ||
           memcmp(input->bytes + secret->len, "\r\n" + 2 - rest, rest) == 0);
}

static void read_secret(const struct file_source *source,
                        const struct file_bytes *input, struct reasons *reasons)
{
    struct secret_file secret = {.len = 0};
    bool is_taken =
        secret_file_read(source, "secret", &mention, &secret, reasons);

    assert(is_taken == !reasons_has_errors(reasons));
    if (is_taken)
        check_secret(&secret, input);
    secret_file_deinit(&secret);
}

static void read_token(const struct file_source *source,
                       const struct file_bytes *input, struct reasons *reasons)
{
    char file[] = "gatepost.json", path[] = "token";
    const struct settings settings = {.file = file, .admin_token = path};
    struct secret_file token = {.len = 0};
    bool is_taken = admin_token_read(source, &settings, &token, reasons);

    assert(is_taken == !reasons_has_errors(reasons));
    if (is_taken) {
        check_secret(&token, input);
        assert(token.len >= TOKEN_MIN);
        for (size_t i = 0; i < token.len; i++)
            assert(token.file.bytes[i] > ' ' && token.file.bytes[i] < 0x7f);
    }
    secret_file_deinit(&token);
}

/* A file without a name. */
static int write_down(const struct file_bytes *input, char path[PATH_SIZE])
{
    int fd = memfd_create("orders", MFD_CLOEXEC);

    if (fd < 0 || write(fd, input->bytes, input->len) != (ssize_t)input->len)
        abort();
    snprintf(path, PATH_SIZE, "/proc/self/fd/%d", fd);
    return fd;
}

static void read_orders(const struct file_bytes *input, struct reasons *reasons)
{
    char path[PATH_SIZE];
    int fd = write_down(input, path);
    struct orders orders = {.path = path};
    bool is_taken = orders_read(&orders, reasons);

    assert(is_taken == !reasons_has_errors(reasons));
    for (size_t i = 0; i < orders.count; i++) {
        assert(*orders.items[i].backend != '\0');
        assert(orders.items[i].mode != BACKEND_READY);
        for (size_t j = 0; j < i; j++)
            assert(strcmp(orders.items[i].backend, orders.items[j].backend) !=
                   0);
    }
    orders_deinit(&orders);
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct file_bytes input = {.bytes = (uint8_t *)(uintptr_t)bytes + 1,
                               .len = len - 1};
    const struct file_source source = {.owner = &input,
                                       .read_file = read_input};
    struct reasons *reasons;

    if (len == 0)
        return 0;
    reasons = reasons_new();
    if (bytes[0] == 's')
        read_secret(&source, &input, reasons);
    else if (bytes[0] == 't')
        read_token(&source, &input, reasons);
    else
        read_orders(&input, reasons);
    reasons_free(&reasons);
    return 0;
}
