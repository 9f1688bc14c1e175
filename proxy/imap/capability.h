/* A backend's capability list: what we need to know of it, and what of it a
 * client behind us may see. */
#ifndef IMAP_CAPABILITY_H
#define IMAP_CAPABILITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/sasl_server.h"
#include "imap/wiped_buffer.h"

enum imap_capability {
    IMAP_CAPABILITY_IMAP4REV1,
    IMAP_CAPABILITY_IMAP4REV2,
    IMAP_CAPABILITY_SASL_IR,
    IMAP_CAPABILITY_LITERAL_PLUS,
    IMAP_CAPABILITY_LITERAL_MINUS,
    IMAP_CAPABILITY_STARTTLS,
    IMAP_CAPABILITY_LOGINDISABLED,
    IMAP_CAPABILITY_ID,
    IMAP_CAPABILITY_AUTH_PLAIN,
    IMAP_CAPABILITY_AUTH_LOGIN,
    IMAP_CAPABILITY_AUTH_XOAUTH2,
    IMAP_CAPABILITY_AUTH_OAUTHBEARER,
    IMAP_CAPABILITY_AUTH_SCRAM_SHA_1,
    IMAP_CAPABILITY_AUTH_SCRAM_SHA_256,
    IMAP_CAPABILITY_SCRAM_PLUS, /* any AUTH= that ends in -PLUS */
    IMAP_CAPABILITY_UNAUTHENTICATE,
    IMAP_CAPABILITY_REFERRALS /* of logins or of mailboxes */
};

/* A set; all zero is the empty one. */
struct imap_capabilities {
    uint32_t bits; /* 1 << enum imap_capability */
};

/* Reads a list, with or without a leading space. Names are case-insensitive,
 * unknown ones ignored (RFC 9051, 7.2.2). */
void imap_capabilities_parse(const uint8_t *list, size_t len,
                             struct imap_capabilities *capabilities_out);

bool imap_capabilities_has(const struct imap_capabilities *capabilities,
                           enum imap_capability capability);

/* Whether AUTH= this mechanism is among them. */
bool imap_capabilities_offer(const struct imap_capabilities *capabilities,
                             enum sasl_mechanism mechanism);

/* Appends the list as a client that is logged in may see it, names parted by
 * one space: without what only holds before the login, and without what would
 * lead the session past us (RFC 8437, 2193, 2221). What was in it, hidden or
 * not, comes out as by imap_capabilities_parse. */
void imap_capabilities_filter(const uint8_t *list, size_t len,
                              struct wiped_buffer *out,
                              struct imap_capabilities *capabilities_out);

#endif
