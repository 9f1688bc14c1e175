#include "session/upstream_notes.h"

#include "auth/sasl_server.h"
#include "base/log.h"

#include <string.h>

#define SCRAM (SASL_SCRAM_SHA_1 | SASL_SCRAM_SHA_256)

/* How to mend it, for the log. */
static const char *const hints[BACKEND_NOTE_COUNT] = {
    [BACKEND_NOTE_LACKS_MECHANISM] =
        "offer the mechanism on the backend, or take it out of auth.mechanisms",
    [BACKEND_NOTE_OFFERS_PLUS] =
        "turn SCRAM's channel binding off on the backend: clients that could "
        "bind fail there (RFC 5802, 6)",
    [BACKEND_NOTE_OFFERS_UNAUTHENTICATE] =
        "turn UNAUTHENTICATE off on the backend (Cyrus offers it to its admins "
        "alone: let them log in elsewhere): the next user of the connection "
        "would stay there, past routing and limits (RFC 8437)",
    [BACKEND_NOTE_OFFERS_REFERRALS] =
        "turn referrals off on the backend (Cyrus: suppress_capabilities: "
        "MAILBOX-REFERRALS; Dovecot: imap_capability without "
        "LOGIN-REFERRALS): they send clients past Gatepost (RFC 2193, 2221)",
    [BACKEND_NOTE_REFUSES_PROBE] =
        "give the backend and the file of the probe's secret the same "
        "password: until then a probe tells only that logins are judged",
};

static void log_mechanisms(struct log_entry *entry, unsigned mechanisms)
{
    char text[128] = "";

    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        if ((mechanisms & 1u << i) == 0)
            continue;
        if (text[0] != '\0')
            strncat(text, ",", sizeof(text) - strlen(text) - 1);
        strncat(text, sasl_mechanism_name((enum sasl_mechanism)(1u << i)),
                sizeof(text) - strlen(text) - 1);
    }
    if (text[0] != '\0')
        log_text(entry, "mechanism", text);
}

static void keep(struct backend *backend, enum backend_note note,
                 unsigned mechanisms)
{
    struct log_entry entry;

    if (!backend_note(backend, note))
        return;
    log_begin(&entry, LOG_WARN, "backend-note");
    log_text(&entry, "backend", backend_name(backend));
    log_text(&entry, "note", backend_note_name(note));
    log_mechanisms(&entry, mechanisms);
    log_text(&entry, "hint", hints[note]);
    log_end(&entry);
}

static bool has(const struct imap_capabilities *known,
                enum imap_capability capability)
{
    return imap_capabilities_has(known, capability);
}

/* Whether a login that came by this mechanism can go on by something. */
static bool can_carry(const struct imap_capabilities *known,
                      enum sasl_mechanism mechanism)
{
    switch (mechanism) {
    case SASL_NONE:
    case SASL_PLAIN:
    case SASL_LOGIN:
        return has(known, IMAP_CAPABILITY_AUTH_PLAIN) ||
               has(known, IMAP_CAPABILITY_AUTH_LOGIN) ||
               !has(known, IMAP_CAPABILITY_LOGINDISABLED);
    case SASL_EXTERNAL:
        return has(known, IMAP_CAPABILITY_AUTH_PLAIN);
    case SASL_XOAUTH2:
    case SASL_OAUTHBEARER:
    case SASL_SCRAM_SHA_1:
    case SASL_SCRAM_SHA_256:
        break;
    }
    return imap_capabilities_offer(known, mechanism);
}

/* Those among the mechanisms that a login cannot come by. */
static unsigned lacking(const struct imap_capabilities *known,
                        unsigned mechanisms)
{
    unsigned lacks = 0;

    for (unsigned i = 0; i < SASL_MECHANISM_COUNT; i++) {
        enum sasl_mechanism mechanism = (enum sasl_mechanism)(1u << i);

        if ((mechanisms & mechanism) != 0 && !can_carry(known, mechanism))
            lacks |= mechanism;
    }
    return lacks;
}

void upstream_notes_before(struct backend *backend,
                           const struct imap_capabilities *known,
                           unsigned mechanisms)
{
    unsigned lacks = lacking(known, mechanisms);

    if (lacks != 0)
        keep(backend, BACKEND_NOTE_LACKS_MECHANISM, lacks);
    if ((mechanisms & SCRAM) != 0 && has(known, IMAP_CAPABILITY_SCRAM_PLUS))
        keep(backend, BACKEND_NOTE_OFFERS_PLUS, SASL_NONE);
    upstream_notes_after(backend, known);
}

void upstream_notes_after(struct backend *backend,
                          const struct imap_capabilities *known)
{
    if (has(known, IMAP_CAPABILITY_UNAUTHENTICATE))
        keep(backend, BACKEND_NOTE_OFFERS_UNAUTHENTICATE, SASL_NONE);
    if (has(known, IMAP_CAPABILITY_REFERRALS))
        keep(backend, BACKEND_NOTE_OFFERS_REFERRALS, SASL_NONE);
}

void upstream_notes_probe(struct backend *backend)
{
    keep(backend, BACKEND_NOTE_REFUSES_PROBE, SASL_NONE);
}
