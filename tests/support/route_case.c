#include "route_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reasons_text.h"

struct identity_rules *route_case_rules(void)
{
    static struct identity_rules rules;

    return &rules;
}

int route_case_set_up(void **state)
{
    (void)state;
    identity_rules_init(route_case_rules());
    return 0;
}

int route_case_tear_down(void **state)
{
    (void)state;
    identity_rules_deinit(route_case_rules());
    return 0;
}

struct route_table *route_case_parse(const char *text, const char *file,
                                     const struct identity_rules *rules,
                                     const char *expected)
{
    struct reasons *reasons = reasons_new();
    struct route_table *table = NULL;
    bool is_parsed = route_table_parse((const uint8_t *)text, strlen(text),
                                       file, rules, &table, reasons);
    char *lines = reasons_text(reasons);

    assert_string_equal(lines, expected);
    assert_int_equal(is_parsed, table != NULL);
    assert_int_equal(is_parsed, !reasons_has_errors(reasons));
    free(lines);
    reasons_free(&reasons);
    return table;
}
