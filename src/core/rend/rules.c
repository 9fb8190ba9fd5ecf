/* rules.c - see rules.h; nothing here has a state. */
#include "core/rend/rules.h"

enum rend_form rend_request_form(enum rend_request which, size_t got, bool fin)
{
    size_t len = rend_request_len(which);
    bool ends = which != REND_ESTABLISH; /* whose stream stays open */

    if (got == 0) {
        return fin ? REND_BAD : REND_MORE;
    }
    if (got > len) { /* also what is no request */
        return REND_BAD;
    }
    if (got < len) {
        return fin ? REND_BAD : REND_MORE;
    }
    if (fin == ends) {
        return REND_WHOLE;
    }
    return ends ? REND_MORE : REND_BAD;
}

bool rend_has_room(size_t queued, size_t len, size_t most)
{
    return queued <= most && len <= most - queued;
}

bool rend_gives_way(const struct fair_claim *holder, const struct fair_claim *newcomer,
                    enum rend_which which)
{
    bool own = holder->net == newcomer->net && holder->source == newcomer->source;

    return fair_gives_way(holder, newcomer) || (own && which == REND_OLDEST);
}
