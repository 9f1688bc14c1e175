#include "command_admin.h"

#include "admin_client.h"
#include "command_print.h"

#include <stdlib.h>
#include <string.h>

enum {
    WRONG_USAGE = -1,
    WAIT_S = 30
};

/* What the command line said. */
struct wishes {
    const char *socket;
    bool wants_json;
    FILE *out;
    FILE *problems;
};

struct admin_command {
    const char *name;
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

static int run_status(const struct wishes *wishes)
{
    bool was_good;
    json_t *status = admin_client_ask(wishes->socket, "GET", "/status", WAIT_S,
                                      wishes->problems, &was_good);
    int result = EXIT_SUCCESS;

    if (status == NULL)
        return EXIT_FAILURE;
    if (!was_good)
        result = print_refusal(wishes, status);
    else if (wishes->wants_json)
        result = print_json(wishes, status);
    else
        print_status(status, wishes->out);
    json_decref(status);
    return result;
}

static const struct admin_command commands[] = {
    {"status", run_status},
};

static const struct admin_command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

bool command_admin_knows(const char *name)
{
    return find_command(name) != NULL;
}

static bool misuse(const struct wishes *wishes, const char *command,
                   const char *what, const char *argument)
{
    fprintf(wishes->problems, "gatepost %s: %s \"%s\"\n", command, what,
            argument);
    return false;
}

static bool read_arguments(int count, char **arguments, struct wishes *wishes)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--json") == 0)
            wishes->wants_json = true;
        else if (strcmp(arguments[i], "--socket") != 0)
            return misuse(wishes, arguments[0],
                          "no such option:", arguments[i]);
        else if (++i == count)
            return misuse(wishes, arguments[0], "a value is missing for",
                          "--socket");
        else
            wishes->socket = arguments[i];
    }
    return true;
}

int command_admin_run(int count, char **arguments, FILE *out, FILE *problems)
{
    struct wishes wishes = {
        .socket = ADMIN_CLIENT_SOCKET, .out = out, .problems = problems};

    if (!read_arguments(count, arguments, &wishes))
        return WRONG_USAGE;
    return find_command(arguments[0])->run(&wishes);
}
