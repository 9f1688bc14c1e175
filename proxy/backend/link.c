#include "backend/link.h"

#include "base/clock.h"
#include "imap/response.h"
#include "imap/response_reader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum link_state {
    LINK_START,
    LINK_CONNECT, /* or what comes next: its first byte is the sign of both */
    LINK_GREETING,
    LINK_STARTTLS,
    LINK_TLS,
    LINK_CAPABILITY,
    LINK_OVER
};

/* How often a dial that takes long is looked at. */
enum {
    CONNECT_LOOK_MS = 1000
};

/* A login's commands carry the client's tag and come after every one of these
 * was answered, so that the tags never meet (decision 12). */
static const char starttls_tag[] = "G1";
static const char capability_tag[] = "G2";

struct link {
    struct io *io;
    const struct link_target *target;
    struct link_rules rules;
    link_handler *handler;
    void *owner;

    enum link_state state;
    struct stream *stream;
    struct wheel_timer timer;
    uint64_t dialled_ms;
    uint64_t looked_ms; /* there was no connection then */
    struct address addresses[BACKEND_ADDRESSES_MAX];
    size_t address_count;
    size_t next_address;

    struct imap_response_reader reader;
    struct imap_capabilities capabilities;
    bool knows_capabilities;
    bool is_our_fault; /* that it failed */
    bool has_more;     /* bytes follow the line being taken */
    char failure[IO_FAILURE_MAX + 64];
};

#define LINK_OF(member)                                                        \
    ((struct link *)(void *)((char *)(member)-offsetof(struct link, timer)))

static void dial_next(struct link *link);
static void on_stream(struct stream *stream, enum stream_event event,
                      void *owner);

static void ignore(struct stream *stream, enum stream_event event, void *owner)
{
    (void)stream;
    (void)event;
    (void)owner;
}

static void drop_stream(struct link *link)
{
    if (link->stream == NULL)
        return;
    if (stream_is_tls(link->stream) && stream_is_dialing(link->stream))
        tls_client_context_unused(link->target->tls, stream_tls(link->stream));
    stream_set_owner(link->stream, ignore, NULL);
    stream_close(link->stream);
    link->stream = NULL;
}

/* Whatever went wrong, the next dial shall not offer the same again. */
static void forget_sessions(struct link *link)
{
    if (link->stream != NULL && stream_is_tls(link->stream))
        tls_client_context_forget(link->target->tls);
}

/* What is a probe's is not counted among dials either. */
static void tell_facts(struct link *link, bool is_ready)
{
    struct backend *facts = link->target->facts;

    if (link->rules.is_probe)
        return;
    if (!is_ready)
        counters_add(link->io->counters, COUNTER_DIAL_FAILURES, 1);
    if (is_ready)
        backend_dial_succeeded(facts);
    else if (link->is_our_fault)
        backend_dial_abandoned(facts);
    else
        backend_dial_failed(facts, clock_now_ms(), link->failure);
}

/* The owner may free the link in its callback: nobody touches it afterwards,
 * which the result false of the take_ functions tells on. */
static bool finish(struct link *link, bool is_ready)
{
    link->state = LINK_OVER;
    io_disarm(link->io, &link->timer);
    if (!is_ready) {
        forget_sessions(link);
        drop_stream(link);
    }
    tell_facts(link, is_ready);
    link->handler(link, is_ready, link->owner);
    return false;
}

static bool give_up(struct link *link, const char *what, const char *why)
{
    snprintf(link->failure, sizeof(link->failure), "%s%s%s", what,
             why == NULL ? "" : ": ", why == NULL ? "" : why);
    return finish(link, false);
}

/* The last line must be the last: what follows would be taken for an answer
 * to a login that was not sent yet. */
static bool be_ready(struct link *link)
{
    if (link->has_more)
        return give_up(link, "backend speaks out of turn", NULL);
    return finish(link, true);
}

static void say(struct link *link, const char *tag, const char *command)
{
    char line[64];
    int len = snprintf(line, sizeof(line), "%s %s\r\n", tag, command);

    assert(len > 0 && (size_t)len < sizeof(line));
    (void)stream_write(link->stream, (const uint8_t *)line, (size_t)len);
}

static void wait_in(struct link *link, enum link_state state,
                    uint64_t timeout_ms)
{
    link->state = state;
    io_arm(link->io, &link->timer, timeout_ms);
}

/* Behind what is to be said in clear first, if anything is. */
static void start_tls(struct link *link, const uint8_t *bytes, size_t len)
{
    stream_start_tls_behind(link->stream, &link->io->back,
                            tls_client_context_open(link->target->tls), bytes,
                            len);
}

static void ask_capability(struct link *link)
{
    say(link, capability_tag, "CAPABILITY");
    wait_in(link, LINK_CAPABILITY, link->rules.timeouts->greeting_ms);
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
        return give_up(link, "greeting is PREAUTH", NULL);
    if (response->status == IMAP_STATUS_BYE)
        return give_up(link, "greeting is BYE", NULL);
    if (response->kind != IMAP_RESPONSE_UNTAGGED ||
        response->status != IMAP_STATUS_OK)
        return give_up(link, "no IMAP greeting", NULL);
    if (needs_starttls(link)) {
        say(link, starttls_tag, "STARTTLS");
        wait_in(link, LINK_STARTTLS, link->rules.timeouts->greeting_ms);
        return true;
    }
    learn(link, response);
    if (link->knows_capabilities && !link->rules.is_probe)
        return be_ready(link);
    ask_capability(link);
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
        return give_up(link, "backend refuses STARTTLS", NULL);
    if (link->has_more)
        /* Replies injected in clear, to be read under TLS (E2). */
        return give_up(link, "bytes in clear follow the OK to STARTTLS", NULL);
    wait_in(link, LINK_TLS, link->rules.timeouts->backend_tls_ms);
    start_tls(link, NULL, 0);
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
        return give_up(link, "backend refuses CAPABILITY", NULL);
    learn(link, response);
    if (!link->knows_capabilities)
        return give_up(link, "backend names no capabilities", NULL);
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
    return give_up(link, "backend speaks out of turn", NULL);
}

static void take_bytes(struct link *link, const uint8_t *bytes, size_t len)
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
            give_up(link, imap_response_reader_fault(&link->reader), NULL);
            return;
        }
        link->has_more = len > 0;
        goes_on = take_line(link);
    }
}

static bool begins_with_tls(const struct link *link)
{
    return link->target->config->tls == BACKEND_TLS_IMPLICIT;
}

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* How long what follows the connect may take. */
static uint64_t after_connect_ms(const struct link *link)
{
    return begins_with_tls(link) ? link->rules.timeouts->backend_tls_ms
                                 : link->rules.timeouts->greeting_ms;
}

static void await_connect(struct link *link)
{
    uint64_t limit_ms =
        least(link->rules.timeouts->connect_ms, after_connect_ms(link));

    link->dialled_ms = link->looked_ms = clock_now_ms();
    wait_in(link, LINK_CONNECT, least(limit_ms, CONNECT_LOOK_MS));
}

static void fail_address(struct link *link, const char *why)
{
    snprintf(link->failure, sizeof(link->failure), "connect: %s", why);
    drop_stream(link);
    dial_next(link);
}

/* What the backend may still take has been running for as long as it may have
 * been connected. */
static void await_first_byte(struct link *link, uint64_t connected_ms)
{
    uint64_t limit_ms = after_connect_ms(link);

    wait_in(link, begins_with_tls(link) ? LINK_TLS : LINK_GREETING,
            connected_ms < limit_ms ? limit_ms - connected_ms : 0);
}

/* Only of a slow one is it asked whether it is connected. */
static void look_at_connect(struct link *link)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t passed_ms = now_ms - link->dialled_ms;
    uint64_t limit_ms = link->rules.timeouts->connect_ms;

    if (!stream_is_dialing(link->stream)) {
        await_first_byte(link, now_ms - link->looked_ms);
    } else if (passed_ms >= limit_ms) {
        fail_address(link, "timeout");
    } else {
        link->looked_ms = now_ms;
        wait_in(link, LINK_CONNECT,
                least(limit_ms - passed_ms, CONNECT_LOOK_MS));
    }
}

static void on_timeout(struct wheel_timer *timer)
{
    struct link *link = LINK_OF(timer);

    if (link->state == LINK_START)
        dial_next(link);
    else if (link->state == LINK_CONNECT)
        look_at_connect(link);
    else
        give_up(link, link->state == LINK_TLS ? "TLS" : "greeting", "timeout");
}

static void on_secure(struct link *link)
{
    counters_add(link->io->counters,
                 SSL_session_reused(stream_tls(link->stream))
                     ? COUNTER_BACKEND_HANDSHAKES_RESUMED
                     : COUNTER_BACKEND_HANDSHAKES_FULL,
                 1);
    if (begins_with_tls(link))
        wait_in(link, LINK_GREETING, link->rules.timeouts->greeting_ms);
    else
        ask_capability(link);
}

static bool is_in_tls(const struct link *link)
{
    return link->state == LINK_TLS ||
           (link->state == LINK_CONNECT && begins_with_tls(link));
}

static void on_failed(struct link *link)
{
    const char *why = stream_failure(link->stream);

    if (stream_is_dialing(link->stream))
        fail_address(link, why);
    else
        give_up(link, is_in_tls(link) ? "TLS" : "connection", why);
}

static void on_stream(struct stream *stream, enum stream_event event,
                      void *owner)
{
    struct link *link = owner;
    size_t len;

    switch (event) {
    case STREAM_SECURE:
        on_secure(link);
        break;
    case STREAM_DATA: {
        const uint8_t *bytes = stream_lent(stream, &len);

        take_bytes(link, bytes, len);
        break;
    }
    case STREAM_EOF:
        give_up(link, "backend closed the connection", NULL);
        break;
    case STREAM_FAILED:
        on_failed(link);
        break;
    case STREAM_DRAINED:
    case STREAM_CLOSED:
        break;
    }
}

/* A name may have come to mean another host since the table was loaded. */
static bool may_speak_to(const struct link *link, const struct address *address)
{
    const struct backend_config *config = link->target->config;

    return config->tls != BACKEND_TLS_NONE || config->allow_cleartext ||
           address_is_loopback(address);
}

/* The source is not ours, has no port left towards this peer, or, as 127.0.0.1
 * does, leads to other peers only. */
static bool source_is_unfit(int error)
{
    return error == UV_EADDRNOTAVAIL || error == UV_EINVAL;
}

/* What is our own shortage says nothing about the backend. */
static bool is_our_fault(int error)
{
    return error == UV_EMFILE || error == UV_ENFILE || error == UV_ENOBUFS ||
           error == UV_ENOMEM || source_is_unfit(error);
}

static int connect_to(struct link *link, const struct address *address)
{
    const struct source_addresses *sources = link->rules.sources;
    size_t count = source_addresses_count(sources, address->is_ipv6);
    unsigned turn = count > 0 ? backend_source_turn(link->target->facts) : 0;
    size_t tries = 0;
    int result;

    do {
        result = stream_connect(
            link->io, address,
            source_addresses_pick(sources, address->is_ipv6, turn++), on_stream,
            link, &link->stream);
        tries++;
    } while (source_is_unfit(result) && tries < count);
    return result;
}

static size_t write_proxy_header(const struct link *link,
                                 uint8_t out[PROXY_HEADER_MAX])
{
    switch (link->target->config->proxy_protocol) {
    case BACKEND_PROXY_NONE:
        break;
    case BACKEND_PROXY_V1:
        return proxy_header_write_v1(link->rules.client, out);
    case BACKEND_PROXY_V2:
        return proxy_header_write_v2(link->rules.client, out);
    }
    return 0;
}

/* Says what is said before the greeting. The PROXY header comes before
 * anything else, TLS included. */
static void speak_first(struct link *link)
{
    uint8_t header[PROXY_HEADER_MAX];
    size_t len = write_proxy_header(link, header);

    if (begins_with_tls(link))
        start_tls(link, header, len);
    else if (len > 0)
        (void)stream_write(link->stream, header, len);
}

static bool refuse_address(struct link *link, const struct address *address,
                           const char *why)
{
    char where[ADDRESS_TEXT_MAX];

    address_format(address, where, sizeof(where));
    snprintf(link->failure, sizeof(link->failure), "%s %s", where, why);
    return false;
}

static bool dial(struct link *link, const struct address *address)
{
    int result;

    link->is_our_fault = own_addresses_include(link->rules.own, address);
    if (link->is_our_fault)
        return refuse_address(link, address, "would reach ourselves");
    if (!may_speak_to(link, address))
        return refuse_address(link, address,
                              "is not loopback and allow_cleartext is not set");
    if (!link->rules.is_probe)
        counters_add(link->io->counters, COUNTER_DIALS, 1);
    result = connect_to(link, address);
    if (result == 0) {
        await_connect(link);
        speak_first(link);
        return true;
    }
    link->is_our_fault = is_our_fault(result);
    snprintf(link->failure, sizeof(link->failure), "connect: %s%s",
             uv_strerror(result),
             source_is_unfit(result) ? " on our side" : "");
    return false;
}

static void dial_next(struct link *link)
{
    while (link->next_address < link->address_count) {
        if (dial(link, &link->addresses[link->next_address++]))
            return;
    }
    finish(link, false);
}

/* Facts are the same for the same name, host and port, and a TLS context is
 * carried over where all that it was made of is equal. */
bool link_target_is_same(const struct link_target *one,
                         const struct link_target *other)
{
    return one->facts == other->facts && one->tls == other->tls &&
           one->config->tls == other->config->tls &&
           one->config->allow_cleartext == other->config->allow_cleartext &&
           one->config->proxy_protocol == other->config->proxy_protocol;
}

struct link *link_open(struct io *io, const struct link_target *target,
                       const struct link_rules *rules, link_handler *handler,
                       void *owner)
{
    struct link *link = mem_zalloc(sizeof(*link));

    link->io = io;
    link->target = target;
    link->rules = *rules;
    link->handler = handler;
    link->owner = owner;
    wheel_timer_init(&link->timer, on_timeout);
    imap_response_reader_init(&link->reader);
    link->address_count = backend_addresses(target->facts, link->addresses);
    snprintf(link->failure, sizeof(link->failure), "host has no address");
    if (link->address_count > 0 && dial(link, &link->addresses[0])) {
        link->next_address = 1;
    } else {
        link->next_address = link->address_count > 0 ? 1 : 0;
        wait_in(link, LINK_START, 0); /* the callback never comes from here */
    }
    return link;
}

struct stream *link_take(struct link *link)
{
    struct stream *stream = link->stream;

    assert(link->state == LINK_OVER && stream != NULL);
    link->stream = NULL;
    return stream;
}

const struct imap_capabilities *link_capabilities(const struct link *link)
{
    return &link->capabilities;
}

const char *link_failure(const struct link *link)
{
    return link->failure;
}

bool link_is_our_fault(const struct link *link)
{
    return link->is_our_fault;
}

void link_free(struct link **link)
{
    struct link *mine = *link;

    *link = NULL;
    if (mine == NULL)
        return;
    io_disarm(mine->io, &mine->timer);
    if (mine->state != LINK_OVER && !mine->rules.is_probe)
        backend_dial_abandoned(mine->target->facts);
    drop_stream(mine);
    imap_response_reader_deinit(&mine->reader);
    free(mine);
}
