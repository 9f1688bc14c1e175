#include "session/login_state.h"

struct reply_offer login_offer(const struct login *login)
{
    return (struct reply_offer){.is_secure = login->is_secure,
                                .starttls = login->rules.starttls,
                                .mechanisms = login->rules.mechanisms};
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
