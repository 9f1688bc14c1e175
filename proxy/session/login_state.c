#include "session/login_state.h"

unsigned login_mechanisms(const struct login *login)
{
    unsigned mechanisms = login->rules.mechanisms;

    if (login->certificate_user == NULL)
        mechanisms &= ~(unsigned)SASL_EXTERNAL;
    return mechanisms;
}

struct reply_offer login_offer(const struct login *login)
{
    return (struct reply_offer){.is_secure = login->is_secure,
                                .starttls = login->rules.starttls,
                                .imap4rev2 = login->rules.imap4rev2,
                                .mechanisms = login_mechanisms(login)};
}

enum login_decision login_end_for(struct login *login, const char *reason)
{
    login->end_reason = reason;
    return LOGIN_END;
}

enum login_decision login_say(struct login *login, enum reply reply,
                              const char *tag)
{
    reply_write(&login->output, reply, tag);
    return LOGIN_MORE;
}

enum login_decision login_say_bye(struct login *login, enum reply reply,
                                  const char *reason)
{
    reply_write(&login->output, reply, NULL);
    return login_end_for(login, reason);
}

enum login_decision login_refuse_bad(struct login *login, enum reply reply,
                                     const char *tag)
{
    reply_write(&login->output, reply, tag);
    login->bad_commands++;
    login->tally.bad_commands++;
    if (login->bad_commands < login->rules.bad_commands)
        return LOGIN_MORE;
    return login_say_bye(login, REPLY_BYE_BAD_COMMANDS, "bad-commands");
}

enum login_decision login_refuse_early(struct login *login, enum reply reply,
                                       const char *tag)
{
    reply_write(&login->output, reply, tag);
    login->wrong_state_commands++;
    login->tally.bad_commands++;
    if (login->wrong_state_commands < login->rules.wrong_state_commands)
        return LOGIN_MORE;
    return login_say_bye(login, REPLY_BYE_BAD_COMMANDS, "wrong-state");
}

enum login_decision login_count_attempt(struct login *login, bool is_try)
{
    login->attempts++;
    if (is_try)
        login->tries++;
    if (login->tries < login->rules.login_tries &&
        login->attempts < LOGIN_ATTEMPTS_MAX)
        return LOGIN_MORE;
    return login_say_bye(login, REPLY_BYE_LOGINS, "login-tries");
}
