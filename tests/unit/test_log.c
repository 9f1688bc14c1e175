/* Log lines: what a stranger's bytes become, and that no reader of standard
 * error can stop whoever logs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/log_escape.h"

#include <assert.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLAIM(name) cmocka_unit_test_teardown(name, restore_stderr)

enum {
    STOP_MS = 10000
};

/* Standard error while a claim looks at it; cmocka writes there too, so it is
 * put back before anything is asserted. */
static int real_stderr = -1;

static void replace_stderr(int fd)
{
    if (real_stderr < 0)
        real_stderr = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
}

static int restore_stderr(void **state)
{
    (void)state;
    if (real_stderr >= 0) {
        dup2(real_stderr, STDERR_FILENO);
        close(real_stderr);
        real_stderr = -1;
    }
    log_set(LOG_INFO, LOG_TEXT);
    return 0;
}

/* What was logged between start and take, by a pipe that must hold it all. */
struct capture {
    int fds[2];
    char text[64 * 1024];
};

static void start_capture(struct capture *capture)
{
    assert_int_equal(pipe(capture->fds), 0);
    replace_stderr(capture->fds[1]);
}

static const char *take_capture(struct capture *capture)
{
    ssize_t len;

    restore_stderr(NULL);
    close(capture->fds[1]);
    len = read(capture->fds[0], capture->text, sizeof(capture->text) - 1);
    close(capture->fds[0]);
    capture->text[len < 0 ? 0 : len] = '\0';
    return capture->text;
}

static void log_user(const char *bytes, size_t len)
{
    struct log_entry entry;

    log_begin(&entry, LOG_INFO, "login");
    log_str(&entry, "user", (const uint8_t *)bytes, len);
    log_end(&entry);
}

/* The line of one such entry from its event on. */
static const char *line_of_user(enum log_format format, const char *bytes,
                                size_t len)
{
    static struct capture capture;
    const char *line;

    start_capture(&capture);
    log_set(LOG_INFO, format);
    log_user(bytes, len);
    line = take_capture(&capture);
    return format == LOG_TEXT ? strstr(line, "login") : line;
}

/* The value as a reader of the JSON sees it; the caller owns it. */
static json_t *json_of_user(const char *bytes, size_t len)
{
    /* A block of its own size, for ASan to see a byte read too much. */
    char *copy = memcpy(malloc(len + (len == 0)), bytes, len);
    const char *line = line_of_user(LOG_JSON, copy, len);
    json_t *object =
        json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    json_t *user;

    free(copy);
    assert_non_null(object);
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
    user = json_incref(json_object_get(object, "user"));
    json_decref(object);
    assert_true(json_is_string(user));
    return user;
}

static void assert_json_user(const char *bytes, size_t len,
                             const char *expected)
{
    json_t *user = json_of_user(bytes, len);

    assert_string_equal(json_string_value(user), expected);
    json_decref(user);
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("%s does not match %s", text, pattern);
    regfree(&regex);
}

static void log_all_kinds(void)
{
    struct log_entry entry;

    log_begin(&entry, LOG_WARN, "session-end");
    log_text(&entry, "user", "alice@example.org");
    log_text(&entry, "reason", "a b");
    log_text(&entry, "nothing", NULL);
    log_u64(&entry, "bytes", UINT64_MAX);
    log_u64(&entry, "zero", 0);
    log_bool(&entry, "resumed", true);
    log_end(&entry);
}

static void text_line_holds_time_level_event_and_fields(void **state)
{
    struct capture capture;
    const char *line;

    (void)state;
    start_capture(&capture);
    log_all_kinds();
    line = take_capture(&capture);

    assert_matches(line,
                   "^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:"
                   "[0-5][0-9]\\.[0-9]{3}Z warn session-end "
                   "user=alice@example\\.org reason=\"a b\" nothing=\"\" "
                   "bytes=18446744073709551615 zero=0 resumed=true\n$");
}

static void json_line_holds_time_level_event_and_fields(void **state)
{
    struct capture capture;
    const char *line;
    json_t *object;

    (void)state;
    log_set(LOG_INFO, LOG_JSON);
    start_capture(&capture);
    log_all_kinds();
    line = take_capture(&capture);
    object = json_loads(line, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL,
                        NULL);

    assert_non_null(object);
    assert_matches(line, "^\\{\"time\":\"20[^\"]*Z\",\"level\":\"warn\","
                         "\"event\":\"session-end\","
                         "\"user\":\"alice@example\\.org\","
                         "\"reason\":\"a b\",\"nothing\":\"\","
                         "\"bytes\":18446744073709551615,\"zero\":0,"
                         "\"resumed\":true\\}\n$");
    json_decref(object);
}

/* time(2) may lag behind this clock by a tick. */
static void write_second(char out[32])
{
    struct timespec now;
    struct tm parts;

    clock_gettime(CLOCK_REALTIME, &now);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &parts));
}

static void time_is_the_time_of_day_in_utc(void **state)
{
    struct capture capture;
    char before[32];
    char after[32];
    const char *line;

    (void)state;
    write_second(before);
    start_capture(&capture);
    log_all_kinds();
    line = take_capture(&capture);
    write_second(after);

    assert_true(strncmp(line, before, 19) >= 0);
    assert_true(strncmp(line, after, 19) <= 0);
}

static void text_escapes_what_could_forge_a_line(void **state)
{
    static const char name[] = "x\r\nFAKE \x1b[2J\0\"\\\x7f\xc3\xa9";
    const char *line;

    (void)state;
    line = line_of_user(LOG_TEXT, name, sizeof(name) - 1);

    assert_string_equal(line, "login user=\"x\\x0d\\x0aFAKE \\x1b[2J\\x00"
                              "\\\"\\\\\\x7f\\xc3\\xa9\"\n");
}

static void text_quotes_a_value_that_looks_like_fields(void **state)
{
    (void)state;

    assert_string_equal(line_of_user(LOG_TEXT, "a backend=evil", 14),
                        "login user=\"a backend=evil\"\n");
    assert_string_equal(line_of_user(LOG_TEXT, "a=b", 3),
                        "login user=\"a=b\"\n");
}

static void json_escapes_what_could_forge_a_line(void **state)
{
    static const char name[] = "x\r\n\x1b\",\"a\":\"\\\x7f";
    const char *line;

    (void)state;
    line = line_of_user(LOG_JSON, name, sizeof(name) - 1);

    assert_non_null(strstr(line, "\"user\":\"x\\u000d\\u000a\\u001b\\\",\\\""
                                 "a\\\":\\\"\\\\\\u007f\"}\n"));
    assert_json_user(name, sizeof(name) - 1, name);
}

static void json_passes_valid_utf8(void **state)
{
    static const char name[] = "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80";

    (void)state;

    assert_non_null(strstr(line_of_user(LOG_JSON, name, 11), name));
}

static void json_escapes_each_byte_of_broken_utf8(void **state)
{
    (void)state;

    /* A lone byte, one overlong, a surrogate, beyond Unicode, cut short. */
    assert_json_user("\xff", 1, "\xc3\xbf");
    assert_json_user("\xc0\xaf", 2, "\xc3\x80\xc2\xaf");
    assert_json_user("\xe0\x80\xaf", 3, "\xc3\xa0\xc2\x80\xc2\xaf");
    assert_json_user("\xed\xa0\x80", 3, "\xc3\xad\xc2\xa0\xc2\x80");
    assert_json_user("\xf4\x90\x80\x80", 4, "\xc3\xb4\xc2\x90\xc2\x80\xc2\x80");
    assert_json_user("\xe2\x82", 2, "\xc3\xa2\xc2\x82");
}

static void json_escapes_characters_that_deceive_a_reader(void **state)
{
    (void)state;

    /* C1's CSI, right-to-left override, line separator. */
    assert_non_null(strstr(line_of_user(LOG_JSON, "\xc2\x9b", 2), "\\u009b"));
    assert_non_null(
        strstr(line_of_user(LOG_JSON, "\xe2\x80\xae", 3), "\\u202e"));
    assert_non_null(
        strstr(line_of_user(LOG_JSON, "\xe2\x80\xa8", 3), "\\u2028"));
}

static void value_is_cut_with_a_mark(void **state)
{
    char name[LOG_VALUE_MAX + 1];
    char expected[LOG_VALUE_MAX + 32];

    (void)state;
    memset(name, 'a', sizeof(name));

    snprintf(expected, sizeof(expected), "login user=%.256s\n", name);
    assert_string_equal(line_of_user(LOG_TEXT, name, LOG_VALUE_MAX), expected);
    snprintf(expected, sizeof(expected), "login user=%.256s...\n", name);
    assert_string_equal(line_of_user(LOG_TEXT, name, sizeof(name)), expected);
}

static void cut_never_divides_an_escape_or_a_character(void **state)
{
    char name[LOG_VALUE_MAX + 2];
    const char *line;

    (void)state;
    memset(name, 'a', LOG_VALUE_MAX - 1);
    memcpy(name + LOG_VALUE_MAX - 1, "\xe2\x82\xac", 3);

    line = line_of_user(LOG_JSON, name, sizeof(name));
    assert_non_null(strstr(line, "aa...\"}\n"));
    line = line_of_user(LOG_TEXT, name, sizeof(name));
    assert_non_null(strstr(line, "aa...\"\n"));
}

static void long_values_leave_room_for_the_other_fields(void **state)
{
    static const enum log_format formats[] = {LOG_TEXT, LOG_JSON};
    uint8_t hostile[4096];

    (void)state;
    memset(hostile, 0x1b, sizeof(hostile));
    for (size_t i = 0; i < 2; i++) {
        struct capture capture;
        struct log_entry entry;
        const char *line;

        log_set(LOG_INFO, formats[i]);
        start_capture(&capture);
        log_begin(&entry, LOG_INFO, "session-end");
        for (int field = 0; field < 6; field++)
            log_str(&entry, "value", hostile, sizeof(hostile));
        log_text(&entry, "reason", "client-left");
        log_end(&entry);
        line = take_capture(&capture);

        assert_non_null(strstr(line, "client-left"));
        assert_null(strstr(line, "incomplete"));
    }
}

/* A line of one field more than fits, each value len bytes long. */
static const char *log_too_much(struct capture *capture, int len)
{
    struct log_entry entry;

    start_capture(capture);
    log_begin(&entry, LOG_INFO, "session-end");
    for (int field = 0; field < 500; field++) {
        char key[16];
        char value[32];

        snprintf(key, sizeof(key), "k%d", field);
        snprintf(value, sizeof(value), "%0*d", len, 0);
        log_text(&entry, key, value);
    }
    log_end(&entry);
    return take_capture(capture);
}

static void line_too_full_says_so_and_stays_whole(void **state)
{
    (void)state;
    for (int len = 1; len < 20; len++) {
        struct capture capture;
        const char *line;
        json_t *object;

        log_set(LOG_INFO, LOG_JSON);
        line = log_too_much(&capture, len);
        object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);

        assert_non_null(object);
        assert_true(json_is_true(json_object_get(object, "incomplete")));
        assert_true(strlen(line) <= LOG_LINE_MAX);
        json_decref(object);
    }
}

static void any_bytes_give_one_clean_line(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 500; round++) {
        char bytes[300];
        size_t len = (size_t)rand() % sizeof(bytes);
        const char *line;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(rand() % 3 == 0
                                  ? "\xe2\x82\xac\xf0\"\\\n\x1b"[rand() % 8]
                                  : rand());
        json_decref(json_of_user(bytes, len));
        line = line_of_user(LOG_TEXT, bytes, len);
        for (size_t i = 0; i + 1 < strlen(line); i++)
            assert_in_range(line[i], 0x20, 0x7e);
    }
}

static void level_that_is_off_writes_nothing(void **state)
{
    struct capture capture;
    struct log_entry entry;
    const char *text;

    (void)state;
    start_capture(&capture);
    log_set(LOG_WARN, LOG_TEXT);
    log_begin(&entry, LOG_INFO, "quiet");
    log_text(&entry, "user", "alice");
    log_u64(&entry, "bytes", 1);
    log_bool(&entry, "resumed", true);
    log_end(&entry);
    log_begin(&entry, LOG_ERROR, "loud");
    log_end(&entry);
    text = take_capture(&capture);

    assert_null(strstr(text, "quiet"));
    assert_non_null(strstr(text, " error loud\n"));
}

/* --- with the thread --- */

static void log_numbers(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        struct log_entry entry;

        log_begin(&entry, LOG_INFO, "number");
        log_u64(&entry, "value", i);
        log_text(&entry, "filling", "0123456789012345678901234567890123456789");
        log_end(&entry);
    }
}

/* Reads a pipe to its end, on a thread. Checks each line. */
struct drain {
    pthread_t thread;
    int fd;
    unsigned delay_us; /* before each read */
    unsigned lines;
    unsigned broken;
    unsigned long lost; /* by the log's own word */
};

static void count_line(struct drain *drain, const char *line)
{
    const char *lost = strstr(line, "Z warn log-dropped count=");

    if (lost != NULL)
        drain->lost += strtoul(strchr(lost, '=') + 1, NULL, 10);
    else if (strstr(line, "Z info number value=") == NULL ||
             strcmp(line + strlen(line) - 5, "6789\n") != 0)
        drain->broken++;
    else
        drain->lines++;
}

static void *run_drain(void *argument)
{
    struct drain *drain = argument;
    FILE *file = fdopen(drain->fd, "r");
    char line[LOG_LINE_MAX + 1];

    assert(file != NULL);
    while (usleep(drain->delay_us) == 0 &&
           fgets(line, sizeof(line), file) != NULL)
        count_line(drain, line);
    fclose(file);
    return NULL;
}

static void start_drain(struct drain *drain, int fd)
{
    drain->fd = fd;
    assert_int_equal(pthread_create(&drain->thread, NULL, run_drain, drain), 0);
}

static void *log_500_numbers(void *unused)
{
    (void)unused;
    log_numbers(0, 500);
    return NULL;
}

static void lines_of_many_threads_arrive_whole(void **state)
{
    struct drain drain = {0};
    pthread_t threads[4];
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    start_drain(&drain, fds[0]);
    replace_stderr(fds[1]);
    close(fds[1]);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    for (size_t i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, log_500_numbers, NULL);
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    log_stop(STOP_MS);
    restore_stderr(NULL);
    pthread_join(drain.thread, NULL);

    assert_int_equal(drain.broken, 0);
    assert_int_equal(drain.lines, 2000);
    assert_int_equal(drain.lost, 0);
}

static void stopped_reader_never_stops_a_worker(void **state)
{
    struct drain drain = {0};
    uint64_t began_ms;
    uint64_t took_ms;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    replace_stderr(fds[1]);
    close(fds[1]);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    began_ms = clock_now_ms();
    log_numbers(0, 20000);
    took_ms = clock_now_ms() - began_ms;
    start_drain(&drain, fds[0]);
    log_stop(STOP_MS);
    restore_stderr(NULL);
    pthread_join(drain.thread, NULL);

    assert_true(took_ms < 5000);
    assert_true(drain.lines < 20000);
    assert_int_equal(drain.lines + drain.lost, 20000);
    assert_int_equal(drain.broken, 0);
}

static void loss_is_told_once_there_is_room(void **state)
{
    struct capture capture;
    struct log_entry entry;
    const char *text;
    int full = open("/dev/full", O_WRONLY);

    (void)state;
    assert_true(full >= 0);
    replace_stderr(full);
    close(full);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    log_numbers(0, 10);
    usleep(300 * 1000);
    start_capture(&capture);
    log_begin(&entry, LOG_INFO, "room-again");
    log_end(&entry);
    log_stop(STOP_MS);
    text = take_capture(&capture);

    assert_null(strstr(text, "number"));
    assert_matches(text, "room-again\n.* warn log-dropped count=10\n$");
}

static void line_after_a_torn_one_begins_anew(void **state)
{
    struct rlimit former;
    struct rlimit tight;
    char text[4096] = "";
    char name[] = "/tmp/gatepost-log-XXXXXX";
    int fd = mkstemp(name);
    ssize_t len;

    (void)state;
    assert_true(fd >= 0);
    unlink(name);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &former);
    tight = former;
    tight.rlim_cur = 150;
    replace_stderr(fd);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    setrlimit(RLIMIT_FSIZE, &tight);
    /* In two writes: the second finds the line of the first torn. */
    log_numbers(0, 2);
    usleep(300 * 1000);
    log_numbers(2, 1);
    usleep(300 * 1000);
    setrlimit(RLIMIT_FSIZE, &former);
    log_numbers(3, 1);
    log_stop(STOP_MS);
    restore_stderr(NULL);
    len = pread(fd, text, sizeof(text) - 1, 0);
    close(fd);

    assert_true(len > 150);
    assert_int_equal(text[150], '\n');
    assert_non_null(strstr(text + 151, "number value=3"));
    /* The torn line counts as lost: its end is. */
    assert_matches(text + 151, "log-dropped count=2\n");
}

static void lines_gather_into_few_writes(void **state)
{
    int fds[2];
    int writes = 0;
    char packet[8192];

    (void)state;
    /* Each write becomes a packet of its own. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    replace_stderr(fds[1]);
    close(fds[1]);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    for (unsigned i = 0; i < 100; i++) {
        log_numbers(i, 1);
        usleep(200);
    }
    log_stop(STOP_MS);
    restore_stderr(NULL);
    while (recv(fds[0], packet, sizeof(packet), 0) > 0)
        writes++;
    close(fds[0]);

    assert_in_range(writes, 1, 50);
}

static void sleeping_writer_is_woken_by_a_line(void **state)
{
    struct capture capture;
    struct pollfd waits = {.events = POLLIN};
    int ready;

    (void)state;
    start_capture(&capture);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    usleep(200 * 1000);
    log_numbers(0, 1);
    waits.fd = capture.fds[0];
    ready = poll(&waits, 1, 5000);
    log_stop(STOP_MS);
    take_capture(&capture);

    assert_int_equal(ready, 1);
}

static void non_blocking_stderr_loses_nothing(void **state)
{
    struct drain drain = {.delay_us = 20};
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    fcntl(fds[0], F_SETFL, 0);
    replace_stderr(fds[1]);
    close(fds[1]);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    log_numbers(0, 2000);
    start_drain(&drain, fds[0]);
    log_stop(STOP_MS);
    restore_stderr(NULL);
    pthread_join(drain.thread, NULL);

    assert_int_equal(drain.lost, 0);
    assert_int_equal(drain.lines, 2000);
    assert_int_equal(drain.broken, 0);
}

static void stop_gives_up_on_a_reader_that_is_stuck(void **state)
{
    struct drain drain = {0};
    uint64_t began_ms;
    uint64_t took_ms;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    replace_stderr(fds[1]);
    close(fds[1]);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    log_numbers(0, 2000);
    began_ms = clock_now_ms();
    log_stop(100);
    took_ms = clock_now_ms() - began_ms;
    /* The thread must have ended before the next claim. */
    start_drain(&drain, fds[0]);
    log_stop(STOP_MS);
    restore_stderr(NULL);
    pthread_join(drain.thread, NULL);

    assert_in_range(took_ms, 99, 3000);
}

static void log_starts_again_after_a_stop(void **state)
{
    struct capture capture;
    const char *text;

    (void)state;
    start_capture(&capture);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    log_stop(STOP_MS);
    assert_true(log_start(LOG_INFO, LOG_TEXT));
    log_numbers(1, 1);
    log_stop(STOP_MS);
    log_numbers(2, 1);
    text = take_capture(&capture);

    assert_matches(text, "number value=1 [^\n]*\n.*number value=2 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(text_line_holds_time_level_event_and_fields),
        CLAIM(json_line_holds_time_level_event_and_fields),
        CLAIM(time_is_the_time_of_day_in_utc),
        CLAIM(text_escapes_what_could_forge_a_line),
        CLAIM(text_quotes_a_value_that_looks_like_fields),
        CLAIM(json_escapes_what_could_forge_a_line),
        CLAIM(json_passes_valid_utf8),
        CLAIM(json_escapes_each_byte_of_broken_utf8),
        CLAIM(json_escapes_characters_that_deceive_a_reader),
        CLAIM(value_is_cut_with_a_mark),
        CLAIM(cut_never_divides_an_escape_or_a_character),
        CLAIM(long_values_leave_room_for_the_other_fields),
        CLAIM(line_too_full_says_so_and_stays_whole),
        CLAIM(any_bytes_give_one_clean_line),
        CLAIM(level_that_is_off_writes_nothing),
        CLAIM(lines_of_many_threads_arrive_whole),
        CLAIM(stopped_reader_never_stops_a_worker),
        CLAIM(loss_is_told_once_there_is_room),
        CLAIM(line_after_a_torn_one_begins_anew),
        CLAIM(lines_gather_into_few_writes),
        CLAIM(sleeping_writer_is_woken_by_a_line),
        CLAIM(non_blocking_stderr_loses_nothing),
        CLAIM(stop_gives_up_on_a_reader_that_is_stuck),
        CLAIM(log_starts_again_after_a_stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
