#include "load_options.h"

#include <errno.h>
#include <getopt.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* Of a batch: less than wraps around, more than anybody waits for. */
static const uint64_t bytes_max = UINT64_C(1) << 50;

static bool read_option(struct load_options *options, int letter,
                        const char *value);
static bool read_direction(const char *text, bool *is_append_out);
static bool read_number(const char *text, unsigned max, unsigned *number_out);
static bool read_rate(const char *text, unsigned *rate_out);
static bool read_bytes(const char *text, uint64_t *bytes_out);
static bool read_address(const char *text, struct sockaddr_storage *remote_out);
static bool read_tls_max(const char *text, uint16_t *version_out);
static bool read_steps(struct load_options *options, const char *text);
static void print_usage(void);

bool load_options_read(int argc, char **argv, struct load_options *options_out)
{
    static const struct option known[] = {
        {"connect", required_argument, NULL, 'c'},
        {"plain", no_argument, NULL, 'p'},
        {"tls-max", required_argument, NULL, 't'},
        {"steps", required_argument, NULL, 's'},
        {"parallel", required_argument, NULL, 'n'},
        {"sources", required_argument, NULL, 'a'},
        {"traffic", required_argument, NULL, 'm'},
        {"users", required_argument, NULL, 'u'},
        {"count", required_argument, NULL, 'C'},
        {"rate", required_argument, NULL, 'R'},
        {"resume", no_argument, NULL, 'r'},
        {"any-group", no_argument, NULL, 'g'},
        {"bytes", required_argument, NULL, 'b'},
        {"direction", required_argument, NULL, 'd'},
        {NULL, 0, NULL, 0},
    };
    struct load_options options = {
        .tls_max = TLS1_3_VERSION,
        .steps = {500, 4000},
        .step_count = 2,
        .parallel = 32,
        .sources = 8,
        .users = 1000,
        .count = 1000,
        .bytes = 1U << 30,
    };
    int letter;

    while ((letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (!read_option(&options, letter, optarg)) {
            print_usage();
            return false;
        }
    }
    if (optind + 1 != argc || options.remote.ss_family == AF_UNSPEC) {
        print_usage();
        return false;
    }
    options.mode = argv[optind];
    *options_out = options;
    return true;
}

static bool read_option(struct load_options *options, int letter,
                        const char *value)
{
    switch (letter) {
    case 'c':
        return read_address(value, &options->remote);
    case 'p':
        options->is_plain = true;
        return true;
    case 't':
        return read_tls_max(value, &options->tls_max);
    case 's':
        return read_steps(options, value);
    case 'n':
        return read_number(value, 4096, &options->parallel);
    case 'a':
        return read_number(value, 200, &options->sources);
    case 'm':
        return read_number(value, 1U << 30, &options->traffic);
    case 'u':
        return read_number(value, 1000000, &options->users);
    case 'C':
        return read_number(value, 10000000, &options->count);
    case 'R':
        return read_rate(value, &options->rate);
    case 'r':
        options->must_resume = true;
        return true;
    case 'g':
        options->any_group = true;
        return true;
    case 'b':
        return read_bytes(value, &options->bytes);
    case 'd':
        return read_direction(value, &options->is_append);
    default:
        return false;
    }
}

static bool read_number(const char *text, unsigned max, unsigned *number_out)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 1 || number > max)
        return false;
    *number_out = (unsigned)number;
    return true;
}

static bool read_rate(const char *text, unsigned *rate_out)
{
    *rate_out = 0;
    return strcmp(text, "0") == 0 || read_number(text, 100000, rate_out);
}

static bool read_bytes(const char *text, uint64_t *bytes_out)
{
    char *end;
    unsigned long long bytes;

    errno = 0;
    bytes = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || bytes < 1 ||
        bytes > bytes_max)
        return false;
    *bytes_out = bytes;
    return true;
}

static bool read_direction(const char *text, bool *is_append_out)
{
    *is_append_out = strcmp(text, "append") == 0;
    return *is_append_out || strcmp(text, "fetch") == 0;
}

static bool read_address(const char *text, struct sockaddr_storage *remote_out)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    unsigned port;

    if (colon == NULL || (size_t)(colon - text) >= sizeof(host) ||
        !read_number(colon + 1, UINT16_MAX, &port))
        return false;
    snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
    return uv_ip4_addr(host, (int)port, (struct sockaddr_in *)remote_out) == 0;
}

static bool read_tls_max(const char *text, uint16_t *version_out)
{
    if (strcmp(text, "1.2") == 0)
        *version_out = TLS1_2_VERSION;
    else if (strcmp(text, "1.3") == 0)
        *version_out = TLS1_3_VERSION;
    else
        return false;
    return true;
}

static bool read_steps(struct load_options *options, const char *text)
{
    const char *rest = text;
    unsigned last = 0;

    options->step_count = 0;
    while (*rest != '\0' && options->step_count < LOAD_STEPS_MAX) {
        char number[16];
        size_t len = strcspn(rest, ",");
        unsigned step;

        snprintf(number, sizeof(number), "%.*s", (int)len, rest);
        if (!read_number(number, 1000000, &step) || step <= last)
            return false;
        options->steps[options->step_count++] = last = step;
        rest += len + (rest[len] == ',' ? 1 : 0);
    }
    return *rest == '\0' && options->step_count > 0;
}

static void print_usage(void)
{
    fprintf(stderr, "usage: bench_load MODE --connect IP:PORT [--plain] "
                    "[--tls-max 1.2|1.3]\n"
                    "       [--parallel N] [--sources N] [--users N] "
                    "[--any-group]\n"
                    "modes and their options:\n"
                    "  idle     [--steps N,N,...] [--traffic BYTES]\n"
                    "  login    [--count N] [--resume] [--rate N]\n"
                    "  stream   [--bytes N] [--direction fetch|append]\n"
                    "  latency  [--count N]\n");
}
