#include "session/login_command.h"

#include <string.h>

#include "session/login_arguments.h"
#include "session/login_attempt.h"
#include "session/login_id.h"

/* A client that asks this much and never logs in is not here for mail. */
#define COMMANDS_MAX 300

static bool takes_login(const struct login *login)
{
    struct reply_offer offer = login_offer(login);

    return reply_offers_login(&offer);
}

bool login_command_wants_literal(const struct login *login)
{
    const struct imap_command *command = imap_reader_command(&login->reader);

    if (command->name == IMAP_ID)
        return login_arguments_id(command->arguments, NULL, NULL) ==
               LOGIN_ARGUMENTS_MORE;
    return command->name == IMAP_LOGIN && takes_login(login) &&
           login_arguments_login(command->arguments, NULL) ==
               LOGIN_ARGUMENTS_MORE;
}

static enum login_decision on_starttls(struct login *login, const char *tag)
{
    if (login->is_secure)
        return login_refuse_bad(login, REPLY_STARTTLS_TWICE, tag);
    if (!login->rules.starttls)
        return login_refuse_early(login, REPLY_STARTTLS_UNAVAILABLE, tag);
    reply_write(&login->output, REPLY_STARTTLS_DONE, tag);
    return LOGIN_STARTTLS;
}

static enum login_decision on_logout(struct login *login, const char *tag)
{
    reply_write(&login->output, REPLY_BYE_LOGOUT, NULL);
    reply_write(&login->output, REPLY_LOGOUT_DONE, tag);
    return login_end_for(login, "logout");
}

static enum login_decision on_capability(struct login *login, const char *tag)
{
    struct reply_offer offer = login_offer(login);

    reply_capability(&login->output, &offer);
    return login_say(login, REPLY_CAPABILITY_DONE, tag);
}

static enum login_decision on_id(struct login *login, const char *tag,
                                 struct imap_span arguments)
{
    if (!login_id_take(login, arguments))
        return login_refuse_bad(login, REPLY_BAD_ARGUMENTS, tag);
    reply_id(&login->output);
    return login_say(login, REPLY_ID_DONE, tag);
}

/* Runs a command that takes no arguments. */
static enum login_decision run_bare(struct login *login, const char *tag,
                                    const struct imap_command *command)
{
    if (command->arguments.len > 0)
        return login_refuse_bad(login, REPLY_BAD_ARGUMENTS, tag);
    if (command->name == IMAP_CAPABILITY)
        return on_capability(login, tag);
    if (command->name == IMAP_LOGOUT)
        return on_logout(login, tag);
    if (command->name == IMAP_STARTTLS)
        return on_starttls(login, tag);
    return login_say(login, REPLY_NOOP_DONE, tag);
}

static enum login_decision run(struct login *login, const char *tag,
                               const struct imap_command *command)
{
    switch (command->name) {
    case IMAP_CAPABILITY:
    case IMAP_NOOP:
    case IMAP_LOGOUT:
    case IMAP_STARTTLS:
        return run_bare(login, tag, command);
    case IMAP_ID:
        return on_id(login, tag, command->arguments);
    case IMAP_LOGIN:
        return login_attempt_by_login(login, tag, command->arguments);
    case IMAP_AUTHENTICATE:
        return login_attempt_by_sasl(login, tag, command->arguments);
    case IMAP_WRONG_STATE:
        return login_refuse_early(login, REPLY_WRONG_STATE, tag);
    case IMAP_UNKNOWN:
        break;
    }
    return login_refuse_bad(login, REPLY_BAD_COMMAND, tag);
}

static enum reply reply_for_fault(enum imap_reader_fault fault)
{
    switch (fault) {
    case IMAP_READER_FAULT_LINE_END:
        return REPLY_BAD_LINE_END;
    case IMAP_READER_FAULT_TOO_BIG:
        return REPLY_LITERAL_TOO_BIG;
    case IMAP_READER_FAULT_TOO_LONG:
        return REPLY_TOO_LONG;
    case IMAP_READER_FAULT_LITERAL:
        return REPLY_BAD_ARGUMENTS;
    case IMAP_READER_FAULT_NONE:
    case IMAP_READER_FAULT_SYNTAX:
        break;
    }
    return REPLY_BAD_COMMAND;
}

/* Copies the command's tag: replies outlive the reader's buffer. NULL when it
 * had none that may be echoed. */
static const char *copy_tag(const struct imap_command *command,
                            char out[IMAP_TAG_MAX + 1])
{
    if (command->tag.len == 0)
        return NULL;
    memcpy(out, command->tag.bytes, command->tag.len);
    out[command->tag.len] = '\0';
    return out;
}

/* A command has ended, well-formed or not, or is refused before its end. */
static enum login_decision run_command(struct login *login, bool is_broken)
{
    const struct imap_command *command = imap_reader_command(&login->reader);
    char copy[IMAP_TAG_MAX + 1];
    const char *tag = copy_tag(command, copy);

    login->commands++;
    if (imap_command_is_http(command)) {
        login->tally.spoke_http = true;
        return login_say_bye(login, REPLY_BYE_HTTP, "http");
    }
    if (login->commands > COMMANDS_MAX)
        return login_say_bye(login, REPLY_BYE_COMMANDS, "command-count");
    /* One answer in clear, whatever was sent (RFC 8314, 4.1). */
    if (!login->is_secure &&
        (command->name == IMAP_LOGIN || command->name == IMAP_AUTHENTICATE)) {
        login->tally.cleartext_logins++;
        return login_refuse_early(login, REPLY_PRIVACY_REQUIRED, tag);
    }
    if (command->name == IMAP_LOGIN && !takes_login(login))
        return login_refuse_early(login, REPLY_LOGIN_DISABLED, tag);
    if (is_broken)
        return login_refuse_bad(
            login, reply_for_fault(imap_reader_fault(&login->reader)), tag);
    return run(login, tag, command);
}

enum login_decision login_command_run(struct login *login)
{
    return run_command(login, false);
}

enum login_decision login_command_bad(struct login *login)
{
    return run_command(login, true);
}

enum login_decision login_command_close(struct login *login)
{
    enum imap_reader_fault fault = imap_reader_fault(&login->reader);

    reply_write(&login->output, reply_for_fault(fault), NULL);
    return login_say_bye(login, REPLY_BYE_UNREADABLE,
                         fault == IMAP_READER_FAULT_TOO_LONG ? "too-long"
                                                             : "bad-literal");
}
