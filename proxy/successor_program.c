#include "successor_program.h"

#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern char **environ;

enum {
    WORD_MAX = 64
};

static bool is_word_of(const char *assignment, const char *name)
{
    size_t len = strlen(name);

    return strncmp(assignment, name, len) == 0 && assignment[len] == '=';
}

/* Whatever is for this process only. */
static bool is_passed_on(const char *assignment)
{
    static const char *const ours[] = {"GATEPOST_PREDECESSOR", "NOTIFY_SOCKET",
                                       "WATCHDOG_USEC",        "WATCHDOG_PID",
                                       "LISTEN_FDS",           "LISTEN_PID",
                                       "LISTEN_FDNAMES"};

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (is_word_of(assignment, ours[i]))
            return false;
    }
    return true;
}

/* Those of ours that are passed on, behind those that are given; lent. */
static char **make_environment(char *const *own, size_t own_count)
{
    size_t count = 0, kept = 0;
    char **environment;

    while (environ[count] != NULL)
        count++;
    environment =
        mem_realloc_array(NULL, own_count + count + 1, sizeof(char *));
    for (size_t i = 0; i < own_count; i++)
        environment[kept++] = own[i];
    for (size_t i = 0; i < count; i++) {
        if (is_passed_on(environ[i]))
            environment[kept++] = environ[i];
    }
    environment[kept] = NULL;
    return environment;
}

/* posix_spawn copies no page tables as fork does, for which sessions would
 * wait. The two links are made to stay open over its exec. */
static int spawn(char *const *arguments, char *const *environment,
                 const int links[2], pid_t *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t held;
    int error;

    sigemptyset(&held);
    sigaddset(&held, SIGHUP); /* until it can reload */
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &held);
    posix_spawn_file_actions_adddup2(&actions, links[0], links[0]);
    posix_spawn_file_actions_adddup2(&actions, links[1], links[1]);
    error = posix_spawn(child, arguments[0], &actions, &attributes, arguments,
                        environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0)
        *child = -1;
    return error;
}

int successor_program_start(const struct successor_plan *plan,
                            const int links[2], pid_t *child)
{
    char named[WORD_MAX], watchdog[WORD_MAX];
    char socket_name[NOTIFY_NAME_MAX];
    char *own[3] = {named};
    char **environment;
    char *arguments[] = {mem_strdup(plan->program), mem_strdup("serve"),
                         mem_strdup(plan->config_file), NULL};
    size_t count = 1;
    int error;

    snprintf(named, sizeof(named), "GATEPOST_PREDECESSOR=%d,%d", links[0],
             links[1]);
    if (notify_name(plan->notify, socket_name))
        own[count++] = socket_name;
    snprintf(watchdog, sizeof(watchdog), "WATCHDOG_USEC=%" PRIu64,
             plan->notify->watchdog_us);
    if (plan->notify->watchdog_us > 0)
        own[count++] = watchdog;
    environment = make_environment(own, count);
    error = spawn(arguments, environment, links, child);
    free(environment);
    for (size_t i = 0; arguments[i] != NULL; i++)
        free(arguments[i]);
    return error;
}
