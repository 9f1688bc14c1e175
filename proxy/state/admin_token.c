#include "state/admin_token.h"

#include "config/network.h"

#include <string.h>

enum {
    TOKEN_MIN = 16
};

static const char path[] = "$.admin.token";

/* b64token, whose "=" stand at the end only; nobody is hurt by others. */
static bool can_be_said(const struct secret_file *token)
{
    for (size_t i = 0; i < token->len; i++) {
        if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                   "0123456789-._~+/=",
                   token->file.bytes[i]) == NULL)
            return false;
    }
    return true;
}

bool admin_token_read(const struct file_source *files,
                      const struct settings *settings, struct secret_file *out,
                      struct reasons *reasons)
{
    const struct file_mention mention = {settings->file, path,
                                         "a file that can be read"};

    if (settings->admin_token == NULL)
        return true;
    if (!secret_file_read(files, settings->admin_token, &mention, out, reasons))
        return false;
    if (settings->admin_listen != NULL &&
        !network_host_is_loopback(settings->admin_listen->address))
        reasons_add(reasons, REASON_WARNING, settings->file, path,
                    "a token that is told in clear over a network",
                    "\"listen\" at a loopback address, and a tunnel to it");
    if (out->len >= TOKEN_MIN && can_be_said(out))
        return true;
    reasons_add(reasons, REASON_ERROR, settings->file, path,
                out->len < TOKEN_MIN ? "fewer than 16 characters"
                                     : "a character that no token may have",
                "16 or more of A-Z, a-z, 0-9 and -._~+/=");
    return false;
}
