/*
 * closeness.c - paths to a relay that somebody else named: there is one to each, and it takes no longer.
 *
 * A caller names the relay where a service is to meet it, and can name all relays, one by one.  If the service
 * did not come where that relay is its guard, or came later, having to dial another one, the caller would know its
 * guard.  So whoever is named, the guard stays what it is, and may be the end of the circuit too.  It sees both ends
 * then; it would know them by their times too if it worked with the caller, and an honest one does not look.  The hops
 * between keep away from the relay, and as far as they can from its networks and its family.
 *
 * SPEC: rendezvous R-29.
 */
#include "core/relays/relays_impl.h"

size_t relays_rule_close(bool named, enum relays_close out[RELAYS_CLOSE_TRIES])
{
    out[0] = named ? RELAYS_CLOSE_GUARD : RELAYS_CLOSE_NOT;
    out[1] = RELAYS_CLOSE_NET;
    return named ? 2 : 1;
}

bool relays_close_fits(const struct relays *r, const struct relays_closeness *c,
                       const struct relays_entry *x, size_t at)
{
    if (c->how != RELAYS_CLOSE_NOT && at == 0 && c->n >= RELAYS_CLOSE_APART) {
        return true;
    }
    return c->how == RELAYS_CLOSE_NET ? !peer_id_eq(&c->to->hop.peer, &x->hop.peer)
                                      : relays_compatible(r, c->to, x);
}
