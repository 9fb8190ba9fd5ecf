/* rules.h - what the relays of rendezvous decide: whether a request is whole, who gives way, what is too much. */
#ifndef QUDAG_SRC_CORE_REND_RULES_H
#define QUDAG_SRC_CORE_REND_RULES_H

#include "base/fair.h"
#include "wire/rend_msg.h"

enum rend_form { REND_MORE, REND_WHOLE, REND_BAD };

/* What the first |got| bytes of a stream are of |which|, the request that its first byte names, with FIN or not yet. */
enum rend_form rend_request_form(enum rend_request which, size_t got, bool fin);

/* Whether |len| bytes more may be written to a stream on which |queued| have not left yet. */
bool rend_has_room(size_t queued, size_t len, size_t most);

enum rend_which {
    REND_OLDEST, /* what is short-lived: who holds most of it loses the oldest, also to himself */
    REND_NEWEST, /* what lasts: the newest, and to others only */
};

/*
 * Whether |holder|, who holds most when all is taken, loses a place to |newcomer|: as fairness has it (base/fair.h);
 * of what is short-lived also to himself, since his newest request is worth more than his oldest.
 */
bool rend_gives_way(const struct fair_claim *holder, const struct fair_claim *newcomer,
                    enum rend_which which);

#endif
