/* Headers of the PROXY protocol: read whole and in pieces, refused where they
 * lie, and written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/proxy_header.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* 192.0.2.1:56324 to 198.51.100.2:993. */
#define TCP4 "\xc0\x00\x02\x01\xc6\x33\x64\x02\xdc\x04\x03\xe1"
/* [2001:db8::1]:56324 to [2001:db8::2]:993. */
#define TCP6                                                                   \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                               \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02\xdc\x04\x03\xe1"

/* A literal and its length without the closing NUL. */
#define BYTES(text) (text), sizeof(text) - 1

struct parsed {
    enum proxy_header_result result;
    struct proxy_header header;
    size_t used;
};

static struct parsed parse(const char *bytes, size_t len)
{
    struct parsed parsed;

    parsed.result = proxy_header_parse((const uint8_t *)bytes, len,
                                       &parsed.header, &parsed.used);
    return parsed;
}

static void assert_address(const struct address *address, const char *expected)
{
    char text[ADDRESS_TEXT_MAX];

    address_format(address, text, sizeof(text));
    assert_string_equal(text, expected);
}

static void assert_pair(const struct parsed *parsed, const char *from,
                        const char *to)
{
    assert_int_equal(parsed->result, PROXY_HEADER_DONE);
    assert_true(parsed->header.has_addresses);
    assert_address(&parsed->header.from, from);
    assert_address(&parsed->header.to, to);
}

static void assert_nobody(const struct parsed *parsed, size_t used)
{
    assert_int_equal(parsed->result, PROXY_HEADER_DONE);
    assert_false(parsed->header.has_addresses);
    assert_int_equal(parsed->used, used);
}

static void assert_bad(const char *bytes, size_t len)
{
    struct parsed parsed = parse(bytes, len);

    assert_int_equal(parsed.result, PROXY_HEADER_BAD);
    assert_non_null(parsed.header.fault);
    assert_false(parsed.header.has_addresses);
}

static void assert_bad_line(const char *line)
{
    assert_bad(line, strlen(line));
}

/* A header of version 2 with this behind its length. */
static size_t make_block(uint8_t command, uint8_t family, const char *body,
                         size_t body_len, char out[PROXY_HEADER_READ_MAX])
{
    memcpy(out, SIGNATURE, 12);
    out[12] = (char)command;
    out[13] = (char)family;
    out[14] = (char)(body_len >> 8);
    out[15] = (char)body_len;
    if (body_len > 0)
        memcpy(out + 16, body, body_len);
    return 16 + body_len;
}

static struct parsed parse_block(uint8_t command, uint8_t family,
                                 const char *body, size_t body_len)
{
    char block[PROXY_HEADER_READ_MAX];
    size_t len = make_block(command, family, body, body_len, block);

    return parse(block, len);
}

static void assert_bad_block(uint8_t command, uint8_t family, const char *body,
                             size_t body_len)
{
    assert_int_equal(parse_block(command, family, body, body_len).result,
                     PROXY_HEADER_BAD);
}

static void a_line_of_ipv4_is_read(void **state)
{
    struct parsed parsed =
        parse(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 993\r\n"));

    (void)state;
    assert_pair(&parsed, "192.0.2.1:56324", "198.51.100.2:993");
    assert_int_equal(parsed.used, 45);
}

static void a_line_of_ipv6_is_read_in_either_case(void **state)
{
    struct parsed parsed =
        parse(BYTES("PROXY TCP6 2001:DB8::1 2001:db8::2 56324 993\r\n"));

    (void)state;
    assert_pair(&parsed, "[2001:db8::1]:56324", "[2001:db8::2]:993");
}

static void an_ipv4_mapped_address_is_ipv4(void **state)
{
    struct parsed parsed = parse(
        BYTES("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.2 1 65535\r\n"));

    (void)state;
    assert_pair(&parsed, "192.0.2.1:1", "198.51.100.2:65535");
}

static void an_unknown_line_names_nobody_whatever_follows(void **state)
{
    struct parsed bare = parse(BYTES("PROXY UNKNOWN\r\n"));
    struct parsed more = parse(BYTES("PROXY UNKNOWN 1 \t TCP4 99999\r\n"));

    (void)state;
    assert_nobody(&bare, 15);
    assert_nobody(&more, 30);
}

static void the_longest_line_is_read_and_one_byte_more_is_not(void **state)
{
    const char longest[] =
        "PROXY UNKNOWN ffff:f1ff:ffff:ffff:ffff:ffff:ffff:ffff "
        "ffff:f2ff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    const char longer[] =
        "PROXY UNKNOWN ffff:f1ff:ffff:ffff:ffff:ffff:ffff:ffff "
        "ffff:f2ff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535 \r\n";
    struct parsed parsed = parse(BYTES(longest));

    (void)state;
    assert_int_equal(sizeof(longest) - 1, 107);
    assert_nobody(&parsed, 107);
    assert_bad(BYTES(longer));
}

static void a_line_without_end_is_refused_at_its_limit(void **state)
{
    char endless[107];

    (void)state;
    memset(endless, 'x', sizeof(endless));
    memcpy(endless, "PROXY UNKNOWN ", 14);
    assert_int_equal(parse(endless, 106).result, PROXY_HEADER_MORE);
    assert_bad(endless, 107);
}

static void a_line_has_one_space_between_its_six_fields(void **state)
{
    (void)state;
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 56324 993 \r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 56324 993 1\r\n");
    assert_bad_line("PROXY TCP4  192.0.2.1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY  TCP4 192.0.2.1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY TCP4\t192.0.2.1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY\r\n");
    assert_bad_line("PROXY \r\n");
}

static void a_line_ends_in_crlf(void **state)
{
    (void)state;
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 56324 993\n");
    assert_bad_line("PROXY UNKNOWN\n");
    assert_bad_line("PROXY UNKNOWN\r\r\nx\n");
}

static void a_line_names_a_known_family(void **state)
{
    (void)state;
    assert_bad_line("PROXY TCP5 192.0.2.1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY UDP4 192.0.2.1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY tcp4 192.0.2.1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY UNKNOWNS\r\n");
    assert_bad_line("proxy TCP4 192.0.2.1 198.51.100.2 56324 993\r\n");
}

static void families_are_not_mixed(void **state)
{
    (void)state;
    assert_bad_line("PROXY TCP4 2001:db8::1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 2001:db8::1 56324 993\r\n");
    assert_bad_line("PROXY TCP6 192.0.2.1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY TCP6 2001:db8::1 198.51.100.2 56324 993\r\n");
}

static void numbers_have_no_leading_zeros(void **state)
{
    (void)state;
    assert_bad_line("PROXY TCP4 192.0.02.1 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 056324 993\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 56324 0993\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 00 993\r\n");
}

static void ports_are_from_0_to_65535(void **state)
{
    struct parsed zero =
        parse(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 0 65535\r\n"));

    (void)state;
    assert_pair(&zero, "192.0.2.1:0", "198.51.100.2:65535");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 65536 993\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 1 4294967297\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 -1 993\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 +1 993\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.1 198.51.100.2 1x 993\r\n");
}

static void what_is_no_address_is_refused(void **state)
{
    (void)state;
    assert_bad_line("PROXY TCP4 192.0.2 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY TCP4 192.0.2.256 198.51.100.2 56324 993\r\n");
    assert_bad_line("PROXY TCP4 imap.example.org 198.51.100.2 1 993\r\n");
    assert_bad_line("PROXY TCP6 fe80::1%eth0 2001:db8::2 56324 993\r\n");
    assert_bad_line("PROXY TCP6 [2001:db8::1] 2001:db8::2 56324 993\r\n");
}

static void a_line_with_a_nul_is_refused(void **state)
{
    (void)state;
    assert_bad(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 56324 993\0\r\n"));
    assert_bad(BYTES("PROXY UNKNOWN\0\r\n"));
}

static void what_is_no_header_is_refused_at_its_first_byte(void **state)
{
    (void)state;
    assert_bad_line("a");
    assert_bad_line("\x16\x03\x01");
    assert_bad_line("PROXX");
    assert_bad_line("\r\n\r\n1");
    assert_int_equal(parse("", 0).result, PROXY_HEADER_MORE);
}

static void a_block_of_ipv4_is_read(void **state)
{
    struct parsed parsed = parse_block(0x21, 0x11, BYTES(TCP4));

    (void)state;
    assert_pair(&parsed, "192.0.2.1:56324", "198.51.100.2:993");
    assert_int_equal(parsed.used, 28);
}

static void a_block_of_ipv6_is_read(void **state)
{
    struct parsed parsed = parse_block(0x21, 0x21, BYTES(TCP6));

    (void)state;
    assert_pair(&parsed, "[2001:db8::1]:56324", "[2001:db8::2]:993");
    assert_int_equal(parsed.used, 52);
}

static void bytes_behind_a_header_are_not_its_own(void **state)
{
    char block[PROXY_HEADER_READ_MAX];
    size_t len = make_block(0x21, 0x11, BYTES(TCP4), block);
    struct parsed line =
        parse(BYTES("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n\x16\x03\x01"));

    (void)state;
    assert_int_equal(parse(block, len + 9).used, len);
    assert_int_equal(line.used, 39);
}

static void local_names_nobody_and_is_not_looked_into(void **state)
{
    struct parsed bare = parse_block(0x20, 0x00, NULL, 0);
    struct parsed other = parse_block(0x20, 0xff, BYTES("\xff\xff\xff"));
    struct parsed full = parse_block(0x20, 0x11, BYTES(TCP4));

    (void)state;
    assert_nobody(&bare, 16);
    assert_nobody(&other, 19);
    assert_nobody(&full, 28);
}

static void an_unspecified_family_names_nobody(void **state)
{
    struct parsed bare = parse_block(0x21, 0x00, NULL, 0);
    struct parsed more = parse_block(0x21, 0x00, BYTES("whatever"));

    (void)state;
    assert_nobody(&bare, 16);
    assert_nobody(&more, 24);
}

static void a_socket_of_unix_names_nobody(void **state)
{
    char paths[216] = "/run/balancer";
    struct parsed parsed = parse_block(0x21, 0x31, paths, sizeof(paths));

    (void)state;
    assert_nobody(&parsed, 232);
    assert_bad_block(0x21, 0x31, paths, sizeof(paths) - 1);
}

static void unknown_versions_and_commands_are_refused_as_they_come(void **state)
{
    (void)state;
    assert_bad_block(0x22, 0x11, BYTES(TCP4));
    assert_bad_block(0x2f, 0x11, BYTES(TCP4));
    assert_bad_block(0x11, 0x11, BYTES(TCP4));
    assert_bad_block(0x31, 0x11, BYTES(TCP4));
    assert_bad(BYTES(SIGNATURE "\x22"));
    assert_int_equal(parse(BYTES(SIGNATURE "\x21")).result, PROXY_HEADER_MORE);
}

static void other_families_are_refused(void **state)
{
    static const uint8_t families[] = {0x01, 0x02, 0x10, 0x12, 0x13, 0x20, 0x22,
                                       0x30, 0x32, 0x40, 0x41, 0xf1, 0xff};
    char body[216] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(families); i++)
        assert_bad_block(0x21, families[i], body, sizeof(body));
}

static void a_length_shorter_than_the_family_is_refused_at_once(void **state)
{
    (void)state;
    assert_bad(BYTES(SIGNATURE "\x21\x11\x00\x0b"));
    assert_bad(BYTES(SIGNATURE "\x21\x21\x00\x23"));
    assert_bad(BYTES(SIGNATURE "\x21\x11\x00\x00"));
    assert_int_equal(parse(BYTES(SIGNATURE "\x21\x11\x00\x0c")).result,
                     PROXY_HEADER_MORE);
}

static void a_header_over_4_kib_is_refused_before_it_came(void **state)
{
    (void)state;
    assert_int_equal(parse(BYTES(SIGNATURE "\x21\x11\x0f\xf0")).result,
                     PROXY_HEADER_MORE);
    assert_bad(BYTES(SIGNATURE "\x21\x11\x0f\xf1"));
    assert_bad(BYTES(SIGNATURE "\x20\x00\xff\xff"));
}

static void tlvs_that_fit_are_passed_over(void **state)
{
    struct parsed parsed =
        parse_block(0x21, 0x11,
                    BYTES(TCP4 "\x02\x00\x04host" /* authority */
                               "\x04\x00\x00"     /* nothing */
                               "\x05\x00\x02id"   /* id */
                               "\xe0\x00\x01x"    /* somebody's */
                               "\x20\x00\x0f\x01\0\0\0\0\x21\x00\x07TLSv1.3"));

    (void)state;
    assert_pair(&parsed, "192.0.2.1:56324", "198.51.100.2:993");
}

static void a_tlv_that_reaches_beyond_the_header_is_refused(void **state)
{
    (void)state;
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x02\x00\x05host"));
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x02\xff\xffhost"));
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x02"));
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x02\x00"));
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x04\x00\x00\x04"));
}

static void tlvs_within_that_of_tls_are_walked_too(void **state)
{
    (void)state;
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x20\x00\x04\x01\0\0\0"));
    assert_bad_block(0x21, 0x11,
                     BYTES(TCP4 "\x20\x00\x09\x01\0\0\0\0\x21\x00\x02T"));
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x20\x00\x06\x01\0\0\0\0\x21"));
}

static void an_id_of_more_than_128_bytes_is_refused(void **state)
{
    char body[12 + 3 + 129] = TCP4 "\x05\x00\x80";

    (void)state;
    assert_int_equal(parse_block(0x21, 0x11, body, 12 + 3 + 128).result,
                     PROXY_HEADER_DONE);
    body[14] = (char)0x81;
    assert_bad_block(0x21, 0x11, body, sizeof(body));
}

/* The check value of CRC-32C is that of "123456789", e3069283; this one was
 * computed by another program. */
static void a_checksum_must_hold(void **state)
{
    struct parsed parsed = parse_block(0x21, 0x11,
                                       BYTES(TCP4 "\x03\x00\x04"
                                                  "\x83\x48\x73\x3a"));

    (void)state;
    assert_pair(&parsed, "192.0.2.1:56324", "198.51.100.2:993");
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x03\x00\x04\x00\x00\x00\x00"));
    assert_bad_block(0x21, 0x11, BYTES(TCP4 "\x03\x00\x03\x00\x00\x00"));
}

/* Whatever is cut off, the whole is read in the same way. */
static void assert_prefixes_wait(const char *bytes, size_t len)
{
    for (size_t cut = 0; cut < len; cut++) {
        char *part = malloc(cut + 1);

        memcpy(part, bytes, cut);
        assert_int_equal(parse(part, cut).result, PROXY_HEADER_MORE);
        free(part);
    }
    assert_int_equal(parse(bytes, len).result, PROXY_HEADER_DONE);
    assert_int_equal(parse(bytes, len).used, len);
}

static void every_part_of_a_header_waits_for_the_rest(void **state)
{
    char block[PROXY_HEADER_READ_MAX];
    size_t len = make_block(
        0x21, 0x21, BYTES(TCP6 "\x02\x00\x04host\x20\x00\x05\x01\0\0\0\0"),
        block);

    (void)state;
    assert_prefixes_wait(block, len);
    assert_prefixes_wait(
        BYTES("PROXY TCP6 2001:db8::1 2001:db8::2 56324 993\r\n"));
    assert_prefixes_wait(BYTES("PROXY UNKNOWN\r\n"));
    len = make_block(0x20, 0x00, NULL, 0, block);
    assert_prefixes_wait(block, len);
}

static struct address make_address(const char *text, uint16_t port)
{
    struct network network;
    struct address address;

    assert_true(network_parse_address(text, &network));
    address_from_network(&network, &address);
    address.port = port;
    return address;
}

static struct proxy_client make_client(const char *from, const char *to)
{
    return (struct proxy_client){.from = make_address(from, 56324),
                                 .to = make_address(to, 993)};
}

static void assert_line(const struct proxy_client *client, const char *expected)
{
    uint8_t out[PROXY_HEADER_MAX];
    size_t len = proxy_header_write_v1(client, out);

    assert_int_equal(len, strlen(expected));
    assert_memory_equal(out, expected, len);
}

static void assert_block(const struct proxy_client *client,
                         const char *expected, size_t expected_len)
{
    uint8_t out[PROXY_HEADER_MAX];
    size_t len = proxy_header_write_v2(client, out);

    assert_int_equal(len, expected_len);
    assert_memory_equal(out, expected, len);
}

static void lines_are_written(void **state)
{
    struct proxy_client v4 = make_client("192.0.2.1", "198.51.100.2");
    struct proxy_client v6 = make_client("2001:db8::1", "2001:db8::2");

    (void)state;
    assert_line(&v4, "PROXY TCP4 192.0.2.1 198.51.100.2 56324 993\r\n");
    assert_line(&v6, "PROXY TCP6 2001:db8::1 2001:db8::2 56324 993\r\n");
    assert_line(NULL, "PROXY UNKNOWN\r\n");
}

static void blocks_are_written(void **state)
{
    struct proxy_client v4 = make_client("192.0.2.1", "198.51.100.2");
    struct proxy_client v6 = make_client("2001:db8::1", "2001:db8::2");

    (void)state;
    assert_block(&v4, BYTES(SIGNATURE "\x21\x11\x00\x0c" TCP4));
    assert_block(&v6, BYTES(SIGNATURE "\x21\x21\x00\x24" TCP6));
    assert_block(NULL, BYTES(SIGNATURE "\x20\x00\x00\x00"));
}

static void addresses_of_two_families_are_written_as_ipv6(void **state)
{
    struct proxy_client client = make_client("192.0.2.1", "2001:db8::2");
    uint8_t out[PROXY_HEADER_MAX];
    size_t len = proxy_header_write_v2(&client, out);
    struct parsed parsed = parse((const char *)out, len);

    (void)state;
    assert_int_equal(out[13], 0x21);
    assert_pair(&parsed, "192.0.2.1:56324", "[2001:db8::2]:993");
    assert_line(&client,
                "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 56324 993\r\n");
}

static void a_block_tells_of_tls_and_the_name_asked_for(void **state)
{
    struct proxy_client client = make_client("192.0.2.1", "198.51.100.2");

    (void)state;
    client.tls_version = 0x0304;
    client.tls_cipher = 0x1301;
    client.sni = "imap.example.org";
    assert_block(&client,
                 BYTES(SIGNATURE "\x21\x11\x00\x4a" TCP4
                                 "\x02\x00\x10imap.example.org"
                                 "\x20\x00\x28\x01\0\0\0\x01"
                                 "\x21\x00\x07TLSv1.3"
                                 "\x23\x00\x16TLS_AES_128_GCM_SHA256"));
}

static void ciphers_of_tls_1_2_have_the_names_of_openssl(void **state)
{
    struct proxy_client client = make_client("192.0.2.1", "198.51.100.2");

    (void)state;
    client.tls_version = 0x0303;
    client.tls_cipher = 0xc02f;
    client.sni = "";
    assert_block(&client, BYTES(SIGNATURE "\x21\x11\x00\x3c" TCP4
                                          "\x20\x00\x2d\x01\0\0\0\x01"
                                          "\x21\x00\x07TLSv1.2"
                                          "\x23\x00\x1b"
                                          "ECDHE-RSA-AES128-GCM-SHA256"));
}

static void a_cipher_that_is_not_known_is_left_out(void **state)
{
    struct proxy_client client = make_client("192.0.2.1", "198.51.100.2");

    (void)state;
    client.tls_version = 0x0304;
    client.tls_cipher = 0xfefe;
    assert_block(&client,
                 BYTES(SIGNATURE "\x21\x11\x00\x1e" TCP4
                                 "\x20\x00\x0f\x01\0\0\0\x01\x21\x00\x07"
                                 "TLSv1.3"));
}

static void the_longest_name_fits_and_a_longer_one_is_left_out(void **state)
{
    struct proxy_client client = make_client("2001:db8::1", "2001:db8::2");
    uint8_t out[PROXY_HEADER_MAX];
    char name[257];

    (void)state;
    memset(name, 'a', sizeof(name));
    name[255] = '\0';
    client.sni = name;
    client.tls_version = 0x0303;
    client.tls_cipher = 0xc02f;
    assert_int_equal(proxy_header_write_v2(&client, out), 52 + 258 + 48);
    name[255] = 'a';
    name[256] = '\0';
    assert_int_equal(proxy_header_write_v2(&client, out), 52 + 48);
}

static void what_is_written_is_read_as_it_was_meant(void **state)
{
    struct proxy_client client = make_client("192.0.2.1", "198.51.100.2");
    uint8_t out[PROXY_HEADER_MAX];
    size_t len;
    struct parsed parsed;

    (void)state;
    client.tls_version = 0x0304;
    client.tls_cipher = 0x1301;
    client.sni = "imap.example.org";
    len = proxy_header_write_v2(&client, out);
    parsed = parse((const char *)out, len);
    assert_pair(&parsed, "192.0.2.1:56324", "198.51.100.2:993");
    assert_int_equal(parsed.used, len);
    len = proxy_header_write_v1(&client, out);
    parsed = parse((const char *)out, len);
    assert_pair(&parsed, "192.0.2.1:56324", "198.51.100.2:993");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_of_ipv4_is_read),
        cmocka_unit_test(a_line_of_ipv6_is_read_in_either_case),
        cmocka_unit_test(an_ipv4_mapped_address_is_ipv4),
        cmocka_unit_test(an_unknown_line_names_nobody_whatever_follows),
        cmocka_unit_test(the_longest_line_is_read_and_one_byte_more_is_not),
        cmocka_unit_test(a_line_without_end_is_refused_at_its_limit),
        cmocka_unit_test(a_line_has_one_space_between_its_six_fields),
        cmocka_unit_test(a_line_ends_in_crlf),
        cmocka_unit_test(a_line_names_a_known_family),
        cmocka_unit_test(families_are_not_mixed),
        cmocka_unit_test(numbers_have_no_leading_zeros),
        cmocka_unit_test(ports_are_from_0_to_65535),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(a_line_with_a_nul_is_refused),
        cmocka_unit_test(what_is_no_header_is_refused_at_its_first_byte),
        cmocka_unit_test(a_block_of_ipv4_is_read),
        cmocka_unit_test(a_block_of_ipv6_is_read),
        cmocka_unit_test(bytes_behind_a_header_are_not_its_own),
        cmocka_unit_test(local_names_nobody_and_is_not_looked_into),
        cmocka_unit_test(an_unspecified_family_names_nobody),
        cmocka_unit_test(a_socket_of_unix_names_nobody),
        cmocka_unit_test(
            unknown_versions_and_commands_are_refused_as_they_come),
        cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(a_length_shorter_than_the_family_is_refused_at_once),
        cmocka_unit_test(a_header_over_4_kib_is_refused_before_it_came),
        cmocka_unit_test(tlvs_that_fit_are_passed_over),
        cmocka_unit_test(a_tlv_that_reaches_beyond_the_header_is_refused),
        cmocka_unit_test(tlvs_within_that_of_tls_are_walked_too),
        cmocka_unit_test(an_id_of_more_than_128_bytes_is_refused),
        cmocka_unit_test(a_checksum_must_hold),
        cmocka_unit_test(every_part_of_a_header_waits_for_the_rest),
        cmocka_unit_test(lines_are_written),
        cmocka_unit_test(blocks_are_written),
        cmocka_unit_test(addresses_of_two_families_are_written_as_ipv6),
        cmocka_unit_test(a_block_tells_of_tls_and_the_name_asked_for),
        cmocka_unit_test(ciphers_of_tls_1_2_have_the_names_of_openssl),
        cmocka_unit_test(a_cipher_that_is_not_known_is_left_out),
        cmocka_unit_test(the_longest_name_fits_and_a_longer_one_is_left_out),
        cmocka_unit_test(what_is_written_is_read_as_it_was_meant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
