#include "backend/link.h"

#include "backend/link_private.h"
#include "base/clock.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define LINK_OF(member)                                                        \
    ((struct link *)(void *)((char *)(member)-offsetof(struct link, timer)))

static void ignore(struct stream *stream, enum stream_event event, void *owner)
{
    (void)stream;
    (void)event;
    (void)owner;
}

void link_drop_stream(struct link *link)
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

bool link_finish(struct link *link, bool is_ready)
{
    link->state = LINK_OVER;
    io_disarm(link->io, &link->timer);
    if (!is_ready) {
        forget_sessions(link);
        link_drop_stream(link);
    }
    tell_facts(link, is_ready);
    link->handler(link, is_ready, link->owner);
    return false;
}

bool link_give_up(struct link *link, const char *what, const char *why)
{
    snprintf(link->failure, sizeof(link->failure), "%s%s%s", what,
             why == NULL ? "" : ": ", why == NULL ? "" : why);
    return link_finish(link, false);
}

void link_wait_in(struct link *link, enum link_state state, uint64_t timeout_ms)
{
    link->state = state;
    io_arm(link->io, &link->timer, timeout_ms);
}

void link_start_tls(struct link *link, const uint8_t *bytes, size_t len)
{
    stream_start_tls_behind(link->stream, &link->io->back,
                            tls_client_context_open(link->target->tls), bytes,
                            len);
}

bool link_begins_with_tls(const struct link *link)
{
    return link->target->config->tls == BACKEND_TLS_IMPLICIT;
}

static void on_timeout(struct wheel_timer *timer)
{
    struct link *link = LINK_OF(timer);

    if (link->state == LINK_START)
        link_dial_next(link);
    else if (link->state == LINK_CONNECT)
        link_look_at_connect(link);
    else
        link_give_up(link, link->state == LINK_TLS ? "TLS" : "greeting",
                     "timeout");
}

static void on_secure(struct link *link)
{
    counters_add(link->io->counters,
                 SSL_session_reused(stream_tls(link->stream))
                     ? COUNTER_BACKEND_HANDSHAKES_RESUMED
                     : COUNTER_BACKEND_HANDSHAKES_FULL,
                 1);
    if (link_begins_with_tls(link))
        link_wait_in(link, LINK_GREETING, link->rules.timeouts->greeting_ms);
    else
        link_ask_capability(link);
}

static bool is_in_tls(const struct link *link)
{
    return link->state == LINK_TLS ||
           (link->state == LINK_CONNECT && link_begins_with_tls(link));
}

static void on_failed(struct link *link)
{
    const char *why = stream_failure(link->stream);

    if (stream_is_dialing(link->stream))
        link_fail_address(link, why);
    else
        link_give_up(link, is_in_tls(link) ? "TLS" : "connection", why);
}

void link_on_stream(struct stream *stream, enum stream_event event, void *owner)
{
    struct link *link = owner;
    size_t len;

    switch (event) {
    case STREAM_SECURE:
        on_secure(link);
        break;
    case STREAM_DATA: {
        const uint8_t *bytes = stream_lent(stream, &len);

        link_take_bytes(link, bytes, len);
        break;
    }
    case STREAM_EOF:
        link_give_up(link, "backend closed the connection", NULL);
        break;
    case STREAM_FAILED:
        on_failed(link);
        break;
    case STREAM_DRAINED:
    case STREAM_CLOSED:
        break;
    }
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
    if (!link_dial_first(link))
        /* The callback never comes from here. */
        link_wait_in(link, LINK_START, 0);
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
    link_drop_stream(mine);
    imap_response_reader_deinit(&mine->reader);
    free(mine);
}
