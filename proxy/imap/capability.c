#include "imap/capability.h"

#include <string.h>
#include <strings.h>

#include "imap/span.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct known_name {
    const char *text;
    size_t len;
    enum imap_capability capability;
    bool is_hidden;
};

#define ROW(text, capability, is_hidden)                                       \
    {                                                                          \
        text, sizeof(text) - 1, IMAP_CAPABILITY_##capability, is_hidden        \
    }

/* Hidden is what a client that is logged in shall not read: what held before
 * the login only; UNAUTHENTICATE, after which the next user would reach this
 * backend past our routing; and referrals, which would lead past us
 * altogether. */
static const struct known_name known_names[] = {
    ROW("IMAP4rev1", IMAP4REV1, false),
    ROW("IMAP4rev2", IMAP4REV2, false),
    ROW("SASL-IR", SASL_IR, true),
    ROW("LITERAL+", LITERAL_PLUS, false),
    ROW("LITERAL-", LITERAL_MINUS, false),
    ROW("STARTTLS", STARTTLS, true),
    ROW("LOGINDISABLED", LOGINDISABLED, true),
    ROW("ID", ID, false),
    ROW("UNAUTHENTICATE", UNAUTHENTICATE, true),
    ROW("LOGIN-REFERRALS", REFERRALS, true),
    ROW("MAILBOX-REFERRALS", REFERRALS, true),
};

/* Of what follows "AUTH=", which is hidden whatever it is. */
static const struct known_name known_mechanisms[] = {
    ROW("PLAIN", AUTH_PLAIN, true),
    ROW("LOGIN", AUTH_LOGIN, true),
    ROW("XOAUTH2", AUTH_XOAUTH2, true),
    ROW("OAUTHBEARER", AUTH_OAUTHBEARER, true),
    ROW("SCRAM-SHA-1", AUTH_SCRAM_SHA_1, true),
    ROW("SCRAM-SHA-256", AUTH_SCRAM_SHA_256, true),
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

static bool begins_with(struct imap_span name, const char *text, size_t len)
{
    return name.len >= len &&
           strncasecmp((const char *)name.bytes, text, len) == 0;
}

static bool ends_with(struct imap_span name, const char *text, size_t len)
{
    return name.len >= len &&
           strncasecmp((const char *)name.bytes + name.len - len, text, len) ==
               0;
}

static const struct known_name *find(const struct known_name *rows,
                                     size_t count, struct imap_span name)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i].len == name.len &&
            begins_with(name, rows[i].text, rows[i].len))
            return &rows[i];
    }
    return NULL;
}

static void add(struct imap_capabilities *capabilities,
                enum imap_capability capability)
{
    capabilities->bits |= UINT32_C(1) << capability;
}

static void learn_mechanism(struct imap_capabilities *capabilities,
                            struct imap_span mechanism)
{
    const struct known_name *known =
        find(known_mechanisms, COUNT_OF(known_mechanisms), mechanism);

    if (known != NULL)
        add(capabilities, known->capability);
    else if (ends_with(mechanism, "-PLUS", 5))
        add(capabilities, IMAP_CAPABILITY_SCRAM_PLUS);
}

/* Whether a client that is logged in may see the name. */
static bool learn(struct imap_capabilities *capabilities, struct imap_span name)
{
    const struct known_name *known;

    if (name.len == 0)
        return false;
    if (begins_with(name, "AUTH=", 5)) {
        learn_mechanism(capabilities,
                        (struct imap_span){name.bytes + 5, name.len - 5});
        return false;
    }
    known = find(known_names, COUNT_OF(known_names), name);
    if (known == NULL)
        return true;
    add(capabilities, known->capability);
    return !known->is_hidden;
}

void imap_capabilities_parse(const uint8_t *list, size_t len,
                             struct imap_capabilities *capabilities_out)
{
    struct imap_span rest = {list, len};
    struct imap_span name;

    *capabilities_out = (struct imap_capabilities){0};
    while (take_name(&rest, &name))
        (void)learn(capabilities_out, name);
}

bool imap_capabilities_has(const struct imap_capabilities *capabilities,
                           enum imap_capability capability)
{
    return (capabilities->bits >> capability & 1) != 0;
}

bool imap_capabilities_offer(const struct imap_capabilities *capabilities,
                             enum sasl_mechanism mechanism)
{
    struct imap_span name = {(const uint8_t *)sasl_mechanism_name(mechanism),
                             strlen(sasl_mechanism_name(mechanism))};
    const struct known_name *known =
        find(known_mechanisms, COUNT_OF(known_mechanisms), name);

    return known != NULL &&
           imap_capabilities_has(capabilities, known->capability);
}

void imap_capabilities_filter(const uint8_t *list, size_t len,
                              struct wiped_buffer *out,
                              struct imap_capabilities *capabilities_out)
{
    struct imap_span rest = {list, len};
    struct imap_span name;
    const char *separator = "";

    *capabilities_out = (struct imap_capabilities){0};
    while (take_name(&rest, &name)) {
        if (!learn(capabilities_out, name))
            continue;
        wiped_buffer_append_text(out, separator);
        wiped_buffer_append(out, name.bytes, name.len);
        separator = " ";
    }
}
