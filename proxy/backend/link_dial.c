#include "backend/link_private.h"
#include "base/clock.h"

#include <stdio.h>

/* How often a dial that takes long is looked at. */
enum {
    CONNECT_LOOK_MS = 1000
};

static uint64_t least(uint64_t one, uint64_t other)
{
    return one < other ? one : other;
}

/* How long what follows the connect may take. */
static uint64_t after_connect_ms(const struct link *link)
{
    return link_begins_with_tls(link) ? link->rules.timeouts->backend_tls_ms
                                      : link->rules.timeouts->greeting_ms;
}

static void await_connect(struct link *link)
{
    uint64_t limit_ms =
        least(link->rules.timeouts->connect_ms, after_connect_ms(link));

    link->dialled_ms = link->looked_ms = clock_now_ms();
    link_wait_in(link, LINK_CONNECT, least(limit_ms, CONNECT_LOOK_MS));
}

void link_fail_address(struct link *link, const char *why)
{
    snprintf(link->failure, sizeof(link->failure), "connect: %s", why);
    link_drop_stream(link);
    link_dial_next(link);
}

/* What the backend may still take has been running for as long as it may have
 * been connected. */
static void await_first_byte(struct link *link, uint64_t connected_ms)
{
    uint64_t limit_ms = after_connect_ms(link);

    link_wait_in(link, link_begins_with_tls(link) ? LINK_TLS : LINK_GREETING,
                 connected_ms < limit_ms ? limit_ms - connected_ms : 0);
}

/* Only of a slow one is it asked whether it is connected. */
void link_look_at_connect(struct link *link)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t passed_ms = now_ms - link->dialled_ms;
    uint64_t limit_ms = link->rules.timeouts->connect_ms;

    if (!stream_is_dialing(link->stream)) {
        await_first_byte(link, now_ms - link->looked_ms);
    } else if (passed_ms >= limit_ms) {
        link_fail_address(link, "timeout");
    } else {
        link->looked_ms = now_ms;
        link_wait_in(link, LINK_CONNECT,
                     least(limit_ms - passed_ms, CONNECT_LOOK_MS));
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
            source_addresses_pick(sources, address->is_ipv6, turn++),
            link_on_stream, link, &link->stream);
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

    if (link_begins_with_tls(link))
        link_start_tls(link, header, len);
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

bool link_dial_first(struct link *link)
{
    if (link->address_count == 0)
        return false;
    link->next_address = 1;
    return dial(link, &link->addresses[0]);
}

void link_dial_next(struct link *link)
{
    while (link->next_address < link->address_count) {
        if (dial(link, &link->addresses[link->next_address++]))
            return;
    }
    link_finish(link, false);
}
