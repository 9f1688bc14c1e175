#include "ops/admin_host.h"

#include <string.h>
#include <strings.h>
#include <uv.h>

static size_t host_len(const char *host)
{
    const char *end =
        *host == '[' ? strchr(host, ']') : host + strcspn(host, ":");

    if (end == NULL)
        return 0;
    return (size_t)(end - host) + (*end == ']' ? 1 : 0);
}

static bool is_port(const char *text)
{
    if (*text == '\0')
        return true;
    return *text == ':' && strspn(text + 1, "0123456789") == strlen(text + 1);
}

static bool is_address(const char *host, size_t len)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char bytes[16];

    if (len > 2 && host[0] == '[') {
        host++;
        len -= 2;
    }
    if (len >= sizeof(text))
        return false;
    memcpy(text, host, len);
    text[len] = '\0';
    return uv_inet_pton(AF_INET, text, bytes) == 0 ||
           uv_inet_pton(AF_INET6, text, bytes) == 0;
}

static bool is_name(const char *name, const char *host, size_t len)
{
    return len == strlen(name) && strncasecmp(host, name, len) == 0;
}

static bool is_allowed_name(const struct admin_access *access, const char *host,
                            size_t len)
{
    for (size_t i = 0; i < access->host_count; i++) {
        if (is_name(access->hosts[i], host, len))
            return true;
    }
    return is_name("localhost", host, len);
}

bool admin_host_is_ours(const struct admin_access *access, const char *host)
{
    size_t len;

    if (host == NULL)
        return false;
    len = host_len(host);
    if (len == 0 || !is_port(host + len))
        return false;
    return is_allowed_name(access, host, len) || is_address(host, len);
}
