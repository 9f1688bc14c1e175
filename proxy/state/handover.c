#include "state/handover.h"

#include "backend/backend_memory.h"
#include "state/handover_wire.h"
#include "state/heir_private.h"

#include <openssl/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HOME_SIZE = 8 + 4 + 4 + 4
};

void handover_prepare(const struct handover_parts *parts)
{
    homes_set_heir(parts->homes, parts->heir);
}

/* One who gives. */
struct giver {
    const struct handover_parts *parts;
    struct wire_writer packet;
};

static bool send_packet(struct giver *giver)
{
    return heir_send(giver->parts->heir, &giver->packet);
}

static bool give_hello(struct giver *giver)
{
    wire_start(&giver->packet, WIRE_HELLO);
    wire_put_u32(&giver->packet, WIRE_VERSION);
    return send_packet(giver);
}

static bool give_keys(struct giver *giver)
{
    uint64_t key[2];

    homes_read_key(giver->parts->homes, key);
    wire_start(&giver->packet, WIRE_KEYS);
    wire_put(&giver->packet, key, sizeof(key));
    OPENSSL_cleanse(key, sizeof(key));
    return send_packet(giver);
}

static void put_addresses(struct wire_writer *packet,
                          const struct backend_memory *memory)
{
    wire_put_u8(packet, (uint8_t)memory->address_count);
    for (size_t i = 0; i < memory->address_count; i++) {
        wire_put_u8(packet, memory->addresses[i].is_ipv6);
        wire_put(packet, memory->addresses[i].ip,
                 sizeof(memory->addresses[i].ip));
    }
}

static void put_memory(struct wire_writer *packet,
                       const struct backend_memory *memory)
{
    wire_put_u8(packet, memory->is_failing);
    wire_put_u32(packet, memory->failures);
    wire_put_u32(packet, memory->failed_dials);
    wire_put_u32(packet, memory->successes);
    wire_put_u64(packet, memory->retry_at_ms);
    wire_put_u64(packet, memory->last_failure_ms);
    wire_put_u64(packet, memory->state_since_ms);
    wire_put_text(packet, memory->state_why);
    wire_put_u8(packet, (uint8_t)memory->mode);
    wire_put_u8(packet, (uint8_t)memory->configured_mode);
    wire_put_u64(packet, memory->mode_since_ms);
    wire_put_text(packet, memory->mode_why);
    wire_put_u32(packet, memory->notes);
    put_addresses(packet, memory);
}

static bool give_backend(struct giver *giver, struct backend *backend)
{
    struct backend_memory memory;

    backend_remember(backend, &memory);
    wire_start(&giver->packet, WIRE_BACKEND);
    wire_put_u32(&giver->packet, backend_number(backend));
    wire_put_place(&giver->packet, backend);
    put_memory(&giver->packet, &memory);
    return send_packet(giver);
}

static bool give_backends(struct giver *giver)
{
    size_t count;
    struct backend **list =
        backend_registry_list(giver->parts->registry, &count);
    bool is_sent = true;

    for (size_t i = 0; i < count; i++) {
        is_sent = is_sent && give_backend(giver, list[i]);
        backend_unref(&list[i]);
    }
    free(list);
    return is_sent;
}

static bool send_homes(struct giver *giver, const struct home_record *records,
                       size_t count)
{
    bool is_sent = true;
    size_t i = 0;

    while (is_sent && i < count) {
        wire_start(&giver->packet, WIRE_HOMES);
        for (; i < count && wire_has_room(&giver->packet, HOME_SIZE); i++) {
            wire_put_u64(&giver->packet, records[i].key);
            wire_put_u32(&giver->packet, records[i].at);
            wire_put_u32(&giver->packet, records[i].claims);
            wire_put_u32(&giver->packet, records[i].seekers);
        }
        is_sent = send_packet(giver);
    }
    return is_sent;
}

/* No question may arrive before the homes that it is about; whoever leaves one
 * meanwhile is news, which are sent behind them. */
static bool give_shard(struct giver *giver, size_t shard)
{
    struct heir *heir = giver->parts->heir;
    struct home_record *records;
    size_t count;
    bool is_sent;

    heir_lock(heir);
    records = homes_give(giver->parts->homes, shard, &count);
    is_sent = send_homes(giver, records, count);
    heir_unlock(heir);
    free(records);
    return is_sent && heir_send_news(heir);
}

static bool give_homes(struct giver *giver)
{
    for (size_t i = 0; i < HOMES_SHARDS; i++) {
        if (!give_shard(giver, i))
            return false;
    }
    return true;
}

static bool give_end(struct giver *giver)
{
    wire_start(&giver->packet, WIRE_END);
    return send_packet(giver);
}

static bool give_all(struct giver *giver)
{
    return give_hello(giver) && give_keys(giver) && give_backends(giver) &&
           heir_send_sessions(giver->parts->heir) && give_homes(giver) &&
           give_end(giver);
}

bool handover_give(int fd, const struct handover_parts *parts,
                   char why[HANDOVER_WHY_MAX])
{
    struct giver *giver = mem_alloc(sizeof(*giver));
    bool is_given;

    giver->parts = parts;
    *why = '\0';
    heir_open(parts->heir, fd);
    is_given = give_all(giver);
    OPENSSL_cleanse(giver, sizeof(*giver));
    free(giver);
    if (!is_given)
        snprintf(why, HANDOVER_WHY_MAX,
                 "the new process broke off the link for the state, or does "
                 "not read from it");
    else if (!heir_run(parts->heir))
        snprintf(why, HANDOVER_WHY_MAX, "no thread can be had");
    return *why == '\0';
}

void handover_end(const struct handover_parts *parts)
{
    heir_close(parts->heir);
    homes_keep(parts->homes);
}
