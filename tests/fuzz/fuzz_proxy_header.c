/* Headers of the PROXY protocol: the verdict on the whole is the verdict on
 * every part that is long enough to have one; what is read and written again
 * is read the same. */
#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* In memory of its own, so that a byte too far is found. */
static enum proxy_header_result parse(const uint8_t *bytes, size_t len,
                                      struct proxy_header *header, size_t *used)
{
    uint8_t *copy = malloc(len);
    enum proxy_header_result result;

    if (len > 0)
        memcpy(copy, bytes, len);
    result = proxy_header_parse(copy, len, header, used);
    free(copy);
    return result;
}

static bool is_same(const struct address *one, const struct address *other)
{
    return address_same_host(one, other) && one->port == other->port;
}

static void check_same(const struct proxy_header *one,
                       const struct proxy_header *other)
{
    assert(one->has_addresses == other->has_addresses);
    if (one->has_addresses)
        assert(is_same(&one->from, &other->from) &&
               is_same(&one->to, &other->to));
}

static void check_part(const uint8_t *bytes, size_t len,
                       const struct proxy_header *header,
                       enum proxy_header_result whole, size_t whole_used)
{
    struct proxy_header mine;
    size_t used;
    enum proxy_header_result result = parse(bytes, len, &mine, &used);

    if (result == PROXY_HEADER_MORE) {
        assert(whole != PROXY_HEADER_DONE || len < whole_used);
        return;
    }
    assert(result == whole);
    if (result == PROXY_HEADER_DONE) {
        assert(used == whole_used);
        check_same(&mine, header);
    }
}

static void check_written(const struct proxy_header *header)
{
    const struct proxy_client client = {.from = header->from, .to = header->to};
    uint8_t out[PROXY_HEADER_MAX];
    struct proxy_header again;
    size_t used;
    size_t len = proxy_header_write_v1(&client, out);

    assert(len <= 107);
    assert(parse(out, len, &again, &used) == PROXY_HEADER_DONE && used == len);
    check_same(header, &again);
    len = proxy_header_write_v2(&client, out);
    assert(parse(out, len, &again, &used) == PROXY_HEADER_DONE && used == len);
    check_same(header, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct proxy_header header;
    size_t used;
    enum proxy_header_result result = parse(bytes, len, &header, &used);
    size_t parts = len < 600 ? len : 600;

    if (result == PROXY_HEADER_DONE) {
        assert(used <= len && used <= PROXY_HEADER_READ_MAX);
        if (header.has_addresses)
            check_written(&header);
    } else if (result == PROXY_HEADER_MORE) {
        assert(len < PROXY_HEADER_READ_MAX);
    } else {
        assert(header.fault != NULL && !header.has_addresses);
    }
    for (size_t cut = 0; cut < parts; cut++)
        check_part(bytes, cut, &header, result, used);
    return 0;
}
