#include "imap/capability.h"

#include <strings.h>

#include "imap/span.h"

static const char *const names[IMAP_CAPABILITY_COUNT] = {
    [IMAP_CAPABILITY_IMAP4REV1] = "IMAP4rev1",
    [IMAP_CAPABILITY_IMAP4REV2] = "IMAP4rev2",
    [IMAP_CAPABILITY_SASL_IR] = "SASL-IR",
    [IMAP_CAPABILITY_LITERAL_PLUS] = "LITERAL+",
    [IMAP_CAPABILITY_LITERAL_MINUS] = "LITERAL-",
    [IMAP_CAPABILITY_STARTTLS] = "STARTTLS",
    [IMAP_CAPABILITY_LOGINDISABLED] = "LOGINDISABLED",
    [IMAP_CAPABILITY_ID] = "ID",
    [IMAP_CAPABILITY_AUTH_PLAIN] = "AUTH=PLAIN",
    [IMAP_CAPABILITY_AUTH_LOGIN] = "AUTH=LOGIN",
};

/* What a client that is logged in shall not read: what held before the login
 * only; UNAUTHENTICATE, after which the next user would reach this backend
 * past our routing; and referrals, which would lead past us altogether. */
static const char *const hidden[] = {
    "STARTTLS",       "LOGINDISABLED",   "SASL-IR",
    "UNAUTHENTICATE", "LOGIN-REFERRALS", "MAILBOX-REFERRALS",
};

/* Takes the next name off the list; false at its end. A name with a byte that
 * no atom may hold comes out empty. */
static bool take_name(struct imap_span *list, struct imap_span *name_out)
{
    while (imap_span_take(list, ' '))
        ;
    if (list->len == 0)
        return false;
    *name_out = imap_span_take_atom(list);
    if (list->len > 0 && list->bytes[0] != ' ') {
        name_out->len = 0;
        while (list->len > 0 && list->bytes[0] != ' ') {
            list->bytes++;
            list->len--;
        }
    }
    return true;
}

void imap_capabilities_parse(const uint8_t *list, size_t len,
                             struct imap_capabilities *capabilities_out)
{
    struct imap_span rest = {list, len};
    struct imap_span name;

    *capabilities_out = (struct imap_capabilities){0};
    while (take_name(&rest, &name)) {
        for (size_t i = 0; i < IMAP_CAPABILITY_COUNT; i++) {
            if (imap_span_is(name, names[i]))
                capabilities_out->known[i] = true;
        }
    }
}

bool imap_capabilities_has(const struct imap_capabilities *capabilities,
                           enum imap_capability capability)
{
    return capabilities->known[capability];
}

static bool is_hidden(struct imap_span name)
{
    static const size_t count = sizeof(hidden) / sizeof(hidden[0]);

    if (name.len >= 5 && strncasecmp((const char *)name.bytes, "AUTH=", 5) == 0)
        return true;
    for (size_t i = 0; i < count; i++) {
        if (imap_span_is(name, hidden[i]))
            return true;
    }
    return false;
}

void imap_capabilities_filter(const uint8_t *list, size_t len,
                              struct wiped_buffer *out)
{
    struct imap_span rest = {list, len};
    struct imap_span name;
    const char *separator = "";

    while (take_name(&rest, &name)) {
        if (name.len == 0 || is_hidden(name))
            continue;
        wiped_buffer_append_text(out, separator);
        wiped_buffer_append(out, name.bytes, name.len);
        separator = " ";
    }
}
