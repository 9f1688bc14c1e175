#include "config/login_as.h"

#include <string.h>

enum word {
    WORD_USER,
    WORD_LOCAL,
    WORD_DOMAIN
};

struct value {
    const char *text;
    size_t len;
};

static bool read_word(const char *text, enum word *word_out, size_t *len_out);
static struct value value_of(enum word word, const struct identity *identity);

bool login_as_is_valid(const char *text)
{
    while (*text != '\0') {
        enum word word;
        size_t len = 1;

        if (*text == '}' || (*text == '{' && !read_word(text, &word, &len)))
            return false;
        text += len;
    }
    return true;
}

bool login_as_expand(const char *text, const struct identity *identity,
                     char *out, size_t size)
{
    size_t at = 0;

    while (*text != '\0') {
        struct value value = {text, 1};
        size_t len = 1;
        enum word word;

        if (*text == '{' && read_word(text, &word, &len))
            value = value_of(word, identity);
        if (at >= size || value.len >= size - at)
            return false;
        if (value.len > 0)
            memcpy(out + at, value.text, value.len);
        at += value.len;
        text += len;
    }
    if (at == 0)
        return false;
    out[at] = '\0';
    return true;
}

static bool read_word(const char *text, enum word *word_out, size_t *len_out)
{
    static const struct {
        const char *text;
        enum word word;
    } words[] = {
        {"{user}", WORD_USER},
        {"{local}", WORD_LOCAL},
        {"{domain}", WORD_DOMAIN},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].text);

        if (strncmp(text, words[i].text, len) == 0) {
            *word_out = words[i].word;
            *len_out = len;
            return true;
        }
    }
    return false;
}

static struct value value_of(enum word word, const struct identity *identity)
{
    struct value value = {identity->user, identity->user_len};

    switch (word) {
    case WORD_USER:
        break;
    case WORD_LOCAL:
        value.len = identity->local_len;
        break;
    case WORD_DOMAIN:
        value.text = identity_domain(identity, &value.len);
        break;
    }
    return value;
}
