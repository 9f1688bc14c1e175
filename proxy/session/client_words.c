#include "session/client_words.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

bool client_words_may_pass(unsigned proxy_ttl)
{
    return proxy_ttl > 1;
}

static void append(struct client_words *words, const void *bytes, size_t len)
{
    assert(len <= sizeof(words->text) - words->len);
    memcpy(words->text + words->len, bytes, len);
    words->len += len;
}

static void append_pair(struct client_words *words, const char *key,
                        const char *value)
{
    char pair[128];
    int len = snprintf(pair, sizeof(pair), "%s\"%s\" \"%s\"",
                       words->len > 1 ? " " : "", key, value);

    assert(len > 0 && (size_t)len < sizeof(pair));
    append(words, pair, (size_t)len);
}

static void append_number(struct client_words *words, const char *key,
                          unsigned number)
{
    char text[16];

    snprintf(text, sizeof(text), "%u", number);
    append_pair(words, key, text);
}

static void append_address(struct client_words *words, const char *ip_key,
                           const char *port_key, const struct address *address)
{
    char text[ADDRESS_TEXT_MAX];

    address_format_ip(address, text, sizeof(text));
    append_pair(words, ip_key, text);
    append_number(words, port_key, address->port);
}

/* Who came without a number is at the first proxy; one that was sent a larger
 * one than ours would go round the longer. */
static unsigned ttl_after(unsigned proxy_ttl)
{
    return proxy_ttl > CLIENT_WORDS_TTL ? CLIENT_WORDS_TTL : proxy_ttl - 1;
}

void client_words_compose(struct client_words *words,
                          const struct backend_config *backend,
                          const struct client_facts *facts)
{
    words->len = 0;
    if (!backend->send_id)
        return;
    append(words, "(", 1);
    append_address(words, "x-originating-ip", "x-originating-port",
                   &facts->addresses->from);
    append_address(words, "x-connected-ip", "x-connected-port",
                   &facts->addresses->to);
    append_pair(words, "x-session-id", facts->session);
    append_number(words, "x-proxy-ttl", ttl_after(facts->proxy_ttl));
    if (backend->forward_id && facts->client_id->len > 0) {
        append(words, " ", 1);
        append(words, facts->client_id->pairs, facts->client_id->len);
    }
    append(words, ")", 1);
}
