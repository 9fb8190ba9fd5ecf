/* outcome.c - see outcome.h. */
#include "base/outcome.h"

const char *outcome_name(enum outcome o)
{
    static const char *const names[OUTCOMES] = {
        [OUTCOME_OK] = "ok",
        [OUTCOME_TIMEOUT] = "timeout",
        [OUTCOME_UNREACHABLE] = "unreachable",
        [OUTCOME_AUTHENTICATION] = "authentication",
        [OUTCOME_POLICY] = "policy",
        [OUTCOME_LIMIT] = "limit",
        [OUTCOME_NOT_FOUND] = "not_found",
        [OUTCOME_CANCELED] = "canceled",
        [OUTCOME_CLOSED] = "closed",
        [OUTCOME_FAILED] = "failed",
    };

    return names[o];
}

enum outcome outcome_of(qudag_err err)
{
    switch (err) {
    case QUDAG_OK:
        return OUTCOME_OK;
    case QUDAG_ETIMEOUT:
        return OUTCOME_TIMEOUT;
    case QUDAG_EUNREACHABLE:
    case QUDAG_EREFUSED:
        return OUTCOME_UNREACHABLE;
    case QUDAG_EAUTH:
    case QUDAG_ENEEDAUTH:
        return OUTCOME_AUTHENTICATION;
    case QUDAG_EPOLICY:
    case QUDAG_ESMALLNET:
        return OUTCOME_POLICY;
    case QUDAG_ELIMIT:
    case QUDAG_ENOMEM:
        return OUTCOME_LIMIT;
    case QUDAG_ENOTFOUND:
        return OUTCOME_NOT_FOUND;
    case QUDAG_ECANCELED:
        return OUTCOME_CANCELED;
    case QUDAG_ECLOSED:
        return OUTCOME_CLOSED;
    default:
        return OUTCOME_FAILED;
    }
}

enum outcome outcome_in(unsigned set, qudag_err err)
{
    enum outcome o = outcome_of(err);

    return (set & OUTCOME_BIT(o)) != 0 ? o : OUTCOME_FAILED;
}
