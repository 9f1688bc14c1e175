/* The load generator: finds the mode and hands over. */
#include "load_options.h"
#include "mode.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mode {
    const char *name;
    int (*run)(const struct load_options *options);
};

static const struct mode modes[] = {
    {"idle", mode_idle_run},
    {"login", mode_login_run},
    {"stream", mode_stream_run},
    {"latency", mode_latency_run},
};

int main(int argc, char **argv)
{
    struct load_options options;

    signal(SIGPIPE, SIG_IGN);
    if (!load_options_read(argc, argv, &options))
        return EXIT_FAILURE;
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, options.mode) == 0)
            return modes[i].run(&options);
    }
    fprintf(stderr, "bench_load: no mode \"%s\"\n", options.mode);
    return EXIT_FAILURE;
}
