#include "ops/metrics.h"

#include <inttypes.h>

/* A number of each backend. */
struct backend_metric {
    const char *name;
    const char *kind;
    const char *help;
    double (*value)(const struct backend_facts *facts);
};

static void begin(struct text *out, const char *name, const char *kind,
                  const char *help)
{
    text_add(out, "# HELP gatepost_%s %s\n# TYPE gatepost_%s %s\n", name, help,
             name, kind);
}

static void add_gauge(struct text *out, const char *name, const char *help,
                      uint64_t value)
{
    begin(out, name, "gauge", help);
    text_add(out, "gatepost_%s %" PRIu64 "\n", name, value);
}

static void add_counter(struct text *out, const struct counters_set *counters,
                        enum counter counter)
{
    bool is_total = counter_kind(counter) == COUNTER_TOTAL;
    const char *name = counter_name(counter);
    const char *suffix = is_total ? "_total" : "";

    text_add(out, "# HELP gatepost_%s%s %s\n# TYPE gatepost_%s%s %s\n", name,
             suffix, counter_help(counter), name, suffix,
             is_total ? "counter" : "gauge");
    text_add(out, "gatepost_%s%s %" PRIu64 "\n", name, suffix,
             counters_set_sum(counters, counter));
}

static void add_process(struct text *out, const struct metrics_view *view)
{
    begin(out, "build_info", "gauge", "What runs; always 1");
    text_add(out, "gatepost_build_info{version=");
    text_add_label(out, GATEPOST_VERSION);
    text_add(out, "} 1\n");
    add_gauge(out, "uptime_seconds", "Since the start", view->uptime_ms / 1000);
    add_gauge(out, "workers", "Threads that hold sessions", view->workers);
    add_gauge(out, "sessions_max", "How many client connections fit",
              view->sessions_max);
    add_gauge(out, "draining", "1 while the server ends",
              view->is_draining ? 1 : 0);
}

static double up_of(const struct backend_facts *facts)
{
    return facts->state == BACKEND_UP ? 1 : 0;
}

static double sessions_of(const struct backend_facts *facts)
{
    return facts->sessions;
}

static double logins_of(const struct backend_facts *facts)
{
    return facts->logins;
}

static double waiting_of(const struct backend_facts *facts)
{
    return facts->logins_waiting;
}

static double addresses_of(const struct backend_facts *facts)
{
    return (double)facts->address_count;
}

static double in_a_row_of(const struct backend_facts *facts)
{
    return facts->failures_in_a_row;
}

static double dials_of(const struct backend_facts *facts)
{
    return (double)facts->dials;
}

static double dial_failures_of(const struct backend_facts *facts)
{
    return (double)facts->dial_failures;
}

static double probes_of(const struct backend_facts *facts)
{
    return (double)facts->probes;
}

static double probe_failures_of(const struct backend_facts *facts)
{
    return (double)facts->probe_failures;
}

static const struct backend_metric backend_metrics[] = {
    {"backend_up", "gauge", "0: it failed too often, or has no address", up_of},
    {"backend_sessions", "gauge", "Sessions there", sessions_of},
    {"backend_logins", "gauge", "Logins under way, where they are limited",
     logins_of},
    {"backend_logins_waiting", "gauge", "Logins that wait for a place there",
     waiting_of},
    {"backend_addresses", "gauge", "Addresses that its host has", addresses_of},
    {"backend_failures_in_a_row", "gauge",
     "Dials and probes that failed since "
     "the last success",
     in_a_row_of},
    {"backend_dials_total", "counter", "Connections begun", dials_of},
    {"backend_dial_failures_total", "counter",
     "Connections that failed before their greeting", dial_failures_of},
    {"backend_probes_total", "counter", "Probes", probes_of},
    {"backend_probe_failures_total", "counter", "Probes that failed",
     probe_failures_of},
};

static struct backend *backend_at(const struct metrics_view *view, size_t i)
{
    const struct backend_config *config;

    return backend_set_at(view->snapshot->backends, i, &config);
}

static void add_backend_metric(struct text *out,
                               const struct metrics_view *view,
                               const struct backend_metric *metric)
{
    begin(out, metric->name, metric->kind, metric->help);
    for (size_t i = 0; i < backend_set_count(view->snapshot->backends); i++) {
        struct backend *backend = backend_at(view, i);
        struct backend_facts facts;

        backend_read_facts(backend, &facts);
        text_add(out, "gatepost_%s{backend=", metric->name);
        text_add_label(out, backend_name(backend));
        text_add(out, "} %.0f\n", metric->value(&facts));
    }
}

/* One line for each mode, so that a sum over backends says how many are in
 * it. */
static void add_modes(struct text *out, const struct metrics_view *view)
{
    begin(out, "backend_mode", "gauge", "1 for the mode that it is in");
    for (size_t i = 0; i < backend_set_count(view->snapshot->backends); i++) {
        struct backend *backend = backend_at(view, i);
        enum backend_mode mode = backend_mode(backend);

        for (int m = BACKEND_READY; m <= BACKEND_MAINTENANCE; m++) {
            text_add(out, "gatepost_backend_mode{backend=");
            text_add_label(out, backend_name(backend));
            text_add(out, ",mode=\"%s\"} %d\n",
                     backend_mode_name((enum backend_mode)m),
                     m == (int)mode ? 1 : 0);
        }
    }
}

static void add_notes_of(struct text *out, const struct backend *backend)
{
    unsigned notes = backend_notes(backend);

    for (unsigned i = 0; i < BACKEND_NOTE_COUNT; i++) {
        if ((notes & 1u << i) == 0)
            continue;
        text_add(out, "gatepost_backend_note{backend=");
        text_add_label(out, backend_name(backend));
        text_add(out, ",note=\"%s\"} 1\n",
                 backend_note_name((enum backend_note)i));
    }
}

static void add_backends(struct text *out, const struct metrics_view *view)
{
    const size_t count = sizeof(backend_metrics) / sizeof(backend_metrics[0]);

    for (size_t i = 0; i < count; i++)
        add_backend_metric(out, view, &backend_metrics[i]);
    add_modes(out, view);
    begin(out, "backend_note", "gauge",
          "1 for what its operator should know of it");
    for (size_t i = 0; i < backend_set_count(view->snapshot->backends); i++)
        add_notes_of(out, backend_at(view, i));
}

/* By its place in the settings, since two may cover one name. */
static void add_certificates(struct text *out, const struct metrics_view *view)
{
    const struct tls_server_context *tls = view->snapshot->tls;

    begin(out, "certificate_expiry_timestamp_seconds", "gauge",
          "When a certificate ends, in seconds since 1970");
    for (size_t i = 0; i < view->snapshot->certificate_count; i++) {
        bool is_named = tls_server_context_name_count(tls, i) > 0;

        text_add(out,
                 "gatepost_certificate_expiry_timestamp_seconds"
                 "{certificate=\"%zu\",name=",
                 i);
        text_add_label(out, is_named ? tls_server_context_name(tls, i, 0) : "");
        text_add(out, "} %" PRId64 "\n", tls_server_context_ends(tls, i));
    }
}

void metrics_write(struct text *out, const struct metrics_view *view)
{
    add_process(out, view);
    for (unsigned i = 0; i < COUNTER_COUNT; i++)
        add_counter(out, view->counters, (enum counter)i);
    add_backends(out, view);
    add_certificates(out, view);
}
