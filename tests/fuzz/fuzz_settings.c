/* Any bytes as gatepost.json: taken or refused with a reason, never more. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "config/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_settings(const struct settings *settings)
{
    assert(settings->listener_count > 0);
    assert(settings->tls.certificate_count > 0);
    assert(settings->routes != NULL);
    assert(settings->auth.mechanisms != 0);
    assert(strchr(settings->auth.identity.separators, '@') != NULL);
    for (size_t i = 0; i < settings->listener_count; i++) {
        assert(settings->listeners[i].address != NULL);
        assert(settings->listeners[i].port != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct reasons *reasons = reasons_new();
    struct settings *settings = NULL;
    bool is_taken =
        settings_parse(bytes, len, "gatepost.json", &settings, reasons);

    assert(is_taken == !reasons_has_errors(reasons));
    assert(is_taken == (settings != NULL));
    if (is_taken)
        check_settings(settings);
    for (size_t i = 0; i < reasons->count; i++) {
        char line[128];

        assert(reason_format(&reasons->items[i], line, sizeof(line)) <
               sizeof(line));
    }
    settings_free(&settings);
    reasons_free(&reasons);
    return 0;
}
