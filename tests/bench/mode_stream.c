/* Mode stream: in a batch each connection fetches or appends one message, and
 * the receiver checks every byte. The messages of one connection follow each
 * other in the pattern, and those of two connections lie apart, so that bytes
 * of another message do not pass for the right ones. */
#include "crowd.h"
#include "mode.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    APART = 1009 /* a prime that the pattern's period has no part in */
};

struct streamer {
    uint64_t position; /* of its next message */
    uint64_t size;     /* of the message under way, 0: none */
    bool has_asked;
};

struct stream {
    struct crowd crowd;
    struct streamer *streamers;
    uint64_t bytes; /* of this batch, arrived */
    uint64_t wrong; /* of them, those that were not the pattern's */
    unsigned done;  /* messages */
};

static void begin(void *owner);
static uint64_t share_of(const struct stream *stream, unsigned number);
static bool ask(void *owner, struct member *member);
static void take(void *owner, struct member *member);
static void report(void *owner, double seconds);

static const struct crowd_verbs verbs = {begin, ask, take, report};

int mode_stream_run(const struct load_options *options)
{
    static struct stream stream;

    stream.streamers = calloc(options->parallel, sizeof(*stream.streamers));
    if (stream.streamers == NULL)
        abort();
    for (unsigned i = 0; i < options->parallel; i++)
        stream.streamers[i].position = (uint64_t)i * APART;
    return crowd_run(&stream.crowd, options, &verbs, &stream);
}

static void begin(void *owner)
{
    struct stream *stream = owner;

    stream->bytes = stream->wrong = 0;
    stream->done = 0;
    for (unsigned i = 0; i < stream->crowd.count; i++) {
        stream->streamers[i].size = share_of(stream, i);
        stream->streamers[i].has_asked = false;
    }
}

/* The first ones take a byte more where it does not come out even. */
static uint64_t share_of(const struct stream *stream, unsigned number)
{
    uint64_t bytes = stream->crowd.batch.options->bytes;
    uint64_t count = stream->crowd.count;

    return bytes / count + (number < bytes % count ? 1 : 0);
}

static bool ask(void *owner, struct member *member)
{
    struct stream *stream = owner;
    struct streamer *streamer = &stream->streamers[member->number];

    if (streamer->has_asked || streamer->size == 0)
        return false;
    streamer->has_asked = true;
    if (stream->crowd.batch.options->is_append)
        client_append_at(member->client, streamer->position, streamer->size);
    else
        client_fetch_at(member->client, streamer->position, streamer->size);
    streamer->position += streamer->size;
    return true;
}

static void take(void *owner, struct member *member)
{
    struct stream *stream = owner;

    stream->done++;
    stream->bytes += stream->streamers[member->number].size;
    stream->wrong += client_take_wrong(member->client);
}

static void report(void *owner, double seconds)
{
    struct stream *stream = owner;
    uint64_t bytes = stream->crowd.batch.options->bytes;
    unsigned wanted =
        bytes < stream->crowd.count ? (unsigned)bytes : stream->crowd.count;

    control_say("bytes %" PRIu64 " wrong %" PRIu64 " failed %u seconds %.6f",
                stream->bytes, stream->wrong, wanted - stream->done, seconds);
}
