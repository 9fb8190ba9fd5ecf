/* refusal.c - misbehaviour of peers: counted by reason, with a text for each reason. */
#include "core/kad/common/refusal.h"

const char *kad_refusal_name(enum kad_refusal r)
{
    static const char *const names[] = {
#define X(NAME, name, total, text) #name,
        KAD_REFUSAL_LIST(X)
#undef X
    };

    return (unsigned)r < KAD_REFUSALS ? names[r] : "?";
}

const char *kad_refusal_text(enum kad_refusal r)
{
    static const char *const texts[] = {
#define X(NAME, name, total, text) text,
        KAD_REFUSAL_LIST(X)
#undef X
    };

    return (unsigned)r < KAD_REFUSALS ? texts[r] : "?";
}

static uint64_t *total_of(struct kad_stats *s, enum kad_refusal why)
{
    switch (why) {
#define X(NAME, name, total, text)                                                                 \
    case KAD_REFUSED_##NAME:                                                                       \
        return &s->total;
        KAD_REFUSAL_LIST(X)
#undef X
    case KAD_REFUSALS:
        break;
    }
    return &s->bad_messages;
}

void kad_refusal_count(struct kad_stats *s, enum kad_refusal why, size_t n)
{
    s->refused[why] += n;
    *total_of(s, why) += n;
}

enum kad_refusal kad_refusal_of(qudag_err err)
{
    switch (err) {
    case QUDAG_ETOOBIG:
        return KAD_REFUSED_VALUE_SIZE;
    case QUDAG_EEXPIRED:
        return KAD_REFUSED_EXPIRED;
    case QUDAG_ECLOCK:
        return KAD_REFUSED_CLOCK;
    case QUDAG_ESTALE:
        return KAD_REFUSED_STALE;
    case QUDAG_ELIMIT:
        return KAD_REFUSED_FULL;
    case QUDAG_ENOMEM:
        return KAD_REFUSED_NO_MEMORY;
    default:
        return KAD_REFUSED_INVALID;
    }
}

enum kad_refusal kad_refusal_of_msg(qudag_err err)
{
    return err == QUDAG_ETOOBIG        ? KAD_REFUSED_FIELD_SIZE
           : err == QUDAG_EUNSUPPORTED ? KAD_REFUSED_UNKNOWN_TYPE
                                       : KAD_REFUSED_MALFORMED;
}
