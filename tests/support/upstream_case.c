#include "upstream_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void upstream_case_init(struct upstream_case *self)
{
    memset(self, 0, sizeof(*self));
    self->login = upstream_login_new();
    self->request.credentials = &self->credentials;
    self->request.tag = "a1";
    self->request.known = &self->known;
}

void upstream_case_deinit(struct upstream_case *self)
{
    upstream_login_free(&self->login);
    assert_null(self->login);
    upstream_login_free(&self->login);
}

int upstream_case_set_up(void **state)
{
    struct upstream_case *self = calloc(1, sizeof(*self));

    upstream_case_init(self);
    *state = self;
    return 0;
}

int upstream_case_tear_down(void **state)
{
    upstream_case_deinit(*state);
    free(*state);
    return 0;
}

void upstream_case_set(struct upstream_case *self, const char *user,
                       const char *secret)
{
    assert_true(credentials_set_user(&self->credentials, (const uint8_t *)user,
                                     strlen(user)));
    assert_true(credentials_set_secret(
        &self->credentials, (const uint8_t *)secret, strlen(secret)));
}

void upstream_case_set_message(struct upstream_case *self,
                               enum sasl_mechanism mechanism,
                               const char *message)
{
    upstream_case_set(self, "bob", message);
    self->credentials.kind = CREDENTIALS_MESSAGE;
    self->request.sasl = mechanism;
}

void upstream_case_set_certificate(struct upstream_case *self, const char *user)
{
    static const uint8_t secret[] = "hunter2";
    static const struct master_login master = {"boss", secret,
                                               sizeof(secret) - 1};

    upstream_case_set(self, user, "");
    self->credentials.kind = CREDENTIALS_CERTIFICATE;
    self->request.sasl = SASL_EXTERNAL;
    self->request.master = &master;
}

enum upstream_login_result upstream_case_start(struct upstream_case *self,
                                               const char *list)
{
    imap_capabilities_parse((const uint8_t *)list, strlen(list), &self->known);
    return upstream_login_start(self->login, &self->request);
}

void upstream_case_start_bob(struct upstream_case *self)
{
    upstream_case_set(self, "bob", "pw");
    assert_int_equal(upstream_case_start(self, "SASL-IR AUTH=PLAIN"),
                     UPSTREAM_LOGIN_MORE);
    upstream_login_to_backend_clear(self->login);
}

enum upstream_login_result upstream_case_feed(struct upstream_case *self,
                                              const char *text)
{
    size_t used;
    enum upstream_login_result result = upstream_login_feed(
        self->login, (const uint8_t *)text, strlen(text), &used);

    assert_int_equal(used, strlen(text));
    return result;
}

void assert_bytes(const uint8_t *bytes, size_t len, const char *expected,
                  size_t expected_len)
{
    if (len != expected_len || (len > 0 && memcmp(bytes, expected, len) != 0))
        print_error("is: %.*s\nexpected: %s\n", (int)len, (const char *)bytes,
                    expected);
    assert_int_equal(len, expected_len);
    if (len > 0)
        assert_memory_equal(bytes, expected, len);
}

void assert_to_backend(struct upstream_case *self, const char *expected)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_backend(self->login, &len);

    assert_bytes(bytes, len, expected, strlen(expected));
    upstream_login_to_backend_clear(self->login);
}

void assert_to_backend_begins(struct upstream_case *self, const char *expected)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_backend(self->login, &len);

    assert_true(len >= strlen(expected));
    assert_memory_equal(bytes, expected, strlen(expected));
    upstream_login_to_backend_clear(self->login);
}

void assert_to_client(struct upstream_case *self, const char *expected)
{
    size_t len;
    const uint8_t *bytes = upstream_login_to_client(self->login, &len);

    assert_bytes(bytes, len, expected, strlen(expected));
}

void assert_refusal(struct upstream_case *self, enum login_answer answer,
                    bool is_config_fault, const char *reason)
{
    const struct upstream_refusal *refusal =
        upstream_login_refusal(self->login);

    assert_int_equal(refusal->answer, answer);
    assert_int_equal(refusal->is_config_fault, is_config_fault);
    assert_string_equal(refusal->reason, reason);
}
