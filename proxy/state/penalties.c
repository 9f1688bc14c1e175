#include "state/penalties.h"

#include <stdlib.h>

struct penalties {
    size_t count;
};

struct penalties *penalties_new(void)
{
    return mem_zalloc(sizeof(struct penalties));
}

void penalties_free(struct penalties **penalties)
{
    free(*penalties);
    *penalties = NULL;
}

enum penalties_answer
penalties_ask(struct penalties *penalties, const struct settings *settings,
              const struct penalties_attempt *attempt, uint64_t now_ms,
              struct penalty_claim *claim, uint64_t *wait_ms_out)
{
    (void)penalties;
    (void)settings;
    (void)attempt;
    (void)now_ms;
    (void)claim;
    *wait_ms_out = 0;
    return PENALTIES_GO;
}

void penalties_answered(struct penalties *penalties,
                        struct penalty_claim *claim,
                        enum penalties_outcome outcome, uint64_t now_ms)
{
    (void)penalties;
    (void)outcome;
    (void)now_ms;
    *claim = (struct penalty_claim){.stage = PENALTY_NEW};
}

void penalties_read_size(struct penalties *penalties,
                         struct penalties_size *out)
{
    (void)penalties;
    *out = (struct penalties_size){.bytes = 0};
}
