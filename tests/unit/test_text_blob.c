/* Texts in one block: where it moves, and what it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/text_blob.h"

enum {
    TEXTS = 1000
};

static void fill(struct text_blob *blob, size_t texts)
{
    for (size_t i = 0; i < texts; i++) {
        uint32_t at = text_blob_add(blob, "nine byte", 9);

        assert_int_not_equal(at, 0);
        assert_string_equal(blob->bytes + at, "nine byte");
    }
}

static void texts_do_not_move_in_what_was_reserved(void **state)
{
    struct text_blob blob;
    const char *bytes;

    (void)state;
    text_blob_init(&blob);
    fill(&blob, 3);
    text_blob_reserve(&blob, (size_t)TEXTS * 10);
    bytes = blob.bytes;
    fill(&blob, TEXTS);

    assert_ptr_equal(blob.bytes, bytes);
    assert_int_equal(blob.len, blob.capacity);
    text_blob_deinit(&blob);
}

static void room_that_is_there_is_not_made_again(void **state)
{
    struct text_blob blob;

    (void)state;
    text_blob_init(&blob);
    text_blob_reserve(&blob, 1000);
    text_blob_reserve(&blob, 10);

    assert_int_equal(blob.capacity, 1001);
    text_blob_deinit(&blob);
}

static void texts_may_outgrow_what_was_reserved(void **state)
{
    struct text_blob blob;

    (void)state;
    text_blob_init(&blob);
    text_blob_reserve(&blob, 100);
    fill(&blob, TEXTS);
    text_blob_trim(&blob);

    assert_int_equal(blob.len, TEXTS * 10 + 1);
    assert_int_equal(blob.capacity, blob.len);
    text_blob_deinit(&blob);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_do_not_move_in_what_was_reserved),
        cmocka_unit_test(room_that_is_there_is_not_made_again),
        cmocka_unit_test(texts_may_outgrow_what_was_reserved),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
