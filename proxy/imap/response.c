#include "imap/response.h"

#include <string.h>

static const struct {
    const char *text;
    enum imap_status status;
} statuses[] = {
    {"OK", IMAP_STATUS_OK},           {"NO", IMAP_STATUS_NO},
    {"BAD", IMAP_STATUS_BAD},         {"BYE", IMAP_STATUS_BYE},
    {"PREAUTH", IMAP_STATUS_PREAUTH},
};

static enum imap_status find_status(struct imap_span atom)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (imap_span_is(atom, statuses[i].text))
            return statuses[i].status;
    }
    return IMAP_STATUS_NONE;
}

/* RFC 9051, 9: "[" resp-text-code "]"; the span stands at the bracket. False,
 * with nothing taken, when it is not that. */
static bool take_code(struct imap_span *rest, struct imap_response *response)
{
    const uint8_t *end = memchr(rest->bytes, ']', rest->len);
    struct imap_span inside = {rest->bytes + 1, 0};
    struct imap_span code;

    if (end == NULL)
        return false;
    inside.len = (size_t)(end - inside.bytes);
    code = imap_span_take_atom(&inside);
    if (code.len == 0 || (inside.len > 0 && !imap_span_take(&inside, ' ')))
        return false;
    response->code = code;
    response->code_data = inside;
    rest->len -= (size_t)(end + 1 - rest->bytes);
    rest->bytes = end + 1;
    imap_span_take(rest, ' ');
    return true;
}

/* Whether a bracket without a readable code may be text: a refusal stays one,
 * but nothing else is believed of who cannot write. */
static bool may_lack_code(const struct imap_response *response)
{
    return response->tag.len > 0 && (response->status == IMAP_STATUS_NO ||
                                     response->status == IMAP_STATUS_BAD);
}

/* What follows "* " or the tag. Some servers end the line at the status. */
static bool parse_status(struct imap_span rest, struct imap_response *response)
{
    enum imap_status status = find_status(imap_span_take_atom(&rest));

    if (status == IMAP_STATUS_NONE || (rest.len > 0 && rest.bytes[0] != ' '))
        return true;
    response->status = status;
    imap_span_take(&rest, ' ');
    if (rest.len > 0 && rest.bytes[0] == '[' && !take_code(&rest, response) &&
        !may_lack_code(response))
        return false;
    response->text = rest;
    return true;
}

static void parse_untagged(struct imap_span rest,
                           struct imap_response *response)
{
    response->kind = IMAP_RESPONSE_UNTAGGED;
    response->data = rest;
    if (rest.len == 0 || !parse_status(rest, response))
        response->kind = IMAP_RESPONSE_INVALID;
}

static void parse_tagged(struct imap_span line, struct imap_response *response)
{
    struct imap_span rest = line;

    while (rest.len > 0 && imap_is_astring_char(rest.bytes[0]) &&
           rest.bytes[0] != '+') {
        rest.bytes++;
        rest.len--;
    }
    response->tag = (struct imap_span){line.bytes, line.len - rest.len};
    if (response->tag.len == 0 || !imap_span_take(&rest, ' '))
        return;
    response->data = rest;
    if (!parse_status(rest, response))
        return;
    if (response->status == IMAP_STATUS_OK ||
        response->status == IMAP_STATUS_NO ||
        response->status == IMAP_STATUS_BAD)
        response->kind = IMAP_RESPONSE_TAGGED;
}

void imap_response_parse(struct imap_span line,
                         struct imap_response *response_out)
{
    struct imap_span rest = line;

    *response_out = (struct imap_response){.kind = IMAP_RESPONSE_INVALID,
                                           .status = IMAP_STATUS_NONE};
    if (imap_span_take(&rest, '+')) {
        response_out->kind = IMAP_RESPONSE_CONTINUE;
        imap_span_take(&rest, ' ');
        response_out->data = rest;
    } else if (imap_span_take(&rest, '*')) {
        if (imap_span_take(&rest, ' '))
            parse_untagged(rest, response_out);
    } else {
        parse_tagged(line, response_out);
    }
}

bool imap_response_is_for(const struct imap_response *response, const char *tag)
{
    return response->kind == IMAP_RESPONSE_TAGGED &&
           response->tag.len == strlen(tag) &&
           memcmp(response->tag.bytes, tag, response->tag.len) == 0;
}

bool imap_response_capabilities(const struct imap_response *response,
                                struct imap_span *list_out)
{
    struct imap_span rest = response->data;

    if (response->status != IMAP_STATUS_NONE) {
        *list_out = response->code_data;
        return imap_span_is(response->code, "CAPABILITY");
    }
    if (response->kind != IMAP_RESPONSE_UNTAGGED ||
        !imap_span_is(imap_span_take_atom(&rest), "CAPABILITY") ||
        !imap_span_take(&rest, ' '))
        return false;
    *list_out = rest;
    return true;
}
