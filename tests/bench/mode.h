/* A mode of the load generator: one kind of work, one file. */
#ifndef BENCH_MODE_H
#define BENCH_MODE_H

#include "load_options.h"

/* Each runs to its end and returns the program's exit status. */
int mode_idle_run(const struct load_options *options);
int mode_login_run(const struct load_options *options);
int mode_stream_run(const struct load_options *options);
int mode_latency_run(const struct load_options *options);

#endif
