#include "net/proxy_header.h"

#include "net/proxy_header_wire.h"

#include <arpa/inet.h>
#include <assert.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

/* As the family of both has it: one that differs is IPv4 within IPv6. */
static void widen(const struct address *address, uint8_t out[16])
{
    memset(out, 0, 16);
    if (address->is_ipv6) {
        memcpy(out, address->ip, 16);
        return;
    }
    out[10] = out[11] = 0xff;
    memcpy(out + 12, address->ip, 4);
}

static bool is_ipv6_pair(const struct proxy_client *client)
{
    return client->from.is_ipv6 || client->to.is_ipv6;
}

static void format_ip(const struct address *address, bool is_ipv6,
                      char out[INET6_ADDRSTRLEN])
{
    uint8_t wide[16];

    widen(address, wide);
    if (inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, is_ipv6 ? wide : address->ip,
                  out, INET6_ADDRSTRLEN) == NULL)
        mem_exhausted(); /* there is no other way to fail */
}

size_t proxy_header_write_v1(const struct proxy_client *client,
                             uint8_t out[PROXY_HEADER_MAX])
{
    char from[INET6_ADDRSTRLEN];
    char to[INET6_ADDRSTRLEN];
    bool is_ipv6;
    int len;

    if (client == NULL) {
        len = snprintf((char *)out, PROXY_HEADER_MAX, "PROXY UNKNOWN\r\n");
        return (size_t)len;
    }
    is_ipv6 = is_ipv6_pair(client);
    format_ip(&client->from, is_ipv6, from);
    format_ip(&client->to, is_ipv6, to);
    len = snprintf((char *)out, PROXY_HEADER_MAX, "PROXY %s %s %s %u %u\r\n",
                   is_ipv6 ? "TCP6" : "TCP4", from, to,
                   (unsigned)client->from.port, (unsigned)client->to.port);
    return (size_t)len;
}

static size_t put_u16(uint8_t *out, size_t value)
{
    out[0] = (uint8_t)(value >> 8);
    out[1] = (uint8_t)value;
    return 2;
}

static size_t put_addresses(const struct proxy_client *client, bool is_ipv6,
                            uint8_t *out)
{
    size_t size = is_ipv6 ? 16 : 4;
    uint8_t wide[2][16];

    widen(&client->from, wide[0]);
    widen(&client->to, wide[1]);
    memcpy(out, wide[0] + 16 - size, size);
    memcpy(out + size, wide[1] + 16 - size, size);
    put_u16(out + 2 * size, client->from.port);
    put_u16(out + 2 * size + 2, client->to.port);
    return 2 * size + 4;
}

static size_t put_tlv(uint8_t *out, uint8_t type, const char *text,
                      size_t text_len)
{
    out[0] = type;
    put_u16(out + 1, text_len);
    memcpy(out + TLV_HEAD_LEN, text, text_len);
    return TLV_HEAD_LEN + text_len;
}

/* OpenSSL's names, since that is what backends compare with: of TLS 1.3 those
 * of the RFC, else its own. */
static const char *cipher_name(const struct proxy_client *client)
{
    const SSL_CIPHER *cipher = SSL_get_cipher_by_value(client->tls_cipher);

    if (cipher == NULL)
        return NULL;
    return client->tls_version == TLS1_3_VERSION
               ? SSL_CIPHER_standard_name(cipher)
               : SSL_CIPHER_get_name(cipher);
}

static size_t put_tls(const struct proxy_client *client, uint8_t *out)
{
    const char *version =
        client->tls_version == TLS1_3_VERSION ? "TLSv1.3" : "TLSv1.2";
    const char *cipher = cipher_name(client);
    size_t at = TLV_HEAD_LEN;

    memset(out + at, 0, SSL_HEAD_LEN);
    out[at] = SSL_CLIENT_USES_TLS;
    out[at + SSL_HEAD_LEN - 1] = SSL_NOT_VERIFIED;
    at += SSL_HEAD_LEN;
    at += put_tlv(out + at, TLV_SSL_VERSION, version, strlen(version));
    if (cipher != NULL)
        at += put_tlv(out + at, TLV_SSL_CIPHER, cipher, strlen(cipher));
    out[0] = TLV_SSL;
    put_u16(out + 1, at - TLV_HEAD_LEN);
    return at;
}

static size_t put_client(const struct proxy_client *client, uint8_t *out)
{
    bool is_ipv6 = is_ipv6_pair(client);
    size_t sni_len = client->sni == NULL ? 0 : strlen(client->sni);
    size_t at = FIXED_LEN;

    out[COMMAND_AT] = COMMAND_PROXY;
    out[FAMILY_AT] = is_ipv6 ? FAMILY_TCP6 : FAMILY_TCP4;
    at += put_addresses(client, is_ipv6, out + at);
    if (sni_len > 0 && sni_len <= SNI_MAX)
        at += put_tlv(out + at, TLV_AUTHORITY, client->sni, sni_len);
    if (client->tls_version != 0)
        at += put_tls(client, out + at);
    return at;
}

size_t proxy_header_write_v2(const struct proxy_client *client,
                             uint8_t out[PROXY_HEADER_MAX])
{
    size_t len = FIXED_LEN;

    memcpy(out, PROXY_SIGNATURE, SIGNATURE_LEN);
    out[COMMAND_AT] = COMMAND_LOCAL;
    out[FAMILY_AT] = FAMILY_UNSPEC;
    if (client != NULL)
        len = put_client(client, out);
    put_u16(out + LENGTH_AT, len - FIXED_LEN);
    assert(len <= PROXY_HEADER_MAX);
    return len;
}
