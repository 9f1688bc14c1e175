#include "state/heir_parts.h"

#include "backend/backend_memory.h"

#include <stdlib.h>

static struct told_sessions *find_told(struct heir *heir,
                                       const struct backend *backend)
{
    for (size_t i = 0; i < heir->told_count; i++) {
        if (heir->told[i].backend == backend)
            return &heir->told[i];
    }
    return NULL;
}

static struct told_sessions *add_told(struct heir *heir,
                                      struct backend *backend)
{
    heir->told = mem_realloc_array(heir->told, heir->told_count + 1,
                                   sizeof(*heir->told));
    heir->told[heir->told_count] =
        (struct told_sessions){.backend = backend_ref(backend)};
    return &heir->told[heir->told_count++];
}

/* With the reference that kept the facts until the successor knew of the last
 * one's end. */
static void drop_told(struct heir *heir, struct told_sessions *told)
{
    backend_unref(&told->backend);
    *told = heir->told[--heir->told_count];
}

/* Ends of sessions are many, and a login that picks a backend can do with a
 * number of a moment ago. */
static bool tell_sessions_of(struct heir *heir, struct backend *backend)
{
    struct told_sessions *told = find_told(heir, backend);
    uint32_t count = backend_sessions(backend);

    if (count == (told == NULL ? 0 : told->count))
        return true;
    if (told == NULL)
        told = add_told(heir, backend);
    told->count = count;
    wire_start(&heir->packet, WIRE_SESSIONS);
    wire_put_place(&heir->packet, backend);
    wire_put_u32(&heir->packet, count);
    if (count == 0)
        drop_told(heir, told);
    return heir_send(heir, &heir->packet);
}

bool heir_send_sessions(struct heir *heir)
{
    size_t count;
    struct backend **list = backend_registry_list(heir->registry, &count);
    bool is_sent = true;

    for (size_t i = 0; i < count; i++) {
        is_sent = is_sent && tell_sessions_of(heir, list[i]);
        backend_unref(&list[i]);
    }
    free(list);
    return is_sent;
}

void heir_forget_sessions(struct heir *heir)
{
    for (size_t i = 0; i < heir->told_count; i++)
        backend_unref(&heir->told[i].backend);
    free(heir->told);
    heir->told = NULL;
    heir->told_count = 0;
}
