/* What the server itself has to say in the log, and what log is asked for. */
#ifndef PROXY_SERVER_LOG_H
#define PROXY_SERVER_LOG_H

#include "backend/backend.h"
#include "base/counters.h"
#include "base/log.h"
#include "config/reason.h"
#include "config/settings.h"
#include "state/snapshot.h"

#include <stdint.h>
#include <sys/types.h>

/* An event without facts. */
void server_log_plain(const char *event);
void server_log_error(const char *event, const char *key, const char *value);
void server_log_drain(uint64_t drain_ms);
/* This file holds from now on what another one did. */
void server_log_state_inherited(const char *file);
/* Another process serves by now. */
void server_log_retired(pid_t successor);
/* It says how long ours may go on since then; 0: until they end. */
void server_log_upgrade_drain(uint64_t drain_ms);
void server_log_started(const struct settings *settings, unsigned workers,
                        unsigned sessions, unsigned long descriptors);
void server_log_snapshot(const char *event, const struct snapshot *snapshot);

/* A line for each problem, errors and warnings alike. */
void server_log_reasons(const struct reasons *reasons);

/* All counters in one line, and what was offered by ALPN in vain in others. */
void server_log_counters(struct counters_set *counters);

/* A line for each backend: its state, its sessions, and what was noted of it
 * (backend/backend.h). */
void server_log_backends(const struct backend_set *backends);

/* What the settings want of the log. */
enum log_level server_log_level(const struct settings *settings);
enum log_format server_log_format(const struct settings *settings);

#endif
