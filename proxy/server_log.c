#include "server_log.h"

#include "base/clock.h"
#include "base/log.h"

#include <string.h>

enum {
    REASON_TEXT_MAX = 1024
};

void server_log_plain(const char *event)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, event);
    log_end(&entry);
}

void server_log_error(const char *event, const char *key, const char *value)
{
    struct log_entry entry;

    log_begin(&entry, LOG_ERROR, event);
    log_text(&entry, key, value);
    log_end(&entry);
}

void server_log_drain(uint64_t drain_ms)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "draining");
    log_u64(&entry, "drain_ms", drain_ms);
    log_end(&entry);
}

void server_log_upgrade_drain(uint64_t drain_ms)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "upgrade-drain");
    log_u64(&entry, "drain_ms", drain_ms);
    log_end(&entry);
}

void server_log_state_inherited(const char *file)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "state-inherited");
    log_text(&entry, "file", file);
    log_end(&entry);
}

void server_log_retired(pid_t successor)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "retired");
    log_u64(&entry, "successor", (uint64_t)successor);
    log_end(&entry);
}

void server_log_started(const struct settings *settings, unsigned workers,
                        unsigned sessions, unsigned long descriptors)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "started");
    log_text(&entry, "version", GATEPOST_VERSION);
    log_text(&entry, "config", settings->file);
    log_u64(&entry, "listeners", settings->listener_count);
    log_u64(&entry, "workers", workers);
    log_u64(&entry, "sessions_max", sessions);
    log_u64(&entry, "descriptors", descriptors);
    log_end(&entry);
}

void server_log_snapshot(const char *event, const struct snapshot *snapshot)
{
    struct log_entry entry;
    size_t backends;

    (void)route_table_backends(snapshot->table, &backends);
    log_begin(&entry, LOG_INFO, event);
    log_u64(&entry, "backends", backends);
    log_u64(&entry, "users", snapshot_user_count(snapshot));
    log_u64(&entry, "domains", route_table_domain_count(snapshot->table));
    log_end(&entry);
}

static void log_reason(const struct reason *reason)
{
    struct log_entry entry;

    log_begin(&entry, reason->kind == REASON_ERROR ? LOG_ERROR : LOG_WARN,
              "config");
    log_text(&entry, "file", reason->file);
    if (reason->line != 0) {
        log_u64(&entry, "line", reason->line);
        log_u64(&entry, "column", reason->column);
    }
    if (reason->path != NULL)
        log_text(&entry, "path", reason->path);
    log_text(&entry, "found", reason->found);
    log_text(&entry, "expected", reason->expected);
    log_end(&entry);
}

void server_log_reasons(const struct reasons *reasons)
{
    size_t i;

    for (i = 0; i < reasons->count; i++)
        log_reason(&reasons->items[i]);
}

static void log_alpn(struct counters_set *counters)
{
    struct counters_alpn offers[COUNTERS_ALPN_NAMES];
    struct log_entry entry;
    uint64_t others;
    size_t count = counters_set_alpn(counters, offers, &others);
    size_t i;

    for (i = 0; i < count; i++) {
        log_begin(&entry, LOG_INFO, "alpn-refused");
        log_str(&entry, "offered", offers[i].name, offers[i].len);
        log_u64(&entry, "count", offers[i].count);
        log_end(&entry);
    }
    if (others == 0)
        return;
    log_begin(&entry, LOG_INFO, "alpn-refused");
    log_bool(&entry, "others", true);
    log_u64(&entry, "count", others);
    log_end(&entry);
}

void server_log_counters(struct counters_set *counters)
{
    struct log_entry entry;
    unsigned i;

    log_begin(&entry, LOG_INFO, "counters");
    for (i = 0; i < COUNTER_COUNT; i++)
        log_u64(&entry, counter_name((enum counter)i),
                counters_set_sum(counters, (enum counter)i));
    log_end(&entry);
    log_alpn(counters);
}

static void log_notes(struct log_entry *entry, unsigned notes)
{
    char text[128] = "";

    for (unsigned i = 0; i < BACKEND_NOTE_COUNT; i++) {
        if ((notes & 1u << i) == 0)
            continue;
        if (text[0] != '\0')
            strncat(text, ",", sizeof(text) - strlen(text) - 1);
        strncat(text, backend_note_name((enum backend_note)i),
                sizeof(text) - strlen(text) - 1);
    }
    if (text[0] != '\0')
        log_text(entry, "notes", text);
}

static void log_backend(struct backend *backend)
{
    struct backend_facts facts;
    struct log_entry entry;

    backend_read_facts(backend, &facts);
    log_begin(&entry, LOG_INFO, "backend");
    log_text(&entry, "backend", backend_name(backend));
    log_text(&entry, "state", facts.state == BACKEND_UP ? "up" : "down");
    if (facts.state_why[0] != '\0')
        log_text(&entry, "reason", facts.state_why);
    log_u64(&entry, "for_s", (clock_now_ms() - facts.state_since_ms) / 1000);
    if (facts.mode != BACKEND_READY)
        log_text(&entry, "mode", backend_mode_name(facts.mode));
    log_u64(&entry, "sessions", facts.sessions);
    log_u64(&entry, "probes", facts.probes);
    log_u64(&entry, "probe_failures", facts.probe_failures);
    log_notes(&entry, facts.notes);
    log_end(&entry);
}

void server_log_backends(const struct backend_set *backends)
{
    const struct backend_config *config;
    size_t i;

    for (i = 0; i < backend_set_count(backends); i++)
        log_backend(backend_set_at(backends, i, &config));
}

enum log_level server_log_level(const struct settings *settings)
{
    switch (settings->log_level) {
    case SETTINGS_LOG_ERROR:
        return LOG_ERROR;
    case SETTINGS_LOG_WARN:
        return LOG_WARN;
    case SETTINGS_LOG_INFO:
        return LOG_INFO;
    case SETTINGS_LOG_DEBUG:
        return LOG_DEBUG;
    }
    return LOG_INFO;
}

enum log_format server_log_format(const struct settings *settings)
{
    return settings->log_format == SETTINGS_LOG_JSON ? LOG_JSON : LOG_TEXT;
}
