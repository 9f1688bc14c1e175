/* What a link is made of, for the files that it is written in: link.c has its
 * life and its stream, link_dial.c the way to a connection, link_greeting.c
 * what is said on it. Private to backend/. */
#ifndef BACKEND_LINK_PRIVATE_H
#define BACKEND_LINK_PRIVATE_H

#include "backend/link.h"
#include "imap/response_reader.h"

enum link_state {
    LINK_START,
    LINK_CONNECT, /* or what comes next: its first byte is the sign of both */
    LINK_GREETING,
    LINK_STARTTLS,
    LINK_TLS,
    LINK_CAPABILITY,
    LINK_OVER
};

struct link {
    struct io *io;
    const struct link_target *target;
    struct link_rules rules;
    link_handler *handler;
    void *owner;

    enum link_state state;
    struct stream *stream;
    struct wheel_timer timer;
    uint64_t dialled_ms;
    uint64_t looked_ms; /* there was no connection then */
    struct address addresses[BACKEND_ADDRESSES_MAX];
    size_t address_count;
    size_t next_address;

    struct imap_response_reader reader;
    struct imap_capabilities capabilities;
    bool knows_capabilities;
    bool is_our_fault; /* that it failed */
    bool has_more;     /* bytes follow the line being taken */
    char failure[IO_FAILURE_MAX + 64];
};

/* Over: calls the owner, who may free the link in the callback. Nobody touches
 * it afterwards, which the result, false, tells on. */
bool link_finish(struct link *link, bool is_ready);

/* Likewise, as one that failed, in these words for the log; why may be NULL. */
bool link_give_up(struct link *link, const char *what, const char *why);

/* Waits for what ends the state, so long at most. */
void link_wait_in(struct link *link, enum link_state state,
                  uint64_t timeout_ms);

/* Behind what is to be said in clear first, if anything is. */
void link_start_tls(struct link *link, const uint8_t *bytes, size_t len);

void link_drop_stream(struct link *link);
bool link_begins_with_tls(const struct link *link);
stream_handler link_on_stream;

/* Dials the first address. False: that failed at once, or there is none, and
 * link_dial_next is to be called from the loop. */
MUST_USE bool link_dial_first(struct link *link);

/* Dials the next of the addresses that one can be begun with; finishes where
 * there is none. */
void link_dial_next(struct link *link);

/* The dial under way has failed: goes on with the next. */
void link_fail_address(struct link *link, const char *why);

/* In LINK_CONNECT: how far it is by now. */
void link_look_at_connect(struct link *link);

/* What the backend said; may finish. */
void link_take_bytes(struct link *link, const uint8_t *bytes, size_t len);

/* Where the connection is as it is to be, and what it offers is not known. */
void link_ask_capability(struct link *link);

#endif
