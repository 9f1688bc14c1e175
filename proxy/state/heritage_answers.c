#include "state/heritage_book_parts.h"

struct question {
    uint32_t sequence;
    uint8_t verb;
    uint64_t key;
    uint32_t max;
    struct backend *at;
    struct backend *wanted;
};

static bool answer_enter(struct heritage_book *book, struct question *question,
                         enum heir_answer *answer_out)
{
    struct home_claim claim = {.at = NULL};

    backend_unref(&question->at);
    *answer_out = HEIR_NO;
    if (!homes_enter_key(book->parts.homes, question->key, question->wanted,
                         &claim))
        return true;
    *answer_out = HEIR_YES;
    if (!tally_add(&book->homes, question->key, 0, 1)) {
        homes_leave(book->parts.homes, &claim);
        return false;
    }
    question->at = claim.at;
    return true;
}

/* The predecessor's, as long as this one borrows it from the question. */
static bool borrow_claim(struct heritage_book *book, struct question *question,
                         struct home_claim *claim)
{
    if (question->at == NULL || !tally_take(&book->homes, question->key, 0, 1))
        return false;
    *claim = (struct home_claim){
        .at = question->at, .key = question->key, .is_seeking = true};
    return true;
}

static bool answer_move(struct heritage_book *book, struct question *question,
                        enum heir_answer *answer_out)
{
    struct home_claim claim;

    if (question->wanted == NULL || !borrow_claim(book, question, &claim))
        return false;
    switch (homes_move(book->parts.homes, &claim, question->wanted)) {
    case HOMES_MOVED:
        *answer_out = HEIR_YES;
        break;
    case HOMES_ELSEWHERE:
        *answer_out = HEIR_NO;
        break;
    case HOMES_WAIT:
        *answer_out = HEIR_WAIT;
        break;
    }
    question->at = claim.at;
    return tally_add(&book->homes, question->key, 0, 1);
}

static bool answer_arrive(struct heritage_book *book, struct question *question,
                          enum heir_answer *answer_out)
{
    struct home_claim claim;
    bool has_arrived;

    if (!borrow_claim(book, question, &claim))
        return false;
    has_arrived = homes_arrive(book->parts.homes, &claim);
    question->at = claim.at;
    *answer_out = has_arrived ? HEIR_YES : HEIR_NO;
    if (claim.at != NULL)
        return tally_add(&book->homes, question->key, has_arrived,
                         !has_arrived);
    *answer_out = HEIR_WAIT; /* our own successor could not be asked */
    return true;
}

static bool answer_count(struct heritage_book *book,
                         const struct question *question,
                         enum heir_answer *answer_out)
{
    bool is_counted =
        limits_count(book->parts.limits, question->key, question->max);

    *answer_out = is_counted ? HEIR_YES : HEIR_NO;
    if (!is_counted || tally_add(&book->counts, question->key, 1, 0))
        return true;
    limits_drop(book->parts.limits, question->key, 1);
    return false;
}

static bool answer_verb(struct heritage_book *book, struct question *question,
                        enum heir_answer *answer_out)
{
    switch (question->verb) {
    case HEIR_ENTER:
        return answer_enter(book, question, answer_out);
    case HEIR_MOVE:
        return answer_move(book, question, answer_out);
    case HEIR_ARRIVE:
        return answer_arrive(book, question, answer_out);
    case HEIR_COUNT:
        return answer_count(book, question, answer_out);
    default: /* a byte of the wire, no enum yet */
        return false;
    }
}

bool heritage_answer(struct heritage_book *book, struct wire_reader *reader,
                     struct wire_writer *out)
{
    struct question question = {.sequence = wire_get_u32(reader)};
    enum heir_answer answer = HEIR_NO;
    bool is_good;

    question.verb = wire_get_u8(reader);
    question.key = wire_get_u64(reader);
    question.max = wire_get_u32(reader);
    question.at = wire_get_place(reader, book->parts.registry);
    question.wanted = wire_get_place(reader, book->parts.registry);
    is_good = wire_is_whole(reader) && answer_verb(book, &question, &answer);
    wire_start(out, WIRE_ANSWER);
    wire_put_u32(out, question.sequence);
    wire_put_u8(out, (uint8_t)answer);
    wire_put_place(out, question.at);
    backend_unref(&question.at);
    backend_unref(&question.wanted);
    return is_good;
}
