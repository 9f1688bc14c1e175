/* What a header of the PROXY protocol looks like on the wire. Private to the
 * files of proxy_header.h. */
#ifndef NET_PROXY_HEADER_WIRE_H
#define NET_PROXY_HEADER_WIRE_H

/* With which version 2 begins. */
#define PROXY_SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

/* Version 1: a line, with its CRLF at most so long. */
enum {
    HEADER_LINE_MAX = 107,
    LINE_FIELDS = 6
};

/* Version 2: signature, version and command, family, length; then as many
 * bytes as that says. */
enum {
    SIGNATURE_LEN = 12,
    COMMAND_AT = 12,
    FAMILY_AT = 13,
    LENGTH_AT = 14,
    FIXED_LEN = 16,
    COMMAND_LOCAL = 0x20,
    COMMAND_PROXY = 0x21,
    FAMILY_UNSPEC = 0x00,
    FAMILY_TCP4 = 0x11,
    FAMILY_TCP6 = 0x21,
    FAMILY_UNIX = 0x31,
    TCP4_LEN = 12,
    TCP6_LEN = 36,
    UNIX_LEN = 216
};

/* Type, two bytes of length, value. */
enum {
    TLV_HEAD_LEN = 3,
    TLV_AUTHORITY = 0x02,
    TLV_CRC32C = 0x03,
    TLV_UNIQUE_ID = 0x05,
    TLV_SSL = 0x20,
    TLV_SSL_VERSION = 0x21,
    TLV_SSL_CIPHER = 0x23,
    UNIQUE_ID_MAX = 128,
    CRC_LEN = 4,
    SSL_HEAD_LEN = 5, /* which facts are known, and the certificate's check */
    SSL_CLIENT_USES_TLS = 0x01,
    SSL_NOT_VERIFIED = 1,
    SNI_MAX = 255
};

#endif
