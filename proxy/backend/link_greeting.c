#include "backend/link_private.h"
#include "imap/response.h"

#include <assert.h>
#include <stdio.h>

/* A login's commands carry the client's tag and come after every one of these
 * was answered, so that the tags never meet (decision 12). */
static const char starttls_tag[] = "G1";
static const char capability_tag[] = "G2";

/* The last line must be the last: what follows would be taken for an answer
 * to a login that was not sent yet. */
static bool be_ready(struct link *link)
{
    if (link->has_more)
        return link_give_up(link, "backend speaks out of turn", NULL);
    return link_finish(link, true);
}

static void say(struct link *link, const char *tag, const char *command)
{
    char line[64];
    int len = snprintf(line, sizeof(line), "%s %s\r\n", tag, command);

    assert(len > 0 && (size_t)len < sizeof(line));
    (void)stream_write(link->stream, (const uint8_t *)line, (size_t)len);
}

void link_ask_capability(struct link *link)
{
    say(link, capability_tag, "CAPABILITY");
    link_wait_in(link, LINK_CAPABILITY, link->rules.timeouts->greeting_ms);
}

static void learn(struct link *link, const struct imap_response *response)
{
    struct imap_span list;

    if (!imap_response_capabilities(response, &list))
        return;
    imap_capabilities_parse(list.bytes, list.len, &link->capabilities);
    link->knows_capabilities = true;
}

static bool needs_starttls(const struct link *link)
{
    return link->target->config->tls == BACKEND_TLS_STARTTLS &&
           !stream_is_tls(link->stream);
}

/* The greeting of a backend that is to turn to TLS is believed in nothing but
 * that it is one (threats.md, E5). */
static bool take_greeting(struct link *link,
                          const struct imap_response *response)
{
    if (response->status == IMAP_STATUS_PREAUTH)
        /* A session without the user's login, and on a clear one STARTTLS is
         * no longer possible (RFC 9051, 7.1.4). */
        return link_give_up(link, "greeting is PREAUTH", NULL);
    if (response->status == IMAP_STATUS_BYE)
        return link_give_up(link, "greeting is BYE", NULL);
    if (response->kind != IMAP_RESPONSE_UNTAGGED ||
        response->status != IMAP_STATUS_OK)
        return link_give_up(link, "no IMAP greeting", NULL);
    if (needs_starttls(link)) {
        say(link, starttls_tag, "STARTTLS");
        link_wait_in(link, LINK_STARTTLS, link->rules.timeouts->greeting_ms);
        return true;
    }
    learn(link, response);
    if (link->knows_capabilities && !link->rules.is_probe)
        return be_ready(link);
    link_ask_capability(link);
    return true;
}

static bool is_untagged_chatter(const struct imap_response *response)
{
    return response->kind == IMAP_RESPONSE_UNTAGGED &&
           response->status != IMAP_STATUS_BYE &&
           response->status != IMAP_STATUS_PREAUTH;
}

static bool take_starttls_answer(struct link *link,
                                 const struct imap_response *response)
{
    if (is_untagged_chatter(response))
        return true;
    if (!imap_response_is_for(response, starttls_tag) ||
        response->status != IMAP_STATUS_OK)
        return link_give_up(link, "backend refuses STARTTLS", NULL);
    if (link->has_more)
        /* Replies injected in clear, to be read under TLS (E2). */
        return link_give_up(link, "bytes in clear follow the OK to STARTTLS",
                            NULL);
    link_wait_in(link, LINK_TLS, link->rules.timeouts->backend_tls_ms);
    link_start_tls(link, NULL, 0);
    return true;
}

static bool take_capability_answer(struct link *link,
                                   const struct imap_response *response)
{
    if (is_untagged_chatter(response)) {
        learn(link, response);
        return true;
    }
    if (!imap_response_is_for(response, capability_tag) ||
        response->status != IMAP_STATUS_OK)
        return link_give_up(link, "backend refuses CAPABILITY", NULL);
    learn(link, response);
    if (!link->knows_capabilities)
        return link_give_up(link, "backend names no capabilities", NULL);
    return be_ready(link);
}

static bool take_line(struct link *link)
{
    struct imap_response response;

    imap_response_parse(imap_response_reader_line(&link->reader), &response);
    switch (link->state) {
    case LINK_CONNECT:
    case LINK_GREETING:
        return take_greeting(link, &response);
    case LINK_STARTTLS:
        return take_starttls_answer(link, &response);
    case LINK_CAPABILITY:
        return take_capability_answer(link, &response);
    case LINK_START:
    case LINK_TLS:
    case LINK_OVER:
        break;
    }
    return link_give_up(link, "backend speaks out of turn", NULL);
}

void link_take_bytes(struct link *link, const uint8_t *bytes, size_t len)
{
    bool goes_on = true;
    size_t used;

    while (goes_on && len > 0) {
        enum imap_line_result result =
            imap_response_reader_feed(&link->reader, bytes, len, &used);

        bytes += used;
        len -= used;
        if (result == IMAP_LINE_MORE)
            return;
        if (result == IMAP_LINE_BROKEN) {
            link_give_up(link, imap_response_reader_fault(&link->reader), NULL);
            return;
        }
        link->has_more = len > 0;
        goes_on = take_line(link);
    }
}
