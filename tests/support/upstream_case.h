/* One login at a backend that a test plays. */
#ifndef SUPPORT_UPSTREAM_CASE_H
#define SUPPORT_UPSTREAM_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/credentials.h"
#include "session/upstream_login.h"
#include "state/master_logins.h"

struct upstream_case {
    struct upstream_login *login;
    struct credentials credentials;
    struct imap_capabilities known;
    /* What upstream_case_start goes by; the credentials are the case's own,
     * the tag is "a1" unless the test has set another. */
    struct upstream_login_request request;
};

/* For cmocka_unit_test_setup_teardown. */
int upstream_case_set_up(void **state);
int upstream_case_tear_down(void **state);

/* The same in place, for tests that walk a table. */
void upstream_case_init(struct upstream_case *self);
void upstream_case_deinit(struct upstream_case *self);

/* A password. */
void upstream_case_set(struct upstream_case *self, const char *user,
                       const char *secret);

/* The first message of this mechanism, as the client has sent it. */
void upstream_case_set_message(struct upstream_case *self,
                               enum sasl_mechanism mechanism,
                               const char *message);

/* A name that a certificate has shown, for the master "boss" with "hunter2". */
void upstream_case_set_certificate(struct upstream_case *self,
                                   const char *user);

/* At a backend that lists these capabilities. */
enum upstream_login_result upstream_case_start(struct upstream_case *self,
                                               const char *list);

/* Starts the plain case, so that the test can begin behind it. */
void upstream_case_start_bob(struct upstream_case *self);

/* Feeds the text, all of which must be used up. */
enum upstream_login_result upstream_case_feed(struct upstream_case *self,
                                              const char *text);

void assert_bytes(const uint8_t *bytes, size_t len, const char *expected,
                  size_t expected_len);

/* What is for the backend is taken, too. */
void assert_to_backend(struct upstream_case *self, const char *expected);
void assert_to_backend_begins(struct upstream_case *self, const char *expected);
void assert_to_client(struct upstream_case *self, const char *expected);
void assert_refusal(struct upstream_case *self, enum login_answer answer,
                    bool is_config_fault, const char *reason);

#endif
