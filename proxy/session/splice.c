#include "session/splice.h"

#include "base/clock.h"

static void finish(struct splice *splice, const char *reason,
                   const char *detail)
{
    splice->reason = reason;
    splice->handler(splice, SPLICE_OVER, detail);
}

/* One side has no more input: the other hears of it once it has everything. */
static void end_direction(struct splice *splice, struct stream *to,
                          const char *reason)
{
    if (splice->reason == NULL)
        splice->reason = reason;
    if (splice->client_ended && splice->upstream_ended) {
        finish(splice, splice->reason, NULL);
        return;
    }
    stream_shut_down(to);
    splice->handler(splice, SPLICE_HALF_CLOSED, NULL);
}

static void end_upstream(struct splice *splice, const char *reason)
{
    if (splice->client_ended) {
        end_direction(splice, splice->client, reason);
        return;
    }
    splice->reason = reason;
    splice->handler(splice, SPLICE_BACKEND_ENDED, NULL);
}

void splice_pass_end(struct splice *splice)
{
    end_direction(splice, splice->client, splice->reason);
}

static void pump(struct splice *splice, struct stream *from, struct stream *to,
                 uint64_t *moved)
{
    size_t len;
    const uint8_t *bytes = stream_lent(from, &len);

    *moved += len;
    splice->active_ms = clock_now_ms();
    if (!stream_write(to, bytes, len))
        stream_pause(from);
}

static void on_client(struct stream *client, enum stream_event event,
                      void *owner)
{
    struct splice *splice = owner;

    switch (event) {
    case STREAM_DATA:
        pump(splice, client, splice->upstream, &splice->to_backend);
        break;
    case STREAM_DRAINED:
        splice->active_ms = clock_now_ms();
        stream_resume(splice->upstream);
        break;
    case STREAM_EOF:
        splice->client_ended = true;
        end_direction(splice, splice->upstream,
                      stream_was_truncated(client) ? "client-truncated"
                                                   : "client-closed");
        break;
    case STREAM_FAILED:
        splice->client_ended = true;
        finish(splice, "client-failed", stream_failure(client));
        break;
    case STREAM_SECURE:
    case STREAM_CLOSED:
        break;
    }
}

static void on_upstream(struct stream *upstream, enum stream_event event,
                        void *owner)
{
    struct splice *splice = owner;

    switch (event) {
    case STREAM_DATA:
        pump(splice, upstream, splice->client, &splice->to_client);
        break;
    case STREAM_DRAINED:
        splice->active_ms = clock_now_ms();
        stream_resume(splice->client);
        break;
    case STREAM_EOF:
        splice->upstream_ended = true;
        end_upstream(splice, stream_was_truncated(upstream)
                                 ? "backend-truncated"
                                 : "backend-closed");
        break;
    case STREAM_FAILED:
        splice->upstream_ended = true;
        finish(splice, "backend-failed", stream_failure(upstream));
        break;
    case STREAM_SECURE:
    case STREAM_CLOSED:
        break;
    }
}

void splice_start(struct splice *splice, splice_handler *handler,
                  const uint8_t *rest_of_client, size_t client_len,
                  const uint8_t *rest_of_backend, size_t backend_len)
{
    splice->handler = handler;
    splice->active_ms = clock_now_ms();
    splice->to_backend += client_len;
    splice->to_client += backend_len;
    stream_set_owner(splice->client, on_client, splice);
    stream_set_owner(splice->upstream, on_upstream, splice);
    if (backend_len > 0 &&
        !stream_write(splice->client, rest_of_backend, backend_len))
        stream_pause(splice->upstream);
    stream_resume(splice->client); /* it may have waited for the login */
    if (client_len > 0 &&
        !stream_write(splice->upstream, rest_of_client, client_len))
        stream_pause(splice->client);
}

bool splice_has_lost_backend(const struct splice *splice)
{
    return splice->upstream_ended && !splice->client_ended;
}
