#include "command_print.h"

#include <stdbool.h>
#include <string.h>

enum {
    SPAN_MAX = 32
};

/* A member's text; "" when it has none. */
static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* Nothing that a server says may move the terminal. */
static void put(const char *text, FILE *out)
{
    for (const char *at = text; *at != '\0'; at++)
        fputc((unsigned char)*at < 0x20 || *at == 0x7f ? '?' : *at, out);
}

static const char *span(json_int_t seconds, char text[SPAN_MAX])
{
    if (seconds < 120)
        snprintf(text, SPAN_MAX, "%lld s", (long long)seconds);
    else if (seconds < 7200)
        snprintf(text, SPAN_MAX, "%lld min", (long long)(seconds / 60));
    else if (seconds < 172800)
        snprintf(text, SPAN_MAX, "%lld h", (long long)(seconds / 3600));
    else
        snprintf(text, SPAN_MAX, "%lld d", (long long)(seconds / 86400));
    return text;
}

static void print_head(const json_t *status, FILE *out)
{
    const json_t *sessions = json_object_get(status, "sessions");
    char text[SPAN_MAX];

    fprintf(out, "Gatepost ");
    put(text_of(status, "version"), out);
    fputc(' ', out);
    put(text_of(status, "state"), out);
    fprintf(out, " for %s by %lld workers, ",
            span(number_of(status, "uptime"), text),
            (long long)number_of(status, "workers"));
    put(text_of(status, "config"), out);
    fprintf(out,
            "\nsessions   %lld open, of them %lld before login; %lld fit\n",
            (long long)number_of(sessions, "open"),
            (long long)number_of(sessions, "before_login"),
            (long long)number_of(sessions, "max"));
}

static void print_listener(const json_t *listener, FILE *out)
{
    bool is_ipv6 = strchr(text_of(listener, "address"), ':') != NULL;

    fprintf(out, "listener   %s", is_ipv6 ? "[" : "");
    put(text_of(listener, "address"), out);
    fprintf(out, "%s:%lld ", is_ipv6 ? "]" : "",
            (long long)number_of(listener, "port"));
    put(text_of(listener, "tls"), out);
    fputc('\n', out);
}

static void print_notes(const json_t *backend, FILE *out)
{
    const json_t *notes = json_object_get(backend, "notes");

    for (size_t i = 0; i < json_array_size(notes); i++) {
        const char *note = json_string_value(json_array_get(notes, i));

        fputs(i == 0 ? "; notes: " : ", ", out);
        put(note == NULL ? "" : note, out);
    }
}

/* Says why only where there is something to be said. */
static void print_state(const json_t *backend, FILE *out)
{
    bool is_ready = strcmp(text_of(backend, "mode"), "ready") == 0;
    char text[SPAN_MAX];

    put(text_of(backend, "state"), out);
    fprintf(out, " for %s", span(number_of(backend, "seconds"), text));
    if (*text_of(backend, "why") != '\0') {
        fputs(" (", out);
        put(text_of(backend, "why"), out);
        fputc(')', out);
    }
    if (is_ready)
        return;
    fputs(", ", out);
    put(text_of(backend, "mode"), out);
    fprintf(out, " for %s", span(number_of(backend, "mode_seconds"), text));
    if (*text_of(backend, "mode_why") != '\0') {
        fputs(" (", out);
        put(text_of(backend, "mode_why"), out);
        fputc(')', out);
    }
}

static void print_backend(const json_t *backend, FILE *out)
{
    fputs("backend    ", out);
    put(text_of(backend, "name"), out);
    fputs(": ", out);
    print_state(backend, out);
    fprintf(out, "; %lld sessions, %lld of %lld dials failed",
            (long long)number_of(backend, "sessions"),
            (long long)number_of(backend, "dial_failures"),
            (long long)number_of(backend, "dials"));
    print_notes(backend, out);
    fputc('\n', out);
}

static void print_each(const json_t *list, FILE *out,
                       void (*print)(const json_t *item, FILE *out))
{
    for (size_t i = 0; i < json_array_size(list); i++)
        print(json_array_get(list, i), out);
}

static void print_line(const json_t *reason, FILE *out)
{
    put(json_is_string(reason) ? json_string_value(reason) : "", out);
    fputc('\n', out);
}

static void print_reason(const json_t *reason, FILE *out)
{
    fputs("           ", out);
    print_line(reason, out);
}

static void print_last_reload(const json_t *reload, FILE *out)
{
    char text[SPAN_MAX];

    if (!json_is_object(reload)) {
        fputs("reload     none since the start\n", out);
        return;
    }
    fprintf(out, "reload     the last one was %s, %s ago\n",
            json_is_true(json_object_get(reload, "taken")) ? "taken"
                                                           : "refused",
            span(number_of(reload, "seconds"), text));
    print_each(json_object_get(reload, "reasons"), out, print_reason);
}

/* A process that still has sessions of the time before an upgrade. */
static void print_predecessor(const json_t *process, FILE *out)
{
    const json_t *sessions = json_object_get(process, "sessions");
    char text[SPAN_MAX];

    fprintf(out, "process    %lld ", (long long)number_of(process, "pid"));
    if (!json_is_object(sessions)) {
        fputs("does not answer\n", out);
        return;
    }
    put(text_of(process, "version"), out);
    fputc(' ', out);
    put(text_of(process, "state"), out);
    fprintf(out, " for %s; %lld sessions, of them %lld before login\n",
            span(number_of(process, "retired_seconds"), text),
            (long long)number_of(sessions, "open"),
            (long long)number_of(sessions, "before_login"));
}

void print_status(const json_t *status, FILE *out)
{
    print_head(status, out);
    print_each(json_object_get(status, "predecessors"), out, print_predecessor);
    print_each(json_object_get(status, "listeners"), out, print_listener);
    print_each(json_object_get(status, "backends"), out, print_backend);
    print_last_reload(json_object_get(status, "last_reload"), out);
}

/* "-" for what is not known. */
static void put_or_dash(const char *text, FILE *out)
{
    put(*text == '\0' ? "-" : text, out);
    fputc(' ', out);
}

static void print_session(const json_t *session, FILE *out)
{
    char age[SPAN_MAX], quiet[SPAN_MAX];

    fprintf(out, "%lld:", (long long)number_of(session, "process"));
    put_or_dash(text_of(session, "id"), out);
    put_or_dash(text_of(session, "user"), out);
    put_or_dash(text_of(session, "backend"), out);
    put_or_dash(text_of(session, "peer"), out);
    put(text_of(session, "state"), out);
    fprintf(out, " for %s", span(number_of(session, "seconds"), age));
    if (strcmp(text_of(session, "state"), "spliced") == 0)
        fprintf(out, ", quiet for %s, %lld bytes to the client, %lld back",
                span(number_of(session, "quiet_seconds"), quiet),
                (long long)number_of(session, "to_client"),
                (long long)number_of(session, "to_backend"));
    fputc('\n', out);
}

static void dump_session(const json_t *session, FILE *out)
{
    (void)json_dumpf(session, out, JSON_COMPACT);
    fputc('\n', out);
}

void print_sessions(const json_t *page, bool as_json, FILE *out)
{
    print_each(json_object_get(page, "sessions"), out,
               as_json ? dump_session : print_session);
}

void print_reload(const json_t *reload, FILE *out)
{
    print_each(json_object_get(reload, "reasons"), out, print_line);
    fputs(json_is_true(json_object_get(reload, "taken"))
              ? "reloaded\n"
              : "refused: the former files are still in force\n",
          out);
}

static void print_candidate(const json_t *backend, FILE *out)
{
    fputs("backend:  ", out);
    put(text_of(backend, "name"), out);
    fputs(", ", out);
    put(text_of(backend, "state"), out);
    if (strcmp(text_of(backend, "state"), "up") != 0) {
        fputs(" (", out);
        put(text_of(backend, "why"), out);
        fputc(')', out);
    }
    fputs(", ", out);
    put(text_of(backend, "mode"), out);
    fprintf(out, ", %lld sessions\n",
            (long long)number_of(backend, "sessions"));
}

static void print_field(const char *label, const char *text, FILE *out)
{
    fprintf(out, "%-9s ", label);
    put(text, out);
    fputc('\n', out);
}

void print_route(const json_t *route, FILE *out)
{
    bool is_held = json_is_true(json_object_get(route, "hold"));

    print_field("name:", text_of(route, "name"), out);
    fprintf(out, "%-9s ", "rule:");
    put(text_of(route, "rule"), out);
    fputc(' ', out);
    put(text_of(route, "key"), out);
    fputc('\n', out);
    print_field("pool:", text_of(route, "pool"), out);
    print_field("hold:", is_held ? "yes: no login now" : "no", out);
    if (*text_of(route, "home") != '\0')
        print_field("home:", text_of(route, "home"), out);
    print_each(json_object_get(route, "backends"), out, print_candidate);
}
