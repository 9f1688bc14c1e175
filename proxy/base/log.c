#include "base/log.h"

#include "base/log_escape.h"
#include "base/log_ring.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* Room kept for the end of a line. */
enum {
    TAIL_MAX = sizeof(",\"incomplete\":true}\n")
};

static const char *const level_names[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

/* Enums in atomics: set by a reload, read by every worker. */
static _Atomic enum log_level current_level = LOG_INFO;
static _Atomic enum log_format current_format = LOG_TEXT;

static size_t report_lost(uint64_t lost, char *out, size_t size);

bool log_start(enum log_level level, enum log_format format)
{
    log_set(level, format);
    return log_ring_start(report_lost);
}

void log_set(enum log_level level, enum log_format format)
{
    atomic_store_explicit(&current_level, level, memory_order_relaxed);
    atomic_store_explicit(&current_format, format, memory_order_relaxed);
}

void log_stop(uint64_t wait_ms)
{
    log_ring_stop(wait_ms);
}

bool log_is_on(enum log_level level)
{
    return level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

static bool put_bytes(struct log_entry *entry, const char *bytes, size_t len)
{
    if (len > sizeof(entry->line) - TAIL_MAX - entry->len)
        return false;
    memcpy(entry->line + entry->len, bytes, len);
    entry->len += len;
    return true;
}

static bool put_string(struct log_entry *entry, const char *string)
{
    return put_bytes(entry, string, strlen(string));
}

static void format_digits(char *out, uint64_t value, size_t width)
{
    while (width-- > 0) {
        out[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days since 1970 to year, month, day. Years begin in March here, so that the
 * day that comes and goes is the last of a year. */
static void format_date(char out[10], uint64_t days)
{
    uint64_t day = days + 719468; /* since 0000-03-01 */
    uint64_t era = day / 146097;  /* of 400 years */
    uint64_t day_of_era = day % 146097;
    uint64_t year_of_era = (day_of_era - day_of_era / 1460 +
                            day_of_era / 36524 - day_of_era / 146096) /
                           365;
    uint64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */
    uint64_t is_next_year = month >= 10;

    format_digits(out, era * 400 + year_of_era + is_next_year, 4);
    out[4] = '-';
    format_digits(out + 5, is_next_year ? month - 9 : month + 3, 2);
    out[7] = '-';
    format_digits(out + 8, day_of_year - (153 * month + 2) / 5 + 1, 2);
}

/* RFC 3339, UTC, to the millisecond. By hand, since gmtime_r takes a lock that
 * all threads share. */
static bool put_time(struct log_entry *entry)
{
    char text[] = "0000-00-00T00:00:00.000Z";
    struct timespec now;
    uint64_t seconds;

    clock_gettime(CLOCK_REALTIME, &now);
    seconds = now.tv_sec < 0 ? 0 : (uint64_t)now.tv_sec;
    format_date(text, seconds / 86400);
    format_digits(text + 11, seconds / 3600 % 24, 2);
    format_digits(text + 14, seconds / 60 % 60, 2);
    format_digits(text + 17, seconds % 60, 2);
    format_digits(text + 20, (uint64_t)now.tv_nsec / 1000000, 3);
    return put_bytes(entry, text, sizeof(text) - 1);
}

static bool put_head(struct log_entry *entry, enum log_level level,
                     const char *event)
{
    if (entry->format == LOG_TEXT)
        return put_time(entry) && put_string(entry, " ") &&
               put_string(entry, level_names[level]) &&
               put_string(entry, " ") && put_string(entry, event);
    return put_string(entry, "{\"time\":\"") && put_time(entry) &&
           put_string(entry, "\",\"level\":\"") &&
           put_string(entry, level_names[level]) &&
           put_string(entry, "\",\"event\":\"") && put_string(entry, event) &&
           put_string(entry, "\"");
}

void log_begin(struct log_entry *entry, enum log_level level, const char *event)
{
    entry->is_on = log_is_on(level);
    if (!entry->is_on)
        return;
    entry->len = 0;
    entry->format = atomic_load_explicit(&current_format, memory_order_relaxed);
    entry->is_full = !put_head(entry, level, event);
}

static bool put_key(struct log_entry *entry, const char *key)
{
    if (entry->format == LOG_TEXT)
        return put_string(entry, " ") && put_string(entry, key) &&
               put_string(entry, "=");
    return put_string(entry, ",\"") && put_string(entry, key) &&
           put_string(entry, "\":");
}

/* A field stands on the line whole or not at all. */
static void put_field(struct log_entry *entry, const char *key,
                      const char *value, size_t len, bool is_quoted)
{
    const char *quote = is_quoted ? "\"" : "";
    size_t before = entry->len;

    if (put_key(entry, key) && put_string(entry, quote) &&
        put_bytes(entry, value, len) && put_string(entry, quote))
        return;
    entry->len = before;
    entry->is_full = true;
}

void log_str(struct log_entry *entry, const char *key, const uint8_t *bytes,
             size_t len)
{
    char escaped[LOG_ESCAPED_MAX];
    const char *value = (const char *)bytes;
    bool is_bare;

    if (!entry->is_on)
        return;
    is_bare = log_escape_is_bare(bytes, len);
    if (!is_bare || len > LOG_VALUE_MAX) {
        len = log_escape(entry->format, bytes, len, escaped);
        value = escaped;
    }
    put_field(entry, key, value, len, entry->format == LOG_JSON || !is_bare);
}

void log_text(struct log_entry *entry, const char *key, const char *text)
{
    const char *value = text == NULL ? "" : text;

    if (entry->is_on)
        log_str(entry, key, (const uint8_t *)value, strlen(value));
}

void log_u64(struct log_entry *entry, const char *key, uint64_t value)
{
    char digits[20];
    size_t len = 1;

    if (!entry->is_on)
        return;
    for (uint64_t rest = value / 10; rest > 0; rest /= 10)
        len++;
    format_digits(digits, value, len);
    put_field(entry, key, digits, len, false);
}

void log_bool(struct log_entry *entry, const char *key, bool value)
{
    if (entry->is_on)
        put_field(entry, key, value ? "true" : "false", value ? 4 : 5, false);
}

/* The room for this was kept. */
static void put_tail(struct log_entry *entry)
{
    const char *missing = entry->is_full ? " incomplete=true" : "";
    const char *end = "\n";
    size_t len;

    if (entry->format == LOG_JSON) {
        missing = entry->is_full ? ",\"incomplete\":true" : "";
        end = "}\n";
    }
    len = strlen(missing);
    memcpy(entry->line + entry->len, missing, len);
    memcpy(entry->line + entry->len + len, end, strlen(end));
    entry->len += len + strlen(end);
}

void log_end(struct log_entry *entry)
{
    if (!entry->is_on)
        return;
    put_tail(entry);
    log_ring_put(entry->line, entry->len);
}

/* Whatever the level: that lines are missing must be seen. */
static size_t report_lost(uint64_t lost, char *out, size_t size)
{
    struct log_entry entry = {.is_on = true};

    entry.format = atomic_load_explicit(&current_format, memory_order_relaxed);
    entry.is_full = !put_head(&entry, LOG_WARN, "log-dropped");
    log_u64(&entry, "count", lost);
    put_tail(&entry);
    if (entry.len > size)
        return 0;
    memcpy(out, entry.line, entry.len);
    return entry.len;
}
