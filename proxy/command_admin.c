#include "command_admin.h"

#include "admin_client.h"
#include "command_print.h"

#include <stdlib.h>
#include <string.h>

enum {
    WRONG_USAGE = -1,
    WAIT_S = 30,
    RELOAD_WAIT_S = 600
};

/* What the command line said. */
struct wishes {
    const char *socket;
    bool wants_json;
    bool is_forced;
    const char *user;
    const char *backend;
    const char *over;
    const char *name; /* what stands without an option */
    FILE *out;
    FILE *problems;
};

struct admin_command {
    const char *name;
    bool wants_name;
    const char *options; /* the first letters of those that it takes beside
                            --socket and --json */
    int (*run)(const struct wishes *wishes);
};

static int print_json(const struct wishes *wishes, const json_t *json)
{
    char *text = json_dumps(json, JSON_INDENT(1));

    fprintf(wishes->out, "%s\n", text == NULL ? "" : text);
    free(text);
    return EXIT_SUCCESS;
}

/* Says why the server refused. */
static int print_refusal(const struct wishes *wishes, const json_t *json)
{
    const char *why = json_string_value(json_object_get(json, "error"));

    fprintf(wishes->problems, "gatepost: %s\n",
            why == NULL ? "the server refused" : why);
    return EXIT_FAILURE;
}

/* Asks, and prints the answer: as it is, where JSON is wanted, or by print,
 * which gives the exit status. Takes the target. */
static int ask_and_print(const struct wishes *wishes, const char *method,
                         struct text *target,
                         int (*print)(const struct wishes *, const json_t *))
{
    bool was_good;
    json_t *answer = admin_client_ask(wishes->socket, method, target->bytes,
                                      WAIT_S, wishes->problems, &was_good);
    int result;

    text_deinit(target);
    if (answer == NULL)
        return EXIT_FAILURE;
    if (!was_good)
        result = print_refusal(wishes, answer);
    else if (wishes->wants_json)
        result = print_json(wishes, answer);
    else
        result = print(wishes, answer);
    json_decref(answer);
    return result;
}

static int tell_status(const struct wishes *wishes, const json_t *answer)
{
    print_status(answer, wishes->out);
    return EXIT_SUCCESS;
}

static int run_status(const struct wishes *wishes)
{
    struct text target = {.bytes = NULL};

    text_add(&target, "/status");
    return ask_and_print(wishes, "GET", &target, tell_status);
}

/* Where the request goes, with what the command line chose. */
static void add_choice(const struct wishes *wishes, struct text *target)
{
    if (wishes->user != NULL)
        admin_client_add(target, "user", wishes->user);
    if (wishes->backend != NULL)
        admin_client_add(target, "backend", wishes->backend);
    if (wishes->over != NULL)
        admin_client_add(target, "over", wishes->over);
}

/* One page; leaves in *after where the next one begins, or NULL. */
static int run_page(const struct wishes *wishes, char **after, bool *is_whole)
{
    struct text target = {.bytes = NULL};
    bool was_good;
    json_t *page;
    int result = EXIT_SUCCESS;

    text_add(&target, "/sessions");
    add_choice(wishes, &target);
    if (*after != NULL)
        admin_client_add(&target, "after", *after);
    free(*after);
    *after = NULL;
    page = admin_client_ask(wishes->socket, "GET", target.bytes, WAIT_S,
                            wishes->problems, &was_good);
    text_deinit(&target);
    if (page == NULL)
        return EXIT_FAILURE;
    if (was_good) {
        print_sessions(page, wishes->wants_json, wishes->out);
        *after = mem_strdup(json_string_value(json_object_get(page, "next")));
        *is_whole &= !json_is_false(json_object_get(page, "complete"));
    } else {
        result = print_refusal(wishes, page);
    }
    json_decref(page);
    return result;
}

static int run_sessions(const struct wishes *wishes)
{
    char *after = NULL;
    bool is_whole = true;
    int result;

    do
        result = run_page(wishes, &after, &is_whole);
    while (result == EXIT_SUCCESS && after != NULL);
    free(after);
    if (!is_whole)
        fprintf(wishes->problems,
                "gatepost: a worker, or a process from before an upgrade, did "
                "not answer: some sessions are missing\n");
    return is_whole ? result : EXIT_FAILURE;
}

/* Who did not answer may still end whom it has. */
static int print_kick(const struct wishes *wishes, const json_t *answer)
{
    fprintf(wishes->out, "sessions to end: %lld\n",
            (long long)json_integer_value(json_object_get(answer, "sessions")));
    if (!json_is_false(json_object_get(answer, "complete")))
        return EXIT_SUCCESS;
    fprintf(wishes->problems,
            "gatepost: a worker, or a process from before an upgrade, did not "
            "answer: there may be more\n");
    return EXIT_FAILURE;
}

static int run_kick(const struct wishes *wishes)
{
    struct text target = {.bytes = NULL};

    text_add(&target, "/kick");
    add_choice(wishes, &target);
    return ask_and_print(wishes, "POST", &target, print_kick);
}

static int print_mode(const struct wishes *wishes, const json_t *answer)
{
    const char *mode = json_string_value(json_object_get(answer, "mode"));
    const char *table = json_string_value(json_object_get(answer, "table"));

    fprintf(wishes->out, "%s is %s, with %lld sessions\n", wishes->name,
            mode == NULL ? "?" : mode,
            (long long)json_integer_value(json_object_get(answer, "sessions")));
    if (mode != NULL && table != NULL && strcmp(mode, "ready") == 0 &&
        strcmp(table, "ready") != 0)
        fprintf(wishes->out,
                "the routing table still says %s, which holds again after a "
                "restart\n",
                table);
    return EXIT_SUCCESS;
}

static int run_order(const struct wishes *wishes, const char *path)
{
    struct text target = {.bytes = NULL};

    text_add(&target, "%s", path);
    admin_client_add(&target, "backend", wishes->name);
    return ask_and_print(wishes, "POST", &target, print_mode);
}

static int run_drain(const struct wishes *wishes)
{
    return run_order(wishes, "/drain");
}

static int run_maintenance(const struct wishes *wishes)
{
    return run_order(wishes, "/maintenance");
}

static int run_ready(const struct wishes *wishes)
{
    return run_order(wishes, "/ready");
}

static int run_reload(const struct wishes *wishes)
{
    const char *target = wishes->is_forced ? "/reload?force=yes" : "/reload";
    bool was_good;
    json_t *answer =
        admin_client_ask(wishes->socket, "POST", target, RELOAD_WAIT_S,
                         wishes->problems, &was_good);
    int result = EXIT_SUCCESS;

    if (answer == NULL)
        return EXIT_FAILURE;
    if (wishes->wants_json)
        (void)print_json(wishes, answer);
    else if (json_object_get(answer, "taken") == NULL)
        (void)print_refusal(wishes, answer);
    else
        print_reload(answer, wishes->out);
    if (!was_good)
        result = EXIT_FAILURE;
    json_decref(answer);
    return result;
}

static void print_successor(const struct wishes *wishes, const json_t *answer)
{
    const json_t *reasons = json_object_get(answer, "reasons");
    const json_t *successor = json_object_get(answer, "successor");
    const json_t *line;
    size_t i;

    json_array_foreach(reasons, i, line)
        fprintf(wishes->out, "%s\n", json_string_value(line));
    if (json_is_integer(successor))
        fprintf(wishes->out, "process %lld serves\n",
                (long long)json_integer_value(successor));
    else
        fprintf(wishes->out, "not upgraded: the old process serves on\n");
}

static int run_upgrade(const struct wishes *wishes)
{
    bool was_good;
    json_t *answer =
        admin_client_ask(wishes->socket, "POST", "/upgrade", RELOAD_WAIT_S,
                         wishes->problems, &was_good);

    if (answer == NULL)
        return EXIT_FAILURE;
    if (wishes->wants_json)
        (void)print_json(wishes, answer);
    else if (json_object_get(answer, "successor") == NULL)
        (void)print_refusal(wishes, answer);
    else
        print_successor(wishes, answer);
    json_decref(answer);
    return was_good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int tell_route(const struct wishes *wishes, const json_t *answer)
{
    print_route(answer, wishes->out);
    return EXIT_SUCCESS;
}

static int run_live_route(const struct wishes *wishes)
{
    struct text target = {.bytes = NULL};

    text_add(&target, "/route");
    admin_client_add(&target, "user", wishes->name);
    return ask_and_print(wishes, "GET", &target, tell_route);
}

static const struct admin_command commands[] = {
    {"route --live", true, "", run_live_route},
    {"reload", false, "f", run_reload},
    {"upgrade", false, "", run_upgrade},
    {"status", false, "", run_status},
    {"sessions", false, "ub", run_sessions},
    {"kick", false, "ubo", run_kick},
    {"drain", true, "", run_drain},
    {"maintenance", true, "", run_maintenance},
    {"ready", true, "", run_ready},
};

static const struct admin_command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

/* `route` without --live asks no server. */
static const struct admin_command *command_of(int count, char **arguments)
{
    if (count > 1 && strcmp(arguments[0], "route") == 0 &&
        strcmp(arguments[1], "--live") == 0)
        return find_command("route --live");
    return find_command(arguments[0]);
}

bool command_admin_knows(int count, char **arguments)
{
    return command_of(count, arguments) != NULL;
}

static bool misuse(const struct wishes *wishes, const char *command,
                   const char *what, const char *argument)
{
    fprintf(wishes->problems, "gatepost %s: %s \"%s\"\n", command, what,
            argument);
    return false;
}

/* Where the value of an option goes; NULL: it is none of this command's. */
static const char **place_of(const struct admin_command *command,
                             const char *option, struct wishes *wishes)
{
    const struct {
        const char *name;
        const char **place;
    } options[] = {{"--user", &wishes->user},
                   {"--backend", &wishes->backend},
                   {"--over", &wishes->over}};

    if (strcmp(option, "--socket") == 0)
        return &wishes->socket;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (strcmp(options[i].name, option) == 0 &&
            strchr(command->options, option[2]) != NULL)
            return options[i].place;
    }
    return NULL;
}

static bool read_arguments(const struct admin_command *command, int count,
                           char **arguments, struct wishes *wishes)
{
    int first = strcmp(arguments[0], "route") == 0 ? 2 : 1;

    for (int i = first; i < count; i++) {
        const char **place = place_of(command, arguments[i], wishes);

        if (strcmp(arguments[i], "--json") == 0)
            wishes->wants_json = true;
        else if (strcmp(arguments[i], "--force") == 0 &&
                 strchr(command->options, 'f') != NULL)
            wishes->is_forced = true;
        else if (command->wants_name && wishes->name == NULL &&
                 arguments[i][0] != '-')
            wishes->name = arguments[i];
        else if (place == NULL)
            return misuse(wishes, command->name,
                          "no such option:", arguments[i]);
        else if (i + 1 == count || arguments[i + 1][0] == '\0')
            return misuse(wishes, command->name, "a value is missing for",
                          arguments[i]);
        else
            *place = arguments[++i];
    }
    if (command->wants_name && wishes->name == NULL)
        return misuse(wishes, command->name, "an argument is missing:", "NAME");
    return true;
}

int command_admin_run(int count, char **arguments, FILE *out, FILE *problems)
{
    const struct admin_command *command = command_of(count, arguments);
    struct wishes wishes = {
        .socket = ADMIN_CLIENT_SOCKET, .out = out, .problems = problems};

    if (!read_arguments(command, count, arguments, &wishes))
        return WRONG_USAGE;
    return command->run(&wishes);
}
