#include "state/handover_wire.h"

#include <assert.h>
#include <string.h>

enum {
    COUNT_MAX = 1000 * 1000 * 1000
};

void wire_start(struct wire_writer *writer, enum wire_kind kind)
{
    writer->len = 0;
    wire_put_u8(writer, (uint8_t)kind);
}

bool wire_has_room(const struct wire_writer *writer, size_t len)
{
    return len <= sizeof(writer->bytes) - writer->len;
}

void wire_put(struct wire_writer *writer, const void *bytes, size_t len)
{
    assert(wire_has_room(writer, len));
    memcpy(writer->bytes + writer->len, bytes, len);
    writer->len += len;
}

void wire_put_u8(struct wire_writer *writer, uint8_t value)
{
    wire_put(writer, &value, sizeof(value));
}

void wire_put_u32(struct wire_writer *writer, uint32_t value)
{
    wire_put(writer, &value, sizeof(value));
}

void wire_put_u64(struct wire_writer *writer, uint64_t value)
{
    wire_put(writer, &value, sizeof(value));
}

void wire_put_text(struct wire_writer *writer, const char *text)
{
    size_t len = strnlen(text, WIRE_TEXT_MAX);

    wire_put_u8(writer, (uint8_t)len);
    wire_put(writer, text, len);
}

void wire_put_place(struct wire_writer *writer, const struct backend *backend)
{
    wire_put_u8(writer, backend != NULL);
    if (backend == NULL)
        return;
    wire_put_text(writer, backend_name(backend));
    wire_put_text(writer, backend_host(backend));
    wire_put_u32(writer, backend_port(backend));
}

uint8_t wire_open(struct wire_reader *reader, const uint8_t *bytes, size_t len)
{
    *reader = (struct wire_reader){.at = bytes, .left = len};
    return wire_get_u8(reader);
}

void wire_get(struct wire_reader *reader, void *out, size_t len)
{
    if (len > reader->left)
        reader->is_bad = true;
    if (reader->is_bad) {
        memset(out, 0, len);
        return;
    }
    memcpy(out, reader->at, len);
    reader->at += len;
    reader->left -= len;
}

uint8_t wire_get_u8(struct wire_reader *reader)
{
    uint8_t value;

    wire_get(reader, &value, sizeof(value));
    return value;
}

uint32_t wire_get_u32(struct wire_reader *reader)
{
    uint32_t value;

    wire_get(reader, &value, sizeof(value));
    return value;
}

uint64_t wire_get_u64(struct wire_reader *reader)
{
    uint64_t value;

    wire_get(reader, &value, sizeof(value));
    return value;
}

uint32_t wire_get_count(struct wire_reader *reader)
{
    uint32_t count = wire_get_u32(reader);

    if (count > COUNT_MAX)
        reader->is_bad = true;
    return reader->is_bad ? 0 : count;
}

bool wire_get_bool(struct wire_reader *reader)
{
    uint8_t value = wire_get_u8(reader);

    if (value > 1)
        reader->is_bad = true;
    return value == 1;
}

void wire_get_text(struct wire_reader *reader, char *out, size_t size)
{
    char text[WIRE_TEXT_MAX + 1];
    size_t len = wire_get_u8(reader);

    wire_get(reader, text, len);
    if (memchr(text, '\0', len) != NULL)
        reader->is_bad = true;
    if (reader->is_bad)
        len = 0;
    if (len > size - 1)
        len = size - 1;
    memcpy(out, text, len);
    out[len] = '\0';
}

struct backend *wire_get_place(struct wire_reader *reader,
                               struct backend_registry *registry)
{
    char name[WIRE_TEXT_MAX + 1];
    char host[WIRE_TEXT_MAX + 1];
    uint32_t port;

    if (!wire_get_bool(reader))
        return NULL;
    wire_get_text(reader, name, sizeof(name));
    wire_get_text(reader, host, sizeof(host));
    port = wire_get_u32(reader);
    if (*name == '\0' || *host == '\0' || port > UINT16_MAX)
        reader->is_bad = true;
    if (reader->is_bad)
        return NULL;
    return backend_registry_get(registry, name, host, (uint16_t)port);
}

bool wire_has_more(const struct wire_reader *reader)
{
    return !reader->is_bad && reader->left > 0;
}

bool wire_is_whole(const struct wire_reader *reader)
{
    return !reader->is_bad && reader->left == 0;
}
