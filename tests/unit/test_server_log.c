/* What the server says of its backends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "log_capture.h"
#include "server_log.h"

static void each_backend_is_shown_with_its_notes(void **state)
{
    char names[2][8] = {"imap-1", "imap-2"};
    char host[] = "mail.example.org";
    const struct backend_config configs[] = {
        {.name = names[0], .host = host, .port = 993},
        {.name = names[1], .host = host, .port = 993}};
    const struct address address = {.is_ipv6 = true};
    struct backend_registry *registry = backend_registry_new();
    struct backend_set *backends = backend_set_new(registry, configs, 2);
    struct backend *first = backend_set_find(backends, &configs[0]);
    struct backend *counted = backend_session_opened(first);
    struct log_capture capture;
    const char *text;

    (void)state;
    (void)backend_set_addresses(first, &address, 1);
    (void)backend_note(first, BACKEND_NOTE_OFFERS_PLUS);
    (void)backend_note(first, BACKEND_NOTE_LACKS_MECHANISM);
    log_capture_start(&capture);
    server_log_backends(backends);
    text = log_capture_take(&capture);

    assert_non_null(strstr(text, " info backend backend=imap-1 state=up "
                                 "reason=\"host has an address\" for_s=0 "
                                 "sessions=1 probes=0 probe_failures=0 "
                                 "notes=lacks-mechanism,offers-plus\n"));
    assert_non_null(strstr(text,
                           " info backend backend=imap-2 state=down "
                           "reason=\"host has no address\" for_s=0 sessions=0 "
                           "probes=0 probe_failures=0\n"));
    backend_session_closed(&counted);
    backend_set_free(&backends);
    backend_registry_free(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_backend_is_shown_with_its_notes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
