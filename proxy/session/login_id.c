#include "session/login_id.h"

#include <string.h>
#include <strings.h>

#include "session/login_arguments.h"

/* A backend that trusts us takes these for our own word, so a client must not
 * say them (protocol.md, row 25). */
static const char *const reserved[] = {
    "x-originating-", "x-connected-", "x-forward-", "x-session-", "x-proxy-",
};

#define KEY_MAX LOGIN_ARGUMENTS_ID_KEY_MAX
#define VALUE_MAX LOGIN_ARGUMENTS_ID_VALUE_MAX

/* One pair, decoded. */
struct pair {
    uint8_t key[KEY_MAX];
    size_t key_len;
    uint8_t value[VALUE_MAX];
    size_t value_len;
    bool is_nil;
};

static bool decode(const struct imap_string *key,
                   const struct imap_string *value, struct pair *pair_out)
{
    pair_out->is_nil = value->raw.bytes == NULL;
    return imap_string_decode(key, pair_out->key, KEY_MAX,
                              &pair_out->key_len) &&
           imap_string_decode(value, pair_out->value, VALUE_MAX,
                              &pair_out->value_len);
}

static bool is_reserved(const struct pair *pair)
{
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        size_t len = strlen(reserved[i]);

        if (pair->key_len >= len &&
            strncasecmp((const char *)pair->key, reserved[i], len) == 0)
            return true;
    }
    return false;
}

/* IMAP4rev1 has 7 bits in a quoted string; controls would be legal there, and
 * are of no use in anybody's log. */
static bool fits_quotes(const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] < 0x20 || bytes[i] >= 0x7f)
            return false;
    }
    return true;
}

static void append_quoted(struct wiped_buffer *text, const uint8_t *bytes,
                          size_t len)
{
    wiped_buffer_append_text(text, "\"");
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\')
            wiped_buffer_append_text(text, "\\");
        wiped_buffer_append(text, &bytes[i], 1);
    }
    wiped_buffer_append_text(text, "\"");
}

static void append_pair(struct wiped_buffer *text, const struct pair *pair)
{
    if (text->len > 0)
        wiped_buffer_append_text(text, " ");
    append_quoted(text, pair->key, pair->key_len);
    wiped_buffer_append_text(text, " ");
    if (pair->is_nil)
        wiped_buffer_append_text(text, "NIL");
    else
        append_quoted(text, pair->value, pair->value_len);
}

static void keep(struct login *login, const struct pair *pair)
{
    struct wiped_buffer *text = &login->id_text;
    size_t len = text->len;

    if (login->id.count == LOGIN_ID_PAIRS_MAX || is_reserved(pair) ||
        !fits_quotes(pair->key, pair->key_len) ||
        !fits_quotes(pair->value, pair->value_len))
        return;
    append_pair(text, pair);
    if (text->len > LOGIN_ID_TEXT_MAX)
        wiped_buffer_cut(text, len);
    else
        login->id.count++;
}

/* A number that no proxy would write says nothing, and is not heard. */
static void note_ttl(struct login *login, const struct pair *pair)
{
    static const char name[] = "x-proxy-ttl";
    unsigned ttl = 0;

    if (pair->key_len != sizeof(name) - 1 ||
        strncasecmp((const char *)pair->key, name, sizeof(name) - 1) != 0 ||
        pair->value_len == 0 || pair->value_len > 9)
        return;
    for (size_t i = 0; i < pair->value_len; i++) {
        if (pair->value[i] < '0' || pair->value[i] > '9')
            return;
        ttl = ttl * 10 + (unsigned)(pair->value[i] - '0');
    }
    if (ttl < login->proxy_ttl)
        login->proxy_ttl = ttl;
}

static void take_pair(const struct imap_string *key,
                      const struct imap_string *value, void *owner)
{
    struct login *login = owner;
    struct pair pair;

    if (!decode(key, value, &pair))
        return;
    note_ttl(login, &pair);
    if (login->rules.keeps_id)
        keep(login, &pair);
}

bool login_id_take(struct login *login, struct imap_span arguments)
{
    bool is_good;

    if (login_arguments_id(arguments, NULL, NULL) != LOGIN_ARGUMENTS_GOOD)
        return false;
    wiped_buffer_clear(&login->id_text);
    login->id = (struct login_id){NULL, 0, 0};
    is_good =
        login_arguments_id(arguments, take_pair, login) == LOGIN_ARGUMENTS_GOOD;
    login->id.pairs = login->id_text.bytes;
    login->id.len = login->id_text.len;
    return is_good;
}

void login_id_forget(struct login *login)
{
    wiped_buffer_deinit(&login->id_text);
    login->id = (struct login_id){NULL, 0, 0};
    login->proxy_ttl = LOGIN_PROXY_TTL_NONE;
}
