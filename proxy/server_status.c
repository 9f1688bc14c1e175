#include "server_status.h"

#include "base/clock.h"

#include <inttypes.h>
#include <unistd.h>

enum {
    SHOWN_LINE_MAX = 1024,
    REASONS_SHOWN_MAX = 100
};

static uint64_t seconds_since(uint64_t then_ms)
{
    return (clock_now_ms() - then_ms) / 1000;
}

void server_status_add_reasons(struct text *out, const struct reasons *reasons)
{
    size_t count =
        reasons->count < REASONS_SHOWN_MAX ? reasons->count : REASONS_SHOWN_MAX;
    char line[SHOWN_LINE_MAX];

    for (size_t i = 0; i < count; i++) {
        (void)reason_format(&reasons->items[i], line, sizeof(line));
        text_add(out, "%s", i == 0 ? "" : ", ");
        text_add_json(out, line);
    }
    if (reasons->errors + reasons->warnings > count)
        text_add(out, ", \"and %zu more, see the log\"",
                 reasons->errors + reasons->warnings - count);
}

void last_reload_set(struct last_reload *last, bool was_taken,
                     const struct reasons *reasons)
{
    last_reload_deinit(last);
    last->at_ms = clock_now_ms();
    last->was_taken = was_taken;
    server_status_add_reasons(&last->reasons, reasons);
}

void last_reload_deinit(struct last_reload *last)
{
    text_deinit(&last->reasons);
    last->at_ms = 0;
}

void server_status_add_reload(struct text *out, const struct last_reload *last)
{
    if (last->at_ms == 0) {
        text_add(out, "null");
        return;
    }
    text_add(out,
             "{\"taken\": %s, \"seconds\": %" PRIu64 ", \"reasons\": [%s]}",
             last->was_taken ? "true" : "false", seconds_since(last->at_ms),
             last->reasons.bytes == NULL ? "" : last->reasons.bytes);
}

static void add_listeners(struct text *out, const struct settings *settings)
{
    text_add(out, ",\n \"listeners\": [");
    for (size_t i = 0; i < settings->listener_count; i++) {
        const struct listener_config *listener = &settings->listeners[i];

        text_add(out, "%s\n  {\"address\": ", i == 0 ? "" : ",");
        text_add_json(out, listener->address);
        text_add(
            out, ", \"port\": %u, \"tls\": \"%s\"}", (unsigned)listener->port,
            listener->tls == LISTENER_TLS_IMPLICIT ? "implicit" : "starttls");
    }
    text_add(out, "]");
}

static void add_notes(struct text *out, unsigned notes)
{
    const char *comma = "";

    text_add(out, ", \"notes\": [");
    for (unsigned i = 0; i < BACKEND_NOTE_COUNT; i++) {
        if ((notes & 1u << i) == 0)
            continue;
        text_add(out, "%s\"%s\"", comma,
                 backend_note_name((enum backend_note)i));
        comma = ", ";
    }
    text_add(out, "]");
}

static void add_mode(struct text *out, const struct backend_facts *facts)
{
    text_add(out, ", \"mode\": \"%s\", \"mode_seconds\": ",
             backend_mode_name(facts->mode));
    if (facts->since_ms == 0)
        text_add(out, "null");
    else
        text_add(out, "%" PRIu64, seconds_since(facts->since_ms));
    text_add(out, ", \"mode_why\": ");
    text_add_json(out, facts->why);
}

static void add_backend(struct text *out, struct backend *backend,
                        const struct backend_config *config)
{
    struct backend_facts facts;

    backend_read_facts(backend, &facts);
    text_add(out, "\n  {\"name\": ");
    text_add_json(out, config->name);
    text_add(out, ", \"host\": ");
    text_add_json(out, config->host);
    text_add(out, ", \"port\": %u, \"state\": \"%s\", \"seconds\": %" PRIu64,
             (unsigned)config->port, facts.state == BACKEND_UP ? "up" : "down",
             seconds_since(facts.state_since_ms));
    text_add(out, ", \"why\": ");
    text_add_json(out, facts.state_why);
    add_mode(out, &facts);
    text_add(out,
             ", \"sessions\": %" PRIu32 ", \"logins\": %" PRIu32
             ", \"logins_waiting\": %" PRIu32 ", \"addresses\": %zu"
             ", \"failures_in_a_row\": %" PRIu32 ", \"dials\": %" PRIu64
             ", \"dial_failures\": %" PRIu64 ", \"probes\": %" PRIu64
             ", \"probe_failures\": %" PRIu64,
             facts.sessions, facts.logins, facts.logins_waiting,
             facts.address_count, facts.failures_in_a_row, facts.dials,
             facts.dial_failures, facts.probes, facts.probe_failures);
    add_notes(out, facts.notes);
    text_add(out, "}");
}

static void add_backends(struct text *out, const struct backend_set *backends)
{
    text_add(out, ",\n \"backends\": [");
    for (size_t i = 0; i < backend_set_count(backends); i++) {
        const struct backend_config *config;
        struct backend *backend = backend_set_at(backends, i, &config);

        text_add(out, "%s", i == 0 ? "" : ",");
        add_backend(out, backend, config);
    }
    text_add(out, "]");
}

static void add_sessions(struct text *out, const struct server_view *view)
{
    text_add(out,
             ", \"sessions\": {\"open\": %" PRIu64
             ", \"before_login\": %" PRIu64 ", \"max\": %u}",
             counters_set_sum(view->counters, COUNTER_SESSIONS_OPEN),
             counters_set_sum(view->counters, COUNTER_SESSIONS_BEFORE_LOGIN),
             quota_max(view->quota));
}

static const char *state_of(const struct server_view *view)
{
    if (view->is_draining)
        return "draining";
    return view->retired_ms == 0 ? "serving" : "retired";
}

/* What is the same of every process. */
static void add_process(struct text *out, const struct server_view *view)
{
    text_add(out, "\"pid\": %ld, \"version\": ", (long)getpid());
    text_add_json(out, GATEPOST_VERSION);
    text_add(out,
             ", \"state\": \"%s\", \"uptime\": %" PRIu64
             ", \"retired_seconds\": ",
             state_of(view), seconds_since(view->started_ms));
    if (view->retired_ms == 0)
        text_add(out, "null");
    else
        text_add(out, "%" PRIu64, seconds_since(view->retired_ms));
    add_sessions(out, view);
}

void server_status_add_process(struct text *out, const struct server_view *view)
{
    text_add(out, "{");
    add_process(out, view);
    text_add(out, "}");
}

void server_status_write(struct text *out, const struct server_view *view,
                         const struct last_reload *last,
                         const struct text *predecessors)
{
    text_add(out, "{");
    add_process(out, view);
    text_add(out, ",\n \"config\": ");
    text_add_json(out, view->snapshot->settings->file);
    text_add(out, ", \"workers\": %u", view->workers);
    text_add(out, ",\n \"predecessors\": [%s]",
             predecessors->bytes == NULL ? "" : predecessors->bytes);
    add_listeners(out, view->snapshot->settings);
    add_backends(out, view->snapshot->backends);
    text_add(out, ",\n \"last_reload\": ");
    server_status_add_reload(out, last);
    text_add(out, "}\n");
}
