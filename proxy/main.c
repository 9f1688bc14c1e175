#include "command_admin.h"
#include "command_check.h"
#include "command_route.h"
#include "config/json_version.h"
#include "config/pace.h"
#include "ops/admin.h"
#include "server.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum {
    EXIT_USAGE = 2,
    MAPPED_BLOCK_MIN = 1024 * 1024
};

static const char usage[] =
    "Usage: gatepost serve CONFIG        serve in the foreground\n"
    "       gatepost check CONFIG        print what is wrong with the files\n"
    "       gatepost route CONFIG USER   print where a user goes, and why\n"
    "       gatepost status [--json]     what a running server does\n"
    "       gatepost sessions [--user USER] [--backend BACKEND] [--json]\n"
    "       gatepost kick [--user USER] [--backend BACKEND]\n"
    "                [--over SECONDS]    end sessions\n"
    "       gatepost route --live USER   where a user goes now\n"
    "       gatepost reload [--force]    take changed files, or say why not\n"
    "       gatepost upgrade             start the program anew and keep all\n"
    "                                    sessions, or say why not\n"
    "       gatepost drain BACKEND       give it no new users\n"
    "       gatepost maintenance BACKEND give it nobody, end its sessions\n"
    "       gatepost ready BACKEND       take either back\n"
    "       gatepost --version | --help\n"
    "\n"
    "Those that ask a running server take --socket PATH, by default\n"
    "/run/gatepost/admin.sock.\n"
    "\n"
    "CONFIG is the process config, gatepost.json. serve logs to standard\n"
    "error; SIGHUP reloads, SIGTERM drains and ends, a second one ends at\n"
    "once. Exit status: 0, 1 when something is wrong, 2 for wrong usage.\n";

struct command {
    const char *name;
    int argument_count;
    int (*run)(char **arguments);
};

/* For reloads of large tables. Blocks of their size are mapped, however many
 * were freed before, which malloc takes for a reason to map them no more: they
 * come zeroed, grow without a copy, and the kernel has them back at once. */
static void prepare_memory(void)
{
    pace_jansson();
#ifdef __GLIBC__
    (void)mallopt(M_MMAP_THRESHOLD, MAPPED_BLOCK_MIN);
#endif
}

static int serve(char **arguments)
{
    prepare_memory();
    return server_run(arguments[0]);
}

static int check(char **arguments)
{
    return command_check_run(arguments[0], stdout, stderr);
}

static int route(char **arguments)
{
    return command_route_run(arguments[0], arguments[1], stdout, stderr);
}

static int help(char **arguments)
{
    (void)arguments;
    printf("%s", usage);
    return EXIT_SUCCESS;
}

static int version(char **arguments)
{
    (void)arguments;
    printf("Gatepost %s\n", GATEPOST_VERSION);
    printf("BoringSSL API %d, %s\n", BORINGSSL_API_VERSION,
           OpenSSL_version(OPENSSL_VERSION));
    printf("libuv %s\n", uv_version_string());
    printf("Jansson %s\n", json_version());
    printf("libmicrohttpd %s\n", admin_http_version());
    return EXIT_SUCCESS;
}

static const struct command commands[] = {
    {"serve", 1, serve}, {"check", 1, check},       {"route", 2, route},
    {"--help", 0, help}, {"--version", 0, version},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

/* "gatepost check --help" is no file to check. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static int refuse(const char *what, const char *argument)
{
    fprintf(stderr, "gatepost: %s%s%s%s\n\n%s", what,
            argument == NULL ? "" : " \"", argument == NULL ? "" : argument,
            argument == NULL ? "" : "\"", usage);
    return EXIT_USAGE;
}

/* A summary that could not be written must not end in success. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return status;
    perror("gatepost: cannot write to standard output");
    return EXIT_FAILURE;
}

static int administer(int count, char **arguments)
{
    int status = command_admin_run(count, arguments, stdout, stderr);

    if (status >= 0)
        return finish(status);
    fprintf(stderr, "\n%s", usage);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    const struct command *command;

    if (argc < 2)
        return refuse("a command is missing", NULL);
    if (!asks_for_help(argc, argv) && command_admin_knows(argc - 1, argv + 1))
        return administer(argc - 1, argv + 1);
    command = find_command(asks_for_help(argc, argv) ? "--help" : argv[1]);
    if (command == NULL)
        return refuse("unknown command", argv[1]);
    if (command->run == help)
        return finish(help(argv));
    if (argc - 2 < command->argument_count)
        return refuse("too few arguments for", argv[1]);
    if (argc - 2 > command->argument_count)
        return refuse("too many arguments for", argv[1]);
    return finish(command->run(argv + 2));
}
