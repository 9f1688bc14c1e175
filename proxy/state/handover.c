#include "state/handover.h"

#include "backend/backend_memory.h"
#include "base/thread.h"
#include "state/handover_wire.h"
#include "state/heir_private.h"

#include <openssl/mem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    HOME_SIZE = 8 + 4 + 4 + 4,
    COUNT_SIZE = 8 + 4,
    FAILING_SIZE = 8 + 8 + 8 + 4 * PENALTY_SECRETS + 1 + 1,
    KNOWN_SIZE = 8 + 4 + 4
};

void handover_prepare(const struct handover_parts *parts)
{
    homes_set_heir(parts->homes, parts->heir);
    limits_set_heir(parts->limits, parts->heir);
    penalties_set_heir(parts->penalties, parts->heir);
}

/* One who gives. */
struct giver {
    const struct handover_parts *parts;
    struct wire_writer packet;
    struct timespec until; /* with the heir's lock */
};

static bool send_packet(struct giver *giver)
{
    return heir_send(giver->parts->heir, &giver->packet);
}

/* With the heir's lock, for which logins wait. */
static bool send_locked(struct giver *giver)
{
    return heir_send_until(giver->parts->heir, &giver->packet, &giver->until);
}

static void lock(struct giver *giver)
{
    heir_lock_behind(giver->parts->heir);
    giver->until = thread_deadline(HEIR_LOCKED_MS);
}

static bool give_hello(struct giver *giver)
{
    wire_start(&giver->packet, WIRE_HELLO);
    wire_put_u32(&giver->packet, WIRE_VERSION);
    return send_packet(giver);
}

static bool give_keys(struct giver *giver)
{
    struct limits_basis basis;
    uint64_t key[2];

    wire_start(&giver->packet, WIRE_KEYS);
    homes_read_key(giver->parts->homes, key);
    wire_put(&giver->packet, key, sizeof(key));
    limits_read_basis(giver->parts->limits, &basis);
    wire_put(&giver->packet, basis.key, sizeof(basis.key));
    wire_put_u64(&giver->packet, basis.rate_full_at_us);
    penalties_read_key(giver->parts->penalties, key);
    wire_put(&giver->packet, key, sizeof(key));
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_cleanse(&basis, sizeof(basis));
    return send_packet(giver);
}

static bool give_tickets(struct giver *giver)
{
    struct ticket_keys_copy copy;

    ticket_keys_read(giver->parts->tickets, &copy);
    wire_start(&giver->packet, WIRE_TICKETS);
    wire_put(&giver->packet, copy.keys, sizeof(copy.keys));
    wire_put_u64(&giver->packet, copy.rotated_ms);
    OPENSSL_cleanse(&copy, sizeof(copy));
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

static bool send_failing(struct giver *giver, enum wire_kind kind,
                         const struct failing_record *records, size_t count)
{
    struct wire_writer *packet = &giver->packet;
    bool is_sent = true;
    size_t i = 0;

    while (is_sent && i < count) {
        wire_start(packet, kind);
        for (; i < count && wire_has_room(packet, FAILING_SIZE); i++) {
            const struct penalty *penalty = &records[i].penalty;

            wire_put_u64(packet, records[i].hash);
            wire_put_u64(packet, penalty->since_ms);
            wire_put_u64(packet, penalty->turn_ms);
            wire_put(packet, penalty->secrets, sizeof(penalty->secrets));
            wire_put_u8(packet, penalty->failures);
            wire_put_u8(packet, penalty->next_secret);
        }
        is_sent = send_packet(giver);
    }
    return is_sent;
}

static bool give_failing(struct giver *giver, enum penalties_table table,
                         enum wire_kind kind)
{
    bool is_sent = true;

    for (size_t i = 0; is_sent && i < PENALTIES_SHARDS; i++) {
        size_t count;
        struct failing_record *records =
            penalties_copy_failing(giver->parts->penalties, table, i, &count);

        is_sent = send_failing(giver, kind, records, count);
        free(records);
    }
    return is_sent;
}

static bool send_known(struct giver *giver, const struct known_record *records,
                       size_t count)
{
    struct wire_writer *packet = &giver->packet;
    bool is_sent = true;
    size_t i = 0;

    while (is_sent && i < count) {
        wire_start(packet, WIRE_KNOWN);
        for (; i < count && wire_has_room(packet, KNOWN_SIZE); i++) {
            wire_put_u64(packet, records[i].hash);
            wire_put_u32(packet, records[i].seen_s);
            wire_put_u32(packet, records[i].turn_ms);
        }
        is_sent = send_packet(giver);
    }
    return is_sent;
}

static bool give_known(struct giver *giver)
{
    bool is_sent = true;

    for (size_t i = 0; is_sent && i < PENALTIES_SHARDS; i++) {
        size_t count;
        struct known_record *records =
            penalties_copy_known(giver->parts->penalties, i, &count);

        is_sent = send_known(giver, records, count);
        free(records);
    }
    return is_sent;
}

static bool give_penalties(struct giver *giver)
{
    return give_failing(giver, PENALTIES_ADDRESSES, WIRE_FAILING_ADDRESSES) &&
           give_failing(giver, PENALTIES_USERS, WIRE_FAILING_USERS) &&
           give_known(giver);
}

static bool send_counts(struct giver *giver,
                        const struct limits_record *records, size_t count)
{
    bool is_sent = true;
    size_t i = 0;

    while (is_sent && i < count) {
        wire_start(&giver->packet, WIRE_COUNTS);
        for (; i < count && wire_has_room(&giver->packet, COUNT_SIZE); i++) {
            wire_put_u64(&giver->packet, records[i].hash);
            wire_put_u32(&giver->packet, records[i].count);
        }
        is_sent = send_locked(giver);
    }
    return is_sent;
}

/* No question may arrive before the counts that it is about; what changes
 * meanwhile is news, which are sent behind them. */
static bool give_counts_of(struct giver *giver, size_t shard)
{
    struct heir *heir = giver->parts->heir;
    struct limits_record *records;
    size_t count;
    bool is_sent;

    lock(giver);
    records = limits_give(giver->parts->limits, shard, &count);
    is_sent = send_counts(giver, records, count);
    heir_unlock(heir);
    free(records);
    return is_sent && heir_send_news(heir);
}

static bool give_limits(struct giver *giver)
{
    for (size_t i = 0; i < LIMITS_SHARDS; i++) {
        if (!give_counts_of(giver, i))
            return false;
    }
    return true;
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
        is_sent = send_locked(giver);
    }
    return is_sent;
}

/* Likewise. */
static bool give_shard(struct giver *giver, size_t shard)
{
    struct heir *heir = giver->parts->heir;
    struct home_record *records;
    size_t count;
    bool is_sent;

    lock(giver);
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
    return give_hello(giver) && give_keys(giver) && give_tickets(giver) &&
           give_backends(giver) && give_penalties(giver) &&
           give_limits(giver) && give_homes(giver) &&
           heir_send_sessions(giver->parts->heir) && give_end(giver);
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
    limits_keep(parts->limits);
}
