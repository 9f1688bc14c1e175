#include "net/proxy_header.h"

#include "net/proxy_header_wire.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

static enum proxy_header_result parse_line(const uint8_t *bytes, size_t len,
                                           struct proxy_header *header,
                                           size_t *used_out);
static enum proxy_header_result parse_block(const uint8_t *bytes, size_t len,
                                            struct proxy_header *header,
                                            size_t *used_out);

static bool begins_like(const uint8_t *bytes, size_t len, const void *start,
                        size_t start_len)
{
    return memcmp(bytes, start, len < start_len ? len : start_len) == 0;
}

static enum proxy_header_result refuse(struct proxy_header *header,
                                       const char *fault)
{
    header->is_local = false;
    header->has_addresses = false;
    header->fault = fault;
    return PROXY_HEADER_BAD;
}

enum proxy_header_result proxy_header_parse(const uint8_t *bytes, size_t len,
                                            struct proxy_header *header_out,
                                            size_t *used_out)
{
    memset(header_out, 0, sizeof(*header_out));
    *used_out = 0;
    if (len == 0)
        return PROXY_HEADER_MORE;
    if (begins_like(bytes, len, "PROXY ", strlen("PROXY ")))
        return parse_line(bytes, len, header_out, used_out);
    if (begins_like(bytes, len, PROXY_SIGNATURE, SIGNATURE_LEN))
        return parse_block(bytes, len, header_out, used_out);
    return refuse(header_out, "no PROXY header");
}

/* Cuts the line at its spaces; false unless there are just so many fields. */
static bool cut_fields(char *line, char *fields[LINE_FIELDS])
{
    size_t count = 0;

    while (count < LINE_FIELDS) {
        char *space = strchr(line, ' ');

        fields[count++] = line;
        if (space == NULL)
            return count == LINE_FIELDS;
        *space = '\0';
        line = space + 1;
    }
    return false;
}

static bool read_ip(const char *text, bool is_ipv6, struct address *out)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

    if (is_ipv6)
        return inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 &&
               address_from_sockaddr((struct sockaddr *)(void *)&v6, out);
    return inet_pton(AF_INET, text, &v4.sin_addr) == 1 &&
           address_from_sockaddr((struct sockaddr *)(void *)&v4, out);
}

/* Decimal, without a leading zero. */
static bool read_port(const char *text, uint16_t *out)
{
    unsigned port = 0;

    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (; *text >= '0' && *text <= '9' && port <= UINT16_MAX; text++)
        port = port * 10 + (unsigned)(*text - '0');
    *out = (uint16_t)port;
    return *text == '\0' && port <= UINT16_MAX;
}

static bool read_addresses(char *fields[LINE_FIELDS], bool is_ipv6,
                           struct proxy_header *header)
{
    return read_ip(fields[2], is_ipv6, &header->from) &&
           read_ip(fields[3], is_ipv6, &header->to) &&
           read_port(fields[4], &header->from.port) &&
           read_port(fields[5], &header->to.port);
}

/* What follows is to be passed over. */
static bool is_unknown(const char *line)
{
    static const char unknown[] = "PROXY UNKNOWN";
    size_t len = sizeof(unknown) - 1;

    return strncmp(line, unknown, len) == 0 &&
           (line[len] == ' ' || line[len] == '\0');
}

static enum proxy_header_result parse_fields(char *line,
                                             struct proxy_header *header)
{
    char *fields[LINE_FIELDS];
    bool is_ipv6;

    if (is_unknown(line))
        return PROXY_HEADER_DONE;
    if (!cut_fields(line, fields))
        return refuse(header, "PROXY line without its six fields");
    is_ipv6 = strcmp(fields[1], "TCP6") == 0;
    if (!is_ipv6 && strcmp(fields[1], "TCP4") != 0)
        return refuse(header, "PROXY line of an unknown family");
    if (!read_addresses(fields, is_ipv6, header))
        return refuse(header, "PROXY line with a bad address or port");
    header->has_addresses = true;
    return PROXY_HEADER_DONE;
}

static enum proxy_header_result parse_line(const uint8_t *bytes, size_t len,
                                           struct proxy_header *header,
                                           size_t *used_out)
{
    size_t within = len < HEADER_LINE_MAX ? len : HEADER_LINE_MAX;
    const uint8_t *end = memchr(bytes, '\n', within);
    char line[HEADER_LINE_MAX];
    size_t line_len;

    if (end == NULL)
        return len < HEADER_LINE_MAX
                   ? PROXY_HEADER_MORE
                   : refuse(header, "PROXY line without an end");
    line_len = (size_t)(end - bytes);
    if (bytes[line_len - 1] != '\r')
        return refuse(header, "PROXY line that does not end in CRLF");
    *used_out = line_len-- + 1;
    memcpy(line, bytes, line_len);
    line[line_len] = '\0';
    if (strlen(line) != line_len)
        return refuse(header, "PROXY line with a NUL");
    return parse_fields(line, header);
}

static size_t read_u16(const uint8_t *bytes)
{
    return (size_t)bytes[0] << 8 | bytes[1];
}

/* How much of the block is addresses; false where no such family is. */
static bool find_address_len(uint8_t family, size_t *len_out)
{
    switch (family) {
    case FAMILY_TCP4:
        *len_out = TCP4_LEN;
        return true;
    case FAMILY_TCP6:
        *len_out = TCP6_LEN;
        return true;
    case FAMILY_UNIX:
        *len_out = UNIX_LEN;
        return true;
    default: /* datagrams among them */
        return false;
    }
}

/* CRC-32C (RFC 3720, B.4), as if the bytes from skip on, of which there are
 * CRC_LEN, were zero. */
static uint32_t checksum(const uint8_t *bytes, size_t len, size_t skip)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < len; i++) {
        crc ^= i >= skip && i < skip + CRC_LEN ? 0 : bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return ~crc;
}

static bool checksum_holds(const uint8_t *bytes, size_t len, size_t at)
{
    uint32_t sum = checksum(bytes, len, at);
    const uint8_t wanted[CRC_LEN] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16),
                                     (uint8_t)(sum >> 8), (uint8_t)sum};

    return memcmp(bytes + at, wanted, CRC_LEN) == 0;
}

/* Whether the bytes are TLVs, each within them. */
static bool are_tlvs(const uint8_t *bytes, size_t len)
{
    while (len > 0) {
        size_t whole;

        if (len < TLV_HEAD_LEN)
            return false;
        whole = TLV_HEAD_LEN + read_u16(bytes + 1);
        if (whole > len)
            return false;
        bytes += whole;
        len -= whole;
    }
    return true;
}

/* bytes is the header, of this length; its TLV's value is at this place. */
static bool is_good_tlv(const uint8_t *bytes, size_t len, size_t at,
                        size_t value_len)
{
    const uint8_t *value = bytes + at;

    switch (value[-TLV_HEAD_LEN]) {
    case TLV_CRC32C:
        return value_len == CRC_LEN && checksum_holds(bytes, len, at);
    case TLV_UNIQUE_ID:
        return value_len <= UNIQUE_ID_MAX;
    case TLV_SSL:
        return value_len >= SSL_HEAD_LEN &&
               are_tlvs(value + SSL_HEAD_LEN, value_len - SSL_HEAD_LEN);
    default:
        return true;
    }
}

/* Of the header, from this place on. */
static bool has_good_tlvs(const uint8_t *bytes, size_t len, size_t at)
{
    if (!are_tlvs(bytes + at, len - at))
        return false;
    while (at < len) {
        size_t value_len = read_u16(bytes + at + 1);

        at += TLV_HEAD_LEN;
        if (!is_good_tlv(bytes, len, at, value_len))
            return false;
        at += value_len;
    }
    return true;
}

static void take_block_addresses(const uint8_t *bytes,
                                 struct proxy_header *header)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    bool is_ipv6 = bytes[FAMILY_AT] == FAMILY_TCP6;
    size_t size = is_ipv6 ? 16 : 4;
    struct sockaddr *name = is_ipv6 ? (struct sockaddr *)(void *)&v6
                                    : (struct sockaddr *)(void *)&v4;
    void *ip = is_ipv6 ? (void *)&v6.sin6_addr : (void *)&v4.sin_addr;
    const uint8_t *ports = bytes + FIXED_LEN + 2 * size;

    memcpy(ip, bytes + FIXED_LEN, size);
    (void)address_from_sockaddr(name, &header->from);
    memcpy(ip, bytes + FIXED_LEN + size, size);
    (void)address_from_sockaddr(name, &header->to);
    header->from.port = (uint16_t)read_u16(ports);
    header->to.port = (uint16_t)read_u16(ports + 2);
    header->has_addresses = true;
}

/* A block that tells of a client, whole or not yet. */
static enum proxy_header_result parse_client(const uint8_t *bytes, size_t len,
                                             size_t whole,
                                             struct proxy_header *header)
{
    uint8_t family = bytes[FAMILY_AT];
    size_t address_len;

    if (!find_address_len(family, &address_len))
        return refuse(header, "PROXY header of an unknown family");
    if (whole < FIXED_LEN + address_len)
        return refuse(header, "PROXY header too short for its family");
    if (len < whole)
        return PROXY_HEADER_MORE;
    if (!has_good_tlvs(bytes, whole, FIXED_LEN + address_len))
        return refuse(header, "PROXY header with bad TLVs");
    if (family != FAMILY_UNIX)
        take_block_addresses(bytes, header);
    return PROXY_HEADER_DONE;
}

static enum proxy_header_result parse_block(const uint8_t *bytes, size_t len,
                                            struct proxy_header *header,
                                            size_t *used_out)
{
    size_t whole;

    if (len > SIGNATURE_LEN && bytes[COMMAND_AT] != COMMAND_LOCAL &&
        bytes[COMMAND_AT] != COMMAND_PROXY)
        return refuse(header, "PROXY header of an unknown version or command");
    if (len < FIXED_LEN)
        return PROXY_HEADER_MORE;
    whole = FIXED_LEN + read_u16(bytes + LENGTH_AT);
    if (whole > PROXY_HEADER_READ_MAX)
        return refuse(header, "PROXY header too long");
    *used_out = whole;
    header->is_local = bytes[COMMAND_AT] == COMMAND_LOCAL;
    /* Of whoever speaks for itself the family is not looked at, nor is what
     * stands behind it, which may be anything. */
    if (header->is_local || bytes[FAMILY_AT] == FAMILY_UNSPEC)
        return len < whole ? PROXY_HEADER_MORE : PROXY_HEADER_DONE;
    return parse_client(bytes, len, whole, header);
}
