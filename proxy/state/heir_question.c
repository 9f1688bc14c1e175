#include "state/heir_parts.h"

#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

/* In real time: a login that waits blocks its loop. */
enum {
    ANSWER_MS = 250
};

struct answer {
    uint32_t sequence;
    enum heir_answer answer;
    struct backend *at;
};

static bool read_answer(struct heir *heir, const uint8_t *bytes, size_t len,
                        struct answer *out)
{
    struct wire_reader reader;
    uint8_t kind = wire_open(&reader, bytes, len);
    uint8_t answer;

    out->sequence = wire_get_u32(&reader);
    answer = wire_get_u8(&reader);
    out->at = wire_get_place(&reader, heir->registry);
    if (kind == WIRE_ANSWER && wire_is_whole(&reader) && answer >= HEIR_YES &&
        answer <= HEIR_WAIT) {
        out->answer = (enum heir_answer)answer;
        return true;
    }
    backend_unref(&out->at);
    return false;
}

static enum transfer receive_until(struct heir *heir, struct answer *out,
                                   const struct timespec *until)
{
    struct pollfd poller = {.fd = heir->fd, .events = POLLIN};
    uint8_t bytes[1024];
    ssize_t len;

    for (;;) {
        len = recv(heir->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len > 0 && read_answer(heir, bytes, (size_t)len, out))
            return TRANSFER_DONE;
        if (len >= 0 || (errno != EAGAIN && errno != EINTR))
            return TRANSFER_BROKEN;
        if (heir_left_ms(until) == 0 || atomic_load(&heir->is_ending))
            return TRANSFER_LATE;
        (void)poll(&poller, 1, heir_left_ms(until));
    }
}

/* Of a question whose asker has gone on without the answer. A move need not be
 * undone: its claim follows the home. */
static void undo(struct heir *heir, enum heir_answer answer)
{
    const struct unanswered *unanswered = &heir->unanswered;

    switch (unanswered->verb) {
    case HEIR_ENTER:
        if (answer == HEIR_YES)
            heir_tell(heir, HEIR_LEFT_EARLY, unanswered->key, 0, 0);
        break;
    case HEIR_MOVE:
        break;
    case HEIR_ARRIVE:
        /* Where it says WAIT it has given the claim up itself. */
        if (answer != HEIR_WAIT)
            heir_tell(heir, answer == HEIR_YES ? HEIR_LEFT : HEIR_LEFT_EARLY,
                      unanswered->key, 0, 0);
        break;
    case HEIR_COUNT:
        if (answer == HEIR_YES)
            heir_tell(heir, HEIR_UNCOUNTED, unanswered->key, 0, 0);
        break;
    }
}

static void note(atomic_uint_fast64_t *since_ms)
{
    uint_fast64_t none = 0;

    (void)atomic_compare_exchange_strong(since_ms, &none, heir_now_ms());
}

static void note_answer(struct heir *heir)
{
    atomic_store(&heir->silent_since_ms, 0);
}

bool heir_catch_up(struct heir *heir)
{
    const struct timespec now = thread_deadline(0);
    struct answer answer = {.at = NULL};

    if (!heir->unanswered.is_set)
        return true;
    switch (receive_until(heir, &answer, &now)) {
    case TRANSFER_DONE:
        break;
    case TRANSFER_LATE:
        return false;
    case TRANSFER_BROKEN:
        heir_break(heir);
        return false;
    }
    backend_unref(&answer.at);
    if (answer.sequence != heir->unanswered.sequence) {
        heir_break(heir);
        return false;
    }
    undo(heir, answer.answer);
    heir->unanswered.is_set = false;
    note_answer(heir);
    return true;
}

static void write_question(struct heir *heir,
                           const struct heir_question *question)
{
    struct wire_writer *packet = &heir->question;

    wire_start(packet, WIRE_QUESTION);
    wire_put_u32(packet, ++heir->sequence);
    wire_put_u8(packet, (uint8_t)question->verb);
    wire_put_u64(packet, question->key);
    wire_put_u32(packet, question->max);
    wire_put_place(packet, question->at);
    wire_put_place(packet, question->wanted);
}

/* Whether an answer may be given to this question. */
static bool is_fit(const struct heir_question *question,
                   const struct answer *answer)
{
    bool needs_place = answer->answer != HEIR_WAIT;

    switch (question->verb) {
    case HEIR_ENTER:
        needs_place = answer->answer == HEIR_YES;
        break;
    case HEIR_MOVE:
    case HEIR_ARRIVE:
        break;
    case HEIR_COUNT:
        needs_place = false;
        break;
    }
    return !needs_place || answer->at != NULL;
}

static enum heir_answer broken(struct heir *heir)
{
    heir_break(heir);
    return HEIR_NOBODY;
}

static enum heir_answer await(struct heir *heir,
                              const struct heir_question *question,
                              const struct timespec *until,
                              struct backend **at_out)
{
    struct answer answer = {.at = NULL};

    switch (receive_until(heir, &answer, until)) {
    case TRANSFER_DONE:
        break;
    case TRANSFER_LATE:
        note(&heir->silent_since_ms);
        heir->unanswered = (struct unanswered){.is_set = true,
                                               .sequence = heir->sequence,
                                               .verb = question->verb,
                                               .key = question->key};
        return HEIR_SILENT;
    case TRANSFER_BROKEN:
        return broken(heir);
    }
    note_answer(heir);
    *at_out = answer.at;
    if (answer.sequence == heir->sequence && is_fit(question, &answer))
        return answer.answer;
    backend_unref(at_out);
    return broken(heir);
}

/* It was not asked: who meant to arrive gives up. */
static enum heir_answer say_nothing(struct heir *heir,
                                    const struct heir_question *question)
{
    if (!heir_is_open(heir))
        return HEIR_NOBODY;
    if (question->verb == HEIR_ARRIVE)
        heir_tell(heir, HEIR_LEFT_EARLY, question->key, 0, 0);
    return HEIR_SILENT;
}

enum heir_answer heir_ask(struct heir *heir,
                          const struct heir_question *question,
                          struct backend **at_out)
{
    const struct timespec until = thread_deadline(ANSWER_MS);

    *at_out = NULL;
    if (heir == NULL || !heir_is_open(heir))
        return HEIR_NOBODY;
    if (!heir_catch_up(heir))
        return say_nothing(heir, question);
    write_question(heir, question);
    switch (heir_transfer(heir, &heir->question, &until)) {
    case TRANSFER_DONE:
        break;
    case TRANSFER_LATE:
        note(&heir->unsent_since_ms);
        return say_nothing(heir, question);
    case TRANSFER_BROKEN:
        return broken(heir);
    }
    return await(heir, question, &until, at_out);
}
