#include "settings_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reasons_text.h"

static struct settings *parse(const char *text, const char *file,
                              const char *expected)
{
    struct reasons *reasons = reasons_new();
    struct settings *settings = NULL;
    bool is_parsed = settings_parse((const uint8_t *)text, strlen(text), file,
                                    &settings, reasons);
    char *lines = reasons_text(reasons);

    assert_string_equal(lines, expected);
    assert_int_equal(is_parsed, settings != NULL);
    free(lines);
    reasons_free(&reasons);
    return settings;
}

struct settings *settings_case_parse(const char *text)
{
    struct settings *settings = parse(text, SETTINGS_CASE_FILE, "");

    assert_non_null(settings);
    return settings;
}

void settings_case_assert_warned(const char *text, const char *expected)
{
    struct settings *settings = parse(text, "f", expected);

    assert_non_null(settings);
    settings_free(&settings);
}

void settings_case_assert_refused(const char *text, const char *expected)
{
    assert_null(parse(text, "f", expected));
}

void settings_case_assert_all_refused(const struct settings_refusal *refusals,
                                      size_t count)
{
    for (size_t i = 0; i < count; i++)
        settings_case_assert_refused(refusals[i].text, refusals[i].reason);
}
