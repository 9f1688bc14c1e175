/* Strict base64. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"

static void base64_refuses_what_is_not_strict(void **state)
{
    static const char *const bad[] = {
        "A",        "AA",       "AAA",      "AAAAA",      "AA=A",
        "A===",     "====",     "AA==AAAA", "AAAA====",   "AA= =",
        "AAAA\r\n", " AAAA",    "AAA A",    "AAAA\n",     "AA-_",
        "!!!!",     "AAAA AAA", "AAAA=AAA", "AGFi\tAGFi", "=AAA",
    };
    uint8_t out[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(base64_decode((const uint8_t *)bad[i], strlen(bad[i]), out,
                                   sizeof(out), &len));
    assert_false(base64_decode((const uint8_t *)"AA\0A", 4, out, 64, &len));
    assert_false(base64_decode((const uint8_t *)"AAA\xff", 4, out, 64, &len));
}

static void base64_gives_back_what_it_encoded(void **state)
{
    uint8_t bytes[67];
    uint8_t text[BASE64_LENGTH(sizeof(bytes)) + 1];
    uint8_t back[BASE64_LENGTH(sizeof(bytes))];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i <= sizeof(bytes); i++) {
        size_t text_len = base64_encode(bytes, i, text);

        assert_int_equal(text_len, BASE64_LENGTH(i));
        assert_true(base64_decode(text, text_len, back, sizeof(back), &len));
        assert_int_equal(len, i);
        assert_memory_equal(back, bytes, i);
    }
}

static void base64_never_writes_past_its_room(void **state)
{
    uint8_t out[4] = {9, 9, 9, 9};
    size_t len;

    (void)state;

    assert_false(base64_decode((const uint8_t *)"AAAAAAAA", 8, out, 3, &len));
    assert_int_equal(out[3], 9);
}

/* Whether both ways to ask say the same of this text. */
static bool is_strict(const uint8_t *text, size_t len)
{
    uint8_t out[16];
    size_t out_len;
    bool is_taken = base64_decode(text, len, out, sizeof(out), &out_len);

    assert_int_equal(base64_is_strict(text, len), is_taken);
    return is_taken;
}

/* Every text of up to six octets out of these. */
static void what_is_strict_is_what_would_be_decoded(void **state)
{
    static const uint8_t octets[] = {'A', 'E', 'Q', '/', '=', '-', '\n'};
    size_t taken = 0;

    (void)state;
    for (size_t len = 0; len <= 6; len++) {
        size_t count = 1;
        uint8_t text[6];

        for (size_t i = 0; i < len; i++)
            count *= sizeof(octets);
        for (size_t number = 0; number < count; number++) {
            size_t rest = number;

            for (size_t i = 0; i < len; i++) {
                text[i] = octets[rest % sizeof(octets)];
                rest /= sizeof(octets);
            }
            taken += is_strict(text, len) ? 1 : 0;
        }
    }
    assert_int_equal(taken, 1 + 256 + 48 + 8);
}

static void every_octet_is_a_digit_or_is_not(void **state)
{
    (void)state;
    for (unsigned octet = 0; octet < 256; octet++) {
        uint8_t text[8] = "AAAAAAA";

        for (size_t at = 0; at < 8; at++) {
            memset(text, 'A', sizeof(text));
            text[at] = (uint8_t)octet;
            (void)is_strict(text, sizeof(text));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_refuses_what_is_not_strict),
        cmocka_unit_test(base64_gives_back_what_it_encoded),
        cmocka_unit_test(base64_never_writes_past_its_room),
        cmocka_unit_test(what_is_strict_is_what_would_be_decoded),
        cmocka_unit_test(every_octet_is_a_digit_or_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
