/* What a run of the load generator is told on its command line. */
#ifndef BENCH_LOAD_OPTIONS_H
#define BENCH_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    LOAD_STEPS_MAX = 64
};

struct load_options {
    const char *mode;
    struct sockaddr_storage remote;
    bool is_plain;
    uint16_t tls_max;               /* TLS1_2_VERSION or TLS1_3_VERSION */
    unsigned steps[LOAD_STEPS_MAX]; /* sessions open at each step, rising */
    unsigned step_count;
    unsigned parallel; /* logins under way at once, or connections held */
    unsigned traffic;  /* bytes each session moves each way, once logged in */
    unsigned sources;  /* source addresses, from 127.0.0.2 on */
    unsigned users;    /* different user names */
    unsigned count;    /* logins or requests of a batch */
    unsigned rate;     /* logins started per second; 0: as one ends */
    bool must_resume;  /* logins offer TLS tickets */
    bool any_group;    /* for a proxy that knows no X25519 */
    uint64_t bytes;    /* of a batch, over all connections */
    bool is_append;    /* bytes go to the server, not from it */
};

/* Prints usage on standard error and returns false on a bad command line. */
bool load_options_read(int argc, char **argv, struct load_options *options_out);

#endif
