#include "control_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct control_message kick = {
    .kind = CONTROL_KICK,
    .flags = 0x03e10003,
    .number = UINT64_C(0x1122334455667788),
    .texts = {"alice@example.org", NULL, "kicked", "imap-a1", ""}};

static void assert_same_text(const char *one, const char *other)
{
    if (one == NULL || other == NULL)
        assert_ptr_equal(one, other);
    else
        assert_string_equal(one, other);
}

static void a_message_is_read_as_it_was_written(void **state)
{
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    size_t len = control_message_write(&kick, bytes);
    struct control_message message;

    (void)state;
    assert_true(control_message_read(bytes, len, &message));

    assert_int_equal(message.kind, CONTROL_KICK);
    assert_int_equal(message.flags, kick.flags);
    assert_int_equal(message.number, kick.number);
    for (size_t i = 0; i < CONTROL_KICK_TEXTS; i++)
        assert_same_text(message.texts[i], kick.texts[i]);
}

static void a_message_of_another_length_is_refused(void **state)
{
    uint8_t bytes[CONTROL_MESSAGE_MAX] = {0};
    size_t len = control_message_write(&kick, bytes);
    struct control_message message;

    (void)state;
    for (size_t cut = 0; cut < len; cut++)
        assert_false(control_message_read(bytes, cut, &message));
    assert_false(control_message_read(bytes, len + 1, &message));
}

static void an_unknown_kind_is_refused(void **state)
{
    const struct control_message end = {.kind = CONTROL_END};
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    size_t len = control_message_write(&end, bytes);
    struct control_message message;

    (void)state;
    bytes[0] = 0;
    assert_false(control_message_read(bytes, len, &message));
    bytes[0] = CONTROL_KIND_LAST + 1;
    assert_false(control_message_read(bytes, len, &message));
}

static void a_text_ends_where_its_length_says(void **state)
{
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    size_t len = control_message_write(&kick, bytes);
    uint8_t *user = memchr(bytes, 'a', len);
    struct control_message message;

    (void)state;
    user[5] = '\0';
    assert_false(control_message_read(bytes, len, &message));
    user[5] = '@';
    user[strlen(kick.texts[0])] = '!';
    assert_false(control_message_read(bytes, len, &message));
}

static void a_text_that_is_too_long_is_cut(void **state)
{
    char *found = malloc(2 * CONTROL_TEXT_MAX);
    struct control_message reason = {.kind = CONTROL_REASON}, message;
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    size_t len;

    (void)state;
    memset(found, 'x', 2 * CONTROL_TEXT_MAX - 1);
    found[2 * CONTROL_TEXT_MAX - 1] = '\0';
    for (size_t i = 0; i < CONTROL_REASON_TEXTS; i++)
        reason.texts[i] = found;
    len = control_message_write(&reason, bytes);

    assert_true(control_message_read(bytes, len, &message));
    for (size_t i = 0; i < CONTROL_REASON_TEXTS; i++)
        assert_int_equal(strlen(message.texts[i]), CONTROL_TEXT_MAX);
    free(found);
}

/* Whatever is read has its texts within the packet. */
static void assert_is_within(const struct control_message *message,
                             const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < CONTROL_TEXTS_MAX; i++) {
        const uint8_t *text = (const uint8_t *)message->texts[i];

        if (text == NULL)
            continue;
        assert_true(text > bytes && text < bytes + len);
        assert_non_null(memchr(text, '\0', (size_t)(bytes + len - text)));
    }
}

static void a_byte_that_changed_is_refused_or_stays_within(void **state)
{
    uint8_t bytes[CONTROL_MESSAGE_MAX];
    size_t len = control_message_write(&kick, bytes);
    struct control_message message;

    (void)state;
    for (size_t at = 0; at < len; at++) {
        uint8_t *packet = malloc(len);

        for (unsigned value = 0; value < 256; value++) {
            memcpy(packet, bytes, len);
            packet[at] = (uint8_t)value;
            if (control_message_read(packet, len, &message))
                assert_is_within(&message, packet, len);
        }
        free(packet);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_read_as_it_was_written),
        cmocka_unit_test(a_message_of_another_length_is_refused),
        cmocka_unit_test(an_unknown_kind_is_refused),
        cmocka_unit_test(a_text_ends_where_its_length_says),
        cmocka_unit_test(a_text_that_is_too_long_is_cut),
        cmocka_unit_test(a_byte_that_changed_is_refused_or_stays_within),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
