/* Every text that we ever send to a client. */
#ifndef IMAP_REPLY_H
#define IMAP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "imap/span.h"
#include "imap/wiped_buffer.h"

enum reply {
    REPLY_CAPABILITY_DONE,
    REPLY_NOOP_DONE,
    REPLY_LOGOUT_DONE,
    REPLY_ID_DONE,
    REPLY_STARTTLS_DONE,
    REPLY_STARTTLS_UNAVAILABLE,
    REPLY_STARTTLS_TWICE,
    REPLY_PRIVACY_REQUIRED,
    REPLY_AUTHENTICATION_FAILED,
    REPLY_AUTHORIZATION_FAILED,
    REPLY_UNAVAILABLE,
    REPLY_LIMIT,
    REPLY_MECHANISM_UNKNOWN,
    REPLY_LOGIN_DISABLED,
    REPLY_CANCELLED,
    REPLY_BAD_SASL,
    REPLY_BAD_COMMAND,
    REPLY_BAD_ARGUMENTS,
    REPLY_BAD_LINE_END,
    REPLY_LITERAL_TOO_BIG,
    REPLY_TOO_LONG,
    REPLY_WRONG_STATE,
    REPLY_BYE_LOGOUT,
    REPLY_BYE_BAD_COMMANDS,
    REPLY_BYE_COMMANDS,
    REPLY_BYE_LOGINS,
    REPLY_BYE_UNREADABLE,
    REPLY_BYE_HTTP
};
#define REPLY_COUNT 28

/* What a listener offers at this moment. */
struct reply_offer {
    bool is_secure;
    bool starttls;
    bool imap4rev2;      /* beside IMAP4rev1 */
    unsigned mechanisms; /* a set of enum sasl_mechanism */
};

/* Whether the command LOGIN is taken: wherever passwords are. */
bool reply_offers_login(const struct reply_offer *offer);

/* Writes "tag text CRLF"; a NULL tag is "*". */
void reply_write(struct wiped_buffer *out, enum reply reply, const char *tag);

/* "* OK [CAPABILITY ...] Gatepost ready". */
void reply_greeting(struct wiped_buffer *out, const struct reply_offer *offer);

/* "* CAPABILITY ...". The list promises what we parse ourselves, no more. */
void reply_capability(struct wiped_buffer *out,
                      const struct reply_offer *offer);

/* "* ID ..." (RFC 2971). */
void reply_id(struct wiped_buffer *out);

/* Invites a literal. */
void reply_continue(struct wiped_buffer *out);

/* "+ " and a SASL challenge, which may be empty (RFC 9051, 6.2.2). */
void reply_challenge(struct wiped_buffer *out, struct imap_span base64);

/* "tag NO [code] text" in somebody else's words. False, with nothing written,
 * when the code is no printable ASCII of at most REPLY_CODE_MAX octets; odd
 * bytes of the text become '?', and what is beyond REPLY_TEXT_MAX is cut. */
bool reply_coded_no(struct wiped_buffer *out, const char *tag, const char *code,
                    size_t code_len, const char *text, size_t text_len);

/* "tag NO text", the same without a code. False, with nothing written, when
 * the text is empty or would be read as beginning with a code. */
bool reply_uncoded_no(struct wiped_buffer *out, const char *tag,
                      const char *text, size_t text_len);

#define REPLY_CODE_MAX 128
#define REPLY_TEXT_MAX 512

/* A backend's capabilities, filtered: "* CAPABILITY list". */
void reply_backend_capability(struct wiped_buffer *out, struct imap_span list);

/* "tag OK [CAPABILITY list] text": the backend's own OK with its list in it.
 * An empty list is left out. An empty text becomes ours, and so does one that
 * begins with another code, which would pass unfiltered. */
void reply_logged_in(struct wiped_buffer *out, const char *tag,
                     struct imap_span list, struct imap_span text);

/* "* BYE text". */
void reply_bye(struct wiped_buffer *out, const char *text);

#endif
