/* A dialogue before login, fed by hand. */
#ifndef SUPPORT_LOGIN_CASE_H
#define SUPPORT_LOGIN_CASE_H

#include "session/login.h"

#define LOGIN_CASE_AUTHENTICATION_FAILED                                       \
    "NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
#define LOGIN_CASE_PRIVACY_REQUIRED                                            \
    "NO [PRIVACYREQUIRED] Logging in needs TLS: use STARTTLS first.\r\n"
#define LOGIN_CASE_CLEAR_LIST                                                  \
    "CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID STARTTLS LOGINDISABLED"
#define LOGIN_CASE_SECURE_LIST                                                 \
    "CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID AUTH=PLAIN AUTH=LOGIN"

/* A string with NULs in it, and its length. */
#define LOGIN_CASE_BYTES(text) (text), sizeof(text) - 1

/* The defaults of a listener with STARTTLS. */
struct login_rules login_case_rules(void);

/* With these rules, before and after TLS. */
struct login *login_case_clear(void);
struct login *login_case_secure(void);

/* After TLS, with these rules; with SASL_EXTERNAL among the mechanisms the
 * client has shown a certificate of "carol". */
struct login *login_case_of(const struct login_rules *rules);

/* The same, with the default rules but these mechanisms. */
struct login *login_case_with(unsigned mechanisms);
#define LOGIN_CASE_ALL_MECHANISMS ((1u << SASL_MECHANISM_COUNT) - 1)

/* Takes all of it. */
enum login_decision login_case_feed(struct login *login, const char *text);
enum login_decision login_case_feed_bytes(struct login *login,
                                          const void *bytes, size_t len);

/* Feeds a line that ends in the message's base64. */
enum login_decision login_case_feed_message(struct login *login,
                                            const char *before,
                                            const void *message, size_t len);

/* Answers without words of a backend. */
enum login_decision login_case_refuse(struct login *login,
                                      enum login_answer answer);

/* The output is, begins with or ends in this; it is taken away. */
void login_case_assert_output(struct login *login, const char *expected);
void login_case_assert_output_begins(struct login *login, const char *expected);
void login_case_assert_output_ends(struct login *login, const char *expected);

void login_case_assert_try(const struct login *login, const char *tag,
                           const char *user, const char *secret);

#endif
