/* A balancer's header in any pieces, and whom it is taken from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "session/proxy_stage.h"

static const char header[] = "PROXY TCP6 2001:db8::1 2001:db8::2 56324 993\r\n";

enum {
    HEADER_LEN = sizeof(header) - 1
};

static struct proxy_stage *new_stage(void)
{
    return calloc(1, sizeof(struct proxy_stage));
}

/* From memory of its own: what was lent is gone when the call is over. */
static enum proxy_header_result
feed(struct proxy_stage *stage, const char *bytes, size_t len, size_t *used)
{
    uint8_t *lent = malloc(len + 1);
    enum proxy_header_result result;

    memcpy(lent, bytes, len);
    result = proxy_stage_feed(stage, lent, len, used);
    free(lent);
    return result;
}

static void assert_client(const struct proxy_stage *stage)
{
    char text[ADDRESS_TEXT_MAX];

    assert_true(stage->header.has_addresses);
    address_format(&stage->header.from, text, sizeof(text));
    assert_string_equal(text, "[2001:db8::1]:56324");
}

static void a_header_at_once_keeps_nothing(void **state)
{
    struct proxy_stage *stage = new_stage();
    size_t used;

    (void)state;
    assert_int_equal(feed(stage, header, HEADER_LEN, &used), PROXY_HEADER_DONE);

    assert_int_equal(used, HEADER_LEN);
    assert_client(stage);
    assert_null(stage->begun.bytes);
    proxy_stage_free(&stage);
}

static void a_header_in_two_pieces_ends_where_it_ends(void **state)
{
    char bytes[HEADER_LEN + 20] = {0};

    (void)state;
    memcpy(bytes, header, HEADER_LEN);
    for (size_t cut = 1; cut < HEADER_LEN; cut++) {
        struct proxy_stage *stage = new_stage();
        size_t used;

        assert_int_equal(feed(stage, bytes, cut, &used), PROXY_HEADER_MORE);
        assert_int_equal(used, cut);
        assert_int_equal(feed(stage, bytes + cut, sizeof(bytes) - cut, &used),
                         PROXY_HEADER_DONE);
        assert_int_equal(used, HEADER_LEN - cut);
        assert_client(stage);
        proxy_stage_free(&stage);
    }
}

static void a_header_byte_by_byte_is_the_same(void **state)
{
    struct proxy_stage *stage = new_stage();
    size_t used;

    (void)state;
    for (size_t i = 0; i + 1 < HEADER_LEN; i++)
        assert_int_equal(feed(stage, header + i, 1, &used), PROXY_HEADER_MORE);
    assert_int_equal(feed(stage, header + HEADER_LEN - 1, 1, &used),
                     PROXY_HEADER_DONE);

    assert_int_equal(used, 1);
    assert_client(stage);
    proxy_stage_free(&stage);
}

static void no_more_is_kept_than_a_header_may_have(void **state)
{
    static const char start[] = "\r\n\r\n\0\r\nQUIT\n\x21\x11\x0f\xf0";
    static char rest[100000];
    struct proxy_stage *stage = new_stage();
    size_t used;

    (void)state;
    assert_int_equal(feed(stage, start, sizeof(start) - 1, &used),
                     PROXY_HEADER_MORE);
    assert_int_equal(feed(stage, rest, sizeof(rest), &used), PROXY_HEADER_DONE);

    assert_int_equal(used, PROXY_HEADER_READ_MAX - (sizeof(start) - 1));
    assert_int_equal(stage->begun.len, PROXY_HEADER_READ_MAX);
    proxy_stage_free(&stage);
}

static void a_lie_in_the_second_piece_is_found(void **state)
{
    struct proxy_stage *stage = new_stage();
    size_t used;

    (void)state;
    assert_int_equal(feed(stage, "PROXY UNK", 9, &used), PROXY_HEADER_MORE);
    assert_int_equal(feed(stage, "NOWN\n", 5, &used), PROXY_HEADER_BAD);

    assert_non_null(stage->header.fault);
    proxy_stage_free(&stage);
    assert_null(stage);
    proxy_stage_free(&stage);
}

static bool trusts(const char *peer)
{
    struct network trusted[2];
    const struct listener_config listener = {.proxy_from = trusted,
                                             .proxy_from_count = 2};
    struct network network;
    struct address address;

    assert_true(network_parse("10.1.0.0/16", &trusted[0]));
    assert_true(network_parse("2001:db8::/32", &trusted[1]));
    assert_true(network_parse_address(peer, &network));
    address_from_network(&network, &address);
    return proxy_stage_trusts(&listener, &address);
}

static void only_listed_networks_are_trusted(void **state)
{
    (void)state;
    assert_true(trusts("10.1.2.3"));
    assert_true(trusts("2001:db8:1::2"));
    assert_true(trusts("::ffff:10.1.2.3"));
    assert_false(trusts("10.2.2.3"));
    assert_false(trusts("2001:db9::1"));
    assert_false(trusts("127.0.0.1"));
    /* Its first bytes are those of 10.1.0.0. */
    assert_false(trusts("a01::1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_at_once_keeps_nothing),
        cmocka_unit_test(a_header_in_two_pieces_ends_where_it_ends),
        cmocka_unit_test(a_header_byte_by_byte_is_the_same),
        cmocka_unit_test(no_more_is_kept_than_a_header_may_have),
        cmocka_unit_test(a_lie_in_the_second_piece_is_found),
        cmocka_unit_test(only_listed_networks_are_trusted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
