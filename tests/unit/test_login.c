/* The dialogue with a client before its login. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/base64.h"
#include "auth/sasl_server.h"
#include "session/login.h"
#include "transcript.h"

static const struct login_rules rules = {
    .line_max = 16384,
    .literal_max = 8192,
    .login_tries = 3,
    .bad_commands = 5,
    .wrong_state_commands = 20,
    .mechanisms = SASL_PLAIN | SASL_LOGIN,
    .starttls = true,
};

#define AUTHENTICATION_FAILED                                                  \
    "NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
#define PRIVACY_REQUIRED                                                       \
    "NO [PRIVACYREQUIRED] Logging in needs TLS: use STARTTLS first.\r\n"
#define CLEAR_LIST                                                             \
    "CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID STARTTLS LOGINDISABLED"
#define SECURE_LIST                                                            \
    "CAPABILITY IMAP4rev1 LITERAL- SASL-IR ID AUTH=PLAIN AUTH=LOGIN"

static struct login *new_clear(void)
{
    return login_new(&rules, false);
}

static struct login *new_secure(void)
{
    return login_new(&rules, true);
}

static enum login_decision feed_bytes(struct login *login, const void *bytes,
                                      size_t len)
{
    size_t used;
    enum login_decision decision = login_feed(login, bytes, len, &used);

    assert_int_equal(used, len);
    return decision;
}

static enum login_decision feed(struct login *login, const char *text)
{
    return feed_bytes(login, text, strlen(text));
}

/* The output is exactly this; it is taken away. */
static void assert_output(struct login *login, const char *expected)
{
    size_t len;
    const uint8_t *bytes = login_output(login, &len);

    if (len != strlen(expected) ||
        (len > 0 && memcmp(bytes, expected, len) != 0))
        print_error("output: %.*s\nexpected: %s\n", (int)len,
                    (const char *)bytes, expected);
    assert_int_equal(len, strlen(expected));
    if (len > 0)
        assert_memory_equal(bytes, expected, len);
    login_output_clear(login);
}

/* The output begins with this; it is taken away. */
static void assert_output_begins(struct login *login, const char *expected)
{
    size_t len;
    const uint8_t *bytes = login_output(login, &len);

    assert_true(len >= strlen(expected));
    assert_memory_equal(bytes, expected, strlen(expected));
    login_output_clear(login);
}

/* The output ends in this; it is taken away. */
static void assert_output_ends(struct login *login, const char *expected)
{
    size_t len;
    const uint8_t *bytes = login_output(login, &len);

    assert_true(len >= strlen(expected));
    assert_memory_equal(bytes + len - strlen(expected), expected,
                        strlen(expected));
    login_output_clear(login);
}

/* A string with NULs in it, and its length. */
#define BYTES(text) (text), sizeof(text) - 1

static enum login_decision refuse_try(struct login *login,
                                      enum login_answer answer)
{
    return login_failed(login, answer, NULL, 0, NULL, 0);
}

static void assert_try(const struct login *login, const char *tag,
                       const char *user, const char *secret)
{
    const struct credentials *credentials = login_credentials(login);

    assert_string_equal(login_tag(login), tag);
    assert_int_equal(credentials->user_len, strlen(user));
    assert_memory_equal(credentials->user, user, strlen(user));
    assert_int_equal(credentials->secret_len, strlen(secret));
    assert_memory_equal(credentials->secret, secret, strlen(secret));
}

static void the_greeting_tells_what_is_parsed(void **state)
{
    struct login *clear = new_clear();
    struct login *secure = new_secure();

    (void)state;
    login_greet(clear);
    login_greet(secure);

    assert_output(clear, "* OK [" CLEAR_LIST "] Gatepost ready\r\n");
    assert_output(secure, "* OK [" SECURE_LIST "] Gatepost ready\r\n");
    login_free(&clear);
    login_free(&secure);
    assert_null(clear);
    login_free(&clear);
}

static void commands_of_any_state_are_answered(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a nOOp\r\nb CAPABILITY\r\n"), LOGIN_MORE);
    assert_output(login, "a OK NOOP completed.\r\n"
                         "* " SECURE_LIST "\r\nb OK CAPABILITY completed.\r\n");
    assert_int_equal(feed(login, "c LOGOUT\r\n"), LOGIN_END);
    assert_output(login, "* BYE Logging out.\r\nc OK LOGOUT completed.\r\n");
    assert_string_equal(login_end_reason(login), "logout");
    login_free(&login);
}

static void bare_commands_take_no_arguments(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a NOOP x\r\nb CAPABILITY \r\nc LOGOUT y\r\n"),
                     LOGIN_MORE);

    assert_output(login, "a BAD Invalid arguments.\r\n"
                         "b BAD Invalid arguments.\r\n"
                         "c BAD Invalid arguments.\r\n");
    login_free(&login);
}

static void id_is_answered_and_its_pairs_are_dropped(void **state)
{
    struct login *login = new_clear();

    (void)state;
    assert_int_equal(feed(login, "a ID NIL\r\nb ID (\"name\" \"x\" {2+}\r\n"
                                 "os NIL)\r\nc ID ()\r\n"),
                     LOGIN_MORE);
    assert_output(login,
                  "* ID (\"name\" \"Gatepost\")\r\na OK ID completed.\r\n"
                  "* ID (\"name\" \"Gatepost\")\r\nb OK ID completed.\r\n"
                  "* ID (\"name\" \"Gatepost\")\r\nc OK ID completed.\r\n");
    assert_int_equal(feed(login, "d ID (\"x-originating-ip\" {3}\r\n"),
                     LOGIN_MORE);
    assert_output(login, "+ OK\r\n");
    assert_int_equal(feed(login, "::1)\r\n"), LOGIN_MORE);
    assert_output_begins(login, "* ID (\"name\" \"Gatepost\")\r\nd OK");
    login_free(&login);
}

static void write_id(char *out, size_t pairs, size_t key, size_t value)
{
    out += sprintf(out, "a ID (");
    for (size_t i = 0; i < pairs; i++)
        out += sprintf(out, "%s\"%0*d\" \"%0*d\"", i == 0 ? "" : " ", (int)key,
                       0, (int)value, 0);
    sprintf(out, ")\r\n");
}

static void id_is_bounded_as_its_rfc_says(void **state)
{
    static const struct {
        size_t pairs, key, value;
        bool is_good;
    } cases[] = {
        {30, 30, 100, true}, {31, 3, 3, false},   {1, 31, 3, false},
        {1, 30, 1024, true}, {1, 3, 1025, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login *login = new_secure();
        char line[8192];

        write_id(line, cases[i].pairs, cases[i].key, cases[i].value);
        assert_int_equal(feed(login, line), LOGIN_MORE);
        assert_output_begins(login, cases[i].is_good ? "* ID" : "a BAD");
        login_free(&login);
    }
}

static void a_malformed_id_is_bad(void **state)
{
    static const char *const bad[] = {
        "a ID\r\n",
        "a ID \r\n",
        "a ID x\r\n",
        "a ID NIL x\r\n",
        "a ID (\"a\")\r\n",
        "a ID (\"a\" )\r\n",
        "a ID (\"a\" \"b\"\r\n",
        "a ID (\"a\" \"b\" )\r\n",
        "a ID (\"a\" \"b\")x\r\n",
        "a ID (a b)\r\n",
        "a ID ((\"a\" \"b\"))\r\n",
        "a ID (\"a\"  \"b\")\r\n",
        "a ID (NIL \"b\")\r\n",
        "a ID (\"a\" {1025}\r\n",
        "a ID ({31}\r\n",
        "a ID NIL {3}\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = new_secure();

        assert_int_equal(feed(login, bad[i]), LOGIN_MORE);
        assert_output(login, "a BAD Invalid arguments.\r\n");
        login_free(&login);
    }
}

/* Each argument in each of its four forms. */
static void login_takes_all_sixteen_combinations(void **state)
{
    static const char *const users[] = {"bob", "\"bob\"", "{3}\r\nbob",
                                        "{3+}\r\nbob"};
    static const char *const secrets[] = {"p]w", "\"p]w\"", "{3}\r\np]w",
                                          "{3+}\r\np]w"};

    (void)state;
    for (size_t i = 0; i < 16; i++) {
        struct login *login = new_secure();
        char line[64];

        snprintf(line, sizeof(line), "x LOGIN %s %s\r\n", users[i / 4],
                 secrets[i % 4]);
        assert_int_equal(feed(login, line), LOGIN_TRY);
        assert_try(login, "x", "bob", "p]w");
        assert_string_equal(login_mechanism(login), "LOGIN");
        login_free(&login);
    }
}

static void literals_are_invited_one_by_one(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a LOGIN {3}\r\n"), LOGIN_MORE);
    assert_output(login, "+ OK\r\n");
    assert_int_equal(feed(login, "bob {2}\r\n"), LOGIN_MORE);
    assert_output(login, "+ OK\r\n");
    assert_int_equal(feed(login, "pw\r\n"), LOGIN_TRY);

    assert_output(login, "");
    assert_try(login, "a", "bob", "pw");
    login_free(&login);
}

static void quoted_arguments_are_unescaped_and_literals_are_not(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(
        feed(login, "a LOGIN \"te\\\\\\\"st@x\" {4+}\r\n\\\"\r\n\r\n"),
        LOGIN_TRY);

    assert_try(login, "a", "te\\\"st@x", "\\\"\r\n");
    login_free(&login);
}

static void utf8_in_quotes_passes(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a LOGIN \"j\xc3\xb6rg\" \"p\xc3\xa4\"\r\n"),
                     LOGIN_TRY);

    assert_try(login, "a", "j\xc3\xb6rg", "p\xc3\xa4");
    login_free(&login);
}

static void login_that_is_malformed_is_bad_and_keeps_nothing(void **state)
{
    static const char *const bad[] = {
        "a LOGIN\r\n",
        "a LOGIN u\r\n",
        "a LOGIN u p x\r\n",
        "a LOGIN u  p\r\n",
        "a LOGIN u p \r\n",
        "a LOGIN \"u p\r\n",
        "a LOGIN \"u\"p\r\n",
        "a LOGIN \"u\\x\" p\r\n",
        "a LOGIN u* p\r\n",
        "a LOGIN (u) p\r\n",
        "a LOGIN j\xc3\xb6rg p\r\n",
        "a LOGIN u p {3}\r\n",
        "a LOGIN \"u {3}\r\n",
        "a LOGIN u p{3}\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = new_secure();

        assert_int_equal(feed(login, bad[i]), LOGIN_MORE);
        assert_output(login, "a BAD Invalid arguments.\r\n");
        assert_int_equal(feed(login, "b NOOP\r\n"), LOGIN_MORE);
        assert_output(login, "b OK NOOP completed.\r\n");
        login_free(&login);
    }
}

static void a_name_that_no_backend_may_see_fails_like_a_wrong_one(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {BYTES("a LOGIN {3+}\r\nu\rx p\r\n")},
        {BYTES("a LOGIN {11+}\r\nu\r\nx NOOP\r\n p\r\n")},
        {BYTES("a LOGIN {3+}\r\nu\0x p\r\n")},
        {BYTES("a LOGIN \"u\x1b\" p\r\n")},
        {BYTES("a LOGIN \"\" p\r\n")},
        {BYTES("a LOGIN u \"\"\r\n")},
        {BYTES("a LOGIN u {3+}\r\np\0x\r\n")},
        {BYTES("a AUTHENTICATE PLAIN AGEKYgBw\r\n")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login *login = new_secure();

        assert_int_equal(feed_bytes(login, cases[i].bytes, cases[i].len),
                         LOGIN_MORE);
        assert_output(login, "a " AUTHENTICATION_FAILED);
        login_free(&login);
    }
}

static void a_user_or_password_over_its_limit_fails(void **state)
{
    struct login *login = new_secure();
    char line[2048];

    (void)state;
    assert_int_equal(feed(login, "a LOGIN {1025}\r\n"), LOGIN_MORE);
    assert_output(login, "a " AUTHENTICATION_FAILED);
    snprintf(line, sizeof(line), "b LOGIN %01025d p\r\n", 0);
    assert_int_equal(feed(login, line), LOGIN_MORE);
    assert_output(login, "b " AUTHENTICATION_FAILED);
    assert_int_equal(feed(login, "c LOGIN u {8193}\r\n"), LOGIN_MORE);
    assert_output(login, "c BAD [TOOBIG] Literal too large.\r\n");
    snprintf(line, sizeof(line), "d LOGIN %01024d p\r\n", 0);
    assert_int_equal(feed(login, line), LOGIN_TRY);
    login_free(&login);
}

static void a_user_and_a_password_at_their_longest_are_taken(void **state)
{
    struct login *login = new_secure();
    char text[8300];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(feed(login, "a LOGIN {1024}\r\n"), LOGIN_MORE);
    assert_int_equal(feed_bytes(login, text, 1024), LOGIN_MORE);
    assert_int_equal(feed(login, " {8192}\r\n"), LOGIN_MORE);
    assert_int_equal(feed_bytes(login, text, 8192), LOGIN_MORE);
    assert_int_equal(feed(login, "\r\n"), LOGIN_TRY);

    assert_int_equal(login_credentials(login)->user_len, 1024);
    assert_int_equal(login_credentials(login)->secret_len, 8192);
    login_free(&login);
}

static void in_clear_every_login_gets_one_answer(void **state)
{
    static const char *const tries[] = {
        "a LOGIN u p\r\n",
        "a LOGIN\r\n",
        "a LOGIN u\r\n",
        "a LOGIN {5}\r\n",
        "a LOGIN {99999}\r\n",
        "a LOGIN {4+}\r\nuser {6+}\r\nsecret\r\n",
        "a LOGIN {1+}\r\nu\n",
        "a AUTHENTICATE PLAIN\r\n",
        "a AUTHENTICATE PLAIN AGFiAGNk\r\n",
        "a AUTHENTICATE PLAIN !!!!\r\n",
        "a AUTHENTICATE XYZZY\r\n",
        "a AUTHENTICATE\r\n",
        "a AUTHENTICATE LOGIN {3}\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(tries) / sizeof(tries[0]); i++) {
        struct login *login = new_clear();

        assert_int_equal(feed(login, tries[i]), LOGIN_MORE);
        assert_output(login, "a " PRIVACY_REQUIRED);
        assert_int_equal(feed(login, "b NOOP\r\n"), LOGIN_MORE);
        assert_output(login, "b OK NOOP completed.\r\n");
        login_free(&login);
    }
}

static void starttls_stops_right_behind_its_line(void **state)
{
    static const char text[] = "a STARTTLS\r\nb NOOP\r\n";
    struct login *login = new_clear();
    size_t used;

    (void)state;
    assert_int_equal(
        login_feed(login, (const uint8_t *)text, sizeof(text) - 1, &used),
        LOGIN_STARTTLS);

    assert_int_equal(used, 12);
    assert_output(login, "a OK Begin TLS negotiation now.\r\n");
    login_free(&login);
}

static void starttls_is_obeyed_in_no_other_form(void **state)
{
    static const char *const bad[] = {
        "a STARTTLS\nb NOOP\n", "a STARTTLS {5+}\r\nxxxxx\r\n",
        "a STARTTLS x\r\n",     "a STARTTLS {5}\r\n",
        "a STARTTLS \r\n",      "a STARTTLS\r\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = new_clear();

        assert_int_equal(feed(login, bad[i]), LOGIN_MORE);
        assert_output_begins(login, "a BAD ");
        assert_int_equal(feed(login, "c STARTTLS\r\n"), LOGIN_STARTTLS);
        login_free(&login);
    }
}

static void starttls_under_tls_is_bad(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a STARTTLS\r\n"), LOGIN_MORE);

    assert_output(login, "a BAD TLS is already active.\r\n");
    login_free(&login);
}

static void starttls_that_is_not_offered_is_a_no(void **state)
{
    struct login_rules without = rules;
    struct login *login;

    (void)state;
    without.starttls = false;
    login = login_new(&without, false);
    assert_int_equal(feed(login, "a STARTTLS\r\n"), LOGIN_MORE);

    assert_output(login, "a NO STARTTLS is not available.\r\n");
    login_free(&login);
}

static void nothing_is_carried_over_the_upgrade(void **state)
{
    struct login *login = new_clear();

    (void)state;
    assert_int_equal(feed(login, "a X\r\nb X\r\nc X\r\nd X\r\n"), LOGIN_MORE);
    assert_int_equal(feed(login, "s STARTTLS\r\n"), LOGIN_STARTTLS);
    login_output_clear(login);

    login_secured(login);

    assert_output(login, "");
    assert_int_equal(feed(login, "a X\r\nb X\r\nc X\r\nd X\r\n"), LOGIN_MORE);
    login_output_clear(login);
    assert_int_equal(feed(login, "e CAPABILITY\r\n"), LOGIN_MORE);
    assert_output_begins(login, "* " SECURE_LIST "\r\n");
    assert_int_equal(feed(login, "f LOGIN u p\r\n"), LOGIN_TRY);
    login_free(&login);
}

static void plain_runs_with_and_without_initial_response(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a authenticate plain AGJvYgBwdw==\r\n"),
                     LOGIN_TRY);
    assert_try(login, "a", "bob", "pw");
    assert_string_equal(login_mechanism(login), "PLAIN");
    assert_int_equal(refuse_try(login, LOGIN_ANSWER_UNAVAILABLE), LOGIN_MORE);
    login_output_clear(login);
    assert_int_equal(feed(login, "b AUTHENTICATE PLAIN\r\n"), LOGIN_MORE);
    assert_output(login, "+ \r\n");
    assert_int_equal(feed(login, "AGJvYgBwdw==\r\n"), LOGIN_TRY);
    assert_try(login, "b", "bob", "pw");
    login_free(&login);
}

static void the_authzid_is_kept(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHB3\r\n"),
                     LOGIN_TRY);

    assert_try(login, "a", "alice", "pw");
    assert_int_equal(login_credentials(login)->authzid_len, 3);
    assert_memory_equal(login_credentials(login)->authzid, "bob", 3);
    login_free(&login);
}

static void auth_login_asks_twice_or_takes_the_user_at_once(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a AUTHENTICATE LOGIN\r\n"), LOGIN_MORE);
    assert_output(login, "+ VXNlcm5hbWU6\r\n");
    assert_int_equal(feed(login, "Ym9i\r\n"), LOGIN_MORE);
    assert_output(login, "+ UGFzc3dvcmQ6\r\n");
    assert_int_equal(feed(login, "cHc=\r\n"), LOGIN_TRY);
    assert_try(login, "a", "bob", "pw");
    assert_string_equal(login_mechanism(login), "AUTH=LOGIN");
    assert_int_equal(refuse_try(login, LOGIN_ANSWER_UNAVAILABLE), LOGIN_MORE);
    login_output_clear(login);

    assert_int_equal(feed(login, "b AUTHENTICATE LOGIN Ym9i\r\n"), LOGIN_MORE);
    assert_output(login, "+ UGFzc3dvcmQ6\r\n");
    assert_int_equal(feed(login, "*\r\n"), LOGIN_MORE);
    login_output_clear(login);
    assert_int_equal(feed(login, "c AUTHENTICATE LOGIN =\r\n"), LOGIN_MORE);
    assert_output(login, "+ VXNlcm5hbWU6\r\n");
    login_free(&login);
}

static void a_star_cancels(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a AUTHENTICATE PLAIN\r\n*\r\nb NOOP\r\n"),
                     LOGIN_MORE);

    assert_output(login, "+ \r\na BAD AUTHENTICATE cancelled.\r\n"
                         "b OK NOOP completed.\r\n");
    login_free(&login);
}

static void sasl_data_that_is_bad_ends_the_exchange_only(void **state)
{
    static const char *const bad[] = {
        "a AUTHENTICATE PLAIN\r\n!!!!\r\n",
        "a AUTHENTICATE PLAIN\r\nb STARTTLS\r\n",
        "a AUTHENTICATE PLAIN\r\n\r\n",
        "a AUTHENTICATE PLAIN\r\nAGJvYgBwdw==\n",
        "a AUTHENTICATE PLAIN\r\n AGJvYgBwdw==\r\n",
        "a AUTHENTICATE PLAIN\r\nAGJvYgBwdw\r\n",
        "a AUTHENTICATE PLAIN\r\nAGJv=gBw\r\n",
        "a AUTHENTICATE PLAIN\r\nAGFi\r\n",
        "a AUTHENTICATE PLAIN\r\n=\r\n",
        "a AUTHENTICATE LOGIN\r\n\r\n",
        "a AUTHENTICATE LOGIN\r\nYm9i\r\n!\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = new_secure();

        assert_int_equal(feed(login, bad[i]), LOGIN_MORE);
        assert_output_ends(login, "\na BAD Invalid authentication data.\r\n");
        assert_int_equal(feed(login, "b LOGIN u p\r\n"), LOGIN_TRY);
        login_free(&login);
    }
}

static void an_initial_response_that_is_bad_is_bad(void **state)
{
    static const char *const bad[] = {
        "a AUTHENTICATE PLAIN =\r\n",
        "a AUTHENTICATE PLAIN AG=i\r\n",
        "a AUTHENTICATE PLAIN AGFi AGFi\r\n",
        "a AUTHENTICATE PLAIN \"\"\r\n",
    };
    struct login *login = new_secure();

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(feed(login, bad[i]), LOGIN_MORE);
        assert_output(login, "a BAD Invalid authentication data.\r\n");
    }
    login_free(&login);
}

static void authenticate_that_is_malformed_is_bad(void **state)
{
    static const char *const bad[] = {
        "a AUTHENTICATE\r\n",
        "a AUTHENTICATE \r\n",
        "a AUTHENTICATE PLAIN \r\n",
        "a AUTHENTICATE \"PLAIN\"\r\n",
        "a AUTHENTICATE PLAIN\"\r\n",
        "a AUTHENTICATE {5}\r\n",
        "a AUTHENTICATE {5+}\r\nPLAIN\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct login *login = new_secure();

        assert_int_equal(feed(login, bad[i]), LOGIN_MORE);
        assert_output(login, "a BAD Invalid arguments.\r\n");
        login_free(&login);
    }
}

static void only_offered_mechanisms_run(void **state)
{
    static const char *const others[] = {
        "a AUTHENTICATE EXTERNAL =\r\n",
        "a AUTHENTICATE PLAI AGJvYgBwdw==\r\n",
        "a AUTHENTICATE LOGIN Ym9i\r\n",
        "a AUTHENTICATE %n%s\r\n",
    };
    struct login_rules plain_only = rules;
    struct login *login;

    (void)state;
    plain_only.mechanisms = SASL_PLAIN;
    login = login_new(&plain_only, true);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(feed(login, others[i]), LOGIN_MORE);
        assert_output(login, "a NO Unsupported authentication mechanism.\r\n");
    }
    assert_int_equal(feed(login, others[3]), LOGIN_MORE);
    assert_output(login, "a BAD Invalid arguments.\r\n");
    login_free(&login);
}

static void the_longest_plain_message_fits_a_line(void **state)
{
    static uint8_t message[2 * 1024 + 8192 + 2];
    static uint8_t text[BASE64_LENGTH(sizeof(message)) + 1];
    struct login *login = new_secure();
    size_t len;

    (void)state;
    memset(message, 'x', sizeof(message));
    message[1024] = 0;
    message[2049] = 0;
    len = base64_encode(message, sizeof(message), text);
    assert_int_equal(feed(login, "a AUTHENTICATE PLAIN "), LOGIN_MORE);
    assert_int_equal(feed_bytes(login, text, len), LOGIN_MORE);
    assert_int_equal(feed(login, "\r\n"), LOGIN_TRY);

    assert_int_equal(login_credentials(login)->secret_len, 8192);
    login_free(&login);
}

static void each_answer_has_its_words(void **state)
{
    static const struct {
        enum login_answer answer;
        const char *code, *text, *output;
    } cases[] = {
        {LOGIN_ANSWER_BAD_CREDENTIALS, NULL, NULL, "a " AUTHENTICATION_FAILED},
        {LOGIN_ANSWER_UNAVAILABLE, NULL, NULL,
         "a NO [UNAVAILABLE] Temporarily unavailable, try again later.\r\n"},
        {LOGIN_ANSWER_LIMIT, NULL, NULL,
         "a NO [LIMIT] Too many sessions, close one first.\r\n"},
        {LOGIN_ANSWER_CODED, "EXPIRED", "Too old",
         "a NO [EXPIRED] Too old\r\n"},
        {LOGIN_ANSWER_CODED, "X]Y", "b OK", "a " AUTHENTICATION_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *code = cases[i].code == NULL ? "" : cases[i].code;
        const char *text = cases[i].text == NULL ? "" : cases[i].text;
        struct login *login = new_secure();

        assert_int_equal(feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(login_failed(login, cases[i].answer, code,
                                      strlen(code), text, strlen(text)),
                         LOGIN_MORE);
        assert_output(login, cases[i].output);
        login_free(&login);
    }
}

static void the_last_try_ends_the_dialogue(void **state)
{
    struct login *login = new_secure();

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(refuse_try(login, LOGIN_ANSWER_BAD_CREDENTIALS),
                         LOGIN_MORE);
        login_output_clear(login);
    }
    assert_int_equal(feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
    assert_int_equal(
        login_failed(login, LOGIN_ANSWER_CODED, "EXPIRED", 7, "x", 1),
        LOGIN_END);

    assert_output(login, "a NO [EXPIRED] x\r\n"
                         "* BYE Too many failed logins.\r\n");
    assert_string_equal(login_end_reason(login), "login-tries");
    login_free(&login);
}

static void failures_of_the_service_are_no_tries(void **state)
{
    struct login *login = new_secure();

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(refuse_try(login, LOGIN_ANSWER_UNAVAILABLE),
                         LOGIN_MORE);
        assert_int_equal(feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(refuse_try(login, LOGIN_ANSWER_LIMIT), LOGIN_MORE);
        assert_int_equal(feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(
            login_failed(login, LOGIN_ANSWER_CODED, "UNAVAILABLE", 11, "x", 1),
            LOGIN_MORE);
    }
    login_free(&login);
}

static void even_failures_of_the_service_are_bounded(void **state)
{
    struct login *login = new_secure();

    (void)state;
    for (int i = 0; i < LOGIN_ATTEMPTS_MAX - 1; i++) {
        assert_int_equal(feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);
        assert_int_equal(refuse_try(login, LOGIN_ANSWER_UNAVAILABLE),
                         LOGIN_MORE);
    }
    assert_int_equal(feed(login, "a LOGIN u p\r\n"), LOGIN_TRY);

    assert_int_equal(refuse_try(login, LOGIN_ANSWER_UNAVAILABLE), LOGIN_END);
    assert_string_equal(login_end_reason(login), "login-tries");
    login_free(&login);
}

static void what_happened_is_tallied_across_starttls(void **state)
{
    struct login *login = new_clear();

    (void)state;
    assert_int_equal(feed(login, "a FOO\r\nb LOGIN u p\r\n"), LOGIN_MORE);
    assert_int_equal(feed(login, "c STARTTLS\r\n"), LOGIN_STARTTLS);
    login_secured(login);
    assert_int_equal(feed(login, "d SELECT x\r\n"), LOGIN_MORE);
    assert_int_equal(feed(login, "GET / HTTP/1.1\r\n"), LOGIN_END);

    assert_int_equal(login_tally(login)->bad_commands, 3);
    assert_int_equal(login_tally(login)->cleartext_logins, 1);
    assert_true(login_tally(login)->spoke_http);
    login_free(&login);
}

static void each_try_has_its_own_credentials_only(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a AUTHENTICATE PLAIN Ym9iAGFsaWNlAHB3\r\n"),
                     LOGIN_TRY);
    assert_int_equal(refuse_try(login, LOGIN_ANSWER_BAD_CREDENTIALS),
                     LOGIN_MORE);

    assert_int_equal(feed(login, "b LOGIN u p\r\n"), LOGIN_TRY);

    assert_try(login, "b", "u", "p");
    assert_int_equal(login_credentials(login)->authzid_len, 0);
    login_free(&login);
}

static void what_is_pipelined_behind_a_login_stays_with_the_caller(void **state)
{
    static const char text[] = "a LOGIN u p\r\nb SELECT INBOX\r\nc LOGOUT\r\n";
    struct login *login = new_secure();
    size_t used;

    (void)state;
    assert_int_equal(
        login_feed(login, (const uint8_t *)text, sizeof(text) - 1, &used),
        LOGIN_TRY);
    assert_int_equal(used, 13);
    assert_int_equal(refuse_try(login, LOGIN_ANSWER_BAD_CREDENTIALS),
                     LOGIN_MORE);
    login_output_clear(login);

    assert_int_equal(feed(login, text + used), LOGIN_END);
    assert_output_begins(login, "b BAD Log in first.\r\n* BYE");
    login_free(&login);
}

static void nothing_resets_the_count_of_bad_commands(void **state)
{
    struct login *login = new_secure();

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(feed(login, "a XYZZY\r\nb NOOP\r\nc ID NIL\r\n"),
                         LOGIN_MORE);
        assert_int_equal(feed(login, "d CAPABILITY\r\ne LIST\r\n"), LOGIN_MORE);
    }

    assert_int_equal(feed(login, "a XYZZY\r\n"), LOGIN_END);
    login_free(&login);
}

static void the_fifth_unknown_command_is_the_last(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a A\r\nb B\r\n\r\n( NOOP\r\nn NOOP\r\n"),
                     LOGIN_MORE);
    assert_output(login, "a BAD Unknown command.\r\nb BAD Unknown command.\r\n"
                         "* BAD Unknown command.\r\n* BAD Unknown command.\r\n"
                         "n OK NOOP completed.\r\n");
    assert_int_equal(feed(login, "e E\r\n"), LOGIN_END);
    assert_output(login, "e BAD Unknown command.\r\n"
                         "* BYE Too many bad commands.\r\n");
    assert_string_equal(login_end_reason(login), "bad-commands");
    login_free(&login);
}

static void known_commands_too_early_get_more_patience(void **state)
{
    struct login *login = new_secure();

    (void)state;
    for (int i = 0; i < 19; i++)
        assert_int_equal(feed(login, "a SELECT {5}\r\n"), LOGIN_MORE);
    login_output_clear(login);
    assert_int_equal(feed(login, "b LIST \"\" *\r\n"), LOGIN_END);

    assert_output(login, "b BAD Log in first.\r\n"
                         "* BYE Too many bad commands.\r\n");
    assert_string_equal(login_end_reason(login), "wrong-state");
    login_free(&login);
}

static void so_many_commands_are_enough(void **state)
{
    struct login *login = new_secure();

    (void)state;
    for (int i = 0; i < 300; i++) {
        assert_int_equal(feed(login, "a NOOP\r\n"), LOGIN_MORE);
        login_output_clear(login);
    }

    assert_int_equal(feed(login, "a NOOP\r\n"), LOGIN_END);
    assert_string_equal(login_end_reason(login), "command-count");
    login_free(&login);
}

static void an_endless_line_ends_the_dialogue_at_its_limit(void **state)
{
    struct login *login = new_secure();
    char bytes[16385];

    (void)state;
    memset(bytes, '(', sizeof(bytes));
    memcpy(bytes, "a NOOP ", 7);
    assert_int_equal(feed_bytes(login, bytes, 16384), LOGIN_MORE);
    assert_int_equal(feed_bytes(login, bytes, 1), LOGIN_END);

    assert_output(login, "* BAD Command too long.\r\n"
                         "* BYE Closing, this cannot be read on.\r\n");
    assert_string_equal(login_end_reason(login), "too-long");
    login_free(&login);
}

static void an_unreadable_literal_ends_the_dialogue(void **state)
{
    struct login *login = new_secure();

    (void)state;
    assert_int_equal(feed(login, "a LOGIN {8193+}\r\n"), LOGIN_END);

    assert_output(login, "* BAD [TOOBIG] Literal too large.\r\n"
                         "* BYE Closing, this cannot be read on.\r\n");
    assert_string_equal(login_end_reason(login), "bad-literal");
    login_free(&login);
}

static void a_browser_is_sent_away_without_an_echo(void **state)
{
    struct login *login = new_clear();
    static const char text[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    size_t used;

    (void)state;
    assert_int_equal(
        login_feed(login, (const uint8_t *)text, sizeof(text) - 1, &used),
        LOGIN_END);

    assert_output(login, "* BYE This is an IMAP server.\r\n");
    assert_string_equal(login_end_reason(login), "http");
    login_free(&login);
}

static void tls_on_a_clear_port_gets_silence(void **state)
{
    struct login *login = new_clear();
    struct login *later = new_clear();

    (void)state;
    assert_int_equal(feed_bytes(login, "\x16\x03\x01\x02", 4), LOGIN_END);
    assert_output(login, "");
    assert_string_equal(login_end_reason(login), "tls-on-clear");
    assert_int_equal(feed(later, "a NOOP\r\n\x16\x03\r\n"), LOGIN_MORE);
    login_free(&login);
    login_free(&later);
}

static void invalid_tags_are_never_echoed(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } cases[] = {
        {BYTES("a\0%n%s LOGIN u p\r\n")},
        {BYTES("%n%n NOOP\r\n")},
        {BYTES("\xff NOOP\r\n")},
        {BYTES("a+b NOOP\r\n")},
        {BYTES("* NOOP\r\n")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct login *login = new_secure();

        assert_int_equal(feed_bytes(login, cases[i].bytes, cases[i].len),
                         LOGIN_MORE);
        assert_output(login, "* BAD Unknown command.\r\n");
        login_free(&login);
    }
}

static void long_answers_make_the_caller_send_first(void **state)
{
    struct login *login = new_secure();
    char text[16000];
    size_t at = 0;
    size_t used;
    size_t len;

    (void)state;
    while (at + 14 <= sizeof(text))
        at += (size_t)sprintf(text + at, "a CAPABILITY\r\n");
    assert_int_equal(login_feed(login, (uint8_t *)text, at, &used), LOGIN_MORE);

    assert_true(used > 0 && used < at);
    (void)login_output(login, &len);
    assert_in_range(len, 4096, 4096 + 256);
    login_free(&login);
}

static void a_bye_says_what_it_is_given(void **state)
{
    struct login *login = new_secure();

    (void)state;
    login_bye(login, "[UNAVAILABLE] Going down.");

    assert_output(login, "* BYE [UNAVAILABLE] Going down.\r\n");
    login_free(&login);
}

static void assert_same_for_every_split(const struct login_rules *its_rules,
                                        bool secure, const char *text)
{
    const uint8_t *input = (const uint8_t *)text;
    size_t len = strlen(text);
    struct wiped_buffer whole = {0};

    transcript_of_login(its_rules, secure, input, len,
                        (struct transcript_cut){0, 0}, &whole);
    for (size_t cut = 0; cut <= len; cut++) {
        struct transcript_cut ways[] = {{cut, 0}, {cut, 1}};

        for (size_t way = 0; way < 2; way++) {
            struct wiped_buffer split = {0};

            transcript_of_login(its_rules, secure, input, len, ways[way],
                                &split);
            assert_int_equal(split.len, whole.len);
            assert_memory_equal(split.bytes, whole.bytes, whole.len);
            wiped_buffer_deinit(&split);
        }
    }
    wiped_buffer_deinit(&whole);
}

static void the_dialogue_is_the_same_whatever_the_split(void **state)
{
    static const char *const inputs[] = {
        "a LOGIN u p\r\nb SELECT INBOX\r\nc LOGOUT\r\n",
        "a LOGIN ok p\r\nb SELECT INBOX\r\nc LOGOUT\r\n",
        "a STARTTLS\r\nb LOGIN {2}\r\nok {4+}\r\nsecr\r\nc SELECT x\r\n",
        "a LOGIN u p\r\nb AUTHENTICATE PLAIN AGJvYgBwdw==\r\nc STARTTLS\r\n"
        "d AUTHENTICATE PLAIN\r\nAGJvYgBwdw==\r\ne LOGIN down x\r\n"
        "f LOGIN coded x\r\ng LOGOUT\r\nh NOOP\r\n",
        "a AUTHENTICATE LOGIN\r\nYm9i\r\ncHc=\r\nb AUTHENTICATE LOGIN b2s=\r\n"
        "cHc=\r\nrest\n\r\nrest",
        "a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE PLAIN\r\n!!\r\nc NOOP\r\n",
        "a FOO {12+}\r\nb LOGIN u p\r\n c NOOP\r\nd LOGIN {1+}\r\nu p\r\n",
        "a STARTTLS\nb NOOP\n\r\nc STARTTLS\r\nd ID (\"a\" {2}\r\nbc)\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        "\x16\x03\x01 NOOP\r\n",
        "a NOOP\r\n\x16\x03\x01 NOOP\r\nb NOOP\r\n",
        "a LOGIN {1000}\r\nb NOOP\r\n",
        "a X\r\nb X\r\nc X\r\nd NOOP\r\ne X\r\nf X\r\ng X\r\n",
        "a CAPABILITY\r\nb ID NIL\r\nc LOGIN \"o\\\"k\" \"\\\\\"\r\n",
        "a LOGIN {70+}\r\n"
        "0123456789012345678901234567890123456789012345678901234567890123456789"
        " p\r\nb LOGIN {2000+}\r\nx\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        assert_same_for_every_split(&rules, false, inputs[i]);
        assert_same_for_every_split(&rules, true, inputs[i]);
    }
}

static void the_limits_cut_the_same_whatever_the_split(void **state)
{
    static const struct login_rules tight = {40,         8,    2,     3,    3,
                                             SASL_PLAIN, true, false, false};
    static const char *const inputs[] = {
        "a LOGIN {8}\r\n01234567 {9}\r\nb NOOP\r\n",
        "a NOOP xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        "a AUTHENTICATE PLAIN\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "a LOGIN {8+}\r\n01234567 {8+}\r\n01234567\r\n",
        "a LOGIN {9+}\r\n012345678 x\r\n",
        "a STATUS {8+}\r\n01234567\r\nb LIST\r\nc SELECT\r\nd NOOP\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        assert_same_for_every_split(&tight, true, inputs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_greeting_tells_what_is_parsed),
        cmocka_unit_test(commands_of_any_state_are_answered),
        cmocka_unit_test(bare_commands_take_no_arguments),
        cmocka_unit_test(id_is_answered_and_its_pairs_are_dropped),
        cmocka_unit_test(id_is_bounded_as_its_rfc_says),
        cmocka_unit_test(a_malformed_id_is_bad),
        cmocka_unit_test(login_takes_all_sixteen_combinations),
        cmocka_unit_test(literals_are_invited_one_by_one),
        cmocka_unit_test(quoted_arguments_are_unescaped_and_literals_are_not),
        cmocka_unit_test(utf8_in_quotes_passes),
        cmocka_unit_test(login_that_is_malformed_is_bad_and_keeps_nothing),
        cmocka_unit_test(a_name_that_no_backend_may_see_fails_like_a_wrong_one),
        cmocka_unit_test(a_user_or_password_over_its_limit_fails),
        cmocka_unit_test(a_user_and_a_password_at_their_longest_are_taken),
        cmocka_unit_test(in_clear_every_login_gets_one_answer),
        cmocka_unit_test(starttls_stops_right_behind_its_line),
        cmocka_unit_test(starttls_is_obeyed_in_no_other_form),
        cmocka_unit_test(starttls_under_tls_is_bad),
        cmocka_unit_test(starttls_that_is_not_offered_is_a_no),
        cmocka_unit_test(nothing_is_carried_over_the_upgrade),
        cmocka_unit_test(plain_runs_with_and_without_initial_response),
        cmocka_unit_test(the_authzid_is_kept),
        cmocka_unit_test(auth_login_asks_twice_or_takes_the_user_at_once),
        cmocka_unit_test(a_star_cancels),
        cmocka_unit_test(sasl_data_that_is_bad_ends_the_exchange_only),
        cmocka_unit_test(an_initial_response_that_is_bad_is_bad),
        cmocka_unit_test(authenticate_that_is_malformed_is_bad),
        cmocka_unit_test(only_offered_mechanisms_run),
        cmocka_unit_test(the_longest_plain_message_fits_a_line),
        cmocka_unit_test(each_answer_has_its_words),
        cmocka_unit_test(the_last_try_ends_the_dialogue),
        cmocka_unit_test(failures_of_the_service_are_no_tries),
        cmocka_unit_test(even_failures_of_the_service_are_bounded),
        cmocka_unit_test(what_happened_is_tallied_across_starttls),
        cmocka_unit_test(each_try_has_its_own_credentials_only),
        cmocka_unit_test(
            what_is_pipelined_behind_a_login_stays_with_the_caller),
        cmocka_unit_test(nothing_resets_the_count_of_bad_commands),
        cmocka_unit_test(the_fifth_unknown_command_is_the_last),
        cmocka_unit_test(known_commands_too_early_get_more_patience),
        cmocka_unit_test(so_many_commands_are_enough),
        cmocka_unit_test(an_endless_line_ends_the_dialogue_at_its_limit),
        cmocka_unit_test(an_unreadable_literal_ends_the_dialogue),
        cmocka_unit_test(a_browser_is_sent_away_without_an_echo),
        cmocka_unit_test(tls_on_a_clear_port_gets_silence),
        cmocka_unit_test(invalid_tags_are_never_echoed),
        cmocka_unit_test(long_answers_make_the_caller_send_first),
        cmocka_unit_test(a_bye_says_what_it_is_given),
        cmocka_unit_test(the_dialogue_is_the_same_whatever_the_split),
        cmocka_unit_test(the_limits_cut_the_same_whatever_the_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
