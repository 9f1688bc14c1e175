#include "imap/command.h"

static const struct {
    const char *text;
    enum imap_command_name name;
} names[] = {
    {"CAPABILITY", IMAP_CAPABILITY},
    {"NOOP", IMAP_NOOP},
    {"LOGOUT", IMAP_LOGOUT},
    {"ID", IMAP_ID},
    {"STARTTLS", IMAP_STARTTLS},
    {"LOGIN", IMAP_LOGIN},
    {"AUTHENTICATE", IMAP_AUTHENTICATE},
};

/* Commands of RFC 9051, 3501 and the extensions in use: a client that sends
 * one of them too early is confused, and no attacker. */
static const char *const later[] = {
    "APPEND",       "CANCELUPDATE", "CHECK",       "CLOSE",
    "COMPARATOR",   "COMPRESS",     "CONVERT",     "COPY",
    "CREATE",       "DELETE",       "DELETEACL",   "ENABLE",
    "ESEARCH",      "EXAMINE",      "EXPUNGE",     "FETCH",
    "GENURLAUTH",   "GETACL",       "GETMETADATA", "GETQUOTA",
    "GETQUOTAROOT", "IDLE",         "LANGUAGE",    "LIST",
    "LISTRIGHTS",   "LSUB",         "MOVE",        "MYRIGHTS",
    "NAMESPACE",    "NOTIFY",       "RENAME",      "REPLACE",
    "RESETKEY",     "RLIST",        "RLSUB",       "SEARCH",
    "SELECT",       "SETACL",       "SETMETADATA", "SETQUOTA",
    "SORT",         "STATUS",       "STORE",       "SUBSCRIBE",
    "THREAD",       "UID",          "UIDBATCHES",  "UNAUTHENTICATE",
    "UNSELECT",     "UNSUBSCRIBE",  "URLFETCH",    "XLIST",
};

static const char *const http_methods[] = {
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS",
    "PATCH",   "POST",   "PRI", "PUT",  "TRACE",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_one_of(struct imap_span span, const char *const *texts,
                      size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (imap_span_is(span, texts[i]))
            return true;
    }
    return false;
}

static enum imap_command_name find_name(struct imap_span atom)
{
    for (size_t i = 0; i < COUNT(names); i++) {
        if (imap_span_is(atom, names[i].text))
            return names[i].name;
    }
    return is_one_of(atom, later, COUNT(later)) ? IMAP_WRONG_STATE
                                                : IMAP_UNKNOWN;
}

/* RFC 9051, 9: tag = 1*<any ASTRING-CHAR except "+">. */
static struct imap_span take_tag(struct imap_span *line)
{
    struct imap_span tag = {line->bytes, 0};

    while (tag.len < line->len && line->bytes[tag.len] != '+' &&
           imap_is_astring_char(line->bytes[tag.len]))
        tag.len++;
    line->bytes += tag.len;
    line->len -= tag.len;
    return tag;
}

bool imap_command_parse(struct imap_span line, struct imap_command *command_out)
{
    struct imap_span rest = line;
    struct imap_span tag = take_tag(&rest);
    struct imap_span atom;

    *command_out = (struct imap_command){{rest.bytes, 0}, IMAP_UNKNOWN, rest};
    if (tag.len == 0 || tag.len > IMAP_TAG_MAX || !imap_span_take(&rest, ' '))
        return false;
    command_out->tag = tag;
    atom = imap_span_take_atom(&rest);
    command_out->arguments = rest;
    if (atom.len == 0 || (rest.len > 0 && rest.bytes[0] != ' '))
        return false;
    command_out->name = find_name(atom);
    return true;
}

bool imap_command_is_http(const struct imap_command *command)
{
    return command->name == IMAP_UNKNOWN &&
           is_one_of(command->tag, http_methods, COUNT(http_methods));
}
