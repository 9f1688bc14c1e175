#include "session/parting.h"

#include "config/mem.h"

#include <assert.h>
#include <stdlib.h>

struct parting {
    struct homes *homes;
    struct home_claim home;
};

static void on_stream(struct stream *stream, enum stream_event event,
                      void *owner)
{
    struct parting *parting = owner;

    switch (event) {
    case STREAM_CLOSED:
        homes_leave(parting->homes, &parting->home);
        free(parting);
        break;
    case STREAM_FAILED:
        stream_close(stream);
        break;
    case STREAM_SECURE:
    case STREAM_DATA:
    case STREAM_DRAINED:
    case STREAM_EOF:
        break;
    }
}

void parting_take(struct homes *homes, struct home_claim *home,
                  struct stream *stream)
{
    struct parting *parting = mem_zalloc(sizeof(*parting));

    assert(home->at != NULL && !home->is_seeking);
    parting->homes = homes;
    parting->home = *home;
    *home = (struct home_claim){.at = NULL};
    stream_set_owner(stream, on_stream, parting);
    stream_end(stream, PARTING_FLUSH_MS);
}
