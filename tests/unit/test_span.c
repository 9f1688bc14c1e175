/* What an atom is made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "imap/span.h"

/* RFC 9051, 9: ATOM-CHAR is any CHAR but atom-specials: "(", ")", "{", SP, CTL,
 * list-wildcards, quoted-specials and resp-specials. */
static void atoms_hold_what_the_grammar_allows(void **state)
{
    static const char allowed[] = "!#$&'+,-./0123456789:;<=>?@"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ[^_`"
                                  "abcdefghijklmnopqrstuvwxyz|}~";

    (void)state;
    for (int byte = 0; byte < 256; byte++) {
        bool is_allowed = memchr(allowed, byte, sizeof(allowed) - 1) != NULL;

        assert_int_equal(imap_is_atom_char((uint8_t)byte), is_allowed);
        assert_int_equal(imap_is_astring_char((uint8_t)byte),
                         is_allowed || byte == ']');
    }
}

static void an_atom_ends_at_the_first_other_byte(void **state)
{
    struct imap_span span = {(const uint8_t *)"NIL)x", 5};
    struct imap_span atom = imap_span_take_atom(&span);

    (void)state;
    assert_int_equal(atom.len, 3);
    assert_memory_equal(atom.bytes, "NIL", 3);
    assert_int_equal(span.len, 2);
    assert_int_equal(span.bytes[0], ')');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(atoms_hold_what_the_grammar_allows),
        cmocka_unit_test(an_atom_ends_at_the_first_other_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
