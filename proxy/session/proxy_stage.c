#include "session/proxy_stage.h"

#include "base/log.h"
#include "session/session_private.h"

#include <stdlib.h>

void proxy_stage_free(struct proxy_stage **stage)
{
    struct proxy_stage *mine = *stage;

    *stage = NULL;
    if (mine == NULL)
        return;
    wiped_buffer_deinit(&mine->begun);
    free(mine);
}

bool proxy_stage_trusts(const struct listener_config *listener,
                        const struct address *peer)
{
    enum network_family family = peer->is_ipv6 ? NETWORK_IPV6 : NETWORK_IPV4;

    for (size_t i = 0; i < listener->proxy_from_count; i++) {
        if (network_contains(&listener->proxy_from[i], family, peer->ip))
            return true;
    }
    return false;
}

/* The bytes are kept only where they do not come at once. */
enum proxy_header_result proxy_stage_feed(struct proxy_stage *stage,
                                          const uint8_t *bytes, size_t len,
                                          size_t *used_out)
{
    struct wiped_buffer *begun = &stage->begun;
    size_t had = begun->len;
    enum proxy_header_result result;

    if (had > 0) {
        size_t room = PROXY_HEADER_READ_MAX - had;

        wiped_buffer_append(begun, bytes, len < room ? len : room);
        result = proxy_header_parse(begun->bytes, begun->len, &stage->header,
                                    used_out);
    } else {
        result = proxy_header_parse(bytes, len, &stage->header, used_out);
        if (result == PROXY_HEADER_MORE)
            wiped_buffer_append(begun, bytes, len);
    }
    if (result == PROXY_HEADER_MORE)
        *used_out = len;
    else if (result == PROXY_HEADER_DONE)
        *used_out -= had;
    return result;
}

/* Without a word: it is no client that knows what to make of one. */
void session_refuse_proxy(struct session *session, const char *reason,
                          const char *detail)
{
    session->facts.is_probe = false;
    counters_add(session->env->counters, COUNTER_PROXY_REFUSED, 1);
    session_finish(session, reason, detail);
    stream_close(session_client(session));
}

void session_begin_proxy(struct session *session)
{
    struct before_login *before = session->before;

    if (!proxy_stage_trusts(before->listener, &session->facts.peer)) {
        session_refuse_proxy(session, "proxy-untrusted", NULL);
        return;
    }
    before->proxy = mem_zalloc(sizeof(*before->proxy));
    session->facts.is_probe = true; /* unless its header says otherwise */
}

static void log_header(const struct session *session,
                       const struct address *balancer)
{
    char via[ADDRESS_TEXT_MAX];
    char peer[ADDRESS_TEXT_MAX];
    struct log_entry entry;

    log_begin(&entry, LOG_DEBUG, "proxy-header");
    if (!entry.is_on)
        return;
    address_format(balancer, via, sizeof(via));
    address_format(&session->facts.peer, peer, sizeof(peer));
    log_text(&entry, "id", session->before->id);
    log_text(&entry, "peer", peer);
    log_text(&entry, "via", via);
    log_end(&entry);
}

static void take_header(struct session *session)
{
    const struct proxy_header *header = &session->before->proxy->header;
    struct address balancer = session->facts.peer;

    if (header->has_addresses)
        session->facts.peer = header->from;
    session->facts.is_probe = header->is_local;
    log_header(session, &balancer);
    session_admit(session);
}

void session_take_proxy(struct session *session)
{
    struct stream *client = session_client(session);
    struct proxy_stage *stage = session->before->proxy;
    size_t len, used;
    const uint8_t *bytes = stream_lent(client, &len);

    switch (proxy_stage_feed(stage, bytes, len, &used)) {
    case PROXY_HEADER_MORE:
        break;
    case PROXY_HEADER_BAD:
        session_refuse_proxy(session, "proxy-header", stage->header.fault);
        break;
    case PROXY_HEADER_DONE:
        stream_give_back(client, len - used);
        take_header(session);
        break;
    }
}
