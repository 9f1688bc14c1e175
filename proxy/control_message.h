/* One message between a process and the one that takes its place: a kind, a
 * number and a few texts, in one packet. Descriptors travel beside it. Both are
 * Gatepost and may be of two releases; what the other sends is checked all the
 * same. */
#ifndef PROXY_CONTROL_MESSAGE_H
#define PROXY_CONTROL_MESSAGE_H

#include "config/mem.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of what follows; another one is refused by name. */
enum {
    CONTROL_VERSION = 1
};

enum control_kind {
    CONTROL_HELLO = 1,      /* the version, from both; flags: the process */
    CONTROL_SOCKETS,        /* what they are for, and they themselves; flags:
                               a service manager keeps them */
    CONTROL_END,            /* of the sockets; the last kind it knows */
    CONTROL_PREPARED,       /* the process that speaks */
    CONTROL_REASON,         /* one of those for the next two; see below */
    CONTROL_FAILED,         /* the start of the successor */
    CONTROL_SERVING,        /* the successor; how many sockets it left */
    CONTROL_KICK,           /* over so many milliseconds */
    CONTROL_MODE,           /* of a backend: enum backend_mode */
    CONTROL_NO_MORE_LOGINS, /* those before login shall come again */
    CONTROL_DRAIN,          /* within so many milliseconds */
    CONTROL_ADMIN,          /* a connection */
    /* Later than the first release, and a link's end for one that does not know
     * them: told only to who says that it does. */
    CONTROL_UPGRADE_DRAIN, /* so many milliseconds from when it was replaced */
    CONTROL_KIND_LAST = CONTROL_UPGRADE_DRAIN
};

/* What sockets are for. */
enum control_sockets {
    CONTROL_FOR_CLIENTS,
    CONTROL_FOR_ADMIN
};

/* The texts of a CONTROL_REASON, whose number holds line and column. */
enum {
    CONTROL_REASON_FILE,
    CONTROL_REASON_PATH,
    CONTROL_REASON_FOUND,
    CONTROL_REASON_EXPECTED,
    CONTROL_REASON_TEXTS
};

/* The texts of a CONTROL_KICK. */
enum {
    CONTROL_KICK_USER,
    CONTROL_KICK_BACKEND,
    CONTROL_KICK_REASON,
    CONTROL_KICK_AT_NAME,
    CONTROL_KICK_AT_HOST,
    CONTROL_KICK_TEXTS
};

/* The texts of a CONTROL_MODE. */
enum {
    CONTROL_MODE_BACKEND,
    CONTROL_MODE_WHY,
    CONTROL_MODE_TEXTS
};

enum {
    CONTROL_TEXTS_MAX = CONTROL_KICK_TEXTS,
    CONTROL_TEXT_MAX = 4096, /* longer ones are cut */
    CONTROL_MESSAGE_MAX = 32 * 1024
};

struct control_message {
    enum control_kind kind;
    uint32_t flags;
    uint64_t number;
    const char *texts[CONTROL_TEXTS_MAX]; /* lent; NULL: none */
};

/* Returns the length of the packet. */
size_t control_message_write(const struct control_message *message,
                             uint8_t out[CONTROL_MESSAGE_MAX]);

/* False: it is no message of this version. The texts are lent by the bytes. */
MUST_USE bool control_message_read(const uint8_t *bytes, size_t len,
                                   struct control_message *message_out);

#endif
